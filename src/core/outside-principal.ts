/**
 * @module
 * Principals that an issuer outside vouches for. Their id holds the whole URL of the issuer, so that no two issuers and no
 * local name can ever mean the same principal, whatever the configuration calls them.
 */
import { InputError } from './errors.ts'
import type { Grant } from './grant.ts'

/** The type of every such principal; a bare name is of type `user`. */
export const OUTSIDE_TYPE = 'oidc'

/** OpenID Connect Core §2: at most 255 ASCII characters. A break or a control character was never meant. */
const SUB = /^[\x20-\x7e]{1,255}$/
/** Without a fragment, so that the first `#` of an id ends the issuer. */
const ISSUER = /^https?:\/\/[\x21\x22\x24-\x7e]{1,245}$/

/** The principal `sub` of an issuer. Throws `InputError` for what cannot be told apart. Does not say that anybody vouched. */
export function toOutsidePrincipal(issuer: string, sub: string): Grant['principal'] {
  if (!ISSUER.test(issuer)) throw new InputError('an issuer is an http or https URL without a fragment')
  if (!SUB.test(sub)) throw new InputError('a `sub` has 1 to 255 printable ASCII characters')
  return { type: OUTSIDE_TYPE, id: `${issuer}#${sub}` }
}

/**
 * @module
 * The `nonce` that binds a login to the one grant that it may open: whoever steals the proof cannot open another grant with it.
 */
import { hashOf } from './bind.ts'
import type { Json } from './json.ts'

/**
 * `base64url(SHA-256(JCS({grant, salt})))`. `salt` is random for each login, so that the nonce is too. Does not promise that the
 * issuer showed the grant to anybody.
 */
export function toGrantNonce(grant: Json, salt: string): string {
  return hashOf({ grant, salt }).slice('sha-256:'.length)
}

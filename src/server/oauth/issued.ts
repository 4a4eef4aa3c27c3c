/**
 * @module
 * `POST /introspect` (RFC 7662) and `POST /revoke` (RFC 7009) for action credentials that were issued here.
 */
import type { ActionClaims } from '../../core/credential.ts'
import { asJson } from '../../core/json.ts'
import { refuseRevoked } from '../../core/revoked.ts'
import { openActionCredential } from '../../crypto/credential.ts'
import type { IssuerKeys } from '../../crypto/issuer-keys.ts'
import { InputError, type EnrolledKey, type KeyRole } from '../../index.ts'
import type { Authenticator, ReceivedRequest } from '../../pdp/authenticate.ts'
import { isRegistered } from '../../pdp/issued.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Store } from '../../ports/store.ts'
import type { Revocations } from '../revocations.ts'
import type { Audience } from './action-detail.ts'
import { toError, toUnauthenticated } from './answers.ts'
import { parseForm } from './form.ts'
import type { Counted } from './routes.ts'

export interface IssuedOptions {
  readonly issuer: string
  readonly keys: IssuerKeys
  readonly store: Store
  readonly clock: Clock
  readonly revocations: Revocations
  readonly authenticator: Pick<Authenticator, 'authenticateKey'>
  readonly audiences: readonly Audience[]
  readonly counted: Counted
}

const NO_STORE = { headers: { 'cache-control': 'no-store' } }

/**
 * Whether a credential could be redeemed now, for a PEP of its audience; `{active: false}` for everything else. Does not redeem
 * it: two who ask are told the same.
 */
export async function introspect(options: IssuedOptions, received: ReceivedRequest): Promise<Response> {
  return withCredential(options, received, ['pep'], async (claims, by) => {
    const active = claims !== undefined && isPepOf(options, by, claims) && (await isActive(options, claims))
    return Response.json(active ? { active, token_type: 'DPoP', ...asJson(claims) } : { active: false }, NO_STORE)
  })
}

/** Revokes a credential for its own agent or a PEP of its audience. Answers 200 whatever it was (RFC 7009 §2.2). */
export async function revoke(options: IssuedOptions, received: ReceivedRequest): Promise<Response> {
  return withCredential(options, received, ['agent', 'pep'], async (claims, by) => {
    const isTheirs = claims !== undefined && (claims.cnf.jkt === by.jkt || isPepOf(options, by, claims))
    // One that cannot be redeemed any more needs no revocation, and the feed does not grow by it.
    if (isTheirs && (await isActive(options, claims))) await options.revocations.revoke('credential', claims.jti, by)
    return Response.json({}, NO_STORE)
  })
}

async function withCredential(
  options: IssuedOptions,
  received: ReceivedRequest,
  roles: readonly KeyRole[],
  answer: (claims: ActionClaims | undefined, by: EnrolledKey) => Promise<Response>,
): Promise<Response> {
  const by = await authenticate(options, received, roles)
  if (by instanceof Response) return by
  const { keys, issuer } = options
  try {
    return await answer(openActionCredential(keys, issuer, parseForm(received).need('token')), by)
  } catch (fault) {
    if (fault instanceof InputError) return toError('invalid_request', fault.message)
    throw fault
  }
}

/** Who signed this request, if it is one of these and not revoked; otherwise what to answer. */
async function authenticate(
  { authenticator, counted, revocations }: IssuedOptions,
  received: ReceivedRequest,
  roles: readonly KeyRole[],
  options: { readonly isReplayHarmless?: boolean } = {},
): Promise<EnrolledKey | Response> {
  const by = await authenticator.authenticateKey(received, roles, options)
  if (by.ok)
    return revocations.find('actor', by.value.jkt) === undefined
      ? by.value
      : toUnauthenticated('identity.revoked', false)
  counted(by.reason)
  const refused = toUnauthenticated(by.reason, false)
  if (by.nonce !== undefined) refused.headers.set('unbearer-nonce', by.nonce)
  return refused
}

/**
 * The PEP that asks to redeem; otherwise what to answer. Its proof is not used up: asked again, the credential is burned, and a
 * PEP of a busy API asks more often than anybody could remember.
 */
export async function authenticatePep(
  options: IssuedOptions,
  received: ReceivedRequest,
): Promise<EnrolledKey | Response> {
  return authenticate(options, received, ['pep'], { isReplayHarmless: true })
}

/** True for a key that may redeem and look at credentials of this audience. */
export function isPepOf(
  { audiences }: Pick<IssuedOptions, 'audiences'>,
  by: EnrolledKey,
  { aud }: ActionClaims,
): boolean {
  return by.role === 'pep' && audiences.some(({ url, peps }) => url === aud && peps.includes(by.name))
}

async function isActive(options: IssuedOptions, claims: ActionClaims): Promise<boolean> {
  const { revocations, clock, store } = options
  if (refuseRevoked(revocations, claims) !== undefined || !(clock.now() / 1000 < claims.exp)) return false
  return isRegistered(store, claims)
}

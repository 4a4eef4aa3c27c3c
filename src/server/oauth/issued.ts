/**
 * @module
 * `POST /introspect` (RFC 7662) and `POST /revoke` (RFC 7009) for action credentials that were issued here.
 */
import { ACTION_TYP, type ActionClaims } from '../../core/credential.ts'
import { asJson } from '../../core/json.ts'
import { refuseRevoked } from '../../core/revoked.ts'
import { parseActionClaims } from '../../crypto/action-claims.ts'
import { findSigner, type IssuerKeys } from '../../crypto/issuer-keys.ts'
import { verifyJwt } from '../../crypto/jwt.ts'
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
  const by = await options.authenticator.authenticateKey(received, roles)
  if (!by.ok) {
    options.counted(by.reason)
    const refused = toUnauthenticated(by.reason, false)
    if (by.nonce !== undefined) refused.headers.set('unbearer-nonce', by.nonce)
    return refused
  }
  if (options.revocations.find('actor', by.value.jkt) !== undefined) return toUnauthenticated('identity.revoked', false)
  try {
    return await answer(open(options, parseForm(received).need('token')), by.value)
  } catch (fault) {
    if (fault instanceof InputError) return toError('invalid_request', fault.message)
    throw fault
  }
}

function open({ issuer, keys }: IssuedOptions, compact: string): ActionClaims | undefined {
  const key = findSigner(keys, compact)
  const claims = key === undefined ? undefined : parseActionClaims(verifyJwt(key, ACTION_TYP, compact))
  return claims?.iss === issuer ? claims : undefined
}

function isPepOf({ audiences }: IssuedOptions, by: EnrolledKey, { aud }: ActionClaims): boolean {
  return by.role === 'pep' && audiences.some(({ url, peps }) => url === aud && peps.includes(by.name))
}

async function isActive(options: IssuedOptions, claims: ActionClaims): Promise<boolean> {
  const { revocations, clock, store } = options
  if (refuseRevoked(revocations, claims) !== undefined || !(clock.now() / 1000 < claims.exp)) return false
  return isRegistered(store, claims)
}

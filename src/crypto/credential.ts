/**
 * @module
 * Issues and redeems action credentials (design §5). Redemption is the point where a revocation still wins: it is looked at
 * before and once more after the burn, which is the only thing here that takes time.
 */
import { digestOf } from '../core/bind.ts'
import { ACTION_TYP, type ActionClaims } from '../core/credential.ts'
import { InvariantError, RefusedError } from '../core/errors.ts'
import { asJson } from '../core/json.ts'
import type { Reason } from '../core/reasons.ts'
import { refuseRevoked } from '../core/revoked.ts'
import type { Clock } from '../ports/clock.ts'
import type { ActionCredential, CredentialAuthority, RedeemRequest, Redemption } from '../ports/credentials.ts'
import type { RevocationFeed } from '../ports/revocations.ts'
import { parseActionClaims } from './action-claims.ts'
import { findSigner, toIssuerKeys, type IssuerKeys } from './issuer-keys.ts'
import { signJwt, verifyJwt } from './jwt.ts'
import type { KeyPair } from './keys.ts'

export { toActionClaims } from './action-claims.ts'

/** No action credential lives longer: it is for one action that is about to be done. */
export const MAX_ACTION_TTL_SECONDS = 60

const SKEW_SECONDS = 5

export interface AuthorityOptions {
  readonly issuer: string
  /** The issuer's key or keys; without a private part only redeeming and the form `object` are possible. */
  readonly key: KeyPair | IssuerKeys
  readonly feed: RevocationFeed
  /**
   * Registers `jti` until `expiresMs`; true for the first caller only, over all replicas of the audience. A rejection
   * refuses the redemption, with the reason of a `RefusedError`. `claims` are verified.
   */
  readonly burn: (jti: string, expiresMs: number, claims: ActionClaims) => Promise<boolean>
  readonly clock: Clock
  /** How far the clock of the issuer may be ahead of this one; 5 when absent. */
  readonly skewSeconds?: number
  /** Told of faults that became a refusal. */
  readonly onFault?: (fault: unknown) => void
}

/**
 * An authority for one issuer. `issue` throws `InvariantError` for claims that it would not redeem itself (shape, issuer, a
 * life beyond `MAX_ACTION_TTL_SECONDS`). `redeem` never throws: a fault is `system.indeterminate`, a stale feed
 * `system.stale-revocations`, everything else a `credential.*`.
 *
 * Does not decide anything: authority was decided before issue. Does not verify that the caller holds the key `jkt`: the
 * proof of the request has shown that. Does not undo what was begun with a credential that is revoked later.
 */
export function createCredentialAuthority(options: AuthorityOptions): CredentialAuthority {
  // The brand. Claims are looked up here and never read from the object, so that a structurally equal one is worth nothing.
  const issued = new WeakMap<ActionCredential, ActionClaims>()
  return {
    issue(claims, form) {
      const own = toIssuable(options, claims)
      const credential: ActionCredential =
        form === 'object'
          ? { form, claims: own }
          : { form, claims: own, compact: signJwt(toIssuerKeys(options.key).current(), ACTION_TYP, asJson(own)) }
      if (form === 'object') issued.set(credential, own)
      return Object.freeze(credential)
    },
    async redeem(request) {
      try {
        return await redeem(options, issued, request)
      } catch (fault) {
        if (fault instanceof RefusedError) return refuse(fault.reason)
        options.onFault?.(fault)
        return refuse('system.indeterminate')
      }
    },
  }
}

/** A deeply frozen copy: whoever passed the claims in may change theirs. */
function toIssuable(options: AuthorityOptions, claims: ActionClaims): ActionClaims {
  const own = parseActionClaims(asJson(claims))
  if (own === undefined || own.iss !== options.issuer || !isShortLived(own)) {
    throw new InvariantError('claims that would never be redeemed')
  }
  return freeze(own)
}

function isShortLived(claims: ActionClaims): boolean {
  return claims.exp > claims.iat && claims.exp - claims.iat <= MAX_ACTION_TTL_SECONDS
}

function freeze<T extends object>(value: T): T {
  for (const member of Object.values(value)) if (typeof member === 'object' && member !== null) freeze(member)
  return Object.freeze(value)
}

type Issued = WeakMap<ActionCredential, ActionClaims>

async function redeem(options: AuthorityOptions, issued: Issued, request: RedeemRequest): Promise<Redemption> {
  const claims = open(options, issued, request.credential)
  if (claims === undefined) return refuse('credential.invalid')
  const before = refuseMismatch(claims, request) ?? refuseNow(options, claims)
  if (before !== undefined) return refuse(before)
  // Kept a little longer than it could be redeemed, for a store whose clock runs ahead.
  const first = await options.burn(claims.jti, (claims.exp + skewOf(options)) * 1000, claims)
  if (!first) return refuse('credential.replayed')
  const after = refuseNow(options, claims)
  return after === undefined ? { ok: true, claims } : refuse(after)
}

function skewOf({ skewSeconds = SKEW_SECONDS }: AuthorityOptions): number {
  return skewSeconds
}

function refuse(reason: Reason): Redemption {
  return { ok: false, reason }
}

/** Claims that this issuer made, whatever the credential says of itself. */
function open(
  options: AuthorityOptions,
  issued: Issued,
  credential: RedeemRequest['credential'],
): ActionClaims | undefined {
  if (credential.form === 'object') return issued.get(credential)
  if (typeof credential.compact !== 'string') return undefined
  return openActionCredential(toIssuerKeys(options.key), options.issuer, credential.compact)
}

/**
 * The claims of a credential that this issuer signed under one of its keys, or undefined. Never throws. Does not look at the
 * time, the audience, the key of the agent, revocation or use: `redeem` does.
 */
export function openActionCredential(
  keys: Pick<IssuerKeys, 'find'>,
  issuer: string,
  compact: string,
): ActionClaims | undefined {
  const key = findSigner(keys, compact)
  const claims = key === undefined ? undefined : parseActionClaims(verifyJwt(key, ACTION_TYP, compact))
  return claims?.iss === issuer && isShortLived(claims) ? claims : undefined
}

/** What does not change: audience, key and the action itself. */
function refuseMismatch(claims: ActionClaims, request: RedeemRequest): Reason | undefined {
  const [detail] = claims.authorization_details
  const { body } = request
  const digest = typeof body === 'string' ? body : digestOf(body, Buffer.from(detail.salt, 'base64url'))
  const matches = claims.aud === request.aud && claims.cnf.jkt === request.jkt && detail.digest === digest
  return matches ? undefined : 'credential.mismatch'
}

/** What may change from one moment to the next: time and revocation. */
function refuseNow(options: AuthorityOptions, claims: ActionClaims): Reason | undefined {
  const { feed } = options
  const now = options.clock.now() / 1000
  if (!(claims.iat <= now + skewOf(options))) return 'credential.invalid'
  if (!(now < claims.exp)) return 'credential.expired'
  return refuseRevoked(feed, claims)
}

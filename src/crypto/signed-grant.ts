/**
 * @module
 * A grant that a principal signs with their own key: a compact JWS (RFC 7515) of a type of its own, for one issuer, to be
 * accepted once within a short time.
 */
import { hash } from 'node:crypto'

import { InvariantError } from '../core/errors.ts'
import { isJsonObject, type Json, type JsonObject } from '../core/json.ts'
import type { Reason } from '../core/reasons.ts'
import { randomId } from './base64.ts'
import { decodeJwt, signJwt, verifyJwt } from './jwt.ts'
import type { KeyPair } from './keys.ts'

export const GRANT_TYP = 'unbearer-grant+jwt'

/** How long a signed grant may wait to be handed in, by default and at most, in seconds. */
export const GRANT_WAIT_SECONDS = 600
const MOST_WAIT_SECONDS = 86_400
const SKEW_SECONDS = 5

export interface SignGrant {
  /** The principal's. */
  readonly key: KeyPair
  /** The issuer at which it is to count. */
  readonly issuer: string
  /** `parseGrant`'s human form without a parent; the agent by thumbprint. */
  readonly grant: JsonObject
  /** Milliseconds since the epoch. */
  readonly now: number
  readonly waitSeconds?: number
}

/** Signs a grant. Throws `InvariantError` without a private key or for a longer wait than a day. Does not look at the grant. */
export function signGrant({ key, issuer, grant, now, waitSeconds = GRANT_WAIT_SECONDS }: SignGrant): string {
  if (!(waitSeconds > 0 && waitSeconds <= MOST_WAIT_SECONDS))
    throw new InvariantError('a signed grant waits for a day at most')
  const iat = Math.floor(now / 1000)
  return signJwt(key, GRANT_TYP, {
    iss: key.jkt,
    aud: issuer,
    iat,
    exp: iat + Math.floor(waitSeconds),
    jti: randomId(),
    grant,
  })
}

export type VerifiedGrant =
  | {
      readonly ok: true
      readonly grant: Json
      /** 128 bits that name what was signed, whatever its signature looks like: the id of the grant. */
      readonly id: string
      /** Milliseconds since the epoch: durations in the grant count from here. */
      readonly issuedAt: number
    }
  | { readonly ok: false; readonly reason: Reason }

/** The thumbprint of the key that it says it was signed with; undefined for what is no signed grant. Verifies nothing. */
export function signerOf(compact: string): string | undefined {
  const kid = decodeJwt(compact)?.header['kid']
  return typeof kid === 'string' ? kid : undefined
}

const MEMBERS = ['iss', 'aud', 'iat', 'exp', 'jti', 'grant']

/**
 * Verifies form, signature, type, issuer and time under the key of one principal. Never throws. Does not look for replay: an id
 * must be taken once. Does not say whether the key is enrolled or revoked, nor what the grant may hold.
 */
export function verifyGrant(key: KeyPair, compact: string, issuer: string, at: number): VerifiedGrant {
  const claims = verifyJwt(key, GRANT_TYP, compact)
  const bad = { ok: false, reason: 'identity.bad-proof' } as const
  if (claims === undefined || !isShaped(claims)) return bad
  const { iss, aud, iat, exp, grant } = claims
  if (iss !== key.jkt || aud !== issuer || exp <= iat || exp - iat > MOST_WAIT_SECONDS) return bad
  const now = at / 1000
  if (!(iat <= now + SKEW_SECONDS && now < exp)) return { ok: false, reason: 'identity.expired' }
  const signed = compact.slice(0, compact.lastIndexOf('.'))
  const id = hash('sha256', signed, 'buffer').subarray(0, 16).toString('base64url')
  return { ok: true, grant, id, issuedAt: iat * 1000 }
}

interface GrantClaims extends JsonObject {
  readonly iss: string
  readonly aud: string
  readonly iat: number
  readonly exp: number
  readonly grant: JsonObject
}

function isShaped(claims: JsonObject): claims is GrantClaims {
  const { iss, aud, iat, exp, jti, grant } = claims
  const names = Object.keys(claims)
  if (names.length !== MEMBERS.length || !MEMBERS.every((name) => names.includes(name))) return false
  if (typeof iss !== 'string' || typeof aud !== 'string' || typeof jti !== 'string' || jti.length < 16) return false
  return Number.isSafeInteger(iat) && Number.isSafeInteger(exp) && Number(iat) >= 0 && isJsonObject(grant)
}

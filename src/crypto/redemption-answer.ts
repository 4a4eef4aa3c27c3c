/**
 * @module
 * The signed answer of the issuer to a PEP that asked it to redeem. It answers one question: it names the nonce of the
 * question, the credential and who asked, so that no answer can be kept and shown again.
 */
import { REDEMPTION_TYP, type RedemptionClaims } from '../core/credential.ts'
import { asJson, type Json, type JsonObject } from '../core/json.ts'
import { isReason, type Reason } from '../core/reasons.ts'
import { toAth } from './dpop.ts'
import { findSigner, type IssuerKeys } from './issuer-keys.ts'
import { signJwt, verifyJwt } from './jwt.ts'
import type { KeyPair } from './keys.ts'

/** Signs as a compact JWT. Throws `InvariantError` without a private key. */
export function signRedemption(key: KeyPair, answer: Omit<RedemptionClaims, 'ath'>, credential: string): string {
  return signJwt(key, REDEMPTION_TYP, asJson({ ...answer, ath: toAth(credential) }))
}

export interface AnswerExpected {
  readonly keys: Pick<IssuerKeys, 'find'>
  readonly issuer: string
  /** Thumbprint of the key that asked. */
  readonly jkt: string
  readonly nonce: string
  readonly credential: string
}

export type RedemptionAnswer =
  | { readonly active: true; readonly rev: number; readonly entry?: string }
  | { readonly active: false; readonly rev: number; readonly reason: Reason }

/**
 * The answer, if it is one of this issuer to this very question; undefined for everything else. Never throws. Does not look at
 * the time: the nonce is as fresh as the question.
 */
export function verifyRedemption(compact: string, expected: AnswerExpected): RedemptionAnswer | undefined {
  const key = findSigner(expected.keys, compact)
  const claims = key === undefined ? undefined : verifyJwt(key, REDEMPTION_TYP, compact)
  if (claims === undefined || !isAnswerTo(claims, expected)) return undefined
  const { active, rev, reason, entry } = claims
  if (!isCount(rev)) return undefined
  if (active === true) return { active, rev, ...(typeof entry === 'string' ? { entry } : {}) }
  const why = typeof reason === 'string' && isReason(reason) ? reason : 'credential.invalid'
  return active === false ? { active, rev, reason: why } : undefined
}

function isAnswerTo(claims: JsonObject, { issuer, jkt, nonce, credential }: AnswerExpected): boolean {
  const { iss, aud, nonce: of, ath } = claims
  return iss === issuer && aud === jkt && of === nonce && ath === toAth(credential)
}

function isCount(value: Json | undefined): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

/**
 * @module
 * Security event tokens (RFC 8417): those of issuers outside are verified under one rule each, ours are signed with the issuer's
 * key. A token of another kind is never taken for one: the `typ` says what it is, and `exp` or `sub` what it is not.
 */
import type { JsonObject } from '../core/json.ts'
import { isJsonObject } from '../core/json.ts'
import { isJsonArray } from '../core/pointer.ts'
import { parseEventSubject, SET_TYP, type EventSubject } from '../core/security-event.ts'
import type { IssuerKeys } from './issuer-keys.ts'
import { decodeJwt, signJwt } from './jwt.ts'
import { verifyOutside, type OutsideAlgorithm, type OutsideKey } from './outside-keys.ts'

/** What is accepted of one issuer of events. */
export interface EventRule {
  /** `iss`, character by character. */
  readonly issuer: string
  /** What `aud` must hold. */
  readonly audience: string
  readonly algorithms: readonly OutsideAlgorithm[]
}

/** RFC 8935 §2.4. */
export type EventFault =
  | 'invalid_request'
  | 'invalid_key'
  | 'invalid_issuer'
  | 'invalid_audience'
  | 'authentication_failed'
  | 'access_denied'

export interface SecurityEvent {
  readonly issuer: string
  readonly jti: string
  /** Milliseconds since the epoch. */
  readonly issuedAt: number
  readonly subject: EventSubject
  /** Each type with what it says. */
  readonly events: readonly (readonly [type: string, body: JsonObject])[]
}

export type EventVerdict =
  | { readonly ok: true; readonly event: SecurityEvent }
  | { readonly ok: false; readonly fault: EventFault }

export interface EventHeader<T> {
  readonly rule: T
  readonly kid?: string
  readonly alg: OutsideAlgorithm
}

/** An event that is older was meant for a world that is gone; retries of a transmitter end before. */
export const EVENT_AGE_MS: number = 24 * 60 * 60_000
/** How far the clock of an issuer may be ahead. */
export const EVENT_SKEW_MS = 60_000
const MOST_EVENTS = 8

/** Chooses the rule by `iss` alone, and says which key to look for; a fault where nothing has to be looked for. */
export function findEventRule<T extends EventRule>(
  rules: readonly T[],
  compact: string,
): { readonly ok: true; readonly header: EventHeader<T> } | { readonly ok: false; readonly fault: EventFault } {
  const decoded = decodeJwt(compact)
  if (decoded === undefined) return refuse('invalid_request')
  const { header, claims } = decoded
  if (!isExpectedHeader(header)) return refuse('invalid_request')
  const rule = rules.find(({ issuer }) => issuer === claims['iss'])
  if (rule === undefined) return refuse('invalid_issuer')
  const alg = rule.algorithms.find((each) => each === header['alg'])
  const { kid } = header
  if (alg === undefined || (kid !== undefined && (typeof kid !== 'string' || kid.length > 256)))
    return refuse('invalid_key')
  return { ok: true, header: { rule, alg, ...(kid === undefined ? {} : { kid }) } }
}

/** What is critical and not understood is refused, and so is whatever would choose a key or a form. */
function isExpectedHeader(header: JsonObject): boolean {
  const { typ } = header
  if (['crit', 'b64', 'enc', 'zip', 'cty'].some((member) => header[member] !== undefined)) return false
  return typeof typ === 'string' && typ.toLowerCase().replace(/^application\//, '') === SET_TYP
}

/**
 * Verifies signature and claims under a rule and a key of its issuer. Synchronous, never throws. `now` in milliseconds. Does not
 * look for replay, nor whether the issuer may speak of this subject: both are the receiver's.
 */
export function verifyEvent<T extends EventRule>(
  { rule, alg }: EventHeader<T>,
  key: OutsideKey | undefined,
  compact: string,
  now: number,
): EventVerdict {
  const decoded = decodeJwt(compact)
  if (decoded === undefined) return refuse('invalid_request')
  if (key === undefined) return refuse('invalid_key')
  if (!verifyOutside(key, alg, decoded.input, decoded.signature)) return refuse('authentication_failed')
  return readClaims(rule, decoded.claims, now)
}

function refuse(fault: EventFault): { readonly ok: false; readonly fault: EventFault } {
  return { ok: false, fault }
}

function readClaims(rule: EventRule, claims: JsonObject, now: number): EventVerdict {
  const { iss, aud, jti, iat, sub_id: who, events } = claims
  if (iss !== rule.issuer) return refuse('invalid_issuer')
  const audiences = isJsonArray(aud) ? aud : [aud ?? null]
  if (!audiences.includes(rule.audience)) return refuse('invalid_audience')
  // SSF 1.0 §4.1: with either of them it could be a token of another kind.
  if (claims['exp'] !== undefined || claims['sub'] !== undefined) return refuse('invalid_request')
  if (typeof jti !== 'string' || jti === '' || jti.length > 512 || typeof iat !== 'number')
    return refuse('invalid_request')
  const issuedAt = iat * 1000
  if (!(issuedAt <= now + EVENT_SKEW_MS && issuedAt > now - EVENT_AGE_MS)) return refuse('invalid_request')
  const subject = parseEventSubject(who)
  const said = isJsonObject(events) ? Object.entries(events) : []
  const parsed = said.flatMap(([type, body]) => (isJsonObject(body) ? [[type, body] as const] : []))
  if (parsed.length === 0 || parsed.length !== said.length || said.length > MOST_EVENTS)
    return refuse('invalid_request')
  // A verification has the stream as its subject, which is no subject of ours.
  if (subject === undefined && !parsed.every(([type]) => type === VERIFICATION)) return refuse('invalid_request')
  return { ok: true, event: { issuer: rule.issuer, jti, issuedAt, subject: subject ?? {}, events: parsed } }
}

/** SSF 1.0 §8.1.4: asks whether the stream works. */
export const VERIFICATION = 'https://schemas.openid.net/secevent/ssf/event-type/verification'

/** Signs one of ours under the key that signs now. */
export function signEvent(keys: Pick<IssuerKeys, 'current'>, claims: JsonObject): string {
  return signJwt(keys.current(), SET_TYP, claims)
}

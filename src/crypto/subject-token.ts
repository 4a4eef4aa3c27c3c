/**
 * @module
 * A principal's proof from an issuer outside: an ID Token (OpenID Connect Core §2), a JWT access token (RFC 9068) or an ID-JAG
 * (draft-ietf-oauth-identity-assertion-authz-grant). Told apart by `typ`, never taken for one another or for anything of ours.
 */
import { hash } from 'node:crypto'

import type { Json, JsonObject } from '../core/json.ts'
import { OUTSIDE_TYPE, toOutsidePrincipal } from '../core/outside-principal.ts'
import { isJsonArray } from '../core/pointer.ts'
import type { Reason } from '../core/reasons.ts'
import { decodeJwt, type DecodedJwt } from './jwt.ts'
import { verifyOutside, type OutsideAlgorithm, type OutsideKey } from './outside-keys.ts'

const TOKEN_TYPE = 'urn:ietf:params:oauth:token-type:'

export const SUBJECT_KIND_NAMES = ['id-token', 'access-token', 'id-jag'] as const
export type SubjectKind = (typeof SUBJECT_KIND_NAMES)[number]

/** `subject_token_type` (RFC 8693 §3) and the `typ` that belongs to it, in lower case and without `application/`. */
const SUBJECT_KINDS: Readonly<Record<SubjectKind, { readonly uri: string; readonly typ: readonly string[] }>> = {
  'id-token': { uri: `${TOKEN_TYPE}id_token`, typ: ['', 'jwt'] },
  'access-token': { uri: `${TOKEN_TYPE}access_token`, typ: ['at+jwt'] },
  'id-jag': { uri: `${TOKEN_TYPE}id-jag`, typ: ['oauth-id-jag+jwt'] },
}

/** What is believed of an issuer. Everything in it is said by whoever trusts the issuer. */
export interface SubjectRule {
  /** Compared character by character. */
  readonly issuer: string
  /** What `aud` must be. */
  readonly audience: string
  readonly algorithms: readonly OutsideAlgorithm[]
  readonly kinds: readonly SubjectKind[]
  /** Clients of the issuer that it may have been issued to; undefined: any, where `aud` is ours alone. */
  readonly clients?: readonly string[]
  /** The most that may have passed since `iat`, in milliseconds. */
  readonly maxAge: number
  /** The most that may have passed since the principal proved who they are; undefined: nothing is asked. */
  readonly maxAuthAge?: number
  /** Any of these contexts of authentication; undefined: nothing is asked. */
  readonly acr?: readonly string[]
}

export interface VerifySubject {
  readonly compact: string
  readonly kind: SubjectKind
  readonly rule: SubjectRule
  /** The key of this issuer that the header names; undefined when there is none. */
  readonly key: OutsideKey | undefined
  /** What `nonce` has to be; undefined: it is not looked at. */
  readonly nonce?: string
  /** Milliseconds since the epoch. */
  readonly now: number
}

export interface VerifiedSubject {
  readonly ok: true
  readonly principal: { readonly type: string; readonly id: string }
  /** Names what was shown, however it is written: burn each until `expires` before anything comes of it. */
  readonly burnIds: readonly string[]
  /** Milliseconds since the epoch; refused from then on whatever was burned. */
  readonly expires: number
  readonly issuedAt: number
  /** What the log says of it: nothing in it can be shown again as a proof. */
  readonly facts: JsonObject
}

/** `why` is for whoever handed it in: it names members of the proof and keys of the rule, and no value. */
export interface RefusedSubject {
  readonly ok: false
  readonly reason: Reason
  readonly why: string
}

export type SubjectVerdict = VerifiedSubject | RefusedSubject

const SKEW_MS = 30_000

/** What the header says of itself, to find a key. Nothing of it is verified. */
export interface SubjectHeader {
  readonly issuer: string
  readonly kid?: string
  readonly alg: OutsideAlgorithm
}

export interface ChosenRule<T extends SubjectRule> {
  readonly ok: true
  readonly rule: T
  readonly header: SubjectHeader
}

/**
 * Chooses the rule for what was shown, by its `iss` alone, and says which key to look for. Refuses whatever no rule is about, or no
 * key can make good: then nothing is fetched for it. Verifies nothing.
 */
export function chooseRule<T extends SubjectRule>(
  rules: readonly T[],
  kind: SubjectKind,
  compact: string,
): ChosenRule<T> | RefusedSubject {
  const decoded = decodeJwt(compact)
  if (decoded === undefined) return refuse('it is no compact JWS of strict JSON, of 16 KiB at most')
  const { claims, header } = decoded
  const rule = rules.find((each) => each.issuer === claims['iss'])
  if (rule === undefined) return refuse('its `iss` is no issuer of `trust.issuers`, character by character')
  if (!rule.kinds.includes(kind)) return refuse('proofs of this kind are not accepted of its issuer, see `accept`')
  const alg = rule.algorithms.find((each) => each === header['alg'])
  if (alg === undefined) return refuse('its `alg` is not among the `algorithms` of its issuer')
  if (!isExpectedHeader(header, kind)) return refuse('its header is not that of its kind, see `typ`')
  const { kid } = header
  if (kid !== undefined && (typeof kid !== 'string' || kid.length > 256)) return refuse('its `kid` names no key')
  return { ok: true, rule, header: { issuer: rule.issuer, alg, ...(kid === undefined ? {} : { kid }) } }
}

/**
 * Verifies header, signature and claims under one rule and one key of its issuer. Synchronous, never throws. Members of the header
 * that would choose a key (`jku`, `jwk`, `x5u`, `x5c`) are never looked at.
 *
 * Does not look for replay: burn `burnIds`. Does not look at revocations. Does not say that the principal wants what is done in
 * their name, only that they proved who they are to somebody who asked for our audience.
 */
export function verifySubject(given: VerifySubject): SubjectVerdict {
  try {
    const chosen = chooseRule([given.rule], given.kind, given.compact)
    if (!chosen.ok) return chosen
    const decoded = decodeJwt(given.compact)
    if (given.key === undefined || decoded === undefined)
      return refuse('its issuer has no key for its `kid` and `alg`, or more than one')
    if (!verifyOutside(given.key, chosen.header.alg, decoded.input, decoded.signature))
      return refuse('its signature is not of the key of its issuer')
    return readClaims(given, decoded)
  } catch {
    return refuse('it cannot be read')
  }
}

function refuse(why: string, reason: Reason = 'identity.bad-proof'): RefusedSubject {
  return { ok: false, reason, why: `the proof of the principal: ${why}` }
}

/** RFC 7515 §4.1.11: what is critical and not understood is refused. A nested or detached form is another thing. */
function isExpectedHeader(header: JsonObject, kind: SubjectKind): boolean {
  const { typ, cty } = header
  if (['crit', 'b64', 'enc', 'zip'].some((member) => header[member] !== undefined) || cty !== undefined) return false
  if (typ !== undefined && typeof typ !== 'string') return false
  const plain = (typ ?? '').toLowerCase().replace(/^application\//, '')
  return SUBJECT_KINDS[kind].typ.some((each) => each === plain)
}

function readClaims(given: VerifySubject, { claims, input }: DecodedJwt): SubjectVerdict {
  const { rule, now } = given
  const { iss, sub, jti } = claims
  if (iss !== rule.issuer || typeof sub !== 'string' || !isAbsentOrText(jti))
    return refuse('its claims are not of their types')
  const against = againstUse(given, claims)
  if (against !== undefined) return refuse(against)
  const [iat, exp] = [toMilliseconds(claims['iat']), toMilliseconds(claims['exp'])]
  const nbf = claims['nbf'] === undefined ? 0 : toMilliseconds(claims['nbf'])
  if (iat === undefined || exp === undefined || nbf === undefined || exp <= iat)
    return refuse('`iat`, `exp` and `nbf` have to be times in this order')
  if (!(now < exp && now - iat < rule.maxAge))
    return refuse('it has ended, or is older than `maxAge`', 'identity.expired')
  if (!(iat <= now + SKEW_MS && nbf <= now + SKEW_MS))
    return refuse('it is from the future, compare the clocks', 'identity.expired')
  const weak = againstLogin(rule, claims, now)
  if (weak !== undefined) return refuse(weak, 'identity.weak-login')
  const principal = toOutsidePrincipal(rule.issuer, sub)
  return {
    ok: true,
    principal,
    burnIds: [hash('sha256', input, 'base64url'), ...(jti === undefined ? [] : [toId(rule.issuer, jti)])],
    expires: Math.min(exp, iat + rule.maxAge),
    issuedAt: iat,
    facts: toFacts(given, claims, input),
  }
}

/** What it was issued for. `aud` is ours, alone, or beside others for a client that is known (OpenID Connect Core §3.1.3.7). */
function againstUse({ rule, kind, nonce }: VerifySubject, claims: JsonObject): string | undefined {
  const { aud, jti, nonce: said, events } = claims
  const audiences = isJsonArray(aud) ? aud : [aud ?? null]
  if (!audiences.includes(rule.audience) || !audiences.every((each) => typeof each === 'string'))
    return 'its `aud` is not `audience`'
  if (nonce !== undefined && said !== nonce) return 'its `nonce` is not the hash of this grant and `salt`'
  if (events !== undefined) return 'it is a security event'
  if (kind !== 'id-token' && jti === undefined) return 'it has no `jti`'
  return isOfClient(rule, kind, claims, audiences.length === 1)
    ? undefined
    : 'it was issued to another client, see `clients`'
}

/** An ID Token for nobody else was issued to its audience. Without a list of clients, what is for others too is nobody's. */
function isOfClient(
  { clients, audience }: SubjectRule,
  kind: SubjectKind,
  claims: JsonObject,
  isOnly: boolean,
): boolean {
  const { azp, client_id: clientId } = claims
  if (!isAbsentOrText(azp) || !isAbsentOrText(clientId)) return false
  if (kind === 'id-jag' && clientId === undefined) return false
  const client = kind === 'id-token' ? (azp ?? (isOnly ? audience : undefined)) : (clientId ?? azp)
  if (clients !== undefined) return client !== undefined && clients.includes(client)
  return isOnly && (kind !== 'id-token' || client === audience)
}

function againstLogin({ maxAuthAge, acr }: SubjectRule, claims: JsonObject, now: number): string | undefined {
  const { acr: context, auth_time: time } = claims
  if (acr !== undefined && !(typeof context === 'string' && acr.includes(context)))
    return 'its `acr` is none of `acr`, log in with `acr_values`'
  if (maxAuthAge === undefined) return undefined
  const at = toMilliseconds(time)
  const isRecent = at !== undefined && now - at < maxAuthAge && at <= now + SKEW_MS
  return isRecent ? undefined : 'its `auth_time` is older than `maxAuthAge`, log in with `max_age`'
}

function toFacts(
  { rule, kind }: VerifySubject,
  { sub, jti, acr, auth_time: time }: JsonObject,
  input: Uint8Array,
): JsonObject {
  return {
    kind,
    iss: rule.issuer,
    sub: sub ?? null,
    type: OUTSIDE_TYPE,
    hash: hash('sha256', input, 'base64url'),
    ...(typeof jti === 'string' ? { jti } : {}),
    ...(typeof acr === 'string' ? { acr } : {}),
    ...(typeof time === 'number' ? { auth_time: time } : {}),
  }
}

/** In a fixed length, and no issuer can name what another one has issued. */
function toId(issuer: string, jti: string): string {
  return hash('sha256', `${issuer}\0${jti}`, 'base64url')
}

/** NumericDate (RFC 7519 §2) may have a fraction. */
function toMilliseconds(value: Json | undefined): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 && value < 1e11 ? value * 1000 : undefined
}

function isAbsentOrText(value: Json | undefined): value is string | undefined {
  return value === undefined || (typeof value === 'string' && value !== '')
}

/** The kind that a `subject_token_type` names, by its URI or in short. */
export function toSubjectKind(type: string): SubjectKind | undefined {
  return SUBJECT_KIND_NAMES.find((kind) => kind === type || SUBJECT_KINDS[kind].uri === type)
}

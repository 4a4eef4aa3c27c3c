/**
 * @module
 * DPoP proofs (RFC 9449), for clients that do not speak RFC 9421. Two algorithms, a closed header, one key. A proof shows who
 * asks, when, and for which method and URL; it does not cover a body.
 */
import { hash } from 'node:crypto'

import type { Json, JsonObject } from '../core/json.ts'
import { isJsonObject } from '../core/json.ts'
import type { Reason } from '../core/reasons.ts'
import { randomId } from './base64.ts'
import { decodeJwt, signJws } from './jwt.ts'
import { importPublicKey, verifyBytes, type KeyPair } from './keys.ts'

export const DPOP_TYP = 'dpop+jwt'

/** The algorithms of proofs that are accepted, as metadata names them (RFC 9449 §5.1). */
export const DPOP_ALGORITHMS = ['Ed25519', 'ES256'] as const

const MAX_AGE_SECONDS = 60
const SKEW_SECONDS = 5
const MAX_LENGTH = 4096

export interface VerifyDpop {
  /** The lines of the header `DPoP`, none joined; exactly one is a proof (RFC 9449 §4.3). */
  readonly proofs: readonly string[]
  readonly method: string
  /** Where the request arrived, as its receiver knows itself: origin, path and query exactly as on the request line. */
  readonly url: string
  /** The credential that came with it in `Authorization`: then `ath` is required. Without it `ath` is refused. */
  readonly credential?: string
  /** The thumbprint that the key must have: `cnf.jkt` of the credential. Absent: the caller compares. */
  readonly jkt?: string
  /** Whether a nonce is fresh; asked with undefined where the proof has none. Absent: nonces are not required. */
  readonly acceptNonce?: (nonce: string | undefined) => boolean
  /** Milliseconds since the epoch. */
  readonly now: number
  /** Age after which a proof is stale; 60 by default. */
  readonly maxAgeSeconds?: number
  /** How far `iat` may lie in the future; 5 by default. */
  readonly skewSeconds?: number
}

export type VerifiedDpop =
  | {
      readonly ok: true
      readonly key: KeyPair
      readonly jkt: string
      readonly jti: string
      /** Names this proof among all of its key and URL, in a fixed length: burn it until `expires` before acting. */
      readonly burnId: string
      /** Milliseconds since the epoch. The proof is refused from then on. */
      readonly expires: number
    }
  | {
      readonly ok: false
      /** `identity.missing`, `identity.bad-proof`, `identity.stale-proof` or `identity.use-nonce`. */
      readonly reason: Reason
    }

/**
 * Verifies one proof for one request. Synchronous; never throws: a fault is `identity.bad-proof`. Of several things that are
 * wrong the form and the signature are told first, and `identity.use-nonce` only of a proof that is right in all else but age.
 *
 * Does not look for replay: burn `burnId`. Does not cover the body or any header, does not say whether the key is enrolled,
 * was revoked, or may do what the request asks, and does not verify the credential itself.
 */
export function verifyDpop(request: VerifyDpop): VerifiedDpop {
  try {
    return verifyProof(request)
  } catch {
    return refuse('identity.bad-proof')
  }
}

function verifyProof(request: VerifyDpop): VerifiedDpop {
  const [proof, ...others] = request.proofs
  if (proof === undefined) return refuse('identity.missing')
  const opened = others.length > 0 || proof.length > MAX_LENGTH ? undefined : open(proof)
  if (opened === undefined || !isFor(opened, request)) return refuse('identity.bad-proof')
  const { key, jti, htu, nonce } = opened
  // Before the time: a client whose clock is wrong can be helped by a nonce, RFC 9449 §8.
  if (request.acceptNonce !== undefined && !request.acceptNonce(nonce)) return refuse('identity.use-nonce')
  if (!isTimely(opened, request)) return refuse('identity.stale-proof')
  const burnId = `dpop.${key.jkt}.${hash('sha256', `${htu}\0${jti}`, 'base64url')}`
  const expires = (opened.iat + (request.maxAgeSeconds ?? MAX_AGE_SECONDS)) * 1000
  return { ok: true, key, jkt: key.jkt, jti, burnId, expires }
}

function refuse(reason: Reason): VerifiedDpop {
  return { ok: false, reason }
}

interface Opened {
  readonly key: KeyPair
  readonly jti: string
  readonly htm: string
  readonly htu: string
  readonly iat: number
  readonly ath?: string
  readonly nonce?: string
  readonly exp?: number
  readonly nbf?: number
}

/** Undefined unless the signature verifies under the key that the proof itself names, and every claim has its type. */
function open(proof: string): Opened | undefined {
  const parts = decodeJwt(proof)
  const key = parts === undefined ? undefined : toKey(parts.header)
  if (parts === undefined || key === undefined || !verifyBytes(key, parts.input, parts.signature)) return undefined
  const { jti, htm, htu, iat, ath, nonce, exp, nbf } = parts.claims
  if (!isId(jti) || !isText(htm) || !isText(htu) || !isSeconds(iat)) return undefined
  if (!isAbsentOr(isText, ath) || !isAbsentOr(isText, nonce)) return undefined
  if (!isAbsentOr(isSeconds, exp) || !isAbsentOr(isSeconds, nbf)) return undefined
  return {
    key,
    jti,
    htm,
    htu,
    iat,
    ...(ath === undefined ? {} : { ath }),
    ...(nonce === undefined ? {} : { nonce }),
    ...(exp === undefined ? {} : { exp }),
    ...(nbf === undefined ? {} : { nbf }),
  }
}

/** A closed header. The algorithm is that of the key; a key that holds something private was never ours to see. */
function toKey(header: JsonObject): KeyPair | undefined {
  const { typ, alg, jwk } = header
  if (typ !== DPOP_TYP || Object.keys(header).length !== 3 || !isJsonObject(jwk)) return undefined
  const key = importPublicKey(jwk)
  return key.alg === alg ? key : undefined
}

function isFor(opened: Opened, request: VerifyDpop): boolean {
  const { credential, jkt } = request
  const ath = credential === undefined ? undefined : toAth(credential)
  return (
    opened.htm === request.method &&
    isAt(opened.htu, request.url) &&
    opened.ath === ath &&
    (jkt === undefined || opened.key.jkt === jkt)
  )
}

/**
 * Whether `htu` means the place of the request, without query and fragment (RFC 9449 §4.3). `htu` is normalised as RFC 3986
 * §6.2 says; the place itself must be in normal form already, because whoever serves it may not normalise.
 */
function isAt(htu: string, url: string): boolean {
  const claimed = URL.parse(htu)
  const place = url.split('?')[0] ?? ''
  const actual = URL.parse(place)
  if (claimed === null || actual === null || claimed.username !== '' || claimed.password !== '') return false
  if (!/^https?:$/.test(claimed.protocol) || actual.href !== place) return false
  return claimed.origin === actual.origin && claimed.pathname === actual.pathname
}

function isTimely({ iat, exp, nbf }: Opened, request: VerifyDpop): boolean {
  const now = request.now / 1000
  const skew = request.skewSeconds ?? SKEW_SECONDS
  if (!(iat <= now + skew && now - iat < (request.maxAgeSeconds ?? MAX_AGE_SECONDS))) return false
  return (exp === undefined || now < exp) && (nbf === undefined || nbf <= now + skew)
}

/** `ath` of RFC 9449 §4.2. */
export function toAth(credential: string): string {
  return hash('sha256', credential, 'base64url')
}

function isText(value: Json | undefined): value is string {
  return typeof value === 'string' && value !== ''
}

function isId(value: Json | undefined): value is string {
  return isText(value) && value.length >= 8 && value.length <= 512
}

function isSeconds(value: Json | undefined): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

function isAbsentOr<T>(
  is: (value: Json | undefined) => value is T & Json,
  value: Json | undefined,
): value is (T & Json) | undefined {
  return value === undefined || is(value)
}

export interface SignDpop {
  readonly key: KeyPair
  readonly method: string
  /** Where it is sent; query and fragment are left out of the proof. */
  readonly url: string
  readonly credential?: string
  readonly nonce?: string
  /** Milliseconds since the epoch. */
  readonly now: number
}

/** A proof for one request. Throws `InvariantError` without a private key, `TypeError` for what is no URL. */
export function signDpop({ key, method, url, credential, nonce, now }: SignDpop): string {
  const { origin, pathname } = new URL(url)
  return signJws(
    key,
    { typ: DPOP_TYP, alg: key.alg, jwk: { ...key.jwk } },
    {
      jti: randomId(),
      htm: method,
      htu: `${origin}${pathname}`,
      iat: Math.floor(now / 1000),
      ...(credential === undefined ? {} : { ath: toAth(credential) }),
      ...(nonce === undefined ? {} : { nonce }),
    },
  )
}

/**
 * @module
 * Compact JWS (RFC 7515) for the types that we issue ourselves, and for nothing else: three header members, one form of
 * every byte. What is refused is refused without saying why; whoever forges needs no help.
 */
import { canonicalize } from '../core/canonical.ts'
import { isJsonObject, type JsonObject } from '../core/json.ts'
import { parseJson } from '../core/parse-json.ts'
import { decodeBase64url } from './base64.ts'
import { signBytes, verifyBytes, type KeyPair } from './keys.ts'

/** Nothing of ours comes near this; longer input is not even decoded. */
const MAX_LENGTH = 16_384

/**
 * Signs `claims` as a JWT with header `{alg, kid, typ}`: `alg` `Ed25519` (RFC 9864) or `ES256`, `kid` the thumbprint of the
 * key. Throws `InvariantError` without a private key, `InputError` for claims without a canonical form.
 */
export function signJwt(key: KeyPair, typ: string, claims: JsonObject): string {
  return signJws(key, { alg: key.alg, kid: key.jkt, typ }, claims)
}

/** Signs under a header of another form than ours. Throws as `signJwt`. Does not look whether the header fits the key. */
export function signJws(key: KeyPair, header: JsonObject, claims: JsonObject): string {
  const input = `${encode(canonicalize(header))}.${encode(canonicalize(claims))}`
  return `${input}.${signBytes(key, Buffer.from(input, 'ascii')).toString('base64url')}`
}

/**
 * The claims of a JWT that `key` signed with exactly this `typ`, or undefined. Never throws. Does not look at any claim:
 * issuer, audience, time and use are the caller's.
 */
export function verifyJwt(key: KeyPair, typ: string, compact: string): JsonObject | undefined {
  const parts = decodeJwt(compact)
  if (parts === undefined || !isExpectedHeader(parts.header, key, typ)) return undefined
  return verifyBytes(key, parts.input, parts.signature) ? parts.claims : undefined
}

/** The parts of a compact JWS, as they stand: nothing of it is verified. */
export interface DecodedJwt {
  readonly header: JsonObject
  readonly claims: JsonObject
  /** What was signed. */
  readonly input: Uint8Array
  readonly signature: Uint8Array
}

/**
 * Takes a compact JWS apart: three parts of canonical base64url, header and payload strict JSON objects. Undefined for
 * anything else. Never throws. Verifies nothing: whoever calls it has yet to choose the key, and must not let the header.
 */
export function decodeJwt(compact: string): DecodedJwt | undefined {
  if (compact.length > MAX_LENGTH) return undefined
  const [head = '', payload = '', end = '', ...rest] = compact.split('.')
  const header = decodeObject(head)
  const claims = decodeObject(payload)
  const signature = end === '' ? undefined : decodeBase64url(end)
  if (header === undefined || claims === undefined || signature === undefined || rest.length > 0) return undefined
  return { header, claims, input: Buffer.from(`${head}.${payload}`, 'ascii'), signature }
}

/** A closed set: `crit`, `jwk`, `jku`, `x5c` or anything else that could choose a key or a meaning is refused. */
function isExpectedHeader(header: JsonObject, key: KeyPair, typ: string): boolean {
  if (Object.keys(header).length !== 3) return false
  return header['typ'] === typ && header['alg'] === key.alg && header['kid'] === key.jkt
}

function decodeObject(part: string): JsonObject | undefined {
  const bytes = decodeBase64url(part)
  if (bytes === undefined) return undefined
  try {
    const value = parseJson(bytes)
    return isJsonObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

function encode(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64url')
}

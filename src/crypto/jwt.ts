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
  const header = canonicalize({ alg: key.alg, kid: key.jkt, typ })
  const input = `${encode(header)}.${encode(canonicalize(claims))}`
  return `${input}.${signBytes(key, Buffer.from(input, 'ascii')).toString('base64url')}`
}

/**
 * The claims of a JWT that `key` signed with exactly this `typ`, or undefined. Never throws. Does not look at any claim:
 * issuer, audience, time and use are the caller's.
 */
export function verifyJwt(key: KeyPair, typ: string, compact: string): JsonObject | undefined {
  if (compact.length > MAX_LENGTH) return undefined
  const [header, payload, signature, ...rest] = compact.split('.')
  if (header === undefined || payload === undefined || signature === undefined || rest.length > 0) return undefined
  if (!isExpectedHeader(decodeObject(header), key, typ)) return undefined
  const bytes = decodeBase64url(signature)
  if (bytes === undefined || !verifyBytes(key, Buffer.from(`${header}.${payload}`, 'ascii'), bytes)) return undefined
  return decodeObject(payload)
}

/** A closed set: `crit`, `jwk`, `jku`, `x5c` or anything else that could choose a key or a meaning is refused. */
function isExpectedHeader(header: JsonObject | undefined, key: KeyPair, typ: string): boolean {
  if (header === undefined || Object.keys(header).length !== 3) return false
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

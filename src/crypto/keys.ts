/**
 * @module
 * Keys: Ed25519 (RFC 8032) and ES256 (P-256 with SHA-256), as JWKs, and nothing else. Signing and verifying are synchronous:
 * one signature at a time is faster than a trip through the thread pool.
 */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
  sign,
  verify,
  type JsonWebKey,
  type KeyObject,
} from 'node:crypto'
import { open, readFile, rename, rm } from 'node:fs/promises'

import { thumbprintOf } from '../core/bind.ts'
import { ConfigError, InputError, InvariantError } from '../core/errors.ts'
import { isJsonObject, type JsonObject } from '../core/json.ts'
import { parseJson } from '../core/parse-json.ts'
import { decodeBase64url } from './base64.ts'
import { toDer, toRaw } from './ecdsa-form.ts'
import { isSealedKey, openSealedKey, sealKey } from './sealed-key.ts'

export type KeyAlgorithm = 'Ed25519' | 'ES256'

/** The public part: only the members that make the key, so that nothing private or unknown is ever copied on. */
export type PublicJwk =
  | { readonly kty: 'OKP'; readonly crv: 'Ed25519'; readonly x: string }
  | { readonly kty: 'EC'; readonly crv: 'P-256'; readonly x: string; readonly y: string }

/** A private JWK. Never logged, never in an error. */
export type PrivateJwk = PublicJwk & { readonly d: string }

export interface KeyPair {
  /** RFC 7638 thumbprint of the public part, base64url. */
  readonly jkt: string
  readonly alg: KeyAlgorithm
  readonly jwk: PublicJwk
  readonly publicKey: KeyObject
  readonly privateKey?: KeyObject
}

/** A new private JWK from the system's random source. */
export function generateKey(alg: KeyAlgorithm): PrivateJwk {
  const { privateKey } =
    alg === 'Ed25519' ? generateKeyPairSync('ed25519') : generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const jwk = privateKey.export({ format: 'jwk' })
  return { ...toPublicJwk(jwk), d: toPart(jwk.d) }
}

/**
 * Imports a JWK, private if it has `d`. Throws `InputError` for any other key (RSA, oct, P-384, …), for parts of the wrong
 * length or not canonical base64url, for a point off the curve or of small order (with one of those, a signature that
 * anybody can write verifies), for an `alg` or `use` that contradicts it, and for a `d` that belongs to another public key.
 * Does not say whose key it is.
 */
export function importKey(jwk: JsonObject): KeyPair {
  if (jwk['d'] !== undefined) return importPrivate(jwk)
  return importPublicKey(jwk)
}

/** Like `importKey`, but throws `InputError` when the JWK holds a private key: nobody should have sent it. */
export function importPublicKey(jwk: JsonObject): KeyPair {
  if (['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv'].some((member) => jwk[member] !== undefined)) {
    throw new InputError('a private key where a public key belongs')
  }
  const parts = toPublicJwk(jwk)
  const publicKey = attempt(() => createPublicKey({ key: { ...parts }, format: 'jwk' }))
  return { jkt: thumbprintOf(parts), alg: toAlg(parts), jwk: parts, publicKey }
}

function importPrivate(jwk: JsonObject): KeyPair {
  const parts = toPublicJwk(jwk)
  const d = toPart(jwk['d'])
  const { publicKey, jkt, alg } = importPublicKey(parts)
  const privateKey = attempt(() => createPrivateKey({ key: { ...parts, d }, format: 'jwk' }))
  // The platform believes the public part that stands beside `d`; the thumbprint must be that of the key that signs.
  const pair: KeyPair = { jkt, alg, jwk: parts, publicKey, privateKey }
  if (isPair(pair)) return pair
  throw new InputError('the private and the public part of the key do not belong together')
}

function isPair(pair: KeyPair): boolean {
  const trial = randomBytes(32)
  try {
    return verifyBytes(pair, trial, signBytes(pair, trial))
  } catch {
    return false
  }
}

/**
 * Signs bytes: 64 bytes, for ES256 `r ‖ s` as in JWS and RFC 9421. Throws `InvariantError` without a private key.
 */
export function signBytes(key: KeyPair, bytes: Uint8Array): Buffer {
  if (key.privateKey === undefined) throw new InvariantError('signing needs a private key')
  if (key.alg === 'Ed25519') return sign(null, bytes, key.privateKey)
  // Converting the form here is cheaper than the platform's `ieee-p1363`.
  return toRaw(sign('sha256', bytes, key.privateKey))
}

/**
 * True when `signature` is the 64 bytes of a signature over `bytes` by `key`. Never throws. For ES256 both `s` and `n - s`
 * verify, as JWS allows: a signature is not an identifier, replay must be kept off by a nonce or an id within the bytes.
 */
export function verifyBytes(key: KeyPair, bytes: Uint8Array, signature: Uint8Array): boolean {
  if (signature.length !== 64) return false
  try {
    if (key.alg === 'Ed25519') return verify(null, bytes, key.publicKey, signature)
    const der = toDer(signature)
    return der !== undefined && verify('sha256', bytes, key.publicKey, der)
  } catch {
    return false
  }
}

function attempt(create: () => KeyObject): KeyObject {
  try {
    return create()
  } catch {
    // The cause is left out: it may speak about private parts.
    throw new InputError('key is not a valid Ed25519 or P-256 key')
  }
}

function toAlg(jwk: PublicJwk): KeyAlgorithm {
  return jwk.kty === 'OKP' ? 'Ed25519' : 'ES256'
}

function toPublicJwk(jwk: JsonObject | JsonWebKey): PublicJwk {
  const { kty, crv, alg, use } = jwk
  if (use !== undefined && use !== 'sig') throw new InputError('key is not for signatures')
  if (kty === 'OKP' && crv === 'Ed25519' && (alg === undefined || alg === 'Ed25519' || alg === 'EdDSA')) {
    return { kty, crv, x: toEdwardsPoint(jwk['x']) }
  }
  if (kty === 'EC' && crv === 'P-256' && (alg === undefined || alg === 'ES256')) {
    return { kty, crv, x: toPart(jwk['x']), y: toPart(jwk['y']) }
  }
  throw new InputError('key is neither Ed25519 nor ES256')
}

/** Every number of both kinds of key has 32 bytes. */
function toPart(part: unknown): string {
  if (typeof part === 'string' && decodeBase64url(part)?.length === 32) return part
  throw new InputError('a part of the key is missing or has the wrong length')
}

/**
 * The encodings of the points of small order on the curve, canonical or not, without the sign bit. OpenSSL 3.5 refuses such
 * keys by itself when it verifies; 3.0 does not, nor do many others that may have to verify what we recorded.
 */
const SMALL_ORDER: ReadonlySet<string> = new Set([
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
])

function toEdwardsPoint(part: unknown): string {
  const text = toPart(part)
  const bytes = Buffer.from(text, 'base64url')
  bytes.writeUInt8(bytes.readUInt8(31) & 0x7f, 31)
  if (SMALL_ORDER.has(bytes.toString('hex'))) throw new InputError('key is a point of small order')
  return text
}

/**
 * Reads and imports the JWK at `path`; one that is sealed is opened with the passphrase, which is asked for only then. Throws
 * `ConfigError`, which names the path and never shows the content. Does not look at the mode or the owner of the file.
 */
export async function readKeyFile(path: string, passphrase?: () => Promise<string>): Promise<KeyPair> {
  const bytes = await readBytes(path)
  const text = Buffer.from(bytes).toString('latin1')
  if (isSealedKey(text)) return openSealed(path, text, passphrase)
  try {
    const jwk = parseJson(bytes)
    if (isJsonObject(jwk)) return importKey(jwk)
  } catch {
    // Falls through: what the parser or the import says stays here.
  }
  throw new ConfigError(`\`${path}\` does not hold a JWK of an Ed25519 or P-256 key`)
}

async function openSealed(path: string, text: string, passphrase?: () => Promise<string>): Promise<KeyPair> {
  if (passphrase === undefined) throw new ConfigError(`\`${path}\` is sealed under a passphrase, which is missing here`)
  const said = await passphrase()
  try {
    return importKey(await openSealedKey(text, said))
  } catch {
    throw new ConfigError(`\`${path}\` cannot be opened: another passphrase, or the file was changed`)
  }
}

async function readBytes(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path)
  } catch (cause) {
    throw new ConfigError(`cannot read the key file \`${path}\``, { cause })
  }
}

/**
 * Writes a JWK to a new file with mode 0600 and waits for the disk. Throws `ConfigError` when the file exists: a key is never
 * overwritten. Sealed with a passphrase, and in the clear without one.
 */
export async function writeKeyFile(path: string, jwk: JsonObject, passphrase?: string): Promise<void> {
  const text = passphrase === undefined ? JSON.stringify(jwk) : await sealKey(jwk, passphrase)
  const file = await createFile(path)
  try {
    await file.writeFile(`${text}\n`)
    // The umask may only have narrowed the mode; the owner must still be able to read.
    await file.chmod(0o600)
    await file.sync()
  } catch (cause) {
    await rm(path, { force: true })
    throw new ConfigError(`cannot write the key file \`${path}\``, { cause })
  } finally {
    await file.close()
  }
}

/**
 * Puts a JWK in the place of the one at `path`, as a whole: whoever reads it meanwhile has the old or the new one. Throws
 * `ConfigError`; then the old one stands. What stood there is gone, but for what the disk keeps.
 */
export async function replaceKeyFile(path: string, jwk: JsonObject): Promise<void> {
  const fresh = `${path}.${process.pid}.new`
  await rm(fresh, { force: true })
  await writeKeyFile(fresh, jwk)
  try {
    await rename(fresh, path)
  } catch (cause) {
    await rm(fresh, { force: true })
    throw new ConfigError(`cannot replace the key file \`${path}\``, { cause })
  }
}

async function createFile(path: string): ReturnType<typeof open> {
  try {
    return await open(path, 'wx', 0o600)
  } catch (cause) {
    throw new ConfigError(`cannot create the key file \`${path}\`; it must not exist yet`, { cause })
  }
}

/**
 * @module
 * A private key under a passphrase: an encrypted JWK (RFC 7517 §7), which is a JWE in compact form with
 * `PBES2-HS512+A256KW` (RFC 7518 §4.8) and `A256GCM`. Any JOSE library reads it.
 */
import { createCipheriv, createDecipheriv, pbkdf2, randomBytes } from 'node:crypto'
import { promisify } from 'node:util'

import { InputError } from '../core/errors.ts'
import { isJsonObject, type JsonObject } from '../core/json.ts'
import { parseJson } from '../core/parse-json.ts'
import { decodeBase64url } from './base64.ts'

const ALG = 'PBES2-HS512+A256KW'
const ENC = 'A256GCM'
/** Three times what OWASP asks for with SHA-512 (2023): about half a second, once per command. */
const ROUNDS = 600_000
/** A file that asks for more is not one of ours, and would only keep the machine busy. */
const MOST_ROUNDS = 10_000_000
/** NIST SP 800-63B, 5.1.1.2. */
const SHORTEST = 8

const derive = promisify(pbkdf2)
const encode = (bytes: Uint8Array | string): string => Buffer.from(bytes).toString('base64url')

/** The key-wrapping cipher of RFC 3394, with its initial value. */
const WRAP = 'id-aes256-wrap'
const WRAP_IV = Buffer.alloc(8, 0xa6)

/**
 * Seals a private JWK. Throws `InputError` for a passphrase of fewer than 8 characters. Does not judge the passphrase: against
 * whoever has the file, it is all that there is.
 */
export async function sealKey(jwk: JsonObject, passphrase: string): Promise<string> {
  if (Array.from(passphrase).length < SHORTEST) throw new InputError(`a passphrase has at least ${SHORTEST} characters`)
  const [salt, contentKey, iv] = [randomBytes(16), randomBytes(32), randomBytes(12)]
  const header = encode(JSON.stringify({ alg: ALG, enc: ENC, cty: 'jwk+json', p2s: encode(salt), p2c: ROUNDS }))
  const wrap = createCipheriv(WRAP, await toWrappingKey(passphrase, salt, ROUNDS), WRAP_IV)
  const wrapped = Buffer.concat([wrap.update(contentKey), wrap.final()])
  const cipher = createCipheriv('aes-256-gcm', contentKey, iv)
  cipher.setAAD(Buffer.from(header))
  const sealed = Buffer.concat([cipher.update(JSON.stringify(jwk)), cipher.final()])
  return [header, encode(wrapped), encode(iv), encode(sealed), encode(cipher.getAuthTag())].join('.')
}

/** True for text that has the form of a sealed key. Does not say that it can be opened. */
export function isSealedKey(text: string): boolean {
  return /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+){4}\s*$/.test(text)
}

/**
 * Opens what `sealKey` made. Throws `InputError` that says no more than that: a wrong passphrase and a changed file look the
 * same. Does not import the key.
 */
export async function openSealedKey(text: string, passphrase: string): Promise<JsonObject> {
  try {
    const jwk = await open(text.trim(), passphrase)
    if (jwk !== undefined) return jwk
  } catch {
    // Falls through: what the cipher says stays here.
  }
  throw new InputError('the key cannot be opened: another passphrase, or the file was changed')
}

async function open(text: string, passphrase: string): Promise<JsonObject | undefined> {
  const [header = '', ...parts] = text.split('.')
  const [wrapped, iv, sealed, tag] = parts.map(decodeBase64url)
  const { salt, rounds } = readHeader(decodeBase64url(header))
  if (wrapped === undefined || iv?.length !== 12 || sealed === undefined || tag?.length !== 16) return undefined
  const unwrap = createDecipheriv(WRAP, await toWrappingKey(passphrase, salt, rounds), WRAP_IV)
  const contentKey = Buffer.concat([unwrap.update(wrapped), unwrap.final()])
  const decipher = createDecipheriv('aes-256-gcm', contentKey, iv, { authTagLength: 16 })
  decipher.setAAD(Buffer.from(header))
  decipher.setAuthTag(tag)
  const jwk = parseJson(Buffer.concat([decipher.update(sealed), decipher.final()]))
  return isJsonObject(jwk) ? jwk : undefined
}

function readHeader(bytes: Uint8Array | undefined): { readonly salt: Uint8Array; readonly rounds: number } {
  const header = bytes === undefined ? undefined : parseJson(bytes)
  if (!isJsonObject(header) || header['alg'] !== ALG || header['enc'] !== ENC) throw new InputError('another form')
  const { p2s, p2c, crit, zip } = header
  const salt = typeof p2s === 'string' ? decodeBase64url(p2s) : undefined
  const isSound =
    salt !== undefined && salt.length >= 8 && typeof p2c === 'number' && p2c >= 1_000 && p2c <= MOST_ROUNDS
  if (!isSound || !Number.isInteger(p2c) || crit !== undefined || zip !== undefined)
    throw new InputError('another form')
  return { salt, rounds: p2c }
}

/** RFC 7518 §4.8.1.1: the salt is the name of the algorithm, a zero byte and `p2s`. */
async function toWrappingKey(passphrase: string, salt: Uint8Array, rounds: number): Promise<Buffer> {
  return derive(passphrase, Buffer.concat([Buffer.from(`${ALG}\0`), salt]), rounds, 32, 'sha512')
}

/**
 * @module
 * Sealing at rest: AES-256-GCM under a data key for each subject, the data key wrapped by one master key (design §6).
 *
 * A data key is never used with GCM itself. Each sealed thing has a key of its own, HMAC-SHA-256 of its place under the data
 * key, so that random 96-bit nonces never come near their bound: a place is sealed a few times at most, and no count of
 * uses has to survive a crash. The place is also the additional data: what is sealed opens nowhere else.
 *
 * ```
 * sealed = 0x01 ‖ subject tag (16) ‖ id of the data key (8) ‖ nonce (12) ‖ ciphertext ‖ GCM tag (16)
 * ```
 */
import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  type KeyObject,
  randomBytes,
  timingSafeEqual,
} from 'node:crypto'

import { ConfigError, IntegrityError } from '../core/errors.ts'
import { decodeBase64url } from './base64.ts'

const KEY_BYTES = 32
const TAG_BYTES = 16
const ID_BYTES = 8
const NONCE_BYTES = 12
const MAC_BYTES = 16
const FORMAT = 1
const HEADER_BYTES = 1 + TAG_BYTES + ID_BYTES

/** The keys that are derived from the master key; the master key itself encrypts nothing. */
export interface MasterKey {
  readonly wrapping: KeyObject
  readonly index: KeyObject
  /** Tells one master key from another and nothing about either; base64url. */
  readonly fingerprint: string
}

/** A data key as stored: only the master key opens it. */
export interface WrappedKey {
  /** 8 random bytes, base64url. */
  readonly id: string
  readonly wrapped: string
}

/** A data key in memory, held by OpenSSL, which wipes it when it is let go. */
export interface DataKey {
  readonly id: string
  readonly secret: KeyObject
}

/** What is sealed, and whose it is. */
export interface Place {
  readonly kind: 'evidence' | 'record'
  /** The entry's id, or the record's key. */
  readonly id: string
  /** `tagOf` its subject. */
  readonly tag: string
}

/** Sealed bytes, read but not opened. */
export interface Sealed {
  readonly tag: string
  readonly keyId: string
  readonly nonce: Uint8Array
  readonly ciphertext: Uint8Array
  readonly mac: Uint8Array
}

/** A new master key as it stands in its file: 256 random bits, base64url. */
export function newMasterKey(): string {
  return randomBytes(KEY_BYTES).toString('base64url')
}

/** Reads a master key. Throws `ConfigError` for anything but 32 bytes in base64url, without showing it. */
export function parseMasterKey(text: string): MasterKey {
  const bytes = decodeBase64url(text)
  if (bytes?.length !== KEY_BYTES)
    throw new ConfigError('`evidence.masterKey` is not 32 bytes in base64url, as `unbearer init` makes it')
  const key = toSecret(bytes)
  return {
    wrapping: createSecretKey(derive(key, 'unbearer-wrapping-v1')),
    index: createSecretKey(derive(key, 'unbearer-index-v1')),
    fingerprint: derive(key, 'unbearer-fingerprint-v1').subarray(0, TAG_BYTES).toString('base64url'),
  }
}

/**
 * What stands for a subject (`type/id`) where its id must not: 128 bits of a keyed hash, base64url. Without the master key
 * nobody can test a guess. Does not hide that two things belong to the same subject.
 */
export function tagOf(master: MasterKey, subject: string): string {
  return derive(master.index, subject).subarray(0, TAG_BYTES).toString('base64url')
}

/** A new data key for a subject, and the form of it that may be stored. */
export function createDataKey(master: MasterKey, tag: string): { readonly key: DataKey; readonly wrapped: WrappedKey } {
  const bytes = randomBytes(KEY_BYTES)
  const id = randomBytes(ID_BYTES).toString('base64url')
  const wrapped = encrypt(derive(master.wrapping, tag), toKeyData(tag, id), bytes).toString('base64url')
  return { key: { id, secret: toSecret(bytes) }, wrapped: { id, wrapped } }
}

/** Opens a data key. Throws `IntegrityError` when it is damaged, of another subject, or under another master key. */
export function unwrapDataKey(master: MasterKey, tag: string, { id, wrapped }: WrappedKey): DataKey {
  const sealed = decodeBase64url(wrapped)
  const bytes =
    sealed?.length === NONCE_BYTES + KEY_BYTES + MAC_BYTES
      ? decrypt(derive(master.wrapping, tag), toKeyData(tag, id), {
          nonce: sealed.subarray(0, NONCE_BYTES),
          ciphertext: sealed.subarray(NONCE_BYTES, -MAC_BYTES),
          mac: sealed.subarray(-MAC_BYTES),
        })
      : undefined
  if (bytes === undefined) throw new IntegrityError('a data key in the store is damaged or not of this master key')
  return { id, secret: toSecret(bytes) }
}

/** Seals `plain` for its place. */
export function seal(key: DataKey, place: Place, plain: Uint8Array): Uint8Array {
  const data = toPlaceData(place, key.id)
  const head = Buffer.concat([
    Uint8Array.of(FORMAT),
    Buffer.from(place.tag, 'base64url'),
    Buffer.from(key.id, 'base64url'),
  ])
  return Buffer.concat([head, encrypt(derive(key.secret, data), data, plain)])
}

/**
 * Reads the form of sealed bytes; undefined for what a version that did not seal has written (canonical JSON of an object).
 * Throws `IntegrityError` for anything else. Opens nothing and proves nothing.
 */
export function parseSealed(bytes: Uint8Array): Sealed | undefined {
  if (bytes[0] === 0x7b) return undefined
  if (bytes[0] !== FORMAT || bytes.length < HEADER_BYTES + NONCE_BYTES + MAC_BYTES)
    throw new IntegrityError('something sealed in the store is cut off or damaged')
  const at = (start: number, end: number): string => Buffer.from(bytes.subarray(start, end)).toString('base64url')
  return {
    tag: at(1, 1 + TAG_BYTES),
    keyId: at(1 + TAG_BYTES, HEADER_BYTES),
    nonce: bytes.subarray(HEADER_BYTES, HEADER_BYTES + NONCE_BYTES),
    ciphertext: bytes.subarray(HEADER_BYTES + NONCE_BYTES, -MAC_BYTES),
    mac: bytes.subarray(-MAC_BYTES),
  }
}

/** Opens sealed bytes in their place. Throws `IntegrityError` for damage and for another place, subject or key. */
export function open(key: DataKey, place: Omit<Place, 'tag'>, sealed: Sealed): Uint8Array {
  const data = toPlaceData({ ...place, tag: sealed.tag }, sealed.keyId)
  const plain = key.id === sealed.keyId ? decrypt(derive(key.secret, data), data, sealed) : undefined
  if (plain === undefined)
    throw new IntegrityError(`the sealed ${place.kind} \`${place.id}\` is damaged or not its own`)
  return plain
}

/** True when two fingerprints of master keys are the same. */
export function isSameMaster({ fingerprint }: MasterKey, stored: string): boolean {
  const [a, b] = [Buffer.from(fingerprint), Buffer.from(stored)]
  return a.length === b.length && timingSafeEqual(a, b)
}

/** Takes the bytes over: nothing of them is left outside. */
function toSecret(bytes: Buffer): KeyObject {
  const secret = createSecretKey(bytes)
  bytes.fill(0)
  return secret
}

function derive(key: KeyObject, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}

/** JSON, so that no two places have the same text. */
function toPlaceData({ kind, id, tag }: Place, keyId: string): string {
  return JSON.stringify(['unbearer-sealed-v1', kind, id, tag, keyId])
}

function toKeyData(tag: string, id: string): string {
  return JSON.stringify(['unbearer-key-v1', tag, id])
}

/** nonce ‖ ciphertext ‖ tag */
function encrypt(key: Buffer, data: string, plain: Uint8Array): Buffer {
  const nonce = randomBytes(NONCE_BYTES)
  const cipher = createCipheriv('aes-256-gcm', key, nonce)
  cipher.setAAD(Buffer.from(data))
  return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()])
}

/** Undefined when the tag does not fit. */
function decrypt(
  key: Buffer,
  data: string,
  { nonce, ciphertext, mac }: Pick<Sealed, 'nonce' | 'ciphertext' | 'mac'>,
): Buffer | undefined {
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: MAC_BYTES })
  decipher.setAAD(Buffer.from(data))
  decipher.setAuthTag(mac)
  const plain = decipher.update(ciphertext)
  try {
    return Buffer.concat([plain, decipher.final()])
  } catch {
    return undefined
  }
}

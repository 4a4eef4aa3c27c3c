/**
 * @module
 * C2SP signed notes (c2sp.org/signed-note) and checkpoints (c2sp.org/tlog-checkpoint) with one Ed25519 signature. There is one
 * accepted text per signed head: every flipped bit is found, also the unused ones at the end of base64.
 */
import { hash } from 'node:crypto'

import { ConfigError, IntegrityError } from '../core/errors.ts'
import type { Seal } from '../ports/store.ts'
import { decodeBase64 } from './base64.ts'
import { importPublicKey, signBytes, verifyBytes, type KeyPair } from './keys.ts'

export interface Checkpoint {
  readonly origin: string
  /** How many leaves the tree has. */
  readonly size: number
  /** The 32 bytes of the root hash. */
  readonly root: Uint8Array
  /** The whole signed note, as opened. */
  readonly text: string
}

/** A verifier key: the name of the log and its public key. */
export interface NoteVerifier {
  readonly origin: string
  /** The first four bytes of SHA-256(name ‖ 0x0A ‖ 0x01 ‖ public key). */
  readonly id: Buffer
  readonly key: KeyPair
}

const ED25519 = 0x01
const HASH_BYTES = 32

/**
 * A seal that signs the head of a tree as a checkpoint. Throws `ConfigError` at once when the origin cannot be a key name or
 * the key is not a private Ed25519 key. Does not remember what it signed: that heads only grow is the store's to keep.
 */
export function createSeal(origin: string, key: KeyPair): Seal {
  if (key.privateKey === undefined) throw new ConfigError('the key of the log has no private part')
  const id = toKeyId(origin, key)
  return (size, root) => {
    const body = `${origin}\n${size}\n${Buffer.from(root).toString('base64')}\n`
    const signature = signBytes(key, Buffer.from(body, 'utf8'))
    return `${body}\n— ${origin} ${Buffer.concat([id, signature]).toString('base64')}\n`
  }
}

/** The verifier key as text: `name+hex(id)+base64(0x01 ‖ public key)`. Throws `ConfigError` as `createSeal` does. */
export function toVkey(origin: string, key: KeyPair): string {
  const id = toKeyId(origin, key)
  return `${origin}+${id.toString('hex')}+${toTypedKey(key).toString('base64')}`
}

/** Parses a verifier key. Throws `ConfigError` when it contradicts itself (`InputError` for a point of small order). Does not say whether to trust it. */
export function parseVkey(vkey: string): NoteVerifier {
  const [, origin = '', id = '', encoded = ''] = /^([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)$/.exec(vkey) ?? []
  const typed = decodeBase64(encoded)
  if (typed === undefined || typed.length !== 33 || typed[0] !== ED25519)
    throw new ConfigError('malformed verifier key')
  const key = importPublicKey({ kty: 'OKP', crv: 'Ed25519', x: typed.subarray(1).toString('base64url') })
  const expected = toKeyId(origin, key)
  if (expected.toString('hex') !== id) throw new ConfigError('the id of the verifier key does not match it')
  return { origin, id: expected, key }
}

/**
 * Opens a checkpoint that `vkey` signed: exactly origin, size and root, and exactly its one signature. Throws
 * `IntegrityError` for everything else, extension lines and signatures of others included. Does not promise that the head is
 * the newest, or the only one that this log showed.
 */
export function openCheckpoint(text: string, vkey: string | NoteVerifier): Checkpoint {
  const verifier = typeof vkey === 'string' ? parseVkey(vkey) : vkey
  const signed = openNote(text, verifier)
  const [, origin, digits, encoded = ''] = /^([^\n]+)\n(0|[1-9][0-9]{0,15})\n([A-Za-z0-9+/=]+)\n$/.exec(signed) ?? []
  const root = decodeBase64(encoded)
  const size = Number(digits)
  if (origin !== verifier.origin || root?.length !== HASH_BYTES || !Number.isSafeInteger(size)) {
    throw new IntegrityError('malformed checkpoint')
  }
  return { origin, size, root, text }
}

/** The signed text of a note with exactly one signature line, that of `verifier`. */
function openNote(text: string, verifier: NoteVerifier): string {
  const end = text.lastIndexOf('\n\n')
  const signed = text.slice(0, end + 1)
  const prefix = `— ${verifier.origin} `
  const line = text.slice(end + 2)
  if (end < 0 || !line.startsWith(prefix) || !line.endsWith('\n')) throw new IntegrityError('malformed note')
  const bytes = decodeBase64(line.slice(prefix.length, -1))
  const known = bytes?.subarray(0, 4).equals(verifier.id)
  if (
    bytes === undefined ||
    known !== true ||
    !verifyBytes(verifier.key, Buffer.from(signed, 'utf8'), bytes.subarray(4))
  ) {
    throw new IntegrityError('the note is not signed by the key of the log')
  }
  return signed
}

function toKeyId(origin: string, key: KeyPair): Buffer {
  if (key.alg !== 'Ed25519') throw new ConfigError('the key of the log must be an Ed25519 key')
  if (!/^[^\s+\p{C}]+$/u.test(origin)) throw new ConfigError(`\`${origin}\` cannot name a log`)
  const bytes = Buffer.concat([Buffer.from(`${origin}\n`, 'utf8'), toTypedKey(key)])
  return hash('sha256', bytes, 'buffer').subarray(0, 4)
}

function toTypedKey(key: KeyPair): Buffer {
  return Buffer.concat([Uint8Array.of(ED25519), Buffer.from(key.jwk.x, 'base64url')])
}

/**
 * @module
 * Strict base64 and base64url. Decoders of the platform ignore strange characters and unused trailing bits, so that many
 * texts mean the same bytes; here exactly one text does.
 */
import { randomBytes } from 'node:crypto'

/** The bytes of canonical, unpadded base64url (RFC 4648 §5), or undefined for every other text. */
export function decodeBase64url(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64url')
  return bytes.toString('base64url') === text ? bytes : undefined
}

/** The bytes of canonical, padded base64 (RFC 4648 §4), or undefined for every other text. */
export function decodeBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64')
  return bytes.toString('base64') === text ? bytes : undefined
}

/** 128 random bits, base64url: the form of every nonce and id that we make. */
export function randomId(): string {
  return randomBytes(16).toString('base64url')
}

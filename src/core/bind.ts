/**
 * @module
 * Hashes over canonical forms (contracts, "Encoding"): the digest of an action, salted commitments, `bind`, plain hashes of
 * what is public, and key thumbprints. The vectors in the test are frozen: whoever redeems elsewhere computes the same.
 */
import { hash } from 'node:crypto'

import { canonicalize } from './canonical.ts'
import { InputError, InvariantError } from './errors.ts'
import type { Json, JsonObject } from './json.ts'
import type { ActionBody } from './request.ts'

/** Bytes of every salt. A fixed length keeps `salt ‖ JCS` unambiguous. */
export const SALT_BYTES = 16

/** What an approval, a receipt and the ledger are keyed on. Absent members are omitted from the hash. */
export interface BindParts {
  readonly aud: string
  readonly upstream: string
  readonly tool: string
  /** The hash of the accepted manifest. */
  readonly manifest?: string
  /** The final action. */
  readonly action: ActionBody
  /** The principal, `type/id`. */
  readonly sub: string
  /** The actor's key: its RFC 7638 thumbprint. */
  readonly actor?: string
  readonly grant?: string
  readonly txn?: string
  /** What the action refers to, by content: an approved script is that script's bytes. Order counts. */
  readonly referents?: readonly { readonly id: string; readonly hash: string }[]
}

/**
 * `"sha-256:" + base64url(SHA-256(salt ‖ JCS(action)))`. The salt is 16 bytes.
 * Throws `InvariantError` for another salt, `InputError` for what has no canonical form. Does not promise that `body` is
 * what an upstream will understand by it.
 */
export function digestOf(body: ActionBody, salt: Uint8Array): string {
  return commitmentOf(body, salt)
}

/**
 * The same construction over any value: a log commitment. Hides the value as long as the salt is secret; whoever holds both
 * can open it.
 */
export function commitmentOf(value: Json, salt: Uint8Array): string {
  if (salt.length !== SALT_BYTES) throw new InvariantError(`a salt has ${SALT_BYTES} bytes`)
  return sha256(Buffer.concat([salt, Buffer.from(canonicalize(value), 'utf8')]))
}

/** `bind` of design §5: one approval serves one action of one actor for one principal in one task, and nothing else. */
export function bindOf(parts: BindParts): string {
  const { aud, upstream, tool, manifest, action, sub, actor, grant, txn, referents } = parts
  // Named one by one: a member that a caller adds must not slip into the hash.
  const form = canonicalize({ aud, upstream, tool, manifest, action, sub, actor, grant, txn, referents })
  return sha256(`unbearer-bind-v1\0${form}`)
}

/**
 * `"sha-256:" + base64url(SHA-256(JCS(value)))`: for manifests, tool descriptors and purposes. Not a commitment: anybody can
 * guess a value of low entropy from it.
 */
export function hashOf(value: Json): string {
  return sha256(canonicalize(value))
}

/**
 * The RFC 7638 thumbprint of an Ed25519 or P-256 key, base64url. Only the required members count, so a private key has the
 * thumbprint of its public one. Throws `InputError` for other keys. Does not promise that the key is a point on its curve.
 */
export function thumbprintOf(jwk: JsonObject): string {
  const { kty, crv, x, y } = jwk
  const okp = kty === 'OKP' && crv === 'Ed25519' && typeof x === 'string'
  const ec = kty === 'EC' && crv === 'P-256' && typeof x === 'string' && typeof y === 'string'
  if (!okp && !ec) throw new InputError('key is neither Ed25519 nor P-256')
  return hash('sha256', canonicalize(okp ? { crv, kty, x } : { crv, kty, x, y }), 'base64url')
}

function sha256(bytes: string | Uint8Array): string {
  return `sha-256:${hash('sha256', bytes, 'base64url')}`
}

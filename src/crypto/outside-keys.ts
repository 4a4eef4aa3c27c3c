/**
 * @module
 * Keys of issuers outside, which may be of more kinds than ours, and only ever verify. The algorithm is said by whoever trusts
 * the issuer, never by what is to be verified.
 */
import { constants, createPublicKey, verify, type KeyObject } from 'node:crypto'

import { InputError } from '../core/errors.ts'
import { isJsonObject, type Json, type JsonObject } from '../core/json.ts'
import { isJsonArray } from '../core/pointer.ts'

/** Signatures that are accepted of an issuer outside: no symmetric one, none without a signature, none over SHA-1. */
export const OUTSIDE_ALGORITHMS = ['RS256', 'PS256', 'ES256', 'ES384', 'Ed25519', 'EdDSA'] as const
export type OutsideAlgorithm = (typeof OUTSIDE_ALGORITHMS)[number]

export interface OutsideKey {
  readonly kid?: string
  /** The only algorithm that the issuer says it is for; absent: any that fits its kind. */
  readonly alg?: string
  readonly kind: 'RSA' | 'P-256' | 'P-384' | 'Ed25519'
  readonly publicKey: KeyObject
}

const MOST_KEYS = 64
const LEAST_RSA_BITS = 2048
const MOST_RSA_BITS = 8192
const SECRET_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv']

/**
 * The keys of a JWK set (RFC 7517 §5) that can verify. Keys of unknown kinds and for other uses are left out. Throws `InputError`
 * for what is no set, for an endless one, and for a set that holds anything private or symmetric: whoever publishes that cannot
 * vouch for anybody.
 */
export function parseOutsideKeys(value: Json): readonly OutsideKey[] {
  const keys = isJsonObject(value) ? value['keys'] : undefined
  if (!isJsonArray(keys)) throw new InputError('a key set has a list `keys`')
  if (keys.length > MOST_KEYS) throw new InputError(`a key set has at most ${MOST_KEYS} keys`)
  return keys.flatMap((jwk) => {
    if (!isJsonObject(jwk)) throw new InputError('a key of the set is no object')
    if (jwk['kty'] === 'oct' || SECRET_MEMBERS.some((member) => jwk[member] !== undefined))
      throw new InputError('the key set publishes a private or symmetric key')
    const key = toKey(jwk)
    return key === undefined ? [] : [key]
  })
}

function toKey(jwk: JsonObject): OutsideKey | undefined {
  const { kid, alg, use, key_ops: operations } = jwk
  if (use !== undefined && use !== 'sig') return undefined
  if (operations !== undefined && !(isJsonArray(operations) && operations.includes('verify'))) return undefined
  if ((kid !== undefined && typeof kid !== 'string') || (alg !== undefined && typeof alg !== 'string')) return undefined
  const kind = toKind(jwk)
  const publicKey = kind === undefined ? undefined : importPublic(kind, jwk)
  if (kind === undefined || publicKey === undefined) return undefined
  return { kind, publicKey, ...(kid === undefined ? {} : { kid }), ...(alg === undefined ? {} : { alg }) }
}

function toKind({ kty, crv }: JsonObject): OutsideKey['kind'] | undefined {
  if (kty === 'RSA') return 'RSA'
  if (kty === 'EC' && (crv === 'P-256' || crv === 'P-384')) return crv
  return kty === 'OKP' && crv === 'Ed25519' ? crv : undefined
}

/** Only the members that make the key are handed on. */
function importPublic(kind: OutsideKey['kind'], jwk: JsonObject): KeyObject | undefined {
  const names = kind === 'RSA' ? ['kty', 'n', 'e'] : ['kty', 'crv', 'x', ...(kind === 'Ed25519' ? [] : ['y'])]
  const parts = Object.fromEntries(names.map((name) => [name, jwk[name]]))
  try {
    const publicKey = createPublicKey({ key: parts, format: 'jwk' })
    const bits = publicKey.asymmetricKeyDetails?.modulusLength ?? 0
    return kind !== 'RSA' || (bits >= LEAST_RSA_BITS && bits <= MOST_RSA_BITS) ? publicKey : undefined
  } catch {
    return undefined
  }
}

const KIND_OF: Readonly<Record<OutsideAlgorithm, OutsideKey['kind']>> = {
  RS256: 'RSA',
  PS256: 'RSA',
  ES256: 'P-256',
  ES384: 'P-384',
  Ed25519: 'Ed25519',
  EdDSA: 'Ed25519',
}

/**
 * The one key that `kid` names and that can be used with `alg`; without a `kid`, the only one that can. Undefined when there is
 * none, or more than one: nothing is tried in turn.
 */
export function findOutsideKey(
  keys: readonly OutsideKey[],
  kid: string | undefined,
  alg: OutsideAlgorithm,
): OutsideKey | undefined {
  const fitting = keys.filter((key) => isOfAlgorithm(key, alg) && (kid === undefined || key.kid === kid))
  return fitting.length === 1 ? fitting[0] : undefined
}

/** Whether a key can be used with `alg`. `EdDSA` and `Ed25519` name the same signature (RFC 9864 §2.2). */
export function isOfAlgorithm(key: OutsideKey, alg: OutsideAlgorithm): boolean {
  if (key.kind !== KIND_OF[alg]) return false
  return key.alg === undefined || key.alg === alg || (key.kind === 'Ed25519' && ['EdDSA', 'Ed25519'].includes(key.alg))
}

/** True when `signature` is one of `key` over `input` under `alg`. Never throws. Does not say whose key it is. */
export function verifyOutside(
  key: OutsideKey,
  alg: OutsideAlgorithm,
  input: Uint8Array,
  signature: Uint8Array,
): boolean {
  if (key.kind !== KIND_OF[alg]) return false
  const { publicKey } = key
  try {
    if (key.kind === 'Ed25519') return verify(null, input, publicKey, signature)
    if (alg === 'RS256') return verify('sha256', input, publicKey, signature)
    if (alg === 'PS256') {
      // RFC 7518 §3.5: the salt is as long as the hash, no other length is looked for.
      const options = { key: publicKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }
      return verify('sha256', input, options, signature)
    }
    const digest = alg === 'ES384' ? 'sha384' : 'sha256'
    return verify(digest, input, { key: publicKey, dsaEncoding: 'ieee-p1363' }, signature)
  } catch {
    return false
  }
}

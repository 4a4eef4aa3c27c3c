/**
 * @module
 * The two forms of an ECDSA signature over P-256: DER (what OpenSSL speaks) and the 64 bytes `r ‖ s` (what JWS, RFC 7518
 * §3.4, and RFC 9421 carry). Both are canonical: each pair of numbers has one encoding in each form.
 */
import { InvariantError } from '../core/errors.ts'

/** `r ‖ s` from the DER that OpenSSL made. */
export function toRaw(der: Buffer): Buffer {
  const raw = Buffer.alloc(64)
  const rLength = der.readUInt8(3)
  const sLength = der.readUInt8(5 + rLength)
  if (der.length !== 6 + rLength + sLength) throw new InvariantError('unexpected form of an ECDSA signature')
  placeRight(raw, 32, der.subarray(4, 4 + rLength))
  placeRight(raw, 64, der.subarray(6 + rLength))
  return raw
}

/** Copies an integer so that it ends at `end`, without the zero byte that keeps DER integers positive. */
function placeRight(raw: Buffer, end: number, integer: Buffer): void {
  const digits = integer.length === 33 ? integer.subarray(1) : integer
  raw.set(digits, end - digits.length)
}

/** DER from `r ‖ s`; undefined when it is not 64 bytes or a number is zero. Numbers too large are left to OpenSSL. */
export function toDer(raw: Uint8Array): Buffer | undefined {
  if (raw.length !== 64) return undefined
  const r = toInteger(raw.subarray(0, 32))
  const s = toInteger(raw.subarray(32))
  if (r === undefined || s === undefined) return undefined
  return Buffer.concat([Uint8Array.of(0x30, r.length + s.length), r, s])
}

function toInteger(bytes: Uint8Array): Buffer | undefined {
  const first = bytes.findIndex((byte) => byte !== 0)
  if (first === -1) return undefined
  const digits = bytes.subarray(first)
  const pad = (digits[0] ?? 0) >= 0x80 ? [0] : []
  return Buffer.concat([Uint8Array.of(0x02, digits.length + pad.length, ...pad), digits])
}

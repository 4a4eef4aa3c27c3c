/**
 * @module
 * The RFC 8785 canonical form (JCS): what is hashed, compared and forwarded. One value has one form, and two values that
 * our parser tells apart never share one.
 */
import { InputError } from './errors.ts'
import type { Json } from './json.ts'
import { DEPTH_LIMIT } from './parse-json.ts'

/**
 * The RFC 8785 form: names in the order of their UTF-16 code units, ECMAScript numbers, no white space. A member whose
 * value is `undefined` is left out.
 *
 * Throws `InputError` for a lone surrogate, a number that is not finite, an undefined array item, anything that is not
 * plain data, and nesting beyond `DEPTH_LIMIT`. Does not promise that the result parses under the default options of
 * `parseJson`: numbers and depth of a value made elsewhere may lie outside them.
 */
export function canonicalize(value: Json): string {
  return write(value, DEPTH_LIMIT)
}

/** The UTF-8 bytes of `canonicalize`. */
export function canonicalBytes(value: Json): Uint8Array {
  return encoder.encode(canonicalize(value))
}

const encoder = new TextEncoder()

// The parameter is `unknown` because values made elsewhere may break the promise of their type.
function write(value: unknown, room: number): string {
  if (typeof value === 'string') return writeString(value)
  if (typeof value === 'number') return writeNumber(value)
  if (typeof value === 'boolean') return value ? 'true' : 'false'
  if (value === null) return 'null'
  if (typeof value === 'object') return writeNested(value, room)
  throw new InputError('value is not JSON')
}

function writeString(value: string): string {
  if (!value.isWellFormed()) throw new InputError('lone surrogate in a string')
  return JSON.stringify(value)
}

function writeNumber(value: number): string {
  if (!Number.isFinite(value)) throw new InputError('number is not finite')
  return value === 0 ? '0' : String(value)
}

function writeNested(value: object, room: number): string {
  if (room <= 0) throw new InputError('value is nested too deeply')
  if (Array.isArray(value)) return writeArray(value, room - 1)
  if (!isPlain(value)) throw new InputError('value is not plain data')
  return writeObject(value, room - 1)
}

function writeArray(items: readonly unknown[], room: number): string {
  let out = '['
  // By index, so that a hole is seen as `undefined` and refused.
  for (let i = 0; i < items.length; i += 1) out += (i === 0 ? '' : ',') + write(items[i], room)
  return `${out}]`
}

function writeObject(members: Readonly<Record<string, unknown>>, room: number): string {
  let out = ''
  // The default order of sorting is that of UTF-16 code units, which RFC 8785 asks for.
  for (const name of Object.keys(members).toSorted()) {
    const member = members[name]
    if (member !== undefined) out += `${out === '' ? '' : ','}${writeString(name)}:${write(member, room)}`
  }
  return `{${out}}`
}

/** A date, a map or bytes would otherwise all become `{}`. The test holds for objects of other realms too. */
function isPlain(value: object): value is Readonly<Record<string, unknown>> {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || (typeof prototype === 'object' && Object.getPrototypeOf(prototype) === null)
}

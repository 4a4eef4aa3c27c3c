/**
 * @module
 * Strict reading of members, with the path of each in every error and its value in none.
 */
import { InputError } from './errors.ts'
import { isJsonObject, type Json } from './json.ts'
import { isJsonArray } from './pointer.ts'

/** A value and where it stands. */
export interface Field {
  readonly path: string
  readonly value: Json
}

export interface Fields {
  readonly keys: readonly string[]
  has(key: string): boolean
  /** The member; throws `InputError` when it is missing. */
  need(key: string): Field
  /** The place of a member that may be missing, for errors about it. */
  at(key: string): Field
}

export function fail(field: Field, what: string): never {
  throw new InputError(`\`${toPrintable(field.path)}\` ${what}`)
}

/** The members of an object. With `known`, any other key is an error. */
export function readObject(field: Field, known?: readonly string[]): Fields {
  const { value } = field
  if (!isJsonObject(value)) return fail(field, 'must be an object')
  const keys = Object.keys(value).filter((key) => value[key] !== undefined)
  const at = (key: string): Field => ({
    path: `${field.path}.${key}`,
    value: keys.includes(key) ? (value[key] ?? null) : null,
  })
  for (const key of keys) if (known !== undefined && !known.includes(key)) fail(at(key), 'is not a known key')
  const has = (key: string): boolean => keys.includes(key)
  return { keys, has, at, need: (key) => (has(key) ? at(key) : fail(at(key), 'is missing')) }
}

export function readArray(field: Field, atLeast: number): readonly Field[] {
  const { value } = field
  if (!isJsonArray(value)) return fail(field, 'must be a list')
  if (value.length < atLeast) return fail(field, 'must not be empty')
  return value.map((each, index) => ({ path: `${field.path}[${index}]`, value: each }))
}

/** A string that is not empty, without control characters and lone surrogates. */
export function readText(field: Field): string {
  const { value } = field
  if (typeof value !== 'string' || value === '') return fail(field, 'must be a text')
  if (!value.isWellFormed() || /\p{Cc}/u.test(value)) return fail(field, 'must be plain text')
  return value
}

/** A whole number from 0 to `most`. */
export function readWhole(field: Field, most: number): number {
  const { value } = field
  if (typeof value !== 'number' || !Number.isInteger(value)) return fail(field, 'must be a whole number')
  return value >= 0 && value <= most ? value : fail(field, `must be from 0 to ${most}`)
}

/** Keys are written by others too: no control or bidirectional characters, and no end of them. */
function toPrintable(path: string): string {
  const plain = path.replaceAll(/[^\x20-\x5f\x61-\x7e]/g, '?')
  return plain.length > 120 ? `${plain.slice(0, 120)}…` : plain
}

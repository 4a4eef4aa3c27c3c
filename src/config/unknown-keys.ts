/**
 * @module
 * Finds a key that the configuration does not have, and the one that was probably meant. A misspelt key that is skipped
 * in silence is a protection that somebody believes in and nobody has.
 */
import { isJsonObject, type Json, type JsonObject } from '../core/json.ts'

export interface UnknownKey {
  /** For example `upstreams[0].moed`. */
  readonly path: string
  /** The nearest known key of the same object; absent when none is near. */
  readonly nearest?: string
}

/** The first unknown key of `value` under the JSON Schema `schema`. Does not judge values. */
export function findUnknownKey(value: unknown, schema: JsonObject, path = ''): UnknownKey | undefined {
  if (Array.isArray(value)) return inArray(value, schema, path)
  if (!isRecord(value)) return undefined
  const branch = branchOf(value, schema)
  if (branch !== undefined) return findUnknownKey(value, branch, path)
  const known = propertiesOf(schema)
  if (known === undefined) return undefined
  for (const [key, member] of Object.entries(value)) {
    const here = path === '' ? key : `${path}.${key}`
    const next = Object.hasOwn(known, key) ? known[key] : undefined
    if (next === undefined && !isOpen(schema)) return toUnknown(here, key, Object.keys(known))
    const found = findUnknownKey(member, isJsonObject(next) ? next : membersOf(schema), here)
    if (found !== undefined) return found
  }
  return undefined
}

/** The nearest of `known` to `word`, when it is near enough to have been meant. */
export function findNearest(word: string, known: readonly string[]): string | undefined {
  const ranked = known.map((name) => ({ name, far: distance(word.toLowerCase(), name.toLowerCase()) }))
  const best = ranked.toSorted((a, b) => a.far - b.far)[0]
  return best !== undefined && best.far <= Math.max(2, Math.floor(best.name.length / 3)) ? best.name : undefined
}

function inArray(values: readonly unknown[], schema: JsonObject, path: string): UnknownKey | undefined {
  const items = schema['items']
  if (!isJsonObject(items)) return undefined
  for (const [index, value] of values.entries()) {
    const found = findUnknownKey(value, items, `${path}[${index}]`)
    if (found !== undefined) return found
  }
  return undefined
}

/** Of a union told apart by `kind`, the member that `value` says it is; undefined for any other schema. */
function branchOf(value: Readonly<Record<string, unknown>>, { oneOf }: JsonObject): JsonObject | undefined {
  if (!Array.isArray(oneOf)) return undefined
  const branches = oneOf.filter((member: Json) => isJsonObject(member))
  return branches.find(({ properties }) => {
    const kind = isJsonObject(properties) ? properties['kind'] : undefined
    return isJsonObject(kind) && kind['const'] === value['kind']
  })
}

/** The properties of an object schema; for a union, those of all its members. Undefined when it is no object. */
function propertiesOf(schema: JsonObject): JsonObject | undefined {
  const own = schema['properties']
  if (isJsonObject(own)) return own
  const union = schema['anyOf']
  if (!Array.isArray(union)) return isOpen(schema) ? {} : undefined
  const members = union.filter((member: Json) => isJsonObject(member)).map(propertiesOf)
  return members.reduce<JsonObject | undefined>(
    (all, member) => (member === undefined ? all : { ...all, ...member }),
    undefined,
  )
}

function isOpen(schema: JsonObject): boolean {
  return isJsonObject(schema['additionalProperties'])
}

function membersOf(schema: JsonObject): JsonObject {
  const members = schema['additionalProperties']
  return isJsonObject(members) ? members : {}
}

function toUnknown(path: string, key: string, known: readonly string[]): UnknownKey {
  const nearest = findNearest(key, known)
  return nearest === undefined ? { path } : { path, nearest }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}

/** Levenshtein. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (const [i, left] of Array.from(a).entries()) {
    const next = [i + 1]
    for (const [j, right] of Array.from(b).entries()) {
      const swap = (row[j] ?? 0) + (left === right ? 0 : 1)
      next.push(Math.min(swap, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1))
    }
    row = next
  }
  return row.at(-1) ?? 0
}

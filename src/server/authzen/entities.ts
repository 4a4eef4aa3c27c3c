/**
 * @module
 * The subjects and resources that the AuthZEN PDP knows: an NDJSON file of `{type, id, properties}`. What stands there is
 * the operator's word and becomes attributes; what a PEP sends is only a claim.
 */
import { ConfigError, isJsonObject, parseJson, UnbearerError, type JsonObject } from '../../index.ts'

export interface KnownEntity {
  readonly type: string
  readonly id: string
  readonly properties: JsonObject
}

export interface Entities {
  find(type: string, id: string): KnownEntity | undefined
  /** All of a type, in order of id (code units). */
  ofType(type: string): readonly KnownEntity[]
  readonly size: number
}

/**
 * Reads NDJSON: one `{"type": …, "id": …, "properties"?: {…}}` a line, empty lines skipped. Throws `ConfigError` with the
 * number of the line for anything else, for a member that is not known, and for two lines about one entity.
 */
export function parseEntities(text: string): Entities {
  const byType = new Map<string, Map<string, KnownEntity>>()
  for (const [at, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue
    const entity = parseEntity(line, at + 1)
    const same = byType.get(entity.type) ?? new Map<string, KnownEntity>()
    if (same.has(entity.id)) throw new ConfigError(`entities, line ${at + 1}: this entity stood in an earlier line`)
    byType.set(entity.type, same.set(entity.id, entity))
  }
  const sorted = new Map([...byType].map(([type, known]) => [type, [...known.values()].toSorted(byId)]))
  return {
    find: (type, id) => byType.get(type)?.get(id),
    ofType: (type) => sorted.get(type) ?? [],
    size: [...sorted.values()].reduce((sum, { length }) => sum + length, 0),
  }
}

function byId(a: KnownEntity, b: KnownEntity): number {
  return a.id < b.id ? -1 : 1
}

function parseEntity(line: string, number: number): KnownEntity {
  const value = parseLine(line, number)
  const { type, id, properties = {}, ...rest } = value
  const unknown = Object.keys(rest)[0]
  if (unknown !== undefined) throw new ConfigError(`entities, line ${number}: unknown member \`${unknown}\``)
  if (typeof type !== 'string' || typeof id !== 'string' || !isJsonObject(properties))
    throw new ConfigError(`entities, line ${number}: write \`{"type": TEXT, "id": TEXT, "properties": {…}}\``)
  return { type, id, properties }
}

function parseLine(line: string, number: number): JsonObject {
  try {
    const value = parseJson(line)
    if (isJsonObject(value)) return value
  } catch (cause) {
    if (!(cause instanceof UnbearerError)) throw cause
    throw new ConfigError(`entities, line ${number}: ${cause.message}`, { cause })
  }
  throw new ConfigError(`entities, line ${number}: not an object`)
}

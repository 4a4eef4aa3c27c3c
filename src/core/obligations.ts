/**
 * @module
 * Obligations: what policy asks of a permitted action's output. A closed set; what is not in it denies (XACML 3.0 §7.18).
 *
 * - `redact` `{fields}`: replaces what stands at each field by `[redacted]`. A field is an RFC 6901 pointer in which `*`
 *   or `[]` stands for every item of a list: `/rows[]/email`, or the same with a star as the segment after `rows`.
 * - `notify` `{topic}`: recorded with the decision; changes nothing.
 */
import type { Obligation } from './decision.ts'
import { InputError } from './errors.ts'
import { isJsonObject, type Json } from './json.ts'
import { isJsonArray, memberAt, parsePointer, withMember } from './pointer.ts'

/** What stands where something was taken out. */
export const REDACTED = '[redacted]'

type Path = readonly string[]

/** Undefined when the properties do not fit; then the obligation counts as unknown. */
const READERS: ReadonlyMap<string, (properties: Obligation['properties']) => readonly Path[] | undefined> = new Map([
  ['redact', ({ fields, ...rest }) => (isEmpty(rest) ? readFields(fields) : undefined)],
  ['notify', ({ topic, ...rest }) => (isEmpty(rest) && typeof topic === 'string' && topic !== '' ? [] : undefined)],
])

/** True when `discharge` knows the type and the properties make sense. Does not promise that it fits every output. */
export function isKnownObligation(obligation: Obligation): boolean {
  return readPaths(obligation) !== undefined
}

/**
 * The output with every obligation discharged. Fails closed with `InputError` when one is unknown, or when a field leads
 * nowhere: what policy wanted hidden may then stand somewhere else. Below `*` an item may lack the last member, as long
 * as not every item does; an empty list holds nothing to hide.
 * Does not look into text: a field that stands inside a JSON text has to be redacted with the whole text.
 */
export function discharge(obligations: readonly Obligation[], output: Json): Json {
  // Deepest first, so that hiding a whole does not hide a part from the obligation that names it.
  const paths = obligations.flatMap(readKnown).toSorted((a, b) => b.length - a.length)
  return paths.reduce(redact, output)
}

function readKnown(obligation: Obligation): readonly Path[] {
  const paths = readPaths(obligation)
  if (paths === undefined) throw new InputError('obligation is not known', 'policy.unknown-obligation')
  return paths
}

function readPaths({ type, properties }: Obligation): readonly Path[] | undefined {
  return READERS.get(type)?.(properties)
}

function isEmpty(rest: object): boolean {
  return Object.keys(rest).length === 0
}

function readFields(fields: Json | undefined): readonly Path[] | undefined {
  if (!isJsonArray(fields) || fields.length === 0) return undefined
  const paths = fields.map((field) => (typeof field === 'string' ? readField(field) : undefined))
  return paths.every((path) => path !== undefined) ? paths : undefined
}

/** `rows[]` is written for `rows/*`; the pointer to the whole output is empty. */
function readField(field: string): Path | undefined {
  if (field === '') return []
  if (!field.startsWith('/')) return undefined
  return parsePointer(field.slice(1).replaceAll('/[]', '/*').replaceAll('[]', '/*').replace(/^\/\*/, '*'))
}

function redact(output: Json, path: Path): Json {
  const redacted = redactAt(output, path, false)
  if (redacted === undefined) throw new InputError('obligation does not fit the output', 'policy.unknown-obligation')
  return redacted
}

/** The value with `path` redacted; undefined where it leads nowhere. */
function redactAt(value: Json, path: Path, isItem: boolean): Json | undefined {
  const [part, ...rest] = path
  if (part === undefined) return REDACTED
  if (part === '*') return redactItems(value, rest)
  const member = memberAt(value, part)
  // The item stays as it is; `redactItems` sees that it is the same.
  if (member === undefined) return isItem && rest.length === 0 && isJsonObject(value) ? value : undefined
  const inner = redactAt(member, rest, isItem)
  if (inner === undefined || inner === member) return inner === undefined ? undefined : value
  return withMember(value, part, inner)
}

function redactItems(value: Json, path: Path): Json | undefined {
  if (!isJsonArray(value)) return undefined
  const items = value.map((item) => redactAt(item, path, true))
  if (!items.every((item) => item !== undefined)) return undefined
  return value.length === 0 || items.some((item, index) => item !== value[index]) ? items : undefined
}

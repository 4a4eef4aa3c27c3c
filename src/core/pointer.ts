/**
 * @module
 * RFC 6901 pointers into JSON. Own members only, so that `constructor` or `__proto__` never reaches a prototype.
 */
import { isJsonObject, type Json } from './json.ts'

const INDEX = /^(?:0|[1-9][0-9]{0,8})$/

/** The reference tokens of a pointer without its leading slash (`order/id`); undefined when an escape is malformed. */
export function parsePointer(text: string): readonly string[] | undefined {
  const parts = text.split('/')
  if (parts.some((part) => /~(?![01])/.test(part))) return undefined
  return parts.map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
}

/** The member of `value` that one reference token names; undefined where there is none. */
export function memberAt(value: Json | undefined, part: string): Json | undefined {
  if (isJsonObject(value)) return Object.hasOwn(value, part) ? value[part] : undefined
  return Array.isArray(value) && INDEX.test(part) ? elementAt(value, Number(part)) : undefined
}

/** The value at `path`; undefined where there is none. Does not promise that the value is of any type. */
export function valueAt(value: Json | undefined, path: readonly string[]): Json | undefined {
  return path.reduce<Json | undefined>(memberAt, value)
}

/** A copy of `value` with `replacement` at `path`; undefined where the path leads nowhere. Never adds a member. */
export function replaceAt(value: Json, path: readonly string[], replacement: Json): Json | undefined {
  const [part, ...rest] = path
  if (part === undefined) return replacement
  const member = memberAt(value, part)
  const inner = member === undefined ? undefined : replaceAt(member, rest, replacement)
  return inner === undefined ? undefined : withMember(value, part, inner)
}

/** A copy of `value` whose existing member `part` is `member`. */
export function withMember(value: Json, part: string, member: Json): Json {
  if (isJsonObject(value)) return { ...value, [part]: member }
  return isJsonArray(value) ? value.map((element, index) => (String(index) === part ? member : element)) : value
}

export function isJsonArray(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value)
}

function elementAt(elements: readonly Json[], index: number): Json | undefined {
  return elements[index]
}

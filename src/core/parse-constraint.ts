/**
 * @module
 * Constraints as people write them. What `satisfies` could never hold is refused here, where its author still sees it.
 */
import { parseCidr } from './cidr.ts'
import type { Constraint } from './grant.ts'
import { fail, readArray, readObject, readText, type Field } from './grant-fields.ts'
import { parseHost } from './host.ts'
import { parsePathPrefix } from './path-prefix.ts'

const MAX_NESTING = 8
const KINDS = ['in', 'range', 'pathPrefix', 'hostSuffix', 'cidr', 'all'] as const

const PARSERS: Readonly<Record<(typeof KINDS)[number], (inner: Field, nesting: number) => Constraint>> = {
  in: (inner) => ({ in: readArray(inner, 1).map(({ value }) => value) }),
  range: (inner) => ({ range: parseRange(inner) }),
  pathPrefix: (inner) => ({ pathPrefix: readParsed(inner, parsePathPrefix, 'must be a plain path') }),
  hostSuffix: (inner) => ({ hostSuffix: readParsed(inner, parseHost, 'must be a plain host name') }),
  cidr: (inner) => ({ cidr: readParsed(inner, parseCidr, 'must be an address block such as `10.0.0.0/8`') }),
  all: (inner, nesting) =>
    nesting < MAX_NESTING
      ? { all: readArray(inner, 1).map((each) => parseConstraint(each, nesting + 1)) }
      : fail(inner, 'is nested too deeply'),
}

/** The constraint at `field`: an object with exactly one kind. Throws `InputError` with the path. */
export function parseConstraint(field: Field, nesting = 0): Constraint {
  const fields = readObject(field, KINDS)
  const [kind, ...others] = KINDS.filter((each) => fields.has(each))
  if (kind === undefined || others.length > 0) return fail(field, `must have exactly one of ${KINDS.join(', ')}`)
  return PARSERS[kind](fields.need(kind), nesting)
}

function readParsed(field: Field, parse: (text: string) => unknown, what: string): string {
  const text = readText(field)
  return parse(text) === undefined ? fail(field, what) : text
}

function parseRange(field: Field): { readonly min?: number; readonly max?: number; readonly clamp?: boolean } {
  const fields = readObject(field, ['min', 'max', 'clamp'])
  if (!fields.has('min') && !fields.has('max')) return fail(field, 'must have `min` or `max`')
  const range = {
    ...(fields.has('min') ? { min: readNumber(fields.need('min')) } : {}),
    ...(fields.has('max') ? { max: readNumber(fields.need('max')) } : {}),
    ...(fields.has('clamp') ? { clamp: readBoolean(fields.need('clamp')) } : {}),
  }
  return (range.min ?? -Infinity) <= (range.max ?? Infinity) ? range : fail(field, 'must have `min` at most `max`')
}

function readNumber(field: Field): number {
  return typeof field.value === 'number' && Number.isFinite(field.value) ? field.value : fail(field, 'must be a number')
}

function readBoolean(field: Field): boolean {
  return typeof field.value === 'boolean' ? field.value : fail(field, 'must be true or false')
}

/**
 * @module
 * Whether one argument lies within a constraint of a grant. Whatever cannot be read without doubt does not.
 */
import { isWithin, parseAddress, parseCidr } from './cidr.ts'
import type { Constraint } from './grant.ts'
import { isUnder, parseHost, toHost } from './host.ts'
import { isJsonObject, type Json } from './json.ts'
import { isBelow, parsePath, parsePathPrefix } from './path-prefix.ts'
import { isJsonArray } from './pointer.ts'

export type TextKind = 'pathPrefix' | 'hostSuffix' | 'cidr'

/** A constraint by its one kind. */
export type Kinded =
  | { readonly kind: 'in'; readonly values: readonly Json[] }
  | { readonly kind: 'range'; readonly min: number; readonly max: number }
  | { readonly kind: TextKind; readonly text: string }
  | { readonly kind: 'all'; readonly members: readonly Constraint[] }

/**
 * The constraint by its kind; undefined when it has not exactly one. Two kinds in one object would otherwise be read as
 * whichever comes first, and the other would be lost.
 */
export function toKinded(constraint: Constraint): Kinded | undefined {
  if (Object.keys(constraint).length !== 1) return undefined
  if ('in' in constraint) return { kind: 'in', values: constraint.in }
  if ('range' in constraint) {
    const { min = -Infinity, max = Infinity } = constraint.range
    return { kind: 'range', min, max }
  }
  if ('pathPrefix' in constraint) return { kind: 'pathPrefix', text: constraint.pathPrefix }
  if ('hostSuffix' in constraint) return { kind: 'hostSuffix', text: constraint.hostSuffix }
  if ('cidr' in constraint) return { kind: 'cidr', text: constraint.cidr }
  return 'all' in constraint ? { kind: 'all', members: constraint.all } : undefined
}

/**
 * True when `value` lies within `constraint`. A missing value never does, nor an empty conjunction's: what says nothing
 * grants nothing. A list of strings does not satisfy a constraint on a string.
 * Does not look at `clamp`, and does not promise that the receiver resolves the value to what it names.
 */
export function satisfies(constraint: Constraint, value: Json | undefined): boolean {
  const kinded = toKinded(constraint)
  if (kinded === undefined || value === undefined) return false
  if (kinded.kind === 'in') return kinded.values.some((each) => isSameJson(each, value))
  if (kinded.kind === 'range') {
    return typeof value === 'number' && Number.isFinite(value) && value >= kinded.min && value <= kinded.max
  }
  if (kinded.kind === 'all') {
    return kinded.members.length > 0 && kinded.members.every((member) => satisfies(member, value))
  }
  return typeof value === 'string' && HOLDS[kinded.kind](value, kinded.text)
}

/** What each constraint on text asks of a value. */
const HOLDS: Readonly<Record<TextKind, (value: string, text: string) => boolean>> = {
  pathPrefix: (value, text) => both(parsePath(value), parsePathPrefix(text), isBelow),
  hostSuffix: (value, text) => both(toHost(value), parseHost(text), isUnder),
  cidr: (value, text) => both(parseAddress(value), parseCidr(text), isWithin),
}

/** False unless both sides could be parsed. */
export function both<T>(inner: T | undefined, outer: T | undefined, holds: (inner: T, outer: T) => boolean): boolean {
  return inner !== undefined && outer !== undefined && holds(inner, outer)
}

/** Equality of JSON values: members in any order, an `undefined` member counts as absent. */
export function isSameJson(a: Json | undefined, b: Json | undefined): boolean {
  if (isJsonArray(a) && isJsonArray(b)) return a.length === b.length && a.every((each, i) => isSameJson(each, b[i]))
  if (!isJsonObject(a) || !isJsonObject(b)) return a === b
  const keys = new Set([...Object.keys(a), ...Object.keys(b)])
  return [...keys].every((key) => isSameJson(ownMember(a, key), ownMember(b, key)))
}

function ownMember(value: Readonly<Record<string, Json | undefined>>, key: string): Json | undefined {
  return Object.hasOwn(value, key) ? value[key] : undefined
}

/**
 * @module
 * Attenuation is monotone (invariant 8): a delegated grant is provably within its parent, or it is not a grant.
 * Every rule here is sound and none is complete: what cannot be proven contained is not contained.
 */
import { isWithin, parseCidr } from './cidr.ts'
import { both, type Kinded, satisfies, type TextKind, toKinded } from './constraint.ts'
import { BESIDE, type Effect, type EffectKind, isAtMost, joinEffect, LEVELS, toEffect } from './effect.ts'
import type { Budget, Constraint, Grant, Operation } from './grant.ts'
import { isUnder, parseHost } from './host.ts'
import { isBelow, parsePathPrefix } from './path-prefix.ts'

/**
 * True only when every value that satisfies `child` provably satisfies `parent`.
 * Does not promise the converse: `false` may mean that nobody could tell.
 */
export function isContained(child: Constraint, parent: Constraint): boolean {
  const outer = toKinded(parent)
  if (outer?.kind === 'all')
    return outer.members.length > 0 && outer.members.every((member) => isContained(child, member))
  const atoms = toAtoms(child)
  return atoms !== undefined && outer !== undefined && isConjunctionWithin(atoms, parent, outer)
}

type Atom = Exclude<Kinded, { kind: 'all' }>

/** The members of a conjunction, flattened; undefined when one of them cannot be read. */
function toAtoms(constraint: Constraint): readonly Atom[] | undefined {
  const kinded = toKinded(constraint)
  if (kinded === undefined) return undefined
  if (kinded.kind !== 'all') return [kinded]
  const parts = kinded.members.map(toAtoms)
  return parts.length > 0 && parts.every((part) => part !== undefined) ? parts.flat() : undefined
}

/** A conjunction is within `parent` when one member is, when what it enumerates is, or when its ranges together are. */
function isConjunctionWithin(atoms: readonly Atom[], parent: Constraint, outer: Kinded): boolean {
  if (atoms.some((atom) => isAtomWithin(atom, parent, outer))) return true
  return outer.kind === 'range' && isRangeWithin(intersect(atoms), outer)
}

function isAtomWithin(atom: Atom, parent: Constraint, outer: Kinded): boolean {
  if (atom.kind === 'in') return atom.values.every((value) => satisfies(parent, value))
  if (atom.kind === 'range') return outer.kind === 'range' && isRangeWithin(atom, outer)
  if (atom.kind !== outer.kind || !('text' in outer)) return false
  return WITHIN[atom.kind](atom.text, outer.text)
}

/** When one constraint on text is within another of the same kind. */
const WITHIN: Readonly<Record<TextKind, (inner: string, outer: string) => boolean>> = {
  pathPrefix: (inner, outer) => both(parsePathPrefix(inner), parsePathPrefix(outer), isBelow),
  hostSuffix: (inner, outer) => both(parseHost(inner), parseHost(outer), isUnder),
  cidr: (inner, outer) => both(parseCidr(inner), parseCidr(outer), isWithin),
}

interface Interval {
  readonly min: number
  readonly max: number
}

/** The bounds that all ranges of a conjunction leave; without any range nothing is known to be a number. */
function intersect(atoms: readonly Atom[]): Interval {
  const ranges = atoms.filter((atom) => atom.kind === 'range')
  if (ranges.length === 0) return { min: NaN, max: NaN }
  return { min: Math.max(...ranges.map(({ min }) => min)), max: Math.min(...ranges.map(({ max }) => max)) }
}

/** A bound that is not a number compares false and so is never contained. */
function isRangeWithin(inner: Interval, outer: Interval): boolean {
  return inner.min >= outer.min && inner.max <= outer.max
}

/** The ceiling that a list of kinds sets: the least effect that holds them all; undefined for an empty list. */
export function toCeiling(kinds: readonly EffectKind[]): Effect | undefined {
  if (kinds.length === 0 || !kinds.every((kind) => [...LEVELS, ...BESIDE].includes(kind))) return undefined
  return kinds.map(toEffect).reduce(joinEffect)
}

/**
 * True only when every action that `child` permits is one that `parent` permits: same principal, within its time, each
 * operation covered by one operation of the parent, no budget dropped or larger, and less depth.
 * Does not compare the actors (a delegation names another one), does not look at signatures or revocation, and does not
 * promise that `child.parent` names `parent`.
 */
export function isGrantContained(child: Grant, parent: Grant): boolean {
  return (
    child.principal.type === parent.principal.type &&
    child.principal.id === parent.principal.id &&
    child.notBefore >= parent.notBefore &&
    child.expires <= parent.expires &&
    Number.isInteger(child.depth) &&
    child.depth >= 0 &&
    child.depth < parent.depth &&
    child.operations.every((inner) => parent.operations.some((outer) => isOperationCovered(inner, outer))) &&
    parent.budgets.every((outer) => child.budgets.some((inner) => isBudgetWithin(inner, outer)))
  )
}

function isOperationCovered(inner: Operation, outer: Operation): boolean {
  return (
    inner.upstream === outer.upstream &&
    (outer.tool === '*' || inner.tool === outer.tool) &&
    both(toCeiling(inner.effects), toCeiling(outer.effects), isAtMost) &&
    Object.entries(outer.where).every(([path, constraint]) => {
      const own = Object.hasOwn(inner.where, path) ? inner.where[path] : undefined
      return own !== undefined && isContained(own, constraint)
    })
  )
}

/** The child's budget debits at least as often, over at least as long, and ends no later. */
function isBudgetWithin(inner: Budget, outer: Budget): boolean {
  return (
    inner.id === outer.id &&
    inner.limit <= outer.limit &&
    inner.amount === outer.amount &&
    (inner.per === 'grant' || outer.per === 'task') &&
    isDebitedAsOften(inner.effects, outer.effects)
  )
}

/** No list debits everything. */
function isDebitedAsOften(inner: readonly EffectKind[] | undefined, outer: readonly EffectKind[] | undefined): boolean {
  if (inner === undefined) return true
  return outer !== undefined && outer.every((kind) => inner.includes(kind))
}

/**
 * @module
 * Whether one grant covers one operation: tool, effect, and every constraint on its arguments.
 */
import { toCeiling } from './attenuation.ts'
import { satisfies } from './constraint.ts'
import { isAtMost, type Effect } from './effect.ts'
import type { Constraint, Grant, Operation } from './grant.ts'
import { isJsonObject, type Json, type JsonObject } from './json.ts'
import { parsePointer, replaceAt, valueAt } from './pointer.ts'

export interface Asked {
  readonly upstream: string
  readonly tool: string
  readonly effect: Effect
  readonly arguments: JsonObject
}

/** `clamped`: the arguments would be covered with these numbers instead. */
export type Cover =
  | { readonly kind: 'covered' }
  | { readonly kind: 'clamped'; readonly arguments: JsonObject }
  | { readonly kind: 'none'; readonly reason: 'scope.operation' | 'scope.argument' }

/**
 * How a grant covers an operation: as it is by any one operation of the grant, else clamped by any one.
 * Does not look at the time, the principal, the actor or the budgets of the grant.
 */
export function coverBy(grant: Grant, asked: Asked): Cover {
  const candidates = grant.operations.filter((operation) => isFor(operation, asked))
  if (candidates.length === 0) return { kind: 'none', reason: 'scope.operation' }
  if (candidates.some((operation) => isWithin(operation, asked.arguments))) return { kind: 'covered' }
  for (const operation of candidates) {
    const narrowed = clampAll(operation, asked.arguments)
    if (narrowed !== undefined) return { kind: 'clamped', arguments: narrowed }
  }
  return { kind: 'none', reason: 'scope.argument' }
}

/** The effect lies under the ceiling of the kinds that are granted: a level holds what is below it. */
function isFor(operation: Operation, { upstream, tool, effect }: Asked): boolean {
  const ceiling = toCeiling(operation.effects)
  const named = operation.upstream === upstream && (operation.tool === '*' || operation.tool === tool)
  return named && ceiling !== undefined && isAtMost(effect, ceiling)
}

function isWithin(operation: Operation, args: JsonObject): boolean {
  return Object.entries(operation.where).every(([pointer, constraint]) => satisfies(constraint, at(args, pointer)))
}

/** The value that a constraint is about; undefined where the pointer is malformed or leads nowhere. */
function at(args: JsonObject, pointer: string): Json | undefined {
  const path = parsePointer(pointer)
  return path === undefined ? undefined : valueAt(args, path)
}

function clampAll(operation: Operation, args: JsonObject): JsonObject | undefined {
  let narrowed: Json = args
  for (const [pointer, constraint] of Object.entries(operation.where)) {
    const value = at(args, pointer)
    if (satisfies(constraint, value)) continue
    const clamped = clamp(constraint, value)
    const path = parsePointer(pointer)
    const next: Json | undefined =
      clamped === undefined || path === undefined ? undefined : replaceAt(narrowed, path, clamped)
    if (next === undefined) return undefined
    narrowed = next
  }
  return isJsonObject(narrowed) && isWithin(operation, narrowed) ? narrowed : undefined
}

/** The largest number within `constraint` below `value`, when every range that `value` exceeds says `clamp`. */
function clamp(constraint: Constraint, value: Json | undefined): number | undefined {
  if (typeof value !== 'number' || !Number.isFinite(value)) return undefined
  const clamped = Math.min(value, ...toCeilings(constraint))
  return satisfies(constraint, clamped) ? clamped : undefined
}

function toCeilings(constraint: Constraint): readonly number[] {
  if ('all' in constraint) return constraint.all.flatMap(toCeilings)
  if (!('range' in constraint) || constraint.range.clamp !== true) return []
  return constraint.range.max === undefined ? [] : [constraint.range.max]
}

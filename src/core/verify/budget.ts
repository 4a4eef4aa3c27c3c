/**
 * @module
 * Budgets: what an action takes from each, and whether that is still there.
 */
import { isAtMost, toEffect } from '../effect.ts'
import type { Evidence } from '../evidence.ts'
import type { Budget, Grant } from '../grant.ts'
import { parsePointer, valueAt } from '../pointer.ts'
import { budgetRecord } from '../records.ts'
import { type AccessRequest, toArguments } from '../request.ts'

/** What a permitted action takes from a budget of its chain; `key` is `budgetRecord(grant, budget[, txn])`. */
export interface Debit {
  readonly key: string
  readonly amount: number
}

interface Draft {
  readonly key: string
  readonly limit: number
  /** Undefined when the amount cannot be told. */
  readonly amount: number | undefined
}

/**
 * What `commit` adds to each budget. Amounts that cannot be told are left out: in `enforce` such an action never gets so
 * far (`scope.budget`); in `observe` there is nothing to add.
 */
export function debitsOf(request: AccessRequest, evidence: Evidence): readonly Debit[] {
  return toDrafts(request, evidence).flatMap(({ key, amount }) => (amount === undefined ? [] : [{ key, amount }]))
}

/**
 * True when a budget cannot bear this action, or it cannot be told whether it can: an amount that is not a number from
 * zero up, or a use that was not read.
 */
export function isOverdrawn(request: AccessRequest, evidence: Evidence): boolean {
  return shortagesOf(request, evidence).length > 0
}

/** The budgets that cannot bear this action, by `budgetRecord`; `amount` is absent where it cannot be told. */
export function shortagesOf(
  request: AccessRequest,
  evidence: Evidence,
): readonly { readonly key: string; readonly amount?: number }[] {
  const used = evidence.grant?.used ?? {}
  return toDrafts(request, evidence).flatMap(({ key, limit, amount }) => {
    const before = Object.hasOwn(used, key) ? used[key] : undefined
    if (before !== undefined && amount !== undefined && before >= 0 && before + amount <= limit) return []
    return [{ key, ...(amount === undefined ? {} : { amount }) }]
  })
}

function toDrafts(request: AccessRequest, evidence: Evidence): readonly Draft[] {
  const chain = evidence.grant?.chain ?? []
  return chain.flatMap((grant) =>
    grant.budgets
      .filter((budget) => isDebited(budget, evidence))
      .map((budget) => ({
        key: toKey(grant, budget, request),
        limit: budget.limit,
        amount: toAmount(budget, request),
      })),
  )
}

/** A kind is held by everything at or above it: a budget of writes counts deletions too. */
function isDebited({ effects }: Budget, { effect }: Evidence): boolean {
  return effects === undefined || effects.some((kind) => isAtMost(toEffect(kind), effect.effect))
}

function toKey(grant: Grant, budget: Budget, { context }: AccessRequest): string {
  return budgetRecord(grant.id, budget.id, budget.per === 'task' ? context.txn : undefined)
}

function toAmount({ amount }: Budget, { action }: AccessRequest): number | undefined {
  if (amount === undefined) return 1
  const path = parsePointer(amount)
  const value = path === undefined ? undefined : valueAt(toArguments(action.body), path)
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : undefined
}

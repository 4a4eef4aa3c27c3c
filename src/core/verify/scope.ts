/** @module Verifies scope (stub, being filled in). */
import type { Evidence } from '../evidence.ts'
import type { Finding } from '../finding.ts'
import type { AccessRequest } from '../request.ts'

export function verifyScope(_request: AccessRequest, _evidence: Evidence): Finding {
  return { stage: 'scope', outcome: 'fail', reason: 'system.indeterminate', facts: {} }
}

/** What a permitted action takes from the budgets of its chain; `key` is `budgetRecord(grant, budget[, txn])`. */
export interface Debit {
  readonly key: string
  readonly amount: number
}
export function debitsOf(_request: AccessRequest, _evidence: Evidence): readonly Debit[] {
  return []
}

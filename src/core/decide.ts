/** @module Decides (stub, being filled in). */
import type { Decision, PolicyVerdict } from './decision.ts'
import type { EffectReport } from './effect.ts'
import type { Evidence } from './evidence.ts'
import type { Finding } from './finding.ts'
import type { AccessRequest } from './request.ts'

export interface DecideInput {
  readonly request: AccessRequest
  readonly evidence: Evidence
  readonly findings: readonly Finding[]
  readonly verdicts: readonly PolicyVerdict[]
}
export function decide(_input: DecideInput): Decision {
  return { kind: 'deny', reason: 'system.indeterminate', reasons: ['system.indeterminate'] }
}
export function isModifyAllowed(_before: EffectReport, _after: EffectReport): boolean {
  return false
}

/**
 * @module
 * The five verifiers. All five run on every action and none is hidden: a later one speaks also where an earlier one failed.
 */
import type { Evidence } from '../evidence.ts'
import type { Finding, Stage } from '../finding.ts'
import type { AccessRequest } from '../request.ts'
import { verifyAnomaly } from './anomaly.ts'
import { verifyContext } from './context.ts'
import { verifyIdentity } from './identity.ts'
import { verifyIntent } from './intent.ts'
import { verifyScope } from './scope.ts'

export { verifyAnomaly, verifyContext, verifyIdentity, verifyIntent, verifyScope }

/** Judges one question. Pure; may throw only for a bug, which `verifyAll` turns into a failure of that stage. */
export type Verify = (request: AccessRequest, evidence: Evidence) => Finding

const VERIFIERS: readonly (readonly [Stage, Verify])[] = [
  ['identity', verifyIdentity],
  ['intent', verifyIntent],
  ['scope', verifyScope],
  ['context', verifyContext],
  ['anomaly', verifyAnomaly],
]

/**
 * One finding per stage, in the order of `STAGES`. A verifier that throws, or that speaks for another stage, becomes a
 * `fail` with `system.indeterminate`. Does not decide: `decide` weighs the findings with grant, policy and approval.
 */
export function verifyAll(request: AccessRequest, evidence: Evidence): readonly Finding[] {
  return VERIFIERS.map(([stage, verify]) => verifyGuarded(stage, verify, request, evidence))
}

/** One verifier, guarded. Exported for its test. */
export function verifyGuarded(stage: Stage, verify: Verify, request: AccessRequest, evidence: Evidence): Finding {
  try {
    const finding = verify(request, evidence)
    if (finding.stage === stage) return finding
  } catch {
    // The finding below says all that may be said; the error could hold values of the request.
  }
  return { stage, outcome: 'fail', reason: 'system.indeterminate', facts: {} }
}

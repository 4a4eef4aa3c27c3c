/**
 * @module
 * Decides again from recorded evidence (invariant 10): as it was, under other policies, or as it would have been had one
 * thing been different. Nothing is performed, recorded or issued, and what could not be decided again is said.
 */
import { canonicalize } from '../core/canonical.ts'
import { decide, isModifyAllowed } from '../core/decide.ts'
import type { Decision, PolicyVerdict } from '../core/decision.ts'
import type { Evidence } from '../core/evidence.ts'
import type { Finding } from '../core/finding.ts'
import { asJson } from '../core/json.ts'
import type { Reason } from '../core/reasons.ts'
import type { AccessRequest } from '../core/request.ts'
import { verifyAll } from '../core/verify/index.ts'
import type { EffectComputer } from '../ports/effects.ts'
import type { Engine } from '../ports/engine.ts'
import { evaluateAll } from './evaluate.ts'
import type { Complete } from '../core/recorded.ts'

export interface JudgeOptions {
  readonly engines: readonly Engine[]
  readonly effects: EffectComputer
  /** Milliseconds that an engine has to answer. */
  readonly deadlineMs: number
}

/** What would have been decided, and what of it could not be asked again. */
export interface Judgement {
  readonly findings: readonly Finding[]
  readonly verdicts: readonly PolicyVerdict[]
  readonly decision: Decision
  /** In words; empty when everything was decided again. */
  readonly unreplayed: readonly string[]
}

/** What is judged: the facts, and the verdicts as recorded for engines that are not here. */
export type Judged = Pick<Complete, 'request' | 'evidence' | 'verdicts'>

export type Judge = (judged: Judged) => Promise<Judgement>

/**
 * Judges as the enforcer would, without its clock, its store and its limits. The verdict of an engine that is not among
 * `engines` is taken as recorded, and named. Promises nothing about a decision of today: state has moved on.
 */
export function createJudge({ engines, effects, deadlineMs }: JudgeOptions): Judge {
  return async ({ request, evidence, verdicts: recorded }) => {
    const findings = verifyAll(request, evidence)
    const asked = await evaluateAll(engines, request, evidence, findings, deadlineMs)
    const missing = recorded.filter(({ engine }) => !engines.some(({ kind }) => kind === engine))
    const verdicts = [...asked, ...missing]
    const decision = refuseRise(effects, evidence, decide({ request, evidence, findings, verdicts }))
    return { findings, verdicts, decision, unreplayed: missing.map(toMissing) }
  }
}

function toMissing({ engine }: PolicyVerdict): string {
  return `the engine \`${engine}\` is not asked again, as it is elsewhere or not configured: its verdict was taken as recorded`
}

/** As the enforcer does: a rewritten action may not rise in the lattice. */
function refuseRise(effects: EffectComputer, evidence: Evidence, decision: Decision): Decision {
  if (decision.kind !== 'modify') return decision
  const after = effects.compute(decision.body, evidence.tool)
  const { reason } = decision
  return isModifyAllowed(evidence.effect, after) ? decision : { kind: 'deny', reason, reasons: [reason] }
}

/** The reason of a decision; undefined for a permit. */
export function reasonOf(decision: Decision): Reason | undefined {
  return decision.kind === 'permit' ? undefined : decision.reason
}

/** What an entry says was decided. */
export interface WasDecided {
  readonly decision: string
  readonly reason?: string
}

/**
 * Decides exactly what was recorded again, with the verdicts as recorded, and says what does not come out the same: limits,
 * deadlines and conflicts are the enforcer's and lie outside the evidence.
 */
export function findUnreplayed(entry: WasDecided, recorded: Complete): readonly string[] {
  const { request, evidence, findings, verdicts } = recorded
  const again = verifyAll(request, evidence)
  const decision = decide({ request, evidence, findings: again, verdicts })
  const isSame = decision.kind === entry.decision && reasonOf(decision) === entry.reason
  return [
    ...(isSame ? [] : [toOutside(entry, decision)]),
    ...(canonicalize(again.map(asJson)) === canonicalize(findings.map(asJson))
      ? []
      : ['the findings come out differently in this version than they were recorded']),
  ]
}

function toOutside({ decision, reason }: WasDecided, again: Decision): string {
  const was = reason === undefined ? decision : `${decision} ${reason}`
  const now = reasonOf(again)
  return `\`${was}\` was decided by what lies outside the evidence (a limit, a deadline, a conflict); the evidence alone gives \`${now === undefined ? again.kind : `${again.kind} ${now}`}\``
}

/** The facts as `enforce` would see them: `observe` suspends, and a case is about what should not have to be suspended. */
export function inEnforce({ request, evidence }: { readonly request: AccessRequest; readonly evidence: Evidence }): {
  readonly request: AccessRequest
  readonly evidence: Evidence
} {
  return { request, evidence: { ...evidence, mode: 'enforce' } }
}

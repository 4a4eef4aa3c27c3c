/**
 * @module
 * The decision. Pure: the same findings, verdicts and evidence give the same answer, today and in a replay.
 *
 * Everything that speaks against an action becomes an *objection* with one force; then, in this order:
 * 1. any objection that denies: `deny` (deny absorbs)
 * 2. a concern that brings a narrower action: `modify`; the action starts again, and a person sees the narrow one
 * 3. any objection that a person may lift: `challenge`, unless this very action stands approved
 * 4. nothing: `permit`
 */
import type { Decision, Obligation, PolicyVerdict } from './decision.ts'
import { type EffectReport, isAtMost } from './effect.ts'
import type { Evidence } from './evidence.ts'
import type { Finding } from './finding.ts'
import { isKnownObligation } from './obligations.ts'
import { type Objection, toObjections } from './objections.ts'
import type { Reason } from './reasons.ts'
import type { AccessRequest } from './request.ts'

export interface DecideInput {
  readonly request: AccessRequest
  readonly evidence: Evidence
  readonly findings: readonly Finding[]
  readonly verdicts: readonly PolicyVerdict[]
}

/**
 * Decides one action. `defer` is not among its answers: deadlines and conflicts are the enforcer's.
 *
 * `observe` suspends what intent, scope, context, anomaly and policy say (their reasons are then in `suspended`), never
 * identity, `system.*` or `credential.*`, nor a missing finding or verdict.
 * An approval lifts challenges of exactly this `bind` and `txn` and lends nothing: no identity, no grant, no policy.
 * Does not verify that the findings fit the evidence; whoever calls it made both.
 */
export function decide(input: DecideInput): Decision {
  const objections = toObjections(input)
  const isSuspended = (objection: Objection): boolean => input.evidence.mode === 'observe' && objection.suspendable
  const suspended = toReasons(objections.filter(isSuspended))
  const standing = objections.filter((objection) => !isSuspended(objection))
  return stop(standing, input) ?? { kind: 'permit', obligations: toObligations(input.verdicts), suspended }
}

/** What stops the action, if anything does. `standing` is in the order of precedence. */
function stop(standing: readonly Objection[], input: DecideInput): Decision | undefined {
  const denial = standing.find(({ force }) => force === 'deny')
  if (denial !== undefined) return { kind: 'deny', reason: denial.reason, reasons: toReasons(standing) }
  const [first, ...rest] = standing.filter(({ rewrite }) => rewrite === undefined)
  if (first !== undefined && isRefused(input)) {
    return {
      kind: 'deny',
      reason: 'policy.approval-denied',
      reasons: ['policy.approval-denied', ...toReasons(standing)],
    }
  }
  for (const { rewrite, reason } of standing)
    if (rewrite !== undefined) return { kind: 'modify', body: rewrite, reason }
  if (first === undefined || isApproved(input)) return undefined
  const reason = isPending(input) ? 'policy.approval-pending' : first.reason
  return { kind: 'challenge', reason, reasons: toReasons([first, ...rest]) }
}

function toReasons(objections: readonly Objection[]): readonly Reason[] {
  return [...new Set(objections.map(({ reason }) => reason))]
}

/** Those that can be discharged; any other is an objection of its own, which only `observe` gets past. */
function toObligations(verdicts: readonly PolicyVerdict[]): readonly Obligation[] {
  return verdicts.flatMap(({ obligations }) => obligations.filter(isKnownObligation))
}

function isApproved({ request, evidence }: DecideInput): boolean {
  return evidence.approval?.status === 'approved' && isForThis(request, evidence) && isOpen(evidence)
}

function isPending({ request, evidence }: DecideInput): boolean {
  return evidence.approval?.status === 'pending' && isForThis(request, evidence) && isOpen(evidence)
}

/** A refusal by a person does not run out. */
function isRefused({ request, evidence }: DecideInput): boolean {
  return evidence.approval?.status === 'denied' && isForThis(request, evidence)
}

/** Keyed on `bind`, within its task (invariant 5). */
function isForThis({ context }: AccessRequest, { approval, bind }: Evidence): boolean {
  return approval !== undefined && bind !== '' && approval.bind === bind && approval.txn === context.txn
}

/** Written so that an end that is not a number has passed. */
function isOpen({ approval, now }: Evidence): boolean {
  return approval !== undefined && now < approval.expires
}

/**
 * True when a rewritten action does nothing that the action before did not: no higher in the lattice, no less reversible
 * or bounded, nothing new touched or reached (`*` holds everything and is held by `*` alone).
 * Does not compare arguments; the rewritten action is decided again from the start.
 */
export function isModifyAllowed(before: EffectReport, after: EffectReport): boolean {
  return (
    isAtMost(after.effect, before.effect) &&
    (after.reversible || !before.reversible) &&
    (after.bounded || !before.bounded) &&
    isAmong(after.destinations, before.destinations) &&
    isAmong(after.objects, before.objects)
  )
}

function isAmong(inner: readonly string[], outer: readonly string[]): boolean {
  return outer.includes('*') || inner.every((each) => outer.includes(each))
}

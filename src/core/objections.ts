/**
 * @module
 * What speaks against an action, one by one, with its force and its place in the order of precedence.
 */
import type { PolicyVerdict } from './decision.ts'
import { isConsequential } from './effect.ts'
import type { Evidence } from './evidence.ts'
import { type Finding, type FindingAgainst, type Stage, STAGES } from './finding.ts'
import { isKnownObligation } from './obligations.ts'
import type { Reason } from './reasons.ts'
import type { ActionBody } from './request.ts'

export interface Objection {
  readonly reason: Reason
  readonly force: 'deny' | 'challenge'
  /** Whether `observe` gets past it. */
  readonly suspendable: boolean
  /** The narrower action against which this would not speak. */
  readonly rewrite?: ActionBody
  /** Lower is told first. */
  readonly rank: number
}

interface Given {
  readonly evidence: Evidence
  readonly findings: readonly Finding[]
  readonly verdicts: readonly PolicyVerdict[]
}

/**
 * Every objection, in the order in which reasons are told: identity; the system; a tool that nobody accepted (everything
 * about it is then the worst case, so that its other reasons say nothing); the stages in their order; policy.
 * Does not weigh them.
 */
export function toObjections({ evidence, findings, verdicts }: Given): readonly Objection[] {
  return [
    ...askCompleteness(findings, verdicts),
    ...findings.flatMap((finding) => fromFinding(finding, evidence)),
    ...verdicts.flatMap(fromVerdict),
    ...askOutcome(evidence),
  ].toSorted((a, b) => a.rank - b.rank)
}

const RANK = { system: 10, tool: 20, stage: 30, policy: 40 } as const

function askCompleteness(findings: readonly Finding[], verdicts: readonly PolicyVerdict[]): readonly Objection[] {
  const isSilent = STAGES.some((stage) => !findings.some((finding) => finding.stage === stage))
  return [
    ...(isSilent ? [fixed('system.no-finding', 'deny')] : []),
    // Not suspendable: `observe` suspends what policy says, not that it was never asked.
    ...(verdicts.length === 0 ? [{ ...fixed('policy.undefined', 'deny'), rank: RANK.policy }] : []),
  ]
}

function fixed(reason: Reason, force: Objection['force']): Objection {
  return { reason, force, suspendable: false, rank: RANK.system }
}

function fromFinding(finding: Finding, evidence: Evidence): readonly Objection[] {
  if (finding.outcome === 'pass') return []
  const force = toForce(finding, evidence)
  if (force === undefined) return []
  const { stage, reason, rewrite } = finding
  return [
    {
      reason,
      force,
      suspendable: stage !== 'identity' && /^(?:intent|scope|context|anomaly|policy)\./.test(reason),
      rank: toRank(stage, reason),
      ...(rewrite !== undefined && finding.outcome === 'concern' ? { rewrite } : {}),
    },
  ]
}

/** The force of a finding; undefined when it is left to policy. An outcome that nobody knows denies. */
function toForce(finding: FindingAgainst, evidence: Evidence): Objection['force'] | undefined {
  const { stage, outcome, rewrite } = finding
  if (outcome === 'insufficient') return isLeftToPolicy(finding, evidence) ? undefined : 'deny'
  if (outcome !== 'concern') return 'deny'
  // A person lends neither an identity nor a grant (invariant 5); a narrower action may still lie within the grant.
  return stage === 'identity' || (stage === 'scope' && rewrite === undefined) ? 'deny' : 'challenge'
}

/** Too little history is for policy to judge; so is a plain read without grant, for a principal that somebody named. */
function isLeftToPolicy({ stage, reason }: FindingAgainst, { effect, identity }: Evidence): boolean {
  if (stage === 'anomaly') return true
  const isNamed = ['asserted', 'granted', 'signed'].includes(identity.assurance)
  return stage === 'scope' && reason === 'scope.no-grant' && isNamed && !isConsequential(effect.effect)
}

function toRank(stage: Stage, reason: Reason): number {
  if (stage === 'identity') return 0
  if (reason.startsWith('system.')) return RANK.system
  if (reason === 'scope.unknown-tool' || reason === 'scope.tool-changed') return RANK.tool
  return RANK.stage + STAGES.indexOf(stage)
}

const VERDICTS: Readonly<Record<Exclude<PolicyVerdict['outcome'], 'permit'>, readonly [Reason, Objection['force']]>> = {
  deny: ['policy.denied', 'deny'],
  error: ['policy.error', 'deny'],
  undefined: ['policy.undefined', 'deny'],
  unavailable: ['policy.unavailable', 'deny'],
  challenge: ['policy.approval-required', 'challenge'],
}

/** Stacked engines all have to permit, and whatever one of them obliges has to be known. */
function fromVerdict(verdict: PolicyVerdict): readonly Objection[] {
  const found: (readonly [Reason, Objection['force']])[] = []
  if (verdict.outcome !== 'permit') found.push(toVerdictObjection(verdict.outcome))
  if (!verdict.obligations.every(isKnownObligation)) found.push(['policy.unknown-obligation', 'deny'])
  return found.map(([reason, force]) => ({ reason, force, suspendable: true, rank: RANK.policy }))
}

/** An engine from elsewhere may answer with a word that this version does not know. */
function toVerdictObjection(
  outcome: Exclude<PolicyVerdict['outcome'], 'permit'>,
): readonly [Reason, Objection['force']] {
  return Object.hasOwn(VERDICTS, outcome) ? VERDICTS[outcome] : ['policy.error', 'deny']
}

/** The same action was begun before and nobody knows whether it was done: once more only if that does no harm. */
function askOutcome({ outcomeUnknown, tool }: Evidence): readonly Objection[] {
  const isIdempotent = tool.status === 'accepted' && tool.tool.idempotent
  return outcomeUnknown && !isIdempotent ? [fixed('system.outcome-unknown', 'challenge')] : []
}

/**
 * @module
 * What would have let an action pass: the proposals for everything that speaks against it, each decided again with the facts
 * that it would give, alone and together. A claim that can be computed is never made without computing it.
 */
import type { Decision } from '../../core/decision.ts'
import { toObjections } from '../../core/objections.ts'
import type { Reason } from '../../core/reasons.ts'
import { inEnforce, reasonOf, type Judge } from '../../pdp/replay.ts'
import { proposeAttested, proposeSource } from './propose-context.ts'
import { proposeBound, proposeBudget, proposeGrant, proposeOperation, proposeTime } from './propose-grant.ts'
import {
  proposeApproval,
  proposeIdempotent,
  proposeIntent,
  proposePermit,
  proposePolicy,
  proposeRevoked,
  proposeTool,
  say,
} from './propose-other.ts'
import type { Facts, Proposal, Propose, RemedyKind, Situation } from './proposal.ts'

/** What would be decided. */
export interface Then {
  readonly decision: Decision['kind']
  readonly reason?: Reason
}

export interface Remedy {
  readonly kind: RemedyKind
  readonly for: readonly Reason[]
  readonly what: string
  readonly how: string
  /** What would have been decided with this alone, in `enforce`; null where that cannot be computed. */
  readonly gives: Then | null
}

export interface Remedies {
  readonly remedies: readonly Remedy[]
  /** The first remedy for each reason, all at once: their indexes, and what would have been decided. */
  readonly together: (Then & { readonly of: readonly number[] }) | null
}

/** Every reason that speaks against the action in `enforce`, first told first; `reason` of the entry where none does. */
export function reasonsAgainst(situation: Situation, reason: Reason | undefined): readonly Reason[] {
  const { evidence } = inEnforce(situation)
  const objections = toObjections({ evidence, findings: situation.findings, verdicts: situation.verdicts })
  const found = [...new Set(objections.map((objection) => objection.reason))]
  return reason === undefined || found.includes(reason) ? found : [reason, ...found]
}

/** Proposes, and judges each. Throws nothing that `judge` does not throw. */
export async function findRemedies(situation: Situation, reason: Reason | undefined, judge: Judge): Promise<Remedies> {
  const reasons = reasonsAgainst(situation, reason)
  const proposals = merge(reasons.flatMap((each) => PROPOSALS[each]?.(situation, each) ?? []))
  const ask = async (facts: Facts): Promise<Then> => {
    const { decision } = await judge({ ...inEnforce(facts), verdicts: situation.verdicts })
    return toThen(decision)
  }
  const remedies: Remedy[] = []
  for (const { apply, ...said } of proposals) {
    remedies.push({ ...said, gives: apply === undefined ? null : await ask(apply(situation)) })
  }
  const of = firstOfEach(reasons, proposals)
  const isWhole =
    of.length > 1 && reasons.every((each) => of.some((index) => proposals[index]?.for.includes(each) === true))
  if (!isWhole) return { remedies, together: null }
  const facts = of.reduce<Facts>((before, index) => proposals[index]?.apply?.(before) ?? before, situation)
  return { remedies, together: { ...(await ask(facts)), of } }
}

export function toThen(decision: Decision): Then {
  const reason = reasonOf(decision)
  return { decision: decision.kind, ...(reason === undefined ? {} : { reason }) }
}

/** The same proposal for two reasons is one. */
function merge(proposals: readonly Proposal[]): readonly Proposal[] {
  const found = new Map<string, Proposal>()
  for (const proposal of proposals) {
    const key = `${proposal.kind} ${proposal.how}`
    const before = found.get(key)
    found.set(key, before === undefined ? proposal : { ...before, for: [...new Set([...before.for, ...proposal.for])] })
  }
  return [...found.values()]
}

/** For each reason the index of its first proposal that can be computed. */
function firstOfEach(reasons: readonly Reason[], proposals: readonly Proposal[]): readonly number[] {
  const indexes = reasons.map((reason) =>
    proposals.findIndex((proposal) => proposal.apply !== undefined && proposal.for.includes(reason)),
  )
  return [...new Set(indexes)].filter((index) => index >= 0).toSorted((a, b) => a - b)
}

const both =
  (...proposes: readonly Propose[]): Propose =>
  (situation, reason) =>
    proposes.flatMap((propose) => propose(situation, reason))

const SIGNED = say(
  'identity',
  'a request that is signed with the enrolled key of this agent, over its whole body',
  'unbearer connect URL --key FILE.jwk, or createSigningFetch of unbearer/client',
)
const RETRY = (limit: string): Propose => say('operations', 'the same call again: nothing was done', limit)

/** By reason. One that is missing here has no remedy but another request (`credential.*`, `system.malformed`, …). */
const PROPOSALS: Readonly<Partial<Record<Reason, Propose>>> = {
  'identity.missing': SIGNED,
  'identity.weak-proof': SIGNED,
  'identity.bad-proof': say(
    'identity',
    'a proof by the key of the very agent that the request names',
    'give the agent its own key file, one agent a key',
  ),
  'identity.unknown-key': say('identity', 'this key, enrolled', 'unbearer agents enrol NAME --key FILE.jwk'),
  'identity.key-role': say('identity', 'a key of the role agent', 'unbearer agents enrol NAME --new FILE.jwk'),
  'identity.revoked': proposeRevoked,
  'identity.suspended': say(
    'identity',
    'an agent that a person restored, once what it was refused for is understood',
    'unbearer report, then unbearer agents restore NAME',
  ),
  'identity.unknown-task': say(
    'purpose',
    'a task that is open at the time of the call',
    'unbearer task open --purpose TEXT --principal ID --actor NAME',
  ),
  'identity.task-mismatch': say(
    'purpose',
    'a task that was opened for this agent and this principal',
    'unbearer task open --purpose TEXT --principal ID --actor NAME',
  ),
  'intent.missing': proposeIntent,
  'intent.malformed': proposeIntent,
  'intent.effect-mismatch': proposeIntent,
  'intent.object-mismatch': both(proposeIntent, proposeApproval),
  'scope.unknown-tool': proposeTool,
  'scope.tool-changed': proposeTool,
  'scope.no-grant': proposeGrant,
  'scope.grant-expired': proposeTime,
  'scope.operation': proposeOperation,
  'scope.argument': proposeBound,
  'scope.clamped': proposeBound,
  'scope.budget': proposeBudget,
  'context.untrusted-argument': both(proposeSource, proposeApproval),
  'context.untrusted-destination': proposeSource,
  'context.exfiltration': proposeSource,
  'context.unattested': both(proposeAttested, proposeApproval),
  'anomaly.unusual': both(
    proposeApproval,
    say(
      'operations',
      'a profile that knows this: every action that is permitted teaches it, so that what people approve becomes usual',
      'approve it while it is rare; `unbearer report` says how often it is',
    ),
  ),
  'policy.denied': proposePolicy,
  'policy.approval-required': both(proposeApproval, proposePolicy),
  'policy.approval-pending': proposeApproval,
  'policy.approval-denied': say(
    'approval',
    'another answer: a person refused this very action in this task, and that stays',
    'a new task, if the principal still wants it: unbearer task open --purpose TEXT --principal ID --actor NAME',
  ),
  'policy.approval-limit': say(
    'approval',
    'answers to the approvals of this task that are open already',
    'unbearer approvals list',
  ),
  'policy.undefined': proposePermit,
  'policy.error': say('policy', 'a policy that does not fail on this request', 'unbearer doctor; unbearer policy test'),
  'policy.unavailable': RETRY('limits.deadline of the configuration, if the engine needs longer as a rule'),
  'policy.unknown-obligation': say('policy', 'an obligation that this version knows', 'redact:/path or notify:topic'),
  'system.deadline': RETRY('limits.deadline of the configuration, if that happens as a rule'),
  'system.quota': RETRY('limits.decisionsPerMinute of the configuration, if the agent needs more as a rule'),
  'system.space': say('operations', 'room on the disk of the store', 'unbearer doctor; unbearer evidence sweep'),
  'system.conflict': RETRY('fewer actions of one task side by side'),
  'system.indeterminate': say('operations', 'whatever failed, mended', 'the log of `unbearer serve` names the fault'),
  'system.stale-revocations': say('operations', 'a feed of revocations that is fresh', 'unbearer doctor'),
  'system.log-unavailable': say('operations', 'a log that takes entries', 'unbearer doctor'),
  'system.outcome-unknown': proposeIdempotent,
}

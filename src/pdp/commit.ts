/**
 * @module
 * Turns a decision into ONE unit of the store: the entry, the approval consumed or opened, budgets debited, the action
 * marked as begun, the profile taught (design §3). The store compares the versions of all that was read.
 */
import { learnProfile } from '../core/baseline.ts'
import type { ActionClaims } from '../core/credential.ts'
import type { Decision, PolicyVerdict } from '../core/decision.ts'
import { isConsequential } from '../core/effect.ts'
import type { DecisionEntry } from '../core/entry.ts'
import type { Approval, Evidence } from '../core/evidence.ts'
import type { Finding } from '../core/finding.ts'
import { asJson, type Json } from '../core/json.ts'
import type { Reason } from '../core/reasons.ts'
import { approvalOfBindRecord, approvalRecord, begunRecord, fromRecord, profileRecord } from '../core/records.ts'
import type { AccessRequest } from '../core/request.ts'
import { debitsOf } from '../core/verify/scope.ts'
import type { Burn, CommitUnit, Store, Write } from '../ports/store.ts'
import { askOnce, type ApprovalLimits } from './approval-quota.ts'
import type { Gathered } from './gather.ts'
import { toIssuedWrite } from './issued.ts'
import { newId, toDecisionUnit } from './log-entries.ts'

/** How long a person has to answer, in milliseconds. */
export const APPROVAL_TTL_MS: number = 60 * 60 * 1000

/** Longer than any action credential can live after its decision, in milliseconds. */
const BURN_TTL_MS = 10 * 60 * 1000

export interface Decided {
  readonly request: AccessRequest
  readonly gathered: Gathered
  readonly findings: readonly Finding[]
  readonly verdicts: readonly PolicyVerdict[]
  readonly decision: Decision
  readonly policy: string
  /** Of the credential that a permit will issue; absent when none is minted. */
  readonly jti?: string
  /** All of its claims, where it will be redeemed outside of this process. */
  readonly outside?: ActionClaims
}

/** The unit, and the ticket that a challenge gives the agent. */
export interface ToCommit {
  readonly unit: CommitUnit
  readonly ticket?: string
}

/** The unit for a decision. Reads no state but the list of open approvals, and only for a challenge. */
export async function toCommitUnit(
  store: Store,
  decided: Decided,
  limits: ApprovalLimits,
): Promise<ToCommit | 'approval-limit'> {
  const { request, gathered, decision } = decided
  const { evidence } = gathered
  const log = toDecisionUnit(toEntry(decided), toValues(decided), toSubject(request))
  const base = { reads: evidence.reads, entries: log.entries, evidence: log.evidence }
  if (decision.kind === 'permit') {
    const writes = [...permitWrites(decided), ...(await consumeApproval(store, request, evidence))]
    return { unit: { ...base, writes, burns: toBurns(decided) } }
  }
  if (decision.kind !== 'challenge') return { unit: base }
  const opened = await openApproval(store, decided, limits)
  if (opened === 'approval-limit') return opened
  return {
    unit: { ...base, reads: { ...evidence.reads, ...opened.reads }, writes: opened.writes },
    ticket: opened.ticket,
  }
}

function toEntry({
  request,
  gathered,
  decision,
  policy,
  jti,
}: Decided): Omit<DecisionEntry, 'v' | 'kind' | 'commitments'> {
  const { evidence } = gathered
  return {
    id: request.id,
    time: evidence.now,
    plane: request.plane,
    mode: evidence.mode,
    ...(evidence.modeFrom === undefined ? {} : { modeFrom: evidence.modeFrom }),
    advisory: evidence.deployment === 'same-user',
    decision: decision.kind,
    ...(decision.kind === 'permit' ? {} : { reason: decision.reason }),
    ...(decision.kind === 'permit' && decision.suspended.length > 0 ? { suspended: decision.suspended } : {}),
    proof: request.context.proof.grade,
    policy,
    rev: evidence.revocation.rev,
    ...(jti === undefined ? {} : { jti }),
  }
}

function toValues({
  request,
  gathered,
  findings,
  verdicts,
}: Decided): Record<'request' | 'evidence' | 'findings' | 'verdicts', Json> {
  return {
    request: asJson(request),
    evidence: asJson(gathered.evidence),
    findings: findings.map(asJson),
    verdicts: verdicts.map(asJson),
  }
}

function permitWrites({ request, gathered, outside }: Decided): readonly Write[] {
  const { evidence, profile, event } = gathered
  const { effect, grant, bind } = evidence
  const writes: Write[] = []
  for (const { key, amount } of debitsOf(request, evidence))
    writes.push({ key, value: (grant?.used[key] ?? 0) + amount })
  if (isConsequential(effect.effect)) writes.push({ key: begunRecord(bind, request.id), value: request.id })
  if (request.actor.jkt !== undefined) {
    writes.push({ key: profileRecord(request.actor.jkt), value: asJson(learnProfile(profile, event)) })
  }
  if (outside !== undefined) writes.push(toIssuedWrite(outside))
  return writes
}

/** The `jti` is registered with the decision, so that nothing else under it can ever be redeemed. */
function toBurns({ jti, gathered, outside }: Decided): readonly Burn[] {
  return jti === undefined || outside !== undefined
    ? []
    : [{ domain: 'jti', id: jti, expires: gathered.evidence.now + BURN_TTL_MS }]
}

/** Consumed once: the record stays for people, what points to it from the action does not. Its version was read. */
async function consumeApproval(
  store: Store,
  request: AccessRequest,
  { approval, bind }: Evidence,
): Promise<readonly Write[]> {
  if (approval?.status !== 'approved') return []
  const key = approvalRecord(approval.id)
  const [record] = await store.get([key])
  const consumed: Approval = { ...(fromRecord<Approval>(record) ?? approval), status: 'consumed' }
  return [{ key, value: asJson(consumed), subject: toSubject(request) }, { key: approvalOfBindRecord(bind) }]
}

interface Opened {
  readonly ticket: string
  readonly reads: Readonly<Record<string, number>>
  readonly writes: readonly Write[]
}

/** One open approval per `bind`; how many there may be is `approval-quota.ts`. */
async function openApproval(
  store: Store,
  decided: Decided,
  limits: ApprovalLimits,
): Promise<Opened | 'approval-limit'> {
  const { request, gathered } = decided
  const { approval, now, bind } = gathered.evidence
  if (approval?.status === 'pending' && approval.expires > now) return { ticket: approval.id, reads: {}, writes: [] }
  const txn = request.context.txn ?? ''
  const fresh: Approval = { id: newId(), bind, txn, status: 'pending', createdAt: now, expires: now + APPROVAL_TTL_MS }
  const asked = await askOnce(store, fresh.id, { task: toQuota(decided), jkt: request.actor.jkt, now }, limits)
  if (asked === 'approval-limit') return asked
  return {
    ticket: fresh.id,
    reads: asked.reads,
    writes: [
      {
        key: approvalRecord(fresh.id),
        value: { ...asJson(fresh), presented: toPresented(decided) },
        subject: toSubject(request),
      },
      { key: approvalOfBindRecord(bind), value: fresh.id },
      ...asked.writes,
    ],
  }
}

/** Whose data a record of this action is. */
function toSubject({ subject }: AccessRequest): string {
  return `${subject.type}/${subject.id}`
}

/** Whose quota an approval counts in: the task's; an agent opens tasks of connections at will, so that they share one. */
function toQuota({ request, gathered }: Decided): string {
  const isOwn = gathered.evidence.task?.openedBy.role === 'connection'
  return isOwn ? `actor:${request.actor.jkt ?? ''}` : (request.context.txn ?? '')
}

/** What a person sees before answering: parameters, computed effects, provenance, and what speaks against it. */
function toPresented({ request, gathered, findings, decision }: Decided): Json {
  const { evidence } = gathered
  const reasons: readonly Reason[] = decision.kind === 'permit' || decision.kind === 'modify' ? [] : decision.reasons
  return {
    // So that whoever has the ticket finds the entry.
    entry: request.id,
    principal: `${request.subject.type}/${request.subject.id}`,
    actor: request.actor.id,
    tool: `${request.context.upstream}/${request.context.tool}`,
    action: request.action.body,
    intent: request.context.intent?.text,
    purpose: evidence.task?.purpose,
    effect: asJson(evidence.effect),
    provenance: evidence.provenance.arguments.map(asJson),
    findings: findings.filter((finding) => finding.outcome !== 'pass').map(asJson),
    reasons: [...reasons],
  }
}

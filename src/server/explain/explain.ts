/**
 * @module
 * `why`: everything that was recorded of one decision, in words, for operators (`docs/reference/why.md`). Reads evidence,
 * policies and state; writes nothing. The agent never sees any of it.
 */
import { toHeadline, toKinds } from '../../core/effect.ts'
import type { Evidence } from '../../core/evidence.ts'
import { asJson, type Json, type JsonObject } from '../../core/json.ts'
import type { ParsedEntry } from '../../core/parse-entry.ts'
import { isReason, REASONS, type Reason } from '../../core/reasons.ts'
import type { AccessRequest } from '../../core/request.ts'
import { observedBefore } from '../../pdp/observed.ts'
import { isComplete, openRecorded, type Complete, type Recorded } from '../../core/recorded.ts'
import { createJudge, findUnreplayed, inEnforce, type JudgeOptions, type WasDecided } from '../../pdp/replay.ts'
import type { Store } from '../../ports/store.ts'
import { toArgumentLines } from './arguments.ts'
import { sayEffect, sayFinding, toTime, toTool } from './findings.ts'
import { toGrantLines } from './grant.ts'
import { findDecision, findOutcome, findTicket, type FoundEntry } from './lookup.ts'
import { toPolicyLines } from './policies.ts'
import { findRemedies, toThen } from './remedies.ts'
import { toQuoted, toShown } from './shown.ts'

/**
 * Explains the decision that `id` names (entry, outcome, ticket, or at least 8 characters of one). Throws `InputError` when
 * there is none. Evidence that is gone is said to be gone, and what the leaf tells is told. Does not verify the log.
 */
export async function explain(store: Store, id: string, whatIf: () => Promise<JudgeOptions>): Promise<JsonObject> {
  const found = await findDecision(store, id)
  const bytes = await store.evidence(found.entry.id)
  const recorded = bytes === undefined ? undefined : openRecorded(bytes)
  const outcome = await findOutcome(store.log, found)
  const base = { v: 1, entry: toEntryLine(found), outcome: toOutcomeLine(outcome) }
  if (recorded === undefined) return { ...base, evidence: 'gone', ...explainLeaf(found.entry) }
  if (!isComplete(recorded)) return { ...base, evidence: 'partial', ...explainRequest(found.entry, recorded) }
  return { ...base, evidence: 'kept', ...(await explainWhole(store, found.entry, recorded, await whatIf())) }
}

function toEntryLine({ index, entry }: FoundEntry): JsonObject {
  const { kind: _kind, commitments: _commitments, v: _v, ...rest } = entry.value
  return { index, ...rest }
}

function toOutcomeLine(outcome: ParsedEntry | undefined): Json {
  if (outcome === undefined) return null
  const { id, time, outcome: word, reason } = outcome.value
  return { id, time, outcome: word, ...(reason === undefined ? {} : { reason }) }
}

const VERBS: Readonly<Record<string, string>> = {
  permit: 'permitted',
  modify: 'narrowed',
  challenge: 'held for a person',
  defer: 'deferred',
  deny: 'denied',
}

function toVerb(entry: ParsedEntry): string {
  const decision = toText(entry.value['decision'])
  return VERBS[decision] ?? toShown(decision)
}

function toReason(entry: ParsedEntry): Reason | undefined {
  const reason = toText(entry.value['reason'])
  return isReason(reason) ? reason : undefined
}

function toText(value: Json | undefined): string {
  return typeof value === 'string' ? value : ''
}

/** Without evidence the leaf alone speaks: when, in which mode, what was decided and for which reason. */
function explainLeaf(entry: ParsedEntry): JsonObject {
  const reason = toReason(entry)
  const because = reason === undefined ? '' : ` (${reason}): ${REASONS[reason].help}`
  return {
    sentence: `${toVerb(entry)} at ${toTime(entry.time)}${because}; the evidence was erased or has expired, so that nobody can tell any more for whom, which tool and which arguments`,
    unreplayed: ['the evidence is gone: nothing can be decided again'],
  }
}

/** Something failed while facts were being gathered: the request is all that is known. */
function explainRequest(entry: ParsedEntry, { request }: Recorded): JsonObject {
  const reason = toReason(entry)
  const why = reason === undefined ? 'something failed' : `${reason}: ${REASONS[reason].help}`
  return {
    sentence: `${toVerb(entry)}: ${toWho(request)}, at ${toTime(entry.time)}, because ${why}`,
    ...toRequestLines(request),
    unreplayed: ['it failed before its facts were gathered: nothing can be decided again'],
  }
}

async function explainWhole(
  store: Store,
  entry: ParsedEntry,
  recorded: Complete,
  whatIf: JudgeOptions,
): Promise<JsonObject> {
  const { request, evidence, findings, verdicts } = recorded
  const texts = whatIf.engines.flatMap((engine) => engine.texts ?? [])
  const txn = request.context.txn ?? ''
  const observed = await observedBefore(store, txn, evidence.provenance.length)
  const ticket = await findTicket(store, evidence.bind)
  const situation = {
    request,
    evidence,
    findings,
    verdicts,
    observed,
    texts,
    effects: whatIf.effects,
    ...(ticket?.status === 'pending' ? { ticket: ticket.id } : {}),
  }
  const judge = createJudge(whatIf)
  const { remedies, together } = await findRemedies(situation, toReason(entry), judge)
  const again = await judge({ ...inEnforce({ request, evidence }), verdicts })
  return {
    sentence: toSentence(entry, recorded),
    ...toRequestLines(request),
    purpose: evidence.task?.purpose === undefined ? null : toShown(evidence.task.purpose),
    findings: findings.map((finding) => ({
      stage: finding.stage,
      outcome: finding.outcome,
      ...(finding.outcome === 'pass' ? {} : { reason: finding.reason }),
      said: sayFinding(finding, recorded),
    })),
    arguments: toArgumentLines(request, evidence).map(asJson),
    effect: toEffectLine(evidence),
    grant: toGrantLines(recorded).map(asJson),
    policies: toPolicyLines(verdicts, whatIf.engines).map(asJson),
    mode: toModeLine(evidence, entry),
    enforce: evidence.mode === 'enforce' ? null : asJson(toThen(again.decision)),
    approval: toApprovalLine(evidence),
    ticket: ticket === undefined ? null : { id: ticket.id, status: ticket.status },
    remedies: remedies.map(asJson),
    together: together === null ? null : asJson(together),
    unreplayed: [...findUnreplayed(toWas(entry), recorded), ...again.unreplayed],
  }
}

function toWas({ value }: ParsedEntry): WasDecided {
  const reason = toText(value['reason'])
  return { decision: toText(value['decision']), ...(reason === '' ? {} : { reason }) }
}

/** The decision in one sentence: who, what, and the finding that decided. */
function toSentence(entry: ParsedEntry, { request, evidence, findings, verdicts }: Complete): string {
  const reason = toReason(entry)
  const head = `${toVerb(entry)}: ${toWho(request)} (${sayEffect(evidence)}), at ${toTime(entry.time)}`
  const suspended = entry.value['suspended']
  if (reason === undefined) {
    const names = Array.isArray(suspended) ? suspended.filter((each: Json) => typeof each === 'string') : []
    return names.length === 0
      ? head
      : `${head}; \`observe\` suspended ${names.join(', ')}, \`enforce\` would have stopped it`
  }
  const deciding = findings.find((finding) => finding.outcome !== 'pass' && finding.reason === reason)
  const why = deciding === undefined ? sayPolicy(reason, verdicts) : sayFinding(deciding, { request, evidence })
  return `${head}, because of ${reason}: ${why}`
}

/** What no finding says: the verdict of policy by its ids, or the words of the table. */
function sayPolicy(reason: Reason, verdicts: Complete['verdicts']): string {
  const ids = verdicts.filter(({ outcome }) => outcome !== 'permit').flatMap(({ policies }) => policies)
  if (ids.length === 0) return REASONS[reason].help
  const names = ids.map((id) => `\`${toShown(id)}\``).join(', ')
  if (reason === 'policy.denied') return `policy ${names} forbids it`
  return reason.startsWith('policy.approval') ? `policy ${names} asks for a person` : REASONS[reason].help
}

function toWho(request: AccessRequest): string {
  const { subject, actor } = request
  return `${toQuoted(actor.id)} calls ${toTool(request)} for ${toQuoted(`${subject.type}/${subject.id}`)}`
}

function toRequestLines({ subject, actor, context }: AccessRequest): JsonObject {
  return {
    principal: toShown(`${subject.type}/${subject.id}`),
    agent: toShown(actor.id),
    tool: toShown(`${context.upstream}/${context.tool}`),
    task: context.txn ?? null,
    intent: context.intent === undefined ? null : toShown(context.intent.text),
  }
}

function toEffectLine({ effect }: Evidence): JsonObject {
  return {
    kinds: toKinds(effect.effect),
    headline: toHeadline(effect.effect),
    reversible: effect.reversible,
    bounded: effect.bounded,
    objects: effect.objects.map(toShown),
    destinations: effect.destinations.map(toShown),
    source: effect.source,
    why: effect.why.map(toShown),
  }
}

function toModeLine({ mode, modeFrom, deployment }: Evidence, entry: ParsedEntry): JsonObject {
  const said =
    mode === 'observe'
      ? '`observe`: what intent, scope, context, anomaly and policy say is recorded and suspended; identity, revocation and parsing still deny'
      : '`enforce`: everything counts'
  const advisory = deployment === 'same-user' ? '; advisory, because the agent runs as the same user' : ''
  const from = modeFrom === undefined ? '' : `; decided by \`${toShown(modeFrom)}\``
  return { mode, from: modeFrom ?? null, suspended: entry.value['suspended'] ?? [], said: said + from + advisory }
}

/** The approval that the decision read. */
function toApprovalLine({ approval, bind, now }: Evidence): Json {
  if (approval === undefined) return null
  const counts = approval.status === 'approved' && approval.bind === bind && now < approval.expires
  return {
    id: approval.id,
    status: approval.status,
    ...(approval.answered === undefined ? {} : { by: approval.answered.by, at: approval.answered.at }),
    counts,
  }
}

/**
 * @module
 * `report`: what the log and its evidence say in numbers (`docs/reference/report.md`). Streams: its memory does not grow with
 * the log. Counts what is stored and does not verify it.
 */
import type { CaseLabel } from '../core/case.ts'
import { decide } from '../core/decide.ts'
import { isConsequential, toHeadline } from '../core/effect.ts'
import { InputError, IntegrityError } from '../core/errors.ts'
import { asJson, isJsonObject, type Json, type JsonObject } from '../core/json.ts'
import { isComplete, openRecorded, openValues, type Complete, type Recorded } from '../core/recorded.ts'
import { isReason } from '../core/reasons.ts'
import { caseRecord, fromRecord } from '../core/records.ts'
import { inEnforce, reasonOf } from '../pdp/replay.ts'
import type { Store } from '../ports/store.ts'
import type { CaseRecord } from './cases.ts'
import { scan } from './explain/lookup.ts'
import { countApprovals, type ApprovalCounts } from './report-approvals.ts'
import { createGroups, type Groups } from './tally.ts'

export interface ReportOptions {
  /** Milliseconds since the epoch; what is older is left out. */
  readonly since: number
  /** Milliseconds since the epoch: now. */
  readonly now: number
  readonly onProgress?: (done: number, total: number) => void
}

interface Labelled {
  count: number
  right: number
  wrong: number
}

interface RefusalGroup extends Labelled {
  readonly tool: string | null
  readonly reason: string
  readonly decision: string
}

interface EnforceGroup extends Labelled {
  readonly upstream: string
  readonly tool: string
  readonly actor: string
  readonly effect: string
  readonly reason: string
  readonly decision: string
}

interface UpstreamCount {
  readonly upstream: string
  observed: number
  denied: number
  held: number
}

interface Tally {
  readonly decisions: Record<string, number>
  readonly refusals: Groups<RefusalGroup>
  readonly enforce: Groups<EnforceGroup>
  readonly upstreams: Groups<UpstreamCount>
  readonly labels: { right: number; wrong: number }
  readonly autonomy: { consequential: number; withoutPerson: number; failed: number }
  /** By reason: what was turned away before it was decided. */
  readonly turnedAway: Record<string, number>
  entries: number
  gone: number
}

/** The most permits that wait in memory for their outcome; the evidence of others is read again. */
const MAX_WAITING = 4_096
/** Entries between two words on how far it is. */
const PROGRESS = 1_000

/**
 * Reads the log once, from its first entry to what is there now. Rejects when the store does. What has no evidence any more
 * is counted by what its leaf tells. Erasing cases or evidence changes the numbers of the past.
 */
export async function makeReport(store: Store, options: ReportOptions): Promise<JsonObject> {
  const tally = createTally()
  const evidence = createEvidence(store)
  const total = await store.log.size()
  for await (const { index, bytes } of scan(store.log, 0, total)) {
    if (index % PROGRESS === 0) options.onProgress?.(index, total)
    const leaf = toLeaf(bytes)
    if (leaf === undefined || !(Number(leaf['time']) >= options.since)) continue
    tally.entries += 1
    if (leaf['kind'] === 'decision') await countDecision(store, evidence, tally, leaf)
    if (leaf['kind'] === 'outcome') await countOutcome(evidence, tally, leaf)
    if (leaf['act'] === 'refusals.summary') await countTurnedAway(store, tally, leaf)
  }
  options.onProgress?.(total, total)
  return toReport(tally, await countApprovals(store, options), options)
}

function createTally(): Tally {
  return {
    decisions: { permit: 0, modify: 0, challenge: 0, defer: 0, deny: 0 },
    refusals: createGroups(),
    enforce: createGroups(),
    upstreams: createGroups(),
    labels: { right: 0, wrong: 0 },
    autonomy: { consequential: 0, withoutPerson: 0, failed: 0 },
    turnedAway: {},
    entries: 0,
    gone: 0,
  }
}

/** Leaves are ours; one that cannot be read counts for nothing here, and is found by `audit verify`. */
function toLeaf(bytes: Uint8Array): JsonObject | undefined {
  try {
    const value: Json = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString())
    return isJsonObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

/** What an outcome needs of its decision. */
interface Permitted {
  readonly consequential: boolean
  /** True when a person approved this very action. */
  readonly approved: boolean
}

interface EvidenceReader {
  open(id: string): Promise<Recorded | undefined>
  /** Remembers a permit until its outcome comes, so that its evidence is not read twice. */
  keep(id: string, recorded: Recorded): void
  take(id: string): Promise<Permitted | undefined>
}

function createEvidence(store: Store): EvidenceReader {
  const waiting = new Map<string, Permitted>()
  const open = async (id: string): Promise<Recorded | undefined> => {
    try {
      const bytes = await store.evidence(id)
      return bytes === undefined ? undefined : openRecorded(bytes)
    } catch (fault) {
      // Evidence that does not open counts as gone here; `audit verify` and `audit show` say what is wrong with it.
      if (fault instanceof IntegrityError || fault instanceof InputError) return undefined
      throw fault
    }
  }
  return {
    open,
    keep(id, recorded) {
      waiting.set(id, toPermitted(recorded))
      const oldest = waiting.keys().next()
      if (waiting.size > MAX_WAITING && oldest.done !== true) waiting.delete(oldest.value)
    },
    async take(id) {
      const kept = waiting.get(id)
      waiting.delete(id)
      if (kept !== undefined) return kept
      const recorded = await open(id)
      return recorded === undefined ? undefined : toPermitted(recorded)
    },
  }
}

function toPermitted({ evidence }: Recorded): Permitted {
  return {
    consequential: evidence !== undefined && isConsequential(evidence.effect.effect),
    approved: evidence?.approval?.status === 'approved',
  }
}

async function countDecision(store: Store, evidence: EvidenceReader, tally: Tally, leaf: JsonObject): Promise<void> {
  const [id, decision] = [textOf(leaf, 'id'), textOf(leaf, 'decision')]
  tally.decisions[decision] = (tally.decisions[decision] ?? 0) + 1
  const isRefusal = decision === 'deny' || decision === 'challenge' || decision === 'defer'
  if (!isRefusal && leaf['mode'] !== 'observe') return
  const recorded = await evidence.open(id)
  if (recorded === undefined) tally.gone += 1
  if (isRefusal) return countRefusal(store, tally, leaf, recorded)
  if (decision !== 'permit' || recorded === undefined || !isComplete(recorded)) return
  evidence.keep(id, recorded)
  await countObserved(store, tally, leaf, recorded)
}

async function countRefusal(
  store: Store,
  tally: Tally,
  leaf: JsonObject,
  recorded: Recorded | undefined,
): Promise<void> {
  const [decision, reason] = [textOf(leaf, 'decision'), textOf(leaf, 'reason')]
  const tool = recorded === undefined ? null : toTool(recorded)
  const group = tally.refusals.find([tool ?? '', reason, decision], () => ({
    tool,
    reason,
    decision,
    count: 0,
    right: 0,
    wrong: 0,
  }))
  const label = await labelOf(store, textOf(leaf, 'id'))
  if (label !== undefined) tally.labels[label] += 1
  addTo(tally.refusals, group, label)
}

/** What `enforce` would have said, from the findings and verdicts as they were recorded. */
async function countObserved(store: Store, tally: Tally, leaf: JsonObject, recorded: Complete): Promise<void> {
  const { request, evidence, findings, verdicts } = recorded
  const { upstream } = request.context
  const counted = tally.upstreams.find([upstream], () => ({ upstream, observed: 0, denied: 0, held: 0 }))
  if (counted === undefined) tally.upstreams.miss()
  else counted.observed += 1
  const suspended = leaf['suspended']
  if (!Array.isArray(suspended) || suspended.length === 0) return
  const decided = decide({ ...inEnforce({ request, evidence }), findings, verdicts })
  const [decision, reason] = [decided.kind, reasonOf(decided) ?? '']
  if (counted !== undefined && decision === 'deny') counted.denied += 1
  if (counted !== undefined && decision === 'challenge') counted.held += 1
  const [tool, actor, effect] = [toTool(recorded), request.actor.id, toHeadline(evidence.effect.effect)]
  const names = { upstream, tool, actor, effect, reason, decision }
  const group = tally.enforce.find(Object.values(names), () => ({ ...names, count: 0, right: 0, wrong: 0 }))
  addTo(tally.enforce, group, await labelOf(store, textOf(leaf, 'id')))
}

function addTo<T extends Labelled>(groups: Groups<T>, group: T | undefined, label: CaseLabel | undefined): void {
  if (group === undefined) return groups.miss()
  group.count += 1
  if (label !== undefined) group[label] += 1
}

async function labelOf(store: Store, entry: string): Promise<CaseLabel | undefined> {
  const [record] = await store.get([caseRecord(entry)])
  return fromRecord<CaseRecord>(record)?.label
}

/** Executed is what came back (`done`, and `failed` where the tool itself said so), and what a service of others took. */
async function countOutcome(evidence: EvidenceReader, tally: Tally, leaf: JsonObject): Promise<void> {
  const outcome = leaf['outcome']
  if (outcome !== 'done' && outcome !== 'failed' && outcome !== 'redeemed') return
  const permitted = await evidence.take(textOf(leaf, 'of'))
  if (permitted === undefined) tally.gone += 1
  if (permitted?.consequential !== true) return
  tally.autonomy.consequential += 1
  if (outcome === 'failed') tally.autonomy.failed += 1
  if (!permitted.approved) tally.autonomy.withoutPerson += 1
}

/** One entry a minute and agent stands for any number of them. */
async function countTurnedAway(store: Store, tally: Tally, leaf: JsonObject): Promise<void> {
  const bytes = await store.evidence(textOf(leaf, 'id'))
  const detail = bytes === undefined ? undefined : openValues(bytes)['detail']
  const refused = isJsonObject(detail) ? detail['refused'] : undefined
  if (!isJsonObject(refused)) return
  for (const [reason, count] of Object.entries(refused)) {
    if (isReason(reason) && typeof count === 'number')
      tally.turnedAway[reason] = (tally.turnedAway[reason] ?? 0) + count
  }
}

function toReport(tally: Tally, approvals: ApprovalCounts, { since, now }: ReportOptions): JsonObject {
  const { decisions, refusals, enforce, upstreams, labels, autonomy } = tally
  const { consequential, withoutPerson, failed } = autonomy
  const total = ['deny', 'challenge', 'defer'].reduce((sum, kind) => sum + (decisions[kind] ?? 0), 0)
  return {
    v: 1,
    since,
    until: now,
    entries: tally.entries,
    evidenceGone: tally.gone,
    decisions,
    refusals: { total, ...labels, groups: toSorted(refusals.values()), other: refusals.other() },
    turnedAway: tally.turnedAway,
    approvals: asJson(approvals),
    autonomy: {
      consequential,
      withoutPerson,
      failed,
      share: consequential === 0 ? null : withoutPerson / consequential,
    },
    enforce: {
      upstreams: upstreams.values().map(asJson),
      groups: toSorted(enforce.values()),
      other: enforce.other() + upstreams.other(),
    },
  }
}

/** The largest first. */
function toSorted(groups: readonly Labelled[]): readonly JsonObject[] {
  return groups.toSorted((a, b) => b.count - a.count).map(asJson)
}

function toTool({ request: { context } }: Recorded): string {
  return `${context.upstream}/${context.tool}`
}

function textOf(leaf: JsonObject, member: string): string {
  const value = leaf[member]
  return typeof value === 'string' ? value : ''
}

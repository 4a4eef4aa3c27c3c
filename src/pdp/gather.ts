/**
 * @module
 * The only reads of a decision. Everything that was read is named with its version in `reads`, which `commit` compares.
 */
import { scoreProfile, emptyProfile, type Profile, type ProfileEvent } from '../core/baseline.ts'
import { bindOf } from '../core/bind.ts'
import { toKinds } from '../core/effect.ts'
import type { Approval, Assurance, EnrolledKey, Evidence, RevocationFacts, Task } from '../core/evidence.ts'
import type { Grant, GrantFacts } from '../core/grant.ts'
import type { ToolFacts } from '../core/manifest.ts'
import type { DecidedMode, ModeFacts } from '../core/mode.ts'
import { traceArguments } from '../core/provenance.ts'
import {
  approvalOfBindRecord,
  approvalRecord,
  begunPrefix,
  budgetRecord,
  fromRecord,
  grantRecord,
  keyRecord,
  profileRecord,
  taskRecord,
} from '../core/records.ts'
import { toArguments, type AccessRequest } from '../core/request.ts'
import type { Clock } from '../ports/clock.ts'
import type { EffectComputer } from '../ports/effects.ts'
import type { RevocationFeed } from '../ports/revocations.ts'
import type { Store } from '../ports/store.ts'
import type { Histories } from './histories.ts'
import type { Dimensions, InFlight } from './in-flight.ts'
import type { Modes } from './modes.ts'

export interface GatherOptions {
  readonly store: Store
  readonly clock: Clock
  readonly feed: RevocationFeed
  readonly effects: EffectComputer
  readonly histories: Histories
  readonly inFlight: InFlight
  readonly tool: (upstream: string, tool: string, descriptorHash: string | undefined) => ToolFacts
  readonly modes: Pick<Modes, 'decide'>
  readonly deployment: Evidence['deployment']
  /** A combined p below this is a concern. */
  readonly anomalyThreshold: number
}

/** What a decision rests on: the evidence, and what only the enforcer needs of it. */
export interface Gathered {
  readonly evidence: Evidence
  readonly dimensions: Dimensions
  readonly profile: Profile
  readonly event: ProfileEvent
}

export type Gather = (request: AccessRequest) => Promise<Gathered>

/** Reads with versions. A record that is absent is read with version 0. */
interface Reader {
  one<T>(key: string): Promise<T | undefined>
  readonly reads: Record<string, number>
}

/** The most ancestors that a grant may have. */
const MAX_CHAIN = 16

export function createGather(options: GatherOptions): Gather {
  return async (request) => {
    const reader = createReader(options.store)
    const { context } = request
    const enrolled =
      context.proof.jkt === undefined ? undefined : await reader.one<EnrolledKey>(keyRecord(context.proof.jkt))
    const task = context.txn === undefined ? undefined : await reader.one<Task>(taskRecord(context.txn))
    const grant = task?.grant === undefined ? undefined : await readGrant(reader, task.grant, context.txn)
    const tool = options.tool(context.upstream, context.tool, context.descriptorHash)
    const effect = options.effects.compute(request.action.body, tool)
    const bind = toBind(request, task, tool)
    const now = options.clock.now()
    const event = toEvent(request, effect, now)
    const profile = await readProfile(options.store, request)
    const dimensions = toDimensions(request, task, grant)
    const approval = await readApproval(options.feed, reader, bind)
    const mode = await readMode(
      options,
      reader,
      {
        upstream: context.upstream,
        tool: context.tool,
        effect: effect.effect,
        ...(enrolled === undefined ? {} : { actor: enrolled }),
      },
      now,
    )
    const evidence: Evidence = {
      now,
      mode: mode.mode,
      modeFrom: mode.from,
      deployment: options.deployment,
      identity: { ...(enrolled === undefined ? {} : { actor: enrolled }), assurance: toAssurance(task, grant) },
      ...(task === undefined ? {} : { task }),
      ...(grant === undefined ? {} : { grant }),
      revocation: toRevocation(options.feed, dimensions),
      tool,
      effect,
      provenance: await readProvenance(options.histories, reader, request, task, tool),
      behaviour: scoreProfile(profile, event, { threshold: options.anomalyThreshold }),
      ...(approval === undefined ? {} : { approval }),
      outcomeUnknown: await isOutcomeUnknown(options, bind),
      bind,
      reads: reader.reads,
    }
    return { evidence, dimensions, profile, event }
  }
}

function createReader(store: Store): Reader {
  const reads: Record<string, number> = {}
  return {
    reads,
    async one<T>(key: string) {
      const [record] = await store.get([key])
      reads[key] = record?.version ?? 0
      return fromRecord<T>(record)
    },
  }
}

/** The acts of operators are among what was read: a mode that ended meanwhile is a conflict. */
async function readMode({ modes }: GatherOptions, reader: Reader, facts: ModeFacts, now: number): Promise<DecidedMode> {
  const { mode, from, key, version } = await modes.decide(facts, now)
  reader.reads[key] = version
  return { mode, from }
}

async function readGrant(reader: Reader, id: string, txn: string | undefined): Promise<GrantFacts | undefined> {
  const chain: Grant[] = []
  const used: Record<string, number> = {}
  for (let next: string | undefined = id; next !== undefined; next = chain.at(-1)?.parent) {
    const grant: Grant | undefined = chain.length < MAX_CHAIN ? await reader.one<Grant>(grantRecord(next)) : undefined
    // A chain with a missing link proves nothing: it counts as no grant at all.
    if (grant === undefined) return undefined
    chain.push(grant)
    for (const budget of grant.budgets) {
      const key = budgetRecord(grant.id, budget.id, budget.per === 'task' ? txn : undefined)
      used[key] = (await reader.one<number>(key)) ?? 0
    }
  }
  return { chain, used }
}

function toBind(request: AccessRequest, task: Task | undefined, tool: ToolFacts): string {
  const { context, actor, subject, action } = request
  return bindOf({
    aud: context.aud,
    upstream: context.upstream,
    tool: context.tool,
    action: action.body,
    sub: `${subject.type}/${subject.id}`,
    ...(tool.status === 'unknown' ? {} : { manifest: tool.manifest }),
    ...(actor.jkt === undefined ? {} : { actor: actor.jkt }),
    ...(task?.grant === undefined ? {} : { grant: task.grant }),
    ...(context.txn === undefined ? {} : { txn: context.txn }),
  })
}

function toEvent(request: AccessRequest, effect: Evidence['effect'], at: number): ProfileEvent {
  return {
    tool: `${request.context.upstream}/${request.context.tool}`,
    at,
    objects: effect.objects,
    destinations: effect.destinations,
    effects: toKinds(effect.effect),
  }
}

/** Profiles are kept per key; connections without one share nothing and have none. */
async function readProfile(store: Store, request: AccessRequest): Promise<Profile> {
  if (request.actor.jkt === undefined) return emptyProfile()
  const [record] = await store.get([profileRecord(request.actor.jkt)])
  return fromRecord<Profile>(record) ?? emptyProfile(request.actor.jkt)
}

function toDimensions(request: AccessRequest, task: Task | undefined, grant: GrantFacts | undefined): Dimensions {
  const { context, actor, subject } = request
  return [
    ['all', '*'],
    ['subject', `${subject.type}/${subject.id}`],
    ['tool', `${context.upstream}/${context.tool}`],
    ...(actor.jkt === undefined ? [] : ([['actor', actor.jkt]] as const)),
    ...(task === undefined ? [] : ([['task', task.txn]] as const)),
    ...(task?.grant === undefined ? [] : ([['grant', task.grant]] as const)),
    ...toVouching(grant),
    ...(grant?.chain.slice(1).map((ancestor) => ['grant', ancestor.id] as const) ?? []),
  ]
}

/** The keys by whose word there is a grant at all: those of principals who signed, and of hosts that opened one. */
function toVouching(grant: GrantFacts | undefined): Dimensions {
  const given = grant?.chain.filter(({ issuedBy }) => issuedBy.role !== 'operator') ?? []
  return given.map(({ issuedBy }) => ['actor', issuedBy.jkt] as const)
}

function toRevocation(feed: RevocationFeed, dimensions: Dimensions): RevocationFacts {
  const revoked = dimensions.flatMap(([dimension, id]) => {
    const found = feed.find(dimension, id)
    return found === undefined ? [] : [{ dimension, rev: found.rev }]
  })
  return { rev: feed.rev(), fresh: feed.fresh(), revoked }
}

/** A principal counts only by a grant; a bare id that a host named is asserted; a connection's own task names nobody. */
function toAssurance(task: Task | undefined, grant: GrantFacts | undefined): Assurance {
  const leaf = grant?.chain[0]
  if (leaf !== undefined) return leaf.issuedBy.role === 'principal' ? 'signed' : 'granted'
  return task === undefined || task.openedBy.role === 'connection' ? 'none' : 'asserted'
}

/** What an approver whose key was revoked since approved counts for nothing; what they refused stays refused. */
async function readApproval(feed: RevocationFeed, reader: Reader, bind: string): Promise<Approval | undefined> {
  const id = await reader.one<string>(approvalOfBindRecord(bind))
  if (id === undefined) return undefined
  const found = await reader.one<Approval & { readonly presented?: unknown }>(approvalRecord(id))
  if (found === undefined) return undefined
  const { presented: _presented, ...approval } = found
  const by = approval.answered?.by
  const isVoid = approval.status === 'approved' && (by === undefined || feed.find('actor', by) !== undefined)
  return isVoid ? undefined : approval
}

async function readProvenance(
  histories: Histories,
  reader: Reader,
  request: AccessRequest,
  task: Task | undefined,
  tool: ToolFacts,
): Promise<Evidence['provenance']> {
  const loaded = await histories.load(task?.txn ?? '')
  if (task !== undefined) reader.reads[loaded.key] = loaded.version
  return traceArguments({
    arguments: toArguments(request.action.body),
    tool,
    history: loaded.history,
    salt: loaded.salt,
    ...(task?.purpose === undefined ? {} : { purpose: task.purpose }),
  })
}

/** Begun, not ended, and not under way here: nobody knows whether it was done. Asked of each time that it was begun. */
async function isOutcomeUnknown({ store, inFlight }: GatherOptions, bind: string): Promise<boolean> {
  const begun = await store.list(begunPrefix(bind))
  return begun.some(({ value }) => typeof value !== 'string' || !inFlight.has(value))
}

/**
 * @module
 * Agents that are refused again and again are suspended until a person restores them. Only refusals of requests that the
 * agent's own key proved count: whoever merely claims to be somebody cannot have them suspended.
 */
import type { Json } from '../core/json.ts'
import type { Reason } from '../core/reasons.ts'
import type { AccessRequest } from '../core/request.ts'
import { fromRecord, suspensionRecord, SUSPENSION_PREFIX } from '../core/records.ts'
import type { Clock } from '../ports/clock.ts'
import type { Store } from '../ports/store.ts'
import { toControlUnit } from './log-entries.ts'

/** An agent that stands suspended. */
export interface Suspension {
  /** Thumbprint of its key. */
  readonly actor: string
  /** Milliseconds since the epoch. */
  readonly at: number
  /** How often it was refused, by reason. */
  readonly refused: Readonly<Record<string, number>>
}

export interface SuspensionRule {
  /** So many refusals … */
  readonly after: number
  /** … within so many milliseconds … */
  readonly within: number
  /** … for reasons of these families. */
  readonly families: readonly string[]
}

export interface SuspensionsOptions {
  readonly store: Store
  readonly clock: Clock
  readonly rule: SuspensionRule
  readonly report: (where: string, fault: unknown) => void
  /** A clock that nobody sets, in milliseconds. */
  readonly ticks?: () => number
}

export interface Suspensions {
  isSuspended(jkt: string): boolean
  /** Counts a refusal; settles once a suspension that it led to is recorded, or could not be. */
  count(request: AccessRequest, reason: Reason): Promise<void>
  list(): readonly Suspension[]
  /** In force here at once; the record is removed by whoever calls this. */
  lift(jkt: string): void
}

interface Refused {
  readonly at: number
  readonly reason: Reason
}

/** How the caller has to be proved for a refusal to count against its key. */
const PROVED = ['signature', 'hmac', 'mtls', 'process']
/** What was stopped already is not stopped again; a key that nobody enrolled is nobody's. */
const OTHER: readonly Reason[] = ['identity.revoked', 'identity.suspended', 'identity.unknown-key']
const MAX_ACTORS = 10_000

/** Loads who is suspended. Rejects when the store cannot be read. */
export async function createSuspensions(options: SuspensionsOptions): Promise<Suspensions> {
  const { rule, ticks = () => performance.now() } = options
  const suspended = new Map<string, Suspension>()
  const refusals = new Map<string, Refused[]>()
  for (const stored of await options.store.list(SUSPENSION_PREFIX, { limit: MAX_ACTORS })) {
    const found = fromRecord<Suspension>(stored)
    if (found !== undefined) suspended.set(found.actor, found)
  }
  return {
    isSuspended: (jkt) => suspended.has(jkt),
    list: () => [...suspended.values()],
    lift(jkt) {
      suspended.delete(jkt)
      refusals.delete(jkt)
    },
    async count(request, reason) {
      const jkt = toCounted(request, reason, rule)
      if (jkt === undefined || suspended.has(jkt)) return
      const now = ticks()
      const recent = [...(refusals.get(jkt) ?? []), { at: now, reason }].filter(({ at }) => now - at < rule.within)
      if (refusals.size >= MAX_ACTORS) refusals.clear()
      refusals.set(jkt, recent)
      if (recent.length < rule.after) return
      refusals.delete(jkt)
      const suspension = { actor: jkt, at: options.clock.now(), refused: toCounts(recent) }
      // In force before and without the record, as a revocation is.
      suspended.set(jkt, suspension)
      await record(options, suspension)
    },
  }
}

function toCounted(request: AccessRequest, reason: Reason, { families }: SuspensionRule): string | undefined {
  const { grade, jkt } = request.context.proof
  const isProved = PROVED.includes(grade) && jkt !== undefined && jkt === request.actor.jkt
  const [family = ''] = reason.split('.')
  return isProved && families.includes(family) && !OTHER.includes(reason) ? jkt : undefined
}

function toCounts(recent: readonly Refused[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {}
  for (const { reason } of recent) counts[reason] = (counts[reason] ?? 0) + 1
  return counts
}

async function record({ store, clock, report }: SuspensionsOptions, suspension: Suspension): Promise<void> {
  const { actor, at, refused } = suspension
  const detail: Json = { actor, at, refused }
  try {
    const result = await store.commit({
      writes: [{ key: suspensionRecord(actor), value: detail }],
      ...toControlUnit({ act: 'agent.suspend', by: 'system', subject: 'system', detail, now: clock.now() }),
    })
    if (result.status === 'applied') await result.durable
    report(
      'agents',
      `suspended the agent with the key ${actor} after repeated refusals; see \`unbearer agents restore\``,
    )
  } catch (fault) {
    // It stays suspended here; after a restart it would have to be refused as often again.
    report('suspension', fault)
  }
}

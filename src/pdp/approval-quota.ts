/**
 * @module
 * How often people may be asked: so many approvals open in a task, so many of an actor over all of its tasks, and so many
 * questions of a task within an hour, whatever became of them. An action that was refused and is asked for again with one
 * letter changed is another question, and counts (design §8).
 */
import type { Approval } from '../core/evidence.ts'
import { approvalRecord, asksRecord, fromRecord, openApprovalsRecord, openOfActorRecord } from '../core/records.ts'
import type { Store, StoredRecord, Write } from '../ports/store.ts'

export interface ApprovalLimits {
  readonly approvalsPerTask: number
  readonly approvalsPerActor: number
  /** Within an hour. */
  readonly asksPerTask: number
}

/** Who asks, and where. */
export interface Asking {
  /** The task; the same for all tasks that an agent opens itself, because it opens them at will. */
  readonly task: string
  /** Thumbprint of the actor's key; absent without a proof. */
  readonly jkt?: string | undefined
  /** Milliseconds since the epoch. */
  readonly now: number
}

/** What one more approval reads and writes. */
export interface Asked {
  readonly reads: Readonly<Record<string, number>>
  readonly writes: readonly Write[]
}

const HOUR_MS = 60 * 60 * 1000

/** Counts the approval `id` in, or says that it would be one too many. Opens nothing. */
export async function askOnce(
  store: Store,
  id: string,
  { task, jkt, now }: Asking,
  limits: ApprovalLimits,
): Promise<Asked | 'approval-limit'> {
  const keys = [openApprovalsRecord(task), openOfActorRecord(jkt ?? ''), asksRecord(task)] as const
  const [inTask, ofActor, asks] = await store.get(keys)
  const open = await stillOpen(store, inTask, now)
  const all = await stillOpen(store, ofActor, now)
  const times = (fromRecord<readonly number[]>(asks) ?? []).filter((time) => isWithinHour(time, now))
  if (open.length >= limits.approvalsPerTask || all.length >= limits.approvalsPerActor) return 'approval-limit'
  if (times.length >= limits.asksPerTask) return 'approval-limit'
  const values = [
    [...open, id],
    [...all, id],
    [...times, now],
  ]
  return {
    reads: Object.fromEntries(keys.map((key, index) => [key, [inTask, ofActor, asks][index]?.version ?? 0])),
    writes: keys.map((key, index) => ({ key, value: values[index] ?? [] })),
  }
}

/** A clock that was set back gives nobody a fresh hour. */
function isWithinHour(time: number, now: number): boolean {
  return now - time < HOUR_MS
}

async function stillOpen(store: Store, record: StoredRecord | undefined, now: number): Promise<readonly string[]> {
  const ids = fromRecord<readonly string[]>(record) ?? []
  const records = await store.get(ids.map(approvalRecord))
  return ids.filter((_, index) => {
    const found = fromRecord<Approval>(records[index])
    return found?.status === 'pending' && found.expires > now
  })
}

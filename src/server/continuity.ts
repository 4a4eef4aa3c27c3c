/**
 * @module
 * What happens when the store has lost something (design §5): burns, debits, labels, revocations and answers that came after
 * what is left of it are forgotten, so nothing of before that rests on them may live. One unit voids all of it, under an
 * entry that an operator signed.
 */
import { canonicalBytes } from '../core/canonical.ts'
import type { Task } from '../core/evidence.ts'
import type { Grant } from '../core/grant.ts'
import { asJson, type Json, type JsonObject } from '../core/json.ts'
import type { ModeAct } from '../core/mode.ts'
import {
  APPROVAL_PREFIX,
  approvalRecord,
  budgetRecord,
  MODE_ACTS_RECORD,
  REVOCATION_PREFIX,
  revocationRecord,
  TASK_PREFIX,
  taskRecord,
} from '../core/records.ts'
import { toControlUnit } from '../pdp/log-entries.ts'
import type { Clock } from '../ports/clock.ts'
import { ISSUED, type Revocation } from '../ports/revocations.ts'
import type { Store, Write } from '../ports/store.ts'
import { listAll, readOne } from './acts.ts'
import { toSubject, type ApprovalRecord } from './approvals.ts'
import type { Journal } from './journal.ts'

export interface Loss {
  readonly why: 'restore' | 'recover'
  /** Thumbprint of the operator's key. */
  readonly by: string
  /** What is known of what was lost: heads, times. */
  readonly detail: JsonObject
  /** True: budgets stand as they were stored, although debits after that are forgotten. */
  readonly keepBudgets: boolean
  /** The operator's signature over these bytes, base64url. */
  readonly sign: (message: Uint8Array) => string
}

/** What was voided. */
export interface Voided {
  /** Everything that was issued under a smaller number is refused. */
  readonly rev: number
  readonly approvals: number
  readonly tasks: number
  /** Acts by which operators had left `enforce`. */
  readonly observing: number
  /** `GRANT/BUDGET` of every budget that was closed. */
  readonly budgets: readonly string[]
}

interface Place {
  readonly store: Store
  readonly clock: Clock
  readonly journal: Journal | undefined
}

const DOMAIN = new TextEncoder().encode('unbearer-continuity-v1\0')

/** What an operator signs: `unbearer-continuity-v1`, a zero byte, RFC 8785 of the detail without its signature. */
export function toContinuityMessage(detail: JsonObject): Uint8Array {
  return Buffer.concat([DOMAIN, canonicalBytes(detail)])
}

/**
 * Voids what may rest on what was lost: every credential (`rev` rises past all that was issued), every approval that waits
 * or was not used, every open task with its labels and marks, every act that observes, and, unless they are kept, every budget of a grant. Settles when
 * it is durable. Nobody else may have the store open, and nothing may have been committed since the loss.
 *
 * Does not bring back what was lost: keys, grants and revocations of that time are not known any more, except for revocations
 * in the journal outside.
 */
export async function breakContinuity({ store, clock, journal }: Place, loss: Loss): Promise<Voided> {
  const now = clock.now()
  const rev = await nextRev(store, journal, now)
  const approvals = await voidApprovals(store)
  const tasks = await endTasks(store, now)
  const modes = await endObserving(store)
  const closed = loss.keepBudgets ? { writes: [], budgets: [] } : await closeBudgets(store, now)
  const voided: Voided = {
    rev,
    approvals: approvals.length,
    tasks: tasks.length,
    observing: modes.count,
    budgets: closed.budgets,
  }
  const revocation: Revocation = { rev, dimension: 'all', id: ISSUED, at: now }
  const said: JsonObject = { ...loss.detail, why: loss.why, voided: asJson(voided) }
  const detail: Json = { ...said, signature: loss.sign(toContinuityMessage(said)) }
  const entry = { act: `continuity.${loss.why}`, by: loss.by, subject: 'system', detail, now }
  // First outside: should this stop here, everything that was issued is refused all the same.
  journal?.append([{ ...revocation, by: loss.by }])
  const committed = await store.commit({
    writes: [
      { key: revocationRecord(rev), value: asJson(revocation) },
      ...approvals,
      ...tasks,
      ...modes.writes,
      ...closed.writes,
    ],
    ...toControlUnit(entry),
  })
  if (committed.status === 'applied') await committed.durable
  return voided
}

/**
 * Past every number that a credential may carry. Those that were given out and lost are not known; they counted revocations,
 * of which nobody does one a millisecond, so the time is past all of them. What the journal knows holds against a clock that
 * was set back.
 */
async function nextRev(store: Store, journal: Journal | undefined, now: number): Promise<number> {
  const stored = await listAll<Revocation>(store, REVOCATION_PREFIX)
  return [...stored, ...(journal?.lines() ?? [])].reduce((most, { rev }) => Math.max(most, rev + 1), now)
}

/** One that was approved may have been consumed in what was lost. Whoever still wants it asks again. */
async function voidApprovals(store: Store): Promise<readonly Write[]> {
  const found = await listAll<ApprovalRecord>(store, APPROVAL_PREFIX)
  return found.flatMap((approval) => {
    if (approval.status !== 'pending' && approval.status !== 'approved') return []
    const value = asJson({ ...approval, status: 'expired' })
    return [{ key: approvalRecord(approval.id), value, subject: toSubject(approval.presented) }]
  })
}

/** What was read in them since, and how untrusted it was, is forgotten; what was begun in them too. */
async function endTasks(store: Store, now: number): Promise<readonly Write[]> {
  const found = await listAll<Task>(store, TASK_PREFIX)
  return found.flatMap((task) => (task.expires <= now ? [] : [toEnded(task, now)]))
}

/** Somebody may have enforced again in what was lost; whoever still wants to observe says so again. */
async function endObserving(store: Store): Promise<{ readonly count: number; readonly writes: readonly Write[] }> {
  const acts = (await readOne<readonly ModeAct[]>(store, MODE_ACTS_RECORD)) ?? []
  const enforcing = acts.filter(({ mode }) => mode === 'enforce')
  const count = acts.length - enforcing.length
  return { count, writes: count === 0 ? [] : [{ key: MODE_ACTS_RECORD, value: enforcing.map(asJson) }] }
}

function toEnded(task: Task, now: number): Write {
  const subject = `${task.principal.type}/${task.principal.id}`
  return { key: taskRecord(task.txn), value: asJson({ ...task, expires: now }), subject }
}

interface Closed {
  readonly writes: readonly Write[]
  readonly budgets: readonly string[]
}

/** Nobody knows what was spent: all of it, then. Budgets per task end with their tasks. */
async function closeBudgets(store: Store, now: number): Promise<Closed> {
  const grants = await listAll<Grant>(store, 'grant/')
  const open = grants.flatMap(({ id, expires, budgets }) =>
    expires <= now ? [] : budgets.filter(({ per }) => per === 'grant').map((budget) => ({ grant: id, ...budget })),
  )
  return {
    writes: open.map(({ grant, id, limit }) => ({ key: budgetRecord(grant, id), value: limit })),
    budgets: open.map(({ grant, id }) => `${grant}/${id}`),
  }
}

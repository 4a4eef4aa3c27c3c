/**
 * @module
 * Erasure of a subject: its key is destroyed first, in one unit with the entry of the log that says so, which makes everything
 * sealed under it unreadable at once. What is left of its records is then removed, and the files of the store are scrubbed.
 */
import { InputError, UnavailableError } from '../core/errors.ts'
import type { Grant } from '../core/grant.ts'
import {
  APPROVAL_OF_PREFIX,
  APPROVAL_PREFIX,
  asksRecord,
  budgetPrefix,
  fromRecord,
  grantOfActorRecord,
  grantRecord,
  GRANT_PREFIX,
  HISTORY_PREFIX,
  historyRecord,
  observationPrefix,
  openApprovalsRecord,
  TASK_PREFIX,
  taskRecord,
} from '../core/records.ts'
import { toControlUnit } from '../pdp/log-entries.ts'
import type { SealedStore } from '../pdp/sealed-store.ts'
import type { Clock } from '../ports/clock.ts'
import type { CommitUnit, Store, StoredRecord } from '../ports/store.ts'
import type { ErasureLine, Journal } from './journal.ts'

export interface Erased {
  /** What stands for the subject in the log: a keyed hash, the same each time. */
  readonly tag: string
  /** False when there was no key: nothing of this subject is sealed, or it was erased before. */
  readonly keyDestroyed: boolean
  /** How many records were removed. */
  readonly removed: Readonly<Record<'tasks' | 'approvals' | 'grants' | 'other', number>>
  /** False when somebody still reads an older state, so that the destroyed key may still stand in a file. */
  readonly scrubbed: boolean
}

export interface Erasure {
  /**
   * Erases a subject (`type/id`). Settles when it is durable. Throws `InputError` for what is no principal. Does not reach
   * backups, entries of the log, evidence of other subjects that speaks of this one, or what was sent to upstreams; what is
   * under way ends under a new key. A subject may come back.
   */
  erase(subject: string, by: string): Promise<Erased>
}

export interface ErasureOptions {
  readonly store: SealedStore
  readonly clock: Clock
  /** Absent for a store in memory, which nobody can restore. */
  readonly journal?: Journal | undefined
}

/** How much is deleted between two waits for the disk. */
const STEP = 200
/** How often scrubbing is tried against readers that come and go, and how long between, in milliseconds. */
const SCRUBS = 20
const SCRUB_WAIT_MS = 50

export function createErasure(options: ErasureOptions): Erasure {
  const { store } = options
  return {
    async erase(subject, by) {
      if (!/^[^/]+\/.+$/su.test(subject))
        throw new InputError(`\`${subject}\` is no subject, write it as \`user/alice\``)
      const tag = await store.tagOf(subject)
      const keyDestroyed = await destroyKey(options, tag, by)
      const removed = await removeRecords(store, tag)
      return { tag, keyDestroyed, removed, scrubbed: await scrub(store) }
    },
  }
}

/** How often a key is looked for again because another one has come in its place. */
const ATTEMPTS = 8

async function destroyKey({ store, clock, journal }: ErasureOptions, tag: string, by: string): Promise<boolean> {
  for (let tries = 0; tries < ATTEMPTS; tries += 1) {
    const id = await store.keyOf(tag)
    if (id === undefined) return false
    const line: ErasureLine = { erased: tag, keys: [id], at: clock.now(), by }
    // First outside: what is restored later must not bring the key back.
    journal?.append([line])
    if (await store.destroyKey(tag, line.keys, toErasureUnit(line))) return true
  }
  throw new UnavailableError('the key of this subject keeps changing, try again')
}

/** By tag: the one thing that an erasure must not keep is whom it erased. */
function toErasureUnit({ erased, at, by }: ErasureLine): CommitUnit {
  return toControlUnit({ act: 'subject.erase', by, subject: 'system', detail: { subject: erased }, now: at })
}

/**
 * Erases again what the journal knows to be erased and the store does not: it was restored from before. Settles when it is
 * durable; answers how many subjects that were.
 */
export async function eraseAgain(store: SealedStore, journal: Journal): Promise<number> {
  let count = 0
  for (const line of journal.erasures()) {
    if (!(await store.destroyKey(line.erased, line.keys, toErasureUnit(line)))) continue
    await removeRecords(store, line.erased)
    count += 1
  }
  if (count > 0) await scrub(store)
  return count
}

async function removeRecords(store: SealedStore, tag: string): Promise<Erased['removed']> {
  const tasks = await keysOf(store, TASK_PREFIX, tag)
  const histories = await keysOf(store, HISTORY_PREFIX, tag)
  const approvals = await keysOf(store, APPROVAL_PREFIX, tag)
  const grants = await grantsOf(store, tag)
  const txns = new Set([
    ...tasks.map((key) => idOf(key, TASK_PREFIX)),
    ...histories.map((key) => idOf(key, HISTORY_PREFIX)),
  ])
  let other = 0
  for (const txn of txns) other += await removeAll(store, await keysOfTask(store, txn))
  other += await removeAll(store, await pointersTo(store, approvals))
  for (const grant of grants) other += await removeAll(store, await keysOfGrant(store, grant))
  await removeAll(store, approvals)
  return { tasks: tasks.length, approvals: approvals.length, grants: grants.length, other }
}

/** Everything that is kept of a task. */
async function keysOfTask(store: Store, txn: string): Promise<readonly string[]> {
  const observations = await listOf(store, observationPrefix(txn))
  // The task last, so that whatever stops on the way is found again by it.
  return [
    ...observations.map(({ key }) => key),
    historyRecord(txn),
    openApprovalsRecord(txn),
    asksRecord(txn),
    taskRecord(txn),
  ]
}

async function keysOfGrant(store: Store, { id, actor }: Grant): Promise<readonly string[]> {
  const budgets = await listOf(store, budgetPrefix(id))
  return [...budgets.map(({ key }) => key), grantOfActorRecord(actor, id), grantRecord(id)]
}

/** What points from an action to one of these approvals. */
async function pointersTo(store: Store, approvals: readonly string[]): Promise<readonly string[]> {
  const ids = new Set(approvals.map((key) => idOf(key, APPROVAL_PREFIX)))
  if (ids.size === 0) return []
  const pointers = await listOf(store, APPROVAL_OF_PREFIX)
  return pointers.filter(({ value }) => typeof value === 'string' && ids.has(value)).map(({ key }) => key)
}

async function grantsOf(store: SealedStore, tag: string): Promise<readonly Grant[]> {
  const found: Grant[] = []
  for (const record of await listOf(store, GRANT_PREFIX)) {
    const grant = fromRecord<Grant>(record)
    const owner = grant === undefined ? '' : await store.tagOf(`${grant.principal.type}/${grant.principal.id}`)
    if (grant !== undefined && owner === tag) found.push(grant)
  }
  return found
}

function idOf(key: string, prefix: string): string {
  return decodeURIComponent(key.slice(prefix.length))
}

/** The keys of all records under `prefix` that are sealed for `tag`. */
async function keysOf(store: SealedStore, prefix: string, tag: string): Promise<readonly string[]> {
  const found: string[] = []
  for (let after: string | undefined; ;) {
    const page = await store.listOwners(prefix, after === undefined ? {} : { after })
    found.push(...page.filter((each) => each.tag === tag).map(({ key }) => key))
    after = page.at(-1)?.key
    if (after === undefined) return found
  }
}

async function listOf(store: Store, prefix: string): Promise<readonly StoredRecord[]> {
  const found: StoredRecord[] = []
  for (let after: string | undefined; ;) {
    const page: readonly StoredRecord[] = await store.list(prefix, after === undefined ? {} : { after })
    found.push(...page)
    after = page.at(-1)?.key
    if (after === undefined) return found
  }
}

/** Deletes records, whatever they hold by now. Answers how many. */
async function removeAll(store: Store, keys: readonly string[]): Promise<number> {
  for (let start = 0; start < keys.length; start += STEP) {
    const writes = keys.slice(start, start + STEP).map((key) => ({ key }))
    const result = await store.commit({ writes })
    if (result.status === 'applied') await result.durable
  }
  return keys.length
}

async function scrub(store: Store): Promise<boolean> {
  for (let tries = 0; tries < SCRUBS; tries += 1) {
    if (await store.scrub()) return true
    await new Promise((resolve) => {
      setTimeout(resolve, SCRUB_WAIT_MS)
    })
  }
  return false
}

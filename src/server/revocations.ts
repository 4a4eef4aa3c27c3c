/**
 * @module
 * Revocation: in force in memory at once, before and without the log; recorded when possible (design §5). A full disk
 * cannot disable the kill switch.
 *
 * While a revocation could not be recorded the feed counts as stale, which denies: otherwise a credential could carry a
 * sequence number that is given out again after a restart, and outlive a revocation that it should have obeyed.
 */
import type { EnrolledKey, RevocationDimension } from '../core/evidence.ts'
import { InputError, InvariantError, UnavailableError } from '../core/errors.ts'
import { asJson } from '../core/json.ts'
import { RESUMED_RECORD, REVOCATION_PREFIX, revocationRecord } from '../core/records.ts'
import { toControlUnit } from '../pdp/log-entries.ts'
import type { Clock } from '../ports/clock.ts'
import { ISSUED, RESUMED, type Revocation, type RevocationFeed } from '../ports/revocations.ts'
import type { Store } from '../ports/store.ts'
import { listAll, readOne } from './acts.ts'
import type { Journal } from './journal.ts'

export interface Revoked {
  readonly revocation: Revocation
  /** False: in force here, but not on the disk yet; it is tried again in the background. */
  readonly recorded: boolean
}

export interface Revocations extends RevocationFeed {
  /**
   * Revokes, at once: listeners have been called when this returns its promise, which settles after the attempt to record.
   * Never rejects because of the store. The same id again answers the revocation that is in force. Ids are those of
   * `ports/revocations.ts`. Does not undo what was done, and knows no way back: enrol or grant anew.
   */
  revoke(dimension: RevocationDimension, id: string, by: Pick<EnrolledKey, 'jkt'>): Promise<Revoked>
  /**
   * Ends a stop of everything: what was issued before stays refused, and everything else that is revoked stays revoked. Nothing
   * is let go before all of it is on the disk. Throws `InputError` when nothing is stopped, `UnavailableError` when it could
   * not be recorded or everything was stopped again meanwhile: then the stop stands.
   */
  resume(by: Pick<EnrolledKey, 'jkt'>): Promise<Revocation>
  /** In the order of the sequence. */
  list(): readonly Revocation[]
  /** How many are in force without being recorded. */
  unrecorded(): number
  /** Ends the feed: from here on it is stale. */
  close(): void
}

interface Pending {
  readonly revocation: Revocation
  /** Thumbprint of the key that asked. */
  readonly by: string
  attempt?: Promise<void>
  /** Recorded outside the store. */
  outside?: boolean
}

interface State {
  /** Absent for a store in memory, which nobody can restore. */
  readonly journal?: Journal
  readonly inForce: Map<string, Revocation>
  readonly listeners: Set<(revocation: Revocation) => void>
  /** Those that the store has not taken yet. */
  readonly pending: Map<string, Pending>
  /** The keys of those that the store refused at least once. */
  readonly failed: Set<string>
  rev: number
  /** A stop of everything with this number or a smaller one is over. */
  resumed: number
  /** The number of the stop that is being ended. */
  resuming?: number
  closed: boolean
  timer?: NodeJS.Timeout
}

const FIRST_RETRY_MS = 200
const LAST_RETRY_MS = 10_000

const toKey = (dimension: RevocationDimension, id: string): string => `${dimension}/${id}`
const STOP = toKey('all', '*')
/** Of these the newest counts, of everything else the first time that it was revoked. */
const NEWEST: readonly string[] = [toKey('all', ISSUED), toKey('all', RESUMED)]

/**
 * Loads what is in force; what the journal outside has and the store has lost is in force again, and recorded when possible.
 * Rejects when the store or the journal cannot be read: without them nobody knows what was revoked.
 */
export async function createRevocations(store: Store, clock: Clock, journal?: Journal): Promise<Revocations> {
  const state: State = {
    ...(journal === undefined ? {} : { journal }),
    inForce: new Map(),
    listeners: new Set(),
    pending: new Map(),
    failed: new Set(),
    rev: 0,
    resumed: (await readOne<{ readonly rev: number }>(store, RESUMED_RECORD))?.rev ?? 0,
    closed: false,
  }
  for (const stored of await listAll<Revocation>(store, REVOCATION_PREFIX)) {
    const key = toKey(stored.dimension, stored.id)
    state.rev = Math.max(state.rev, stored.rev)
    if (isOver(state, key, stored.rev)) continue
    if (!state.inForce.has(key) || NEWEST.includes(key)) state.inForce.set(key, stored)
  }
  if (journal !== undefined) await merge(state, store, clock, journal)
  // Recorded, and not told before a crash: whoever knows of the stop has to hear that it is over. One that came later stands.
  const isTold = state.resumed <= (state.inForce.get(toKey('all', RESUMED))?.rev ?? 0)
  if (!isTold && !state.inForce.has(STOP)) await lift(state, store, clock, 'system')
  return toRevocations(state, store, clock)
}

/** A stop that was ended. */
function isOver(state: State, key: string, rev: number): boolean {
  return key === STOP && rev <= state.resumed
}

/** Each side gets what only the other has, but for the end of a stop: that is believed of the store alone. A number that the store has lost is not used again: it was in credentials. */
async function merge(state: State, store: Store, clock: Clock, journal: Journal): Promise<void> {
  const lines = journal.lines()
  const outside = new Set(lines.map(({ dimension, id }) => toKey(dimension, id)))
  const missing = [...state.inForce].flatMap(([key, revocation]) =>
    outside.has(key) || revocation.id === RESUMED ? [] : [{ ...revocation, by: 'system' }],
  )
  if (missing.length > 0) journal.append(missing)
  state.rev = lines.reduce((most, { rev }) => Math.max(most, rev), state.rev)
  for (const { rev, dimension, id, at, by } of lines) {
    const key = toKey(dimension, id)
    if (state.inForce.has(key) || isOver(state, key, rev)) continue
    enforce(state, { dimension, id, at }, by)
    await persist(state, store, clock, key)
  }
}

function toRevocations(state: State, store: Store, clock: Clock): Revocations {
  return {
    rev: () => state.rev,
    // In process there is no wire that could fall silent: the feed is fresh while it lives and nothing is unrecorded.
    fresh: () => !state.closed && state.failed.size === 0,
    find: (dimension, id) => state.inForce.get(toKey(dimension, id)),
    subscribe(listener) {
      state.listeners.add(listener)
      return () => void state.listeners.delete(listener)
    },
    async revoke(dimension, id, by) {
      const key = toKey(dimension, id)
      const known = key === STOP && isBeingEnded(state) ? undefined : state.inForce.get(key)
      const revocation = known ?? enforce(state, { dimension, id, at: clock.now() }, by.jkt)
      await persist(state, store, clock, key)
      return { revocation, recorded: !state.pending.has(key) }
    },
    resume: async (by) => resume(state, store, clock, by.jkt),
    list: () => [...state.inForce.values()].toSorted((a, b) => a.rev - b.rev),
    unrecorded: () => state.pending.size,
    close() {
      state.closed = true
      clearTimeout(state.timer)
    },
  }
}

/** Whoever stops everything while another ends a stop means a stop that stands. */
function isBeingEnded({ resuming, inForce }: State): boolean {
  return resuming !== undefined && inForce.get(STOP)?.rev === resuming
}

async function resume(state: State, store: Store, clock: Clock, by: string): Promise<Revocation> {
  const stop = state.inForce.get(STOP)
  if (stop === undefined) throw new InputError('nothing is stopped as a whole')
  if (state.resuming !== undefined) throw new UnavailableError('somebody is ending this stop already')
  state.resuming = stop.rev
  try {
    await voidIssued(state, store, clock, by)
    const detail = { stopped: stop.rev }
    const unit = toControlUnit({ act: 'resume', by, subject: 'system', detail, now: clock.now() })
    const result = await store.commit({ writes: [{ key: RESUMED_RECORD, value: { rev: stop.rev } }], ...unit })
    if (result.status !== 'applied') throw new UnavailableError('the end of the stop could not be recorded')
    await result.durable
    state.resumed = stop.rev
    if (state.inForce.get(STOP) !== stop) throw new UnavailableError('everything was stopped again meanwhile')
  } catch (fault) {
    await stopAnew(state, store, clock, by)
    throw fault
  } finally {
    delete state.resuming
  }
  return lift(state, store, clock, by)
}

/**
 * What failed may have reached the disk all the same: the next start would take the stop for over, while everybody was told that it
 * stands. One with a higher number is not covered by it.
 */
async function stopAnew(state: State, store: Store, clock: Clock, by: string): Promise<void> {
  if (!isBeingEnded(state)) return
  enforce(state, { dimension: 'all', id: '*', at: clock.now() }, by)
  await persist(state, store, clock, STOP)
}

/** What was issued before the stop, and what was accepted once, may have been what it was for. */
async function voidIssued(state: State, store: Store, clock: Clock, by: string): Promise<void> {
  const key = toKey('all', ISSUED)
  enforce(state, { dimension: 'all', id: ISSUED, at: clock.now() }, by)
  await persist(state, store, clock, key)
  if (state.pending.has(key)) throw new UnavailableError('the end of the stop could not be recorded')
}

/** Ends the stop here and tells everybody. Recorded already; what is written now is for those who are told later. */
async function lift(state: State, store: Store, clock: Clock, by: string): Promise<Revocation> {
  state.inForce.delete(STOP)
  const lifted = enforce(state, { dimension: 'all', id: RESUMED, at: clock.now() }, by)
  await persist(state, store, clock, toKey('all', RESUMED))
  return lifted
}

/** Puts it in force and tells everybody, without waiting for anything. */
function enforce(state: State, asked: Omit<Revocation, 'rev'>, by: string): Revocation {
  state.rev += 1
  const revocation: Revocation = { rev: state.rev, ...asked }
  const key = toKey(asked.dimension, asked.id)
  state.inForce.set(key, revocation)
  state.pending.set(key, { revocation, by })
  for (const listener of state.listeners) {
    try {
      listener(revocation)
    } catch {
      // One listener that fails must not keep the others from stopping what they hold.
    }
  }
  return revocation
}

/** Records what is pending under `key`. On failure it is marked, which makes the feed stale, and tried again later. */
async function persist(state: State, store: Store, clock: Clock, key: string): Promise<void> {
  const waiting = state.pending.get(key)
  if (waiting === undefined) return
  // Two who revoke the same share one attempt.
  waiting.attempt ??= write(store, clock, waiting, state.journal)
  try {
    await waiting.attempt
    // Another one under the same key may have come meanwhile, and is not written yet.
    if (state.pending.get(key) !== waiting) return
    state.pending.delete(key)
    state.failed.delete(key)
  } catch {
    delete waiting.attempt
    state.failed.add(key)
    retryLater(state, store, clock, FIRST_RETRY_MS)
  }
}

/** Both places are tried whatever becomes of the other; recorded means in both. */
async function write(store: Store, clock: Clock, waiting: Pending, journal: Journal | undefined): Promise<void> {
  const fault = keepOutside(journal, waiting)
  await recordOne(store, clock, waiting)
  if (fault !== undefined) throw fault
}

function keepOutside(journal: Journal | undefined, waiting: Pending): Error | undefined {
  if (journal === undefined || waiting.outside === true || waiting.revocation.id === RESUMED) return undefined
  try {
    journal.append([{ ...waiting.revocation, by: waiting.by }])
    waiting.outside = true
    return undefined
  } catch (fault) {
    return fault instanceof Error ? fault : new InvariantError('the journal failed', { cause: fault })
  }
}

async function recordOne(store: Store, clock: Clock, { revocation, by }: Pending): Promise<void> {
  const key = revocationRecord(revocation.rev)
  const act = revocation.id === RESUMED ? 'resume.tell' : 'revoke'
  const unit = toControlUnit({ act, by, subject: 'system', detail: asJson(revocation), now: clock.now() })
  const result = await store.commit({ reads: { [key]: 0 }, writes: [{ key, value: asJson(revocation) }], ...unit })
  if (result.status === 'applied') return result.durable
  // A commit that was reported lost may have reached the disk after all; anything else under this number is a bug.
  const stored = await readOne<Revocation>(store, key)
  if (stored?.dimension === revocation.dimension && stored.id === revocation.id) return waitForEarlier(store)
  throw new InvariantError('the number of a revocation is taken')
}

/** Groups become durable in order: once an empty unit is on the disk, so is everything before it. */
async function waitForEarlier(store: Store): Promise<void> {
  const result = await store.commit({})
  if (result.status === 'applied') await result.durable
}

function retryLater(state: State, store: Store, clock: Clock, delay: number): void {
  if (state.closed || state.timer !== undefined) return
  state.timer = setTimeout(() => {
    retry(state, store, clock, delay).catch(() => undefined)
  }, delay)
  state.timer.unref()
}

async function retry(state: State, store: Store, clock: Clock, delay: number): Promise<void> {
  await Promise.all([...state.failed].map(async (key) => persist(state, store, clock, key)))
  delete state.timer
  if (state.failed.size > 0) retryLater(state, store, clock, Math.min(delay * 2, LAST_RETRY_MS))
}

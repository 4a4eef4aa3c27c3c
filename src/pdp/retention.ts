/**
 * @module
 * Drops evidence whose time is over, class by class, along the log. The log keeps every entry and every commitment; a sweep
 * that dropped something is an entry itself.
 */
import { setImmediate } from 'node:timers/promises'

import { UnavailableError } from '../core/errors.ts'
import { parseEntry } from '../core/parse-entry.ts'
import { fromRecord, retentionRecord } from '../core/records.ts'
import { classOf, EVIDENCE_CLASSES, type EvidenceClass, type Retention } from '../core/retention.ts'
import type { Clock } from '../ports/clock.ts'
import type { CommitUnit, Store } from '../ports/store.ts'
import { toControlUnit } from './log-entries.ts'

export type Dropped = Readonly<Record<EvidenceClass, number>>

export interface Sweeper {
  /**
   * Drops everything that is over by now and answers how much that was. One at a time: a second call waits for the first.
   * An entry from a clock that ran ahead holds up those of its class behind it until its own time is over.
   */
  sweep(by: string): Promise<Dropped>
}

export interface SweeperOptions {
  readonly store: Store
  readonly clock: Clock
  readonly retention: Retention
}

/** How many entries are looked at in one turn, so that decisions wait for a sweep a few milliseconds at most. */
const STEP = 64
/** How many entries are passed before the place is written down although nothing was dropped. */
const STRIDE = 4096

interface Cursor {
  /** The first entry that was not looked at yet. */
  readonly next: number
}

export function createSweeper(options: SweeperOptions): Sweeper {
  let last: Promise<unknown> = Promise.resolve()
  return {
    async sweep(by) {
      const swept = last.then(async () => sweepAll(options, by))
      last = swept.catch(() => undefined)
      return swept
    },
  }
}

async function sweepAll(options: SweeperOptions, by: string): Promise<Dropped> {
  const dropped: Record<EvidenceClass, number> = { permits: 0, refusals: 0, outputs: 0, acts: 0 }
  for (const name of EVIDENCE_CLASSES) {
    const keep = options.retention[name]
    if (keep !== undefined) dropped[name] = await sweepClass(options, name, options.clock.now() - keep)
  }
  const total = Object.values(dropped).reduce((sum, count) => sum + count, 0)
  if (total === 0) return dropped
  const detail = { dropped: { ...dropped } }
  await persist(
    options.store,
    toControlUnit({ act: 'evidence.sweep', by, subject: 'system', detail, now: options.clock.now() }),
  )
  await options.store.scrub()
  return dropped
}

/** Drops what is of the class and was logged before `until`, milliseconds since the epoch. */
async function sweepClass({ store }: SweeperOptions, name: EvidenceClass, until: number): Promise<number> {
  const key = retentionRecord(name)
  const [record] = await store.get([key])
  let written = fromRecord<Cursor>(record)?.next ?? 0
  let count = 0
  for (let next = written; ;) {
    const { seen, over, ended } = await look(store, name, next, until)
    next += seen
    if (over.length > 0 || next - written >= STRIDE || (ended && next > written)) {
      await persist(store, { drops: over, writes: [{ key, value: { next } }] })
      written = next
      count += over.length
    }
    if (ended) return count
    await setImmediate()
  }
}

interface Looked {
  /** How many entries were passed. */
  readonly seen: number
  /** Those whose evidence is over. */
  readonly over: readonly string[]
  /** True at the end of the log, and before the first of the class that is not over. */
  readonly ended: boolean
}

async function look(store: Store, name: EvidenceClass, start: number, until: number): Promise<Looked> {
  const entries = await store.log.entries(start, start + STEP)
  const over: string[] = []
  for (const [seen, bytes] of entries.entries()) {
    const entry = parseEntry(bytes)
    if (entry === undefined || classOf(entry) !== name) continue
    if (entry.time > until) return { seen, over, ended: true }
    over.push(entry.id)
  }
  return { seen: entries.length, over, ended: entries.length < STEP }
}

async function persist(store: Store, unit: CommitUnit): Promise<void> {
  const result = await store.commit(unit)
  if (result.status !== 'applied') throw new UnavailableError('the sweep of evidence was disturbed, try again')
  await result.durable
}

/** How often evidence is swept while serving, in milliseconds. */
const EVERY_MS = 60 * 60 * 1000

/** Sweeps now and every hour. Answers how to stop; a sweep that is under way then ends with the store, without a word. */
export function sweepHourly(sweeper: Sweeper, report: (fault: unknown) => void): () => void {
  let stopped = false
  const run = (): void => {
    sweeper.sweep('system').catch((fault: unknown) => {
      if (!stopped) report(fault)
    })
  }
  run()
  const timer = setInterval(run, EVERY_MS)
  timer.unref()
  return () => {
    stopped = true
    clearInterval(timer)
  }
}

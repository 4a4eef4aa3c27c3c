/**
 * @module
 * What was relayed to the agent in each task, as salted hashes with labels. Read through a small cache, so that a
 * decision costs the same after ten outputs as after a hundred thousand.
 */
import { randomBytes } from 'node:crypto'

import { asJson, type Json } from '../core/json.ts'
import type { ToolManifest } from '../core/manifest.ts'
import {
  addObservation,
  createHistory,
  observe,
  type History,
  type Observation,
  type ObservedCall,
} from '../core/provenance.ts'
import { fromRecord, historyRecord, observationPrefix, observationRecord } from '../core/records.ts'
import type { Store, Write } from '../ports/store.ts'

/** The stored head of a task's history. `salt` is base64url. */
interface HistoryHead {
  readonly length: number
  readonly salt: string
}

export interface LoadedHistory {
  /** The key of the head, for the read set. */
  readonly key: string
  readonly history: History
  readonly length: number
  readonly salt: string
  readonly version: number
}

/** What to add: the value as the agent will see it, with the labels of its source. */
export interface Relayed {
  readonly source: string
  /** Whose data it is, `type/id`. */
  readonly subject: string
  readonly entry: string
  readonly time: number
  readonly value: Json
  readonly output: ToolManifest['output'] | undefined
  /** The call that led to it: getting back what one said oneself vouches for nothing. */
  readonly call: ObservedCall
}

export interface Histories {
  load(txn: string): Promise<LoadedHistory>
  /** The writes that add `relayed` after what was loaded; commit them with `loaded.version` among the reads. */
  toWrites(txn: string, loaded: LoadedHistory, relayed: Relayed): readonly Write[]
  /** Forgets what was cached; needed after a group of commits was undone, whose observations never happened. */
  clear(): void
}

/**
 * Tokens in all indexes that are kept, some 200 MB: ten tasks that fill theirs, or a thousand small ones. A bound on tasks alone
 * would have each of many small ones built again from the store at every call.
 */
const CACHED_TOKENS = 1_000_000
const CACHED_TASKS = 4096

export function createHistories(store: Store): Histories {
  const cache = new Map<string, { readonly history: History; length: number }>()
  return {
    clear: () => cache.clear(),
    async load(txn) {
      const [record] = await store.get([historyRecord(txn)])
      const head = fromRecord<HistoryHead>(record) ?? { length: 0, salt: randomBytes(16).toString('base64url') }
      // A group of commits that was undone leaves the cache ahead of the store: it is built again.
      if (take(cache, txn).length > head.length) cache.delete(txn)
      const current = take(cache, txn)
      await catchUp(store, txn, current, head.length)
      evict(cache)
      return {
        key: historyRecord(txn),
        history: current.history,
        length: head.length,
        salt: head.salt,
        version: record?.version ?? 0,
      }
    },
    toWrites(txn, { length, salt }, { subject, ...relayed }) {
      const observation = observe({ n: length, salt, ...relayed })
      const head: HistoryHead = { length: length + 1, salt }
      return [
        { key: observationRecord(txn, length), value: asJson(observation) },
        // Sealed with the salt in it, so that nobody can test a guess against the hashes once the key is gone.
        { key: historyRecord(txn), value: asJson(head), subject },
      ]
    },
  }
}

type Cache = Map<string, { readonly history: History; length: number }>

function take(cache: Cache, txn: string): { readonly history: History; length: number } {
  const found = cache.get(txn) ?? { history: createHistory(), length: 0 }
  cache.delete(txn)
  cache.set(txn, found)
  return found
}

/** Forgets who was asked for longest ago, but never the last one. */
function evict(cache: Cache): void {
  let tokens = 0
  for (const { history } of cache.values()) tokens += history.index.size
  for (const [txn, { history }] of cache) {
    if (cache.size <= 1 || (tokens <= CACHED_TOKENS && cache.size <= CACHED_TASKS)) return
    cache.delete(txn)
    tokens -= history.index.size
  }
}

async function catchUp(
  store: Store,
  txn: string,
  current: { readonly history: History; length: number },
  length: number,
) {
  while (current.length < length) {
    const after = current.length === 0 ? {} : { after: observationRecord(txn, current.length - 1) }
    const records = await store.list(observationPrefix(txn), { ...after, limit: 200 })
    if (records.length === 0) throw new RangeError('history is shorter than its head')
    for (const record of records) {
      const observation = fromRecord<Observation>(record)
      if (observation !== undefined && observation.n === current.length && current.length < length) {
        addObservation(current.history, observation)
        current.length += 1
      }
    }
  }
}

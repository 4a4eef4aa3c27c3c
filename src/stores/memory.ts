/**
 * @module
 * The store in memory: the semantics of `ports/store.ts` without the disk. A group is as durable as the process.
 * For tests, evaluations and demonstrations; after a restart nothing is left, so everything issued before is refused.
 */
import { InputError, UnavailableError } from '../core/errors.ts'
import type { Json } from '../core/json.ts'
import { appendLeaf, EMPTY_FRONTIER, type Frontier, leafHash } from '../core/merkle.ts'
import type {
  Burn,
  CommitResult,
  CommitUnit,
  LogReader,
  NewEntry,
  NewEvidence,
  Store,
  StoredRecord,
  StoreOptions,
} from '../ports/store.ts'
import { createGroup, type Group, sealTree } from './group.ts'
import { type PreparedUnit, toForwardClock, toPreparedUnit } from './unit.ts'

interface State {
  readonly records: Map<string, { readonly json: string; readonly version: number }>
  /** The keys of `records` in code-unit order. */
  readonly keys: string[]
  readonly burns: Map<string, number>
  readonly entries: Uint8Array[]
  readonly ids: Map<string, number>
  readonly nodes: Map<string, Uint8Array>
  readonly evidence: Map<string, Pick<NewEvidence, 'subject' | 'bytes'>>
  readonly now: () => number
  /** How to take back what was applied since the group began, in order of application. */
  readonly undo: (() => void)[]
  frontier: Frontier
  checkpoint?: string
  version: number
  closed: boolean
}

/**
 * Creates an empty store. Burns and log die with the process: does not promise anything about what was issued by an
 * earlier one.
 */
export function createMemoryStore(options: StoreOptions): Store {
  const state = emptyState(options)
  let base = state.frontier
  const group = createGroup({
    begin() {
      base = state.frontier
    },
    commit() {
      const grown = state.frontier.size > base.size
      const checkpoint = grown ? sealTree(options.seal, state.frontier) : undefined
      if (checkpoint !== undefined) state.checkpoint = checkpoint
      state.undo.length = 0
      sweep(state)
      return checkpoint
    },
    undo: () => unwind(state, 0),
    onSealed: options.onSealed,
  })
  return toStore(state, group)
}

function emptyState({ clock }: StoreOptions): State {
  return {
    records: new Map(),
    keys: [],
    burns: new Map(),
    entries: [],
    ids: new Map(),
    nodes: new Map(),
    evidence: new Map(),
    now: toForwardClock(clock),
    undo: [],
    frontier: EMPTY_FRONTIER,
    version: 0,
    closed: false,
  }
}

function toStore(state: State, group: Group): Store {
  return {
    log: toLogReader(state),
    async get(keys) {
      refuseClosed(state)
      return keys.map((key) => find(state, key))
    },
    async list(prefix, { after, limit = 1000 } = {}) {
      refuseClosed(state)
      return list(state, prefix, after, limit)
    },
    async commit(unit) {
      return commit(state, group, unit)
    },
    async evidence(id) {
      refuseClosed(state)
      return copyOf(state.evidence.get(id)?.bytes)
    },
    async listEvidence({ after, limit = 100 } = {}) {
      refuseClosed(state)
      return listEvidence(state, after, limit)
    },
    async scrub() {
      refuseClosed(state)
      group.flush()
      return true
    },
    async check() {
      refuseClosed(state)
      return []
    },
    async close() {
      group.flush()
      state.closed = true
    },
  }
}

function toLogReader(state: State): LogReader {
  return {
    async size() {
      refuseClosed(state)
      return state.frontier.size
    },
    async checkpoint() {
      refuseClosed(state)
      return state.checkpoint
    },
    async entries(start, end) {
      refuseClosed(state)
      return state.entries.slice(start, Math.max(start, end)).map((bytes) => Uint8Array.from(bytes))
    },
    async indexOf(id) {
      refuseClosed(state)
      return state.ids.get(id)
    },
    async node(level, index) {
      refuseClosed(state)
      return copyOf(state.nodes.get(toNodeKey(level, index)))
    },
  }
}

function commit(state: State, group: Group, unit: CommitUnit): CommitResult {
  refuseClosed(state)
  const prepared = toPreparedUnit(unit)
  const keys = prepared.reads.filter(([key, version]) => versionOf(state, key) !== version).map(([key]) => key)
  if (keys.length > 0) return { status: 'conflict', keys }
  const burn = findBurned(state, prepared.burns)
  if (burn !== undefined) return { status: 'burned', burn }
  group.enter()
  const mark = state.undo.length
  try {
    return { status: 'applied', indexes: apply(state, prepared), durable: group.join() }
  } catch (cause) {
    unwind(state, mark)
    throw cause
  }
}

function apply(state: State, unit: PreparedUnit): readonly number[] {
  for (const { key, json } of unit.writes) write(state, key, json)
  for (const { domain, id, expires } of unit.burns) put(state, state.burns, toBurnKey(domain, id), expires)
  for (const id of unit.drops) put(state, state.evidence, id, undefined)
  for (const { id, subject, bytes } of unit.evidence)
    putNew(state, state.evidence, id, { subject, bytes: Uint8Array.from(bytes) })
  return unit.entries.map((entry) => append(state, entry))
}

function write(state: State, key: string, json: string | undefined): void {
  const present = state.records.has(key)
  if (json === undefined) {
    if (!present) return
    put(state, state.records, key, undefined)
    removeKey(state.keys, key)
    state.undo.push(() => insertKey(state.keys, key))
    return
  }
  state.version += 1
  put(state, state.records, key, { json, version: state.version })
  if (present) return
  insertKey(state.keys, key)
  state.undo.push(() => removeKey(state.keys, key))
}

function append(state: State, { id, bytes }: NewEntry): number {
  const index = state.frontier.size
  putNew(state, state.ids, id, index)
  const { frontier } = state
  const step = appendLeaf(frontier, leafHash(bytes))
  state.entries.push(Uint8Array.from(bytes))
  state.undo.push(() => {
    state.entries.pop()
    state.frontier = frontier
  })
  for (const { level, index: at, hash } of step.completed) put(state, state.nodes, toNodeKey(level, at), hash)
  state.frontier = step.frontier
  return index
}

/** Sets or deletes, and remembers how to take it back. */
function put<V>(state: State, map: Map<string, V>, key: string, value: V | undefined): void {
  const before = map.get(key)
  state.undo.push(() => (before === undefined ? map.delete(key) : map.set(key, before)))
  if (value === undefined) map.delete(key)
  else map.set(key, value)
}

function putNew<V>(state: State, map: Map<string, V>, id: string, value: V): void {
  if (map.has(id)) throw new InputError(`\`${id}\` is in the log or beside it already`)
  put(state, map, id, value)
}

function unwind(state: State, mark: number): void {
  while (state.undo.length > mark) state.undo.pop()?.()
}

function findBurned(state: State, burns: readonly Burn[]): Burn | undefined {
  const now = state.now()
  const seen = new Set<string>()
  return burns.find(({ domain, id, expires }) => {
    const key = toBurnKey(domain, id)
    const twice = seen.has(key)
    seen.add(key)
    return twice || expires <= now || (state.burns.get(key) ?? 0) > now
  })
}

/** Looks at a bounded number of burns after each group; what stays goes to the end of the line. */
function sweep(state: State): void {
  const now = state.now()
  for (const [key, expires] of state.burns.entries().take(64).toArray()) {
    state.burns.delete(key)
    if (expires > now) state.burns.set(key, expires)
  }
}

function find(state: State, key: string): StoredRecord | undefined {
  const found = state.records.get(key)
  if (found === undefined) return undefined
  const value: Json = JSON.parse(found.json)
  return { key, value, version: found.version }
}

function versionOf(state: State, key: string): number {
  return state.records.get(key)?.version ?? 0
}

function list(state: State, prefix: string, after: string | undefined, limit: number): readonly StoredRecord[] {
  const from = after !== undefined && after >= prefix ? after : prefix
  const found: StoredRecord[] = []
  for (let at = lowerBound(state.keys, from); found.length < limit; at += 1) {
    const key = state.keys[at]
    if (key === undefined || !key.startsWith(prefix)) break
    const record = key === after ? undefined : find(state, key)
    if (record !== undefined) found.push(record)
  }
  return found
}

/** Sorted at each call: only migrations and trials of this store ask. */
function listEvidence(state: State, after: string | undefined, limit: number): readonly NewEvidence[] {
  const ids = [...state.evidence.keys()].filter((id) => after === undefined || id > after)
  // oxlint-disable-next-line unicorn/require-array-sort-compare -- the default order is that of code units
  const page = ids.toSorted().slice(0, Math.max(0, limit))
  return page.flatMap((id) => {
    const found = state.evidence.get(id)
    return found === undefined ? [] : [{ id, subject: found.subject, bytes: Uint8Array.from(found.bytes) }]
  })
}

/** The first place whose key is not smaller than `key`. */
function lowerBound(keys: readonly string[], key: string): number {
  let [low, high] = [0, keys.length]
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    const at = keys[middle]
    if (at !== undefined && at < key) low = middle + 1
    else high = middle
  }
  return low
}

function insertKey(keys: string[], key: string): void {
  keys.splice(lowerBound(keys, key), 0, key)
}

function removeKey(keys: string[], key: string): void {
  keys.splice(lowerBound(keys, key), 1)
}

/** `slice` would do for a `Uint8Array`; that of a `Buffer` shares the memory. */
function copyOf(bytes: Uint8Array | undefined): Uint8Array | undefined {
  return bytes === undefined ? undefined : Uint8Array.from(bytes)
}

const toNodeKey = (level: number, index: number): string => `${level}/${index}`
const toBurnKey = (domain: string, id: string): string => JSON.stringify([domain, id])

function refuseClosed(state: State): void {
  if (state.closed) throw new UnavailableError('the store is closed')
}

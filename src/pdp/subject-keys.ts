/**
 * @module
 * The data keys of subjects: made with their first use, unwrapped once, destroyed for good. What a record says is what
 * counts; memory only saves the unwrapping, and every commit compares the version that it sealed under.
 */
import { ConfigError, IntegrityError } from '../core/errors.ts'
import { isJsonObject, type Json } from '../core/json.ts'
import { subjectKeyRecord, VAULT_RECORD } from '../core/records.ts'
import {
  createDataKey,
  isSameMaster,
  type DataKey,
  type MasterKey,
  unwrapDataKey,
  type WrappedKey,
} from '../crypto/vault.ts'
import type { Store, StoredRecord, Write } from '../ports/store.ts'

/** The keys of one subject as stored: the one in use, and the ids of those that were destroyed. */
export interface StoredKeys {
  readonly current?: WrappedKey
  readonly erased: readonly string[]
}

/** A key to seal with. `fresh` must go into the unit that seals with it first. */
export interface SealingKey {
  readonly key: DataKey
  /** The version of its record, for the read set. */
  readonly version: number
  readonly fresh?: Write
}

/** The keys of a subject as they are now; looked at without awaiting anything in between. */
export interface KeyState {
  readonly version: number
  readonly stored: StoredKeys
}

export interface SubjectKeys {
  /** The key of a tag, when it is known without asking the store. It may be out of date: the commit will tell. */
  known(tag: string): SealingKey | undefined
  /** Reads the key of a tag, or makes one that is not stored yet. */
  load(tag: string): Promise<SealingKey>
  /** What the store says of each tag. */
  read(tags: readonly string[]): Promise<ReadonlyMap<string, KeyState>>
  /** The key `id` of a tag; undefined when it was destroyed. Throws `IntegrityError` when nobody knows it. */
  find(state: KeyState | undefined, tag: string, id: string): DataKey | undefined
  /** Forgets what is in memory of a tag. */
  forget(tag: string): void
}

/** Some 200 bytes each. */
const CACHED_KEYS = 1024

export function createSubjectKeys(store: Store, master: () => Promise<MasterKey>): SubjectKeys {
  const cache = new Map<string, { readonly key: DataKey; readonly version: number }>()
  let known: MasterKey | undefined
  const unwrap = (tag: string, version: number, wrapped: WrappedKey): DataKey => {
    const found = cache.get(tag)
    cache.delete(tag)
    if (known === undefined) throw new IntegrityError('a key was asked for before the master key')
    const key = found?.key.id === wrapped.id ? found.key : unwrapDataKey(known, tag, wrapped)
    cache.set(tag, { key, version })
    const oldest = cache.keys().next()
    if (cache.size > CACHED_KEYS && oldest.done !== true) cache.delete(oldest.value)
    return key
  }
  const keys: SubjectKeys = {
    known: (tag) => cache.get(tag),
    async load(tag) {
      known ??= await master()
      const state = (await keys.read([tag])).get(tag)
      if (state?.stored.current !== undefined) {
        return { key: unwrap(tag, state.version, state.stored.current), version: state.version }
      }
      const { key, wrapped } = createDataKey(known, tag)
      const value = toJson({ current: wrapped, erased: state?.stored.erased ?? [] })
      return { key, version: state?.version ?? 0, fresh: { key: subjectKeyRecord(tag), value } }
    },
    async read(tags) {
      known ??= await master()
      const records = await store.get(tags.map(subjectKeyRecord))
      return new Map(tags.flatMap((tag, i) => toState(tag, records[i])))
    },
    find(state, tag, id) {
      if (state?.stored.current?.id === id) return unwrap(tag, state.version, state.stored.current)
      if (state?.stored.erased.includes(id) === true) return undefined
      throw new IntegrityError('something in the store is sealed under a key that was never there')
    },
    forget: (tag) => void cache.delete(tag),
  }
  return keys
}

function toState(tag: string, record: StoredRecord | undefined): readonly (readonly [string, KeyState])[] {
  return record === undefined ? [] : [[tag, { version: record.version, stored: parseKeys(record.value) }]]
}

/** The record of a subject's keys. Throws `IntegrityError` when it is not one. */
function parseKeys(value: Json): StoredKeys {
  const { v, current, erased } = isJsonObject(value) ? value : {}
  const ids = Array.isArray(erased) ? erased.filter((id): id is string => typeof id === 'string') : undefined
  const key = isJsonObject(current) ? toWrapped(current['id'], current['wrapped']) : undefined
  if (v !== 1 || ids === undefined || (current !== undefined && key === undefined))
    throw new IntegrityError('the keys of a subject in the store are damaged')
  return { erased: ids, ...(key === undefined ? {} : { current: key }) }
}

function toWrapped(id: Json | undefined, wrapped: Json | undefined): WrappedKey | undefined {
  return typeof id === 'string' && typeof wrapped === 'string' ? { id, wrapped } : undefined
}

/** What is written of a subject's keys. */
export function toJson({ current, erased }: StoredKeys): Json {
  return { v: 1, ...(current === undefined ? {} : { current: { ...current } }), erased: [...erased] }
}

/** Whether the store was sealed under a master key already. */
export async function isSealed(store: Store): Promise<boolean> {
  const [record] = await store.get([VAULT_RECORD])
  return record !== undefined
}

/**
 * Throws `ConfigError` unless everything in the store is sealed under this master key, or nothing is yet. Does not open
 * anything to find out.
 */
export async function assertMaster(store: Store, master: MasterKey): Promise<void> {
  const [record] = await store.get([VAULT_RECORD])
  if (record === undefined) return
  const { fingerprint } = isJsonObject(record.value) ? record.value : {}
  if (typeof fingerprint === 'string' && isSameMaster(master, fingerprint)) return
  throw new ConfigError('`evidence.masterKey` is not the key that the evidence in the store is sealed under')
}

/**
 * @module
 * Seals what a version that did not seal has left in the clear: once, before anything is served, in bounded steps. Broken
 * off at any point it goes on where something in the clear is left.
 */
import { parseSealed } from '../crypto/vault.ts'
import type { Task } from '../core/evidence.ts'
import { isJsonObject, type Json } from '../core/json.ts'
import { fromRecord, HISTORY_PREFIX, SEALED_PREFIXES, taskRecord } from '../core/records.ts'
import type { CommitUnit, Store, StoredRecord } from '../ports/store.ts'
import type { SealedStore } from './sealed-store.ts'

/** How much is read and sealed between two waits for the disk. */
const STEP = 200

/** Told how many pieces of evidence and records were sealed so far. */
export type ResealProgress = (sealed: number) => void

/**
 * Seals every piece of evidence and every record of somebody that `inner` holds in the clear; answers how many there were.
 * Does not remove what the files of the store still hold of them: `scrub` with `rewrite` does.
 */
export async function resealAll(inner: Store, store: SealedStore, progress: ResealProgress): Promise<number> {
  let count = 0
  const add = (more: number): void => {
    count += more
    if (more > 0) progress(count)
  }
  await resealEvidence(inner, store, add)
  for (const prefix of SEALED_PREFIXES) await resealRecords(inner, store, prefix, add)
  return count
}

async function resealEvidence(inner: Store, store: SealedStore, add: ResealProgress): Promise<void> {
  for (let after: string | undefined; ;) {
    const page = await inner.listEvidence({ limit: STEP, ...(after === undefined ? {} : { after }) })
    after = page.at(-1)?.id
    if (after === undefined) return
    const clear = page.filter(({ bytes }) => parseSealed(bytes) === undefined)
    if (clear.length > 0) await persist(store, { drops: clear.map(({ id }) => id), evidence: clear })
    add(clear.length)
  }
}

async function resealRecords(inner: Store, store: SealedStore, prefix: string, add: ResealProgress): Promise<void> {
  for (let after: string | undefined; ;) {
    const page = await inner.list(prefix, { limit: STEP, ...(after === undefined ? {} : { after }) })
    after = page.at(-1)?.key
    if (after === undefined) return
    const clear = page.filter(({ value }) => !isSealed(value))
    const writes = await Promise.all(
      clear.map(async (record) => ({ key: record.key, value: record.value, subject: await subjectOf(store, record) })),
    )
    const reads = Object.fromEntries(clear.map(({ key, version }) => [key, version]))
    if (writes.length > 0) await persist(store, { reads, writes })
    add(writes.length)
  }
}

function isSealed(value: Json): boolean {
  return isJsonObject(value) && typeof value['sealed'] === 'string'
}

/** Whose a record of the version before is: it says so itself, or its task does. */
async function subjectOf(store: Store, { key, value }: StoredRecord): Promise<string> {
  if (key.startsWith(HISTORY_PREFIX)) {
    const txn = decodeURIComponent(key.slice(HISTORY_PREFIX.length))
    const [task] = await store.get([taskRecord(txn)])
    return toSubject(fromRecord<Task>(task)?.principal)
  }
  const { principal, presented } = isJsonObject(value) ? value : {}
  const shown = isJsonObject(presented) ? presented['principal'] : undefined
  return typeof shown === 'string' ? shown : toSubject(principal)
}

function toSubject(principal: unknown): string {
  const { type, id } = isPrincipal(principal) ? principal : {}
  return typeof type === 'string' && typeof id === 'string' ? `${type}/${id}` : 'system'
}

function isPrincipal(value: unknown): value is { readonly type?: unknown; readonly id?: unknown } {
  return typeof value === 'object' && value !== null
}

async function persist(store: Store, unit: CommitUnit): Promise<void> {
  const result = await store.commit(unit)
  // Nothing else writes yet, so that nothing can conflict; what is left in the clear is found by the next start.
  if (result.status === 'applied') await result.durable
}

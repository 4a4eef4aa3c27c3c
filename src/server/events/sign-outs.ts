/**
 * @module
 * When a principal was last signed out by their own issuer: what the issuer vouched for before then opens nothing any more.
 */
import { fromRecord, signOutRecord } from '../../core/records.ts'
import { hashOf, type Entity } from '../../index.ts'
import type { Store, Write } from '../../ports/store.ts'
import { toComparable } from './namespace.ts'

/** Milliseconds since the epoch, by the clock of the issuer; undefined when they never were. Rejects when the store is away. */
export async function signedOutAt(store: Store, principal: Pick<Entity, 'type' | 'id'>): Promise<number | undefined> {
  const [record] = await store.get([toKey(toComparable(principal))])
  return fromRecord<number>(record)
}

function toKey(id: string): string {
  return signOutRecord(hashOf(id))
}

/** The newest counts. `known` are comparable ids of principals. */
export async function toSignOutWrites(store: Store, known: readonly string[], at: number): Promise<readonly Write[]> {
  const keys = known.map(toKey)
  const before = await store.get(keys)
  return keys.flatMap((key, index) => ((fromRecord<number>(before[index]) ?? 0) < at ? [{ key, value: at }] : []))
}

/**
 * @module
 * When a principal was last signed out by their own issuer: what the issuer vouched for before then opens nothing any more.
 */
import { fromRecord, signOutRecord } from '../../core/records.ts'
import { hashOf, type Entity } from '../../index.ts'
import type { Store, Write } from '../../ports/store.ts'
import type { ReadOne } from '../acts.ts'
import { toComparable } from './namespace.ts'

/**
 * True when the issuer has said that the principal was signed out at `issuedAt` (milliseconds) or later: what it vouched for
 * before counts no more. Read with the act that it would have begun.
 */
export async function isSignedOut(
  read: ReadOne,
  principal: Pick<Entity, 'type' | 'id'>,
  issuedAt: number,
): Promise<boolean> {
  const at = await read<number>(toKey(toComparable(principal)))
  return at !== undefined && issuedAt <= at
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

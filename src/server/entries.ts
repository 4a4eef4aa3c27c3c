/**
 * @module
 * One entry of the log with the evidence that opens its commitments, for operators.
 */
import { InputError, UnavailableError } from '../core/errors.ts'
import type { JsonObject } from '../core/json.ts'
import { parseJson } from '../core/parse-json.ts'
import type { SealedStore } from '../pdp/sealed-store.ts'
import type { Store } from '../ports/store.ts'
import { toReceipt } from './receipt.ts'

/** What an entry is read from; a store that does not seal its evidence cannot say what became of it. */
export type EntrySource = Pick<Store, 'log' | 'evidence'> & Partial<Pick<SealedStore, 'evidenceState'>>

/**
 * The entry `id`, its index, its receipt once its group is sealed, and its evidence where that is still kept; else what became
 * of it. Throws `InputError` when there is none. Does not verify the log: `audit verify` does.
 */
export async function showEntry(store: EntrySource, id: string): Promise<JsonObject> {
  const index = await store.log.indexOf(id)
  const [bytes] = index === undefined ? [] : await store.log.entries(index, index + 1)
  if (index === undefined || bytes === undefined) throw new InputError(`there is no entry \`${id}\``)
  const evidence = await store.evidence(id)
  return { index, entry: parseJson(bytes), ...(await toSealed(store, id)), ...(await toKept(store, id, evidence)) }
}

async function toSealed({ log }: EntrySource, id: string): Promise<JsonObject> {
  try {
    return { receipt: await toReceipt(log, id) }
  } catch (cause) {
    if (cause instanceof UnavailableError) return {}
    throw cause
  }
}

async function toKept(store: EntrySource, id: string, evidence: Uint8Array | undefined): Promise<JsonObject> {
  // As it was recorded: deeper than what we parse from others, and with every number that it had.
  if (evidence !== undefined) return { evidence: parseJson(evidence, { numbers: 'any', maxDepth: 512 }) }
  const state = await store.evidenceState?.(id)
  return state === undefined ? {} : { evidenceState: state }
}

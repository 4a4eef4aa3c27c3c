/**
 * @module
 * One entry of the log with the evidence that opens its commitments, for operators.
 */
import { InputError } from '../core/errors.ts'
import type { Json } from '../core/json.ts'
import { parseJson } from '../core/parse-json.ts'
import type { SealedStore } from '../pdp/sealed-store.ts'

/**
 * The entry `id`, its index, and its evidence where that is still kept; else what became of it. Throws `InputError` when
 * there is none. Does not verify the log: `audit verify` does.
 */
export async function showEntry(store: SealedStore, id: string): Promise<Json> {
  const index = await store.log.indexOf(id)
  const [bytes] = index === undefined ? [] : await store.log.entries(index, index + 1)
  if (index === undefined || bytes === undefined) throw new InputError(`there is no entry \`${id}\``)
  const evidence = await store.evidence(id)
  const shown =
    evidence === undefined ? { evidenceState: await store.evidenceState(id) } : { evidence: parseJson(evidence) }
  return { index, entry: parseJson(bytes), ...shown }
}

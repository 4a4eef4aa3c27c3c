/**
 * @module
 * One entry of the log with the evidence that opens its commitments, for operators.
 */
import { InputError } from '../core/errors.ts'
import type { Json } from '../core/json.ts'
import { parseJson } from '../core/parse-json.ts'
import type { Store } from '../ports/store.ts'

/**
 * The entry `id`, its index, and its evidence where that is still kept. Throws `InputError` when there is none. Does not
 * verify the log: `audit verify` does.
 */
export async function showEntry(store: Store, id: string): Promise<Json> {
  const index = await store.log.indexOf(id)
  const [bytes] = index === undefined ? [] : await store.log.entries(index, index + 1)
  if (index === undefined || bytes === undefined) throw new InputError(`there is no entry \`${id}\``)
  const evidence = await store.evidence(id)
  return { index, entry: parseJson(bytes), ...(evidence === undefined ? {} : { evidence: parseJson(evidence) }) }
}

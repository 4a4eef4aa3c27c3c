/**
 * @module
 * What had been read in a task before a decision, by source and label, from the observations that are kept.
 */
import type { Observation } from '../core/observation.ts'
import { fromRecord, observationPrefix, observationRecord } from '../core/records.ts'
import type { ObservedSource } from '../core/relabel.ts'
import type { Store } from '../ports/store.ts'

/** Longer histories are not read: a person waits for the answer. */
const MAX_OBSERVATIONS = 10_000

/**
 * The sources of the first `length` observations of a task; undefined when there were more than 10,000, or when some are
 * gone. Holds no hash and no text.
 */
export async function observedBefore(
  store: Store,
  txn: string,
  length: number,
): Promise<readonly ObservedSource[] | undefined> {
  if (length > MAX_OBSERVATIONS) return undefined
  const found = new Map<string, ObservedSource>()
  let n = 0
  while (n < length) {
    const after = n === 0 ? {} : { after: observationRecord(txn, n - 1) }
    const records = await store.list(observationPrefix(txn), { ...after, limit: Math.min(200, length - n) })
    if (records.length === 0) return undefined
    for (const record of records) {
      const observation = fromRecord<Observation>(record)
      if (observation === undefined || observation.n !== n) return undefined
      count(found, observation)
      n += 1
    }
  }
  return [...found.values()]
}

function count(found: Map<string, ObservedSource>, { source, label }: Observation): void {
  const { trust, confidentiality } = label
  const key = `${trust} ${confidentiality} ${source}`
  found.set(key, { source, trust, confidentiality, count: (found.get(key)?.count ?? 0) + 1 })
}

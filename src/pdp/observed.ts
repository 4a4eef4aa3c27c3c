/**
 * @module
 * What had been read in a task before a decision, by source and label, and provenance under other labels. For replays and
 * for what-ifs: the tokens themselves stay where they are.
 */
import { CLEAN, type Observation } from '../core/observation.ts'
import type { ArgumentProvenance, ProvenanceFacts } from '../core/evidence.ts'
import { joinLabel, type Label } from '../core/manifest.ts'
import { fromRecord, observationPrefix, observationRecord } from '../core/records.ts'
import type { Store } from '../ports/store.ts'

/** Outputs of one source under one label. */
export interface ObservedSource extends Label {
  /** `upstream/tool` */
  readonly source: string
  readonly count: number
}

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

/** The label that a source has now, given the one under which something of it was recorded. */
export type Relabel = (source: string, recorded: Label) => Label

/**
 * Provenance as it would be under other labels of sources: leaves that were observed, the join of everything read, and the
 * leaves that take it. Without `observed` the join stays as recorded. Cannot tell which field of an output a leaf was in.
 */
export function relabelled(
  provenance: ProvenanceFacts,
  observed: readonly ObservedSource[] | undefined,
  relabel: Relabel,
): ProvenanceFacts {
  const taint =
    observed === undefined
      ? provenance.taint
      : observed
          .map(({ source, trust, confidentiality }) => relabel(source, { trust, confidentiality }))
          .reduce(joinLabel, CLEAN)
  return {
    ...provenance,
    taint,
    arguments: provenance.arguments.map((leaf) => relabelLeaf(leaf, provenance.attested, taint, relabel)),
  }
}

function relabelLeaf(leaf: ArgumentProvenance, attested: boolean, taint: Label, relabel: Relabel): ArgumentProvenance {
  const { trust, confidentiality, sources } = leaf
  if (leaf.origin === 'purpose' || leaf.path === '') return leaf
  if (leaf.origin === 'none') {
    return { ...leaf, trust: attested ? taint.trust : 'attacker-writable', confidentiality: taint.confidentiality }
  }
  if (sources.length === 0) return leaf
  return { ...leaf, ...sources.map((source) => relabel(source, { trust, confidentiality })).reduce(joinLabel, CLEAN) }
}

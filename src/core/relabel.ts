/**
 * @module
 * What had been read in a task, by source and label, and provenance under other labels. For replays and for what-ifs: the
 * tokens themselves stay where they are.
 */
import { CLEAN } from './observation.ts'
import type { ArgumentProvenance, ProvenanceFacts } from './evidence.ts'
import { joinLabel, type Label } from './manifest.ts'

/** Outputs of one source under one label. */
export interface ObservedSource extends Label {
  /** `upstream/tool` */
  readonly source: string
  readonly count: number
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

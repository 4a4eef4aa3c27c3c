/**
 * @module
 * How long evidence is kept, by what it is evidence of. The log itself is never shortened by it.
 */
import type { ParsedEntry } from './parse-entry.ts'

export const EVIDENCE_CLASSES = ['permits', 'refusals', 'outputs', 'acts'] as const
export type EvidenceClass = (typeof EVIDENCE_CLASSES)[number]

/** Milliseconds after the time of the entry; undefined: for ever. */
export type Retention = Readonly<Record<EvidenceClass, number | undefined>>

/** What an entry is, for retention. A decision that let nothing through counts as a refusal. */
export function classOf({ kind, value }: Pick<ParsedEntry, 'kind' | 'value'>): EvidenceClass {
  if (kind === 'outcome') return 'outputs'
  if (kind === 'control') return 'acts'
  const { decision } = value
  return decision === 'permit' || decision === 'modify' ? 'permits' : 'refusals'
}

/**
 * @module
 * How long evidence is kept, by what it is evidence of. The log itself is never shortened by it.
 */
export type EvidenceClass = 'permits' | 'refusals' | 'outputs' | 'acts'

/** Milliseconds after the time of the entry; undefined: for ever. */
export type Retention = Readonly<Record<EvidenceClass, number | undefined>>

/**
 * @module
 * Each leaf of the arguments of a recorded call: its value as it may be shown, what it decides, where it comes from.
 */
import type { ArgumentProvenance, Evidence } from '../../core/evidence.ts'
import { pointTo } from '../../core/leaves.ts'
import { toArguments, type AccessRequest } from '../../core/request.ts'
import { sayOrigin } from './findings.ts'
import { toShown, toShownValue } from './shown.ts'

/** One leaf. `value` is shown text: escaped, credentials elided. */
export interface ArgumentLine extends Omit<ArgumentProvenance, 'sources'> {
  readonly value: string
  readonly sources: readonly string[]
  /** Where it comes from, in words. */
  readonly said: string
}

/**
 * The leaves that were traced, in their order; `null` and the empty string carry nothing and were not. Does not say where in
 * an output a value stood: only salted hashes of outputs are kept for tracing.
 */
export function toArgumentLines(request: AccessRequest, evidence: Evidence): readonly ArgumentLine[] {
  const args = toArguments(request.action.body)
  return evidence.provenance.arguments.map((leaf) => {
    const found = leaf.path === '' ? undefined : pointTo(args, leaf.path)
    const value =
      typeof found === 'string' || typeof found === 'number' || typeof found === 'boolean'
        ? toShownValue(found, leaf.path, leaf.role)
        : '(more than can be traced one by one)'
    const { role, origin, trust, confidentiality } = leaf
    return {
      path: toShown(leaf.path),
      role,
      value,
      origin,
      trust,
      confidentiality,
      sources: leaf.sources.map(toShown),
      said: sayOrigin(leaf, evidence),
    }
  })
}

/**
 * @module
 * Revocation: one monotonic sequence, in force in memory before and without the log (design §5).
 */
import type { RevocationDimension } from '../core/evidence.ts'

export { ISSUED, RESUMED } from '../core/revoked.ts'

export interface Revocation {
  readonly rev: number
  readonly dimension: RevocationDimension
  /** The id within the dimension; `*` for `all`, or `ISSUED`, or `RESUMED`. Tools are `upstream/tool`, subjects `type/id`, actors the `jkt`. */
  readonly id: string
  readonly at: number
}

export interface RevocationFeed {
  /** The highest sequence number seen. */
  rev(): number
  /** False when heartbeats have stopped; stale denies. */
  fresh(): boolean
  /** The revocation in force for this dimension and id, if any. Synchronous: it is asked on every action. */
  find(dimension: RevocationDimension, id: string): Revocation | undefined
  /** Called synchronously with each new revocation. Returns the way to stop listening. */
  subscribe(listener: (revocation: Revocation) => void): () => void
}

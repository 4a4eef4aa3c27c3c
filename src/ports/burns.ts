/**
 * @module
 * Where a resource server remembers which credentials it has redeemed: one audience is one burn domain (design §5).
 */

/**
 * Contract, in prose:
 * - **Once.** Of all calls of `burn` with one id, over all replicas of the audience and over their restarts, one at most is
 *   answered true. A unique insert does it (`INSERT … ON CONFLICT DO NOTHING`, `SET … NX`); a read followed by a write does not.
 * - **Until `expiresMs`.** Whatever forgets earlier (an eviction, an asynchronous replica that takes over, a restored backup)
 *   is a loss of continuity, and `since` has to say so.
 * - **Already over** when it arrives is answered false, also by a clock that was set back: it may have been burned and forgotten.
 * - **Rejects** when it does not know. That refuses.
 */
export interface Burns {
  /** True where every replica of the audience sees the same burns. */
  readonly isShared: boolean
  /** Milliseconds since the epoch: of credentials from before nobody here knows whether they were burned, so they are refused. */
  since(): number
  burn(id: string, expiresMs: number): Promise<boolean>
  close(): void
}

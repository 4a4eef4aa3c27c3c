/**
 * @module
 * What is under way, so that a revocation can stop it: aborted, not undone (design §5).
 */
import type { RevocationDimension } from '../core/evidence.ts'
import type { RevocationFeed } from '../ports/revocations.ts'

/** The dimensions under which an action can be revoked. */
export type Dimensions = readonly (readonly [RevocationDimension, string])[]

export interface Flight {
  readonly signal: AbortSignal
  /** Ends it; more than once does nothing. */
  land(): void
}

export interface InFlight {
  /** Begins before the decision is committed, so that no revocation falls between the decision and what it permits. */
  begin(entry: string, dimensions: Dimensions): Flight
  /** True while the action of this decision entry is under way in this process. */
  has(entry: string): boolean
  size(): number
  close(): void
}

export function createInFlight(feed: RevocationFeed): InFlight {
  const flights = new Map<AbortController, { readonly entry: string; readonly dimensions: Dimensions }>()
  const stop = feed.subscribe((revocation) => {
    for (const [controller, { dimensions }] of flights) {
      const hit = dimensions.some(([dimension, id]) => dimension === revocation.dimension && id === revocation.id)
      if (hit) controller.abort(new DOMException('revoked', 'AbortError'))
    }
  })
  return {
    begin(entry, dimensions) {
      const controller = new AbortController()
      flights.set(controller, { entry, dimensions })
      return { signal: controller.signal, land: () => void flights.delete(controller) }
    },
    has: (entry) => flights.values().some((flight) => flight.entry === entry),
    size: () => flights.size,
    close: stop,
  }
}

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
  readonly bind: string
  land(): void
}

export interface InFlight {
  begin(bind: string, dimensions: Dimensions): Flight
  /** True while an action with this bind is under way in this process. */
  has(bind: string): boolean
  size(): number
  close(): void
}

export function createInFlight(feed: RevocationFeed): InFlight {
  const flights = new Map<AbortController, { readonly bind: string; readonly dimensions: Dimensions }>()
  const stop = feed.subscribe((revocation) => {
    for (const [controller, { dimensions }] of flights) {
      const hit = dimensions.some(([dimension, id]) => dimension === revocation.dimension && id === revocation.id)
      if (hit) controller.abort(new DOMException('revoked', 'AbortError'))
    }
  })
  return {
    begin(bind, dimensions) {
      const controller = new AbortController()
      flights.set(controller, { bind, dimensions })
      return { signal: controller.signal, bind, land: () => void flights.delete(controller) }
    },
    has: (bind) => [...flights.values()].some((flight) => flight.bind === bind),
    size: () => flights.size,
    close: stop,
  }
}

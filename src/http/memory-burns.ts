/**
 * @module
 * Burns of one process. It has forgotten what the process before it burned, and says so.
 */
import cluster from 'node:cluster'
import { isMainThread } from 'node:worker_threads'

import { ConfigError } from '../core/errors.ts'
import type { Burns } from '../ports/burns.ts'

// The burn domain of a process is the process: two guards for one audience in it must not redeem one credential twice.
const burned = new Map<string, number>()
const began = Date.now()
/** The latest time that was seen: what was forgotten must not be burned again by a clock that is set back. */
let latest = began

/** How many of the oldest are looked at with each burn, so that what has expired goes faster than it comes. */
const SWEEP = 4

/**
 * Burns in memory, for an API that is one process. Throws `ConfigError` in a worker of a cluster and in a worker thread: there
 * are others then. Everything that was issued before the process began is refused. Does not know of replicas on other machines.
 */
export function memoryBurns(): Burns {
  if (cluster.isWorker || !isMainThread)
    throw new ConfigError('`memoryBurns` is for one process, and this is one of several; use a store that they share')
  return {
    isShared: false,
    since: () => began,
    async burn(id, expiresMs) {
      const now = Math.max(latest, Date.now())
      latest = now
      if (expiresMs <= now || burned.has(id)) return Promise.resolve(false)
      burned.set(id, expiresMs)
      sweep(now)
      return Promise.resolve(true)
    },
    close: () => undefined,
  }
}

/** What stays goes to the end of the line. */
function sweep(now: number): void {
  for (const [id, expires] of burned.entries().take(SWEEP).toArray()) {
    burned.delete(id)
    if (expires > now) burned.set(id, expires)
  }
}

/**
 * @module
 * Whether a tool server may be asked now. One that keeps ending, or cannot be reached, is left alone for longer each time, so that
 * it is not started, and nobody waits for it, at every request.
 */

export interface Health {
  /** Milliseconds until it may be tried again; 0: now. */
  waitMs(): number
  /** It ended by itself, could not be started, or could not be reached. */
  failed(): void
  worked(): void
}

/** The first failure costs nothing: a server may end once. The second waits for so long, and each after it twice as long. */
const FIRST_MS = 1_000
const MOST_MS = 60_000
/** So long without a failure, and the next one is the first again. */
const FORGET_MS = 2 * MOST_MS

/** Creates it healthy. Does not promise that a server that may be tried will answer. */
export function createHealth(clock: { now(): number }): Health {
  let [failures, at] = [0, 0]
  const backOff = (): number => (failures < 2 ? 0 : Math.min(MOST_MS, FIRST_MS * 2 ** (failures - 2)))
  return {
    // A clock that was set back must not make it wait for longer than it would have.
    waitMs: () => Math.min(backOff(), Math.max(0, at + backOff() - clock.now())),
    failed: () => {
      const now = clock.now()
      failures = now - at > FORGET_MS ? 1 : failures + 1
      at = now
    },
    worked: () => {
      failures = 0
    },
  }
}

export type Healths = (upstream: string, owner: string) => Health

/** The health of each upstream as each owner of sessions meets it: who makes a server of their own end keeps nobody else from it. */
export function createHealths(clock: { now(): number }): Healths {
  const known = new Map<string, Health>()
  return (upstream, owner) => {
    const key = JSON.stringify([upstream, owner])
    const found = known.get(key) ?? createHealth(clock)
    known.set(key, found)
    return found
  }
}

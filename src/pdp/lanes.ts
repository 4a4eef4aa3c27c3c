/**
 * @module
 * One lane per actor: gather, decide and commit of one action happen without another of the same actor in between.
 * Versions guard against other processes; lanes only keep neighbours from spoiling each other's work.
 */

export interface Lanes {
  run<T>(lane: string, work: () => Promise<T>): Promise<T>
}

export function createLanes(): Lanes {
  const tails = new Map<string, Promise<unknown>>()
  return {
    async run(lane, work) {
      const before = tails.get(lane) ?? Promise.resolve()
      const mine = before.then(work, work)
      const tail = mine.catch(() => undefined)
      tails.set(lane, tail)
      try {
        return await mine
      } finally {
        if (tails.get(lane) === tail) tails.delete(lane)
      }
    },
  }
}

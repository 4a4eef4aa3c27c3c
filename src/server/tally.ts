/**
 * @module
 * Counts in groups and times in bounded memory: names come from agents, who can make up as many as they like.
 */

/** The most groups that are told apart; what is new after that is counted together. */
const MAX_GROUPS = 2_000

export interface Groups<T> {
  /** The counter of a group, made by `start` when it is new; undefined once there are too many. */
  find(names: readonly string[], start: () => T): T | undefined
  /** Counts what had no group of its own. */
  miss(): void
  values(): readonly T[]
  /** How often `miss` was called. */
  other(): number
}

export function createGroups<T>(): Groups<T> {
  const found = new Map<string, T>()
  let other = 0
  return {
    find(names, start) {
      const key = JSON.stringify(names)
      const known = found.get(key)
      if (known !== undefined || found.size >= MAX_GROUPS) return known
      const fresh = start()
      found.set(key, fresh)
      return fresh
    },
    miss() {
      other += 1
    },
    values: () => [...found.values()],
    other: () => other,
  }
}

/** Neighbouring buckets are this much apart: a time is told to within 1 %. */
const STEP = Math.log(1.02)

/** How long things took: any number of them in about a thousand buckets. */
export interface Times {
  add(milliseconds: number): void
  /** The time that this share of all were at most, to within 1 %; undefined for none. */
  quantile(share: number): number | undefined
}

export function createTimes(): Times {
  const buckets = new Map<number, number>()
  let total = 0
  return {
    add(milliseconds) {
      if (!(milliseconds >= 0)) return
      const bucket = Math.round(Math.log(Math.max(1, milliseconds)) / STEP)
      buckets.set(bucket, (buckets.get(bucket) ?? 0) + 1)
      total += 1
    },
    quantile(share) {
      let left = Math.max(1, Math.ceil(share * total))
      for (const [bucket, count] of [...buckets].toSorted(([a], [b]) => a - b)) {
        left -= count
        if (left <= 0) return Math.round(Math.exp(bucket * STEP))
      }
      return undefined
    },
  }
}

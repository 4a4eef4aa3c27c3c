/**
 * @module
 * Numbers that a seed gives again: trials print it, and `UNBEARER_SEED=N` repeats one.
 */
import { randomInt } from 'node:crypto'

export interface Random {
  /** A whole number from 0 to below `end`. */
  below(end: number): number
  /** True with this chance. */
  chance(p: number): boolean
}

/** The seed of this run: the one that was given, or a fresh one. */
export function toSeed(): number {
  const given = Number(process.env['UNBEARER_SEED'])
  return Number.isSafeInteger(given) && process.env['UNBEARER_SEED'] !== undefined ? given : randomInt(2 ** 31)
}

/** Mulberry32: small, and good enough to choose when to pull a plug. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  return { below: (end) => Math.floor(next() * end), chance: (p) => next() < p }
}

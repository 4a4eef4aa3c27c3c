/**
 * @module
 * How much room is left where the store lies. Below the reserve nothing ordinary is written any more, so that revocations,
 * answers and restores still find room.
 */
import { statfs } from 'node:fs/promises'

export interface FreeSpace {
  /** True while less than the reserve is left, by a look that is at most about a second old. */
  isLow(): boolean
  /** Bytes, as last seen; undefined where it could not be told. */
  bytes(): number | undefined
}

const FRESH_MS = 1_000

/**
 * Looks once, and again whenever somebody asks and the last look is old. Where the system cannot tell, nothing is low: a disk
 * that is full then denies by the commits that fail. `path` is a folder; without one (a store in memory) nothing is low.
 */
export async function createFreeSpace(path: string | undefined, reserve: number): Promise<FreeSpace> {
  let seen: number | undefined
  let at = -Infinity
  let looking: Promise<void> | undefined
  const look = async (): Promise<void> => {
    if (path === undefined || reserve === 0) return
    at = performance.now()
    seen = await statfs(path).then(
      ({ bavail, bsize }) => bavail * bsize,
      () => seen,
    )
    looking = undefined
  }
  await look()
  return {
    bytes: () => seen,
    isLow() {
      if (performance.now() - at > FRESH_MS) looking ??= look()
      return seen !== undefined && seen < reserve
    },
  }
}

/**
 * @module
 * One writer for each store: an exclusive lock on a second, empty database beside the first. The operating system frees it
 * when its holder dies, also by `kill -9`, so that no stale lock is ever left and readers of the store are not disturbed.
 */
import { closeSync, chmodSync, openSync, realpathSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { ConfigError, UnavailableError } from '../core/errors.ts'

/** Creates the file with mode 0600 where there is none, and takes other modes from one that is there. */
export function openPrivately(path: string): string {
  try {
    closeSync(openSync(path, 'a', 0o600))
    chmodSync(path, 0o600)
    return realpathSync(path)
  } catch (cause) {
    throw new ConfigError(`\`${path}\` cannot be opened for writing; its folder must exist and be ours`, { cause })
  }
}

/**
 * Takes the fence of the store at `path` (a real path, so that a link leads to the same fence). Returns how to free it.
 * Throws `UnavailableError` at once when another connection holds it. Does not hold off a program that opens the file
 * without asking for the fence.
 */
export function takeFence(path: string): () => void {
  const db = new DatabaseSync(openPrivately(`${path}.lock`), { timeout: 0 })
  try {
    db.exec('BEGIN EXCLUSIVE')
  } catch (cause) {
    db.close()
    throw new UnavailableError(
      `\`${path}\` is held by another process; stop \`unbearer serve\`, or the application that called \`connect\`, first`,
      { cause },
    )
  }
  return () => db.close()
}

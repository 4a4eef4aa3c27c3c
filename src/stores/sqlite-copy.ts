/**
 * @module
 * A consistent copy of a SQLite database in one file, for nobody else to read, on the disk before anybody relies on it.
 */
import { closeSync, existsSync, fsyncSync, openSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'

/** `path`, or `path.2` and so on: the first where nothing is. */
export function findFreePath(path: string): string {
  for (let count = 1; ; count += 1) {
    const candidate = count === 1 ? path : `${path}.${count}`
    if (!existsSync(candidate)) return candidate
  }
}

/**
 * Copies the database behind `db` as it stands now into the new file `to`, mode 0600, and waits for the disk. Throws what
 * SQLite or the file system say, and then leaves no file. Does not copy what an open transaction has not committed.
 */
export function copyDatabase(db: DatabaseSync, to: string): void {
  // SQLite writes into an empty file that is there, which keeps its mode; `wx` refuses what somebody else has put there.
  closeSync(openSync(to, 'wx', 0o600))
  try {
    db.prepare('VACUUM INTO ?').run(to)
    syncFile(to)
    syncFolderOf(to)
  } catch (cause) {
    rmSync(to, { force: true })
    throw cause
  }
}

/** SQLite does not wait for the disk after `VACUUM INTO`. */
function syncFile(path: string): void {
  const file = openSync(path, 'r+')
  try {
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}

/** A name is on the disk once its folder is. */
export function syncFolderOf(path: string): void {
  const folder = openSync(dirname(path), 'r')
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}

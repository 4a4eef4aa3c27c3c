/**
 * @module
 * A consistent copy of a SQLite database in one file, for nobody else to read, on the disk before anybody relies on it.
 */
import { closeSync, existsSync, fsyncSync, openSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { backup, DatabaseSync } from 'node:sqlite'
import { UnavailableError } from '../core/errors.ts'

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
  createPrivately(to)
  try {
    db.prepare('VACUUM INTO ?').run(to)
    syncFile(to)
    syncFolderOf(to)
  } catch (cause) {
    rmSync(to, { force: true })
    throw cause
  }
}

export interface CopyOptions {
  readonly from: string
  /** A file that is not there yet. */
  readonly to: string
  /** Told how many pages are copied, of how many. */
  readonly onProgress?: (done: number, total: number) => void
}

/** So many pages at a time: 4 MB. */
const PAGES = 1024

/**
 * Copies the store at `from`, beside its writer and without holding it up, as it stood at one moment, into one file with no
 * companions, mode 0600. Throws `UnavailableError`, and then leaves no file. Does not look at what it copies: open it.
 */
export async function copySqliteStore({ from, to, onProgress }: CopyOptions): Promise<void> {
  try {
    createPrivately(to)
  } catch (cause) {
    throw new UnavailableError(`\`${to}\` cannot be written`, { cause })
  }
  try {
    await copyAtOneMoment(from, to, onProgress)
    // A journal of its own is for whoever writes; a copy is one file.
    const copy = new DatabaseSync(to)
    copy.exec('PRAGMA journal_mode=DELETE')
    copy.close()
    syncFile(to)
    syncFolderOf(to)
  } catch (cause) {
    for (const companion of ['', '-wal', '-shm', '-journal']) rmSync(to + companion, { force: true })
    throw new UnavailableError(`\`${from}\` could not be copied`, { cause })
  }
}

/** The open read transaction is the moment: without it, SQLite begins anew whenever the writer commits. */
async function copyAtOneMoment(from: string, to: string, onProgress: CopyOptions['onProgress']): Promise<void> {
  const db = new DatabaseSync(from, { readOnly: true })
  try {
    db.exec('BEGIN')
    db.prepare('SELECT count(*) FROM sqlite_schema').get()
    await backup(db, to, {
      rate: PAGES,
      progress: ({ totalPages, remainingPages }) => onProgress?.(totalPages - remainingPages, totalPages),
    })
  } finally {
    db.close()
  }
}

/** SQLite writes into an empty file that is there, which keeps its mode; `wx` refuses what somebody else has put there. */
function createPrivately(path: string): void {
  closeSync(openSync(path, 'wx', 0o600))
}

/** SQLite does not wait for the disk after a copy. */
function syncFile(path: string): void {
  const file = openSync(path, 'r+')
  try {
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}

/** A name is on the disk once its folder is. Windows has no such thing. */
function syncFolderOf(path: string): void {
  if (process.platform === 'win32') return
  const folder = openSync(dirname(path), 'r')
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}

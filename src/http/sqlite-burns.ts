/**
 * @module
 * Burns in a file, for several processes on one machine, and for one that must not forget over a restart.
 */
import { setTimeout } from 'node:timers/promises'

import { ConfigError } from '../core/errors.ts'
import type { Burns } from '../ports/burns.ts'

/** How many that have expired one burn takes away. */
const SWEEP = 8
/** How long another process may be waited for. */
const BUSY_MS = 5_000

const SCHEMA = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  CREATE TABLE IF NOT EXISTS burns (id TEXT PRIMARY KEY, expires INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS burns_expires ON burns (expires);
  CREATE TABLE IF NOT EXISTS began (one INTEGER PRIMARY KEY CHECK (one = 1), at INTEGER NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS swept (one INTEGER PRIMARY KEY CHECK (one = 1), at INTEGER NOT NULL) STRICT;
  INSERT INTO swept VALUES (1, 0) ON CONFLICT DO NOTHING;
`

/**
 * Opens or creates the file. Each burn is on the disk before it is answered, and blocks the process for as long as that takes.
 * Rejects with `ConfigError` where it cannot be opened. Trusted: whoever can write the file. Not for a network file system, and
 * not to be restored from a backup: remove the file instead, and everything that was issued before is refused.
 */
export async function sqliteBurns(path: string): Promise<Burns> {
  const { DatabaseSync } = await import('node:sqlite')
  const database = await openPatiently(path, () => {
    const opened = new DatabaseSync(path, { timeout: BUSY_MS })
    try {
      opened.exec(SCHEMA)
      opened.prepare('INSERT INTO began VALUES (1, ?) ON CONFLICT DO NOTHING').run(Date.now())
      return opened
    } catch (cause) {
      opened.close()
      throw cause
    }
  })
  const began = Number(database.prepare('SELECT at FROM began').get()?.['at'])
  const insert = database.prepare('INSERT INTO burns VALUES (?, ?) ON CONFLICT DO NOTHING')
  const sweptAt = database.prepare('SELECT at FROM swept')
  const find = database.prepare('SELECT count(*) AS n FROM (SELECT 1 FROM burns WHERE expires <= ? LIMIT 1)')
  const mark = database.prepare('UPDATE swept SET at = max(at, ?)')
  const remove = database.prepare(
    'DELETE FROM burns WHERE id IN (SELECT id FROM burns WHERE expires <= ? ORDER BY expires LIMIT ?)',
  )
  const sweep = (now: number): void => {
    if (find.get(now)?.['n'] === 0) return
    // First: what is forgotten must not be burned again by a clock that is set back.
    mark.run(now)
    remove.run(now, SWEEP)
  }
  return {
    isShared: true,
    since: () => began,
    async burn(id, expiresMs) {
      const now = Math.max(Date.now(), Number(sweptAt.get()?.['at']))
      if (expiresMs <= now) return Promise.resolve(false)
      const isFirst = insert.run(id, expiresMs).changes === 1
      sweep(now)
      return Promise.resolve(isFirst)
    },
    close: () => database.close(),
  }
}

/** Replicas start together, and SQLite does not wait where the mode of the journal is changed for the first time. */
async function openPatiently<T>(path: string, open: () => T): Promise<T> {
  const until = performance.now() + BUSY_MS
  for (;;) {
    try {
      return open()
    } catch (cause) {
      if (performance.now() > until || !isLocked(cause))
        throw new ConfigError(`\`${path}\` cannot be opened for the burns of credentials`, { cause })
    }
    await setTimeout(10 + Math.random() * 20)
  }
}

/** SQLITE_BUSY, in whatever kind. */
function isLocked(cause: unknown): boolean {
  return cause instanceof Error && 'errcode' in cause && Number(cause.errcode) % 256 === 5
}

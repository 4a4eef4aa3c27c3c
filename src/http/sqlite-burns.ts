/**
 * @module
 * Burns in a file, for several processes on one machine, and for one that must not forget over a restart.
 */
import { ConfigError } from '../core/errors.ts'
import type { Burns } from '../ports/burns.ts'

/** How many that have expired one burn takes away. */
const SWEEP = 8

const SCHEMA = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  PRAGMA busy_timeout = 5000;
  CREATE TABLE IF NOT EXISTS burns (id TEXT PRIMARY KEY, expires INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS burns_expires ON burns (expires);
  CREATE TABLE IF NOT EXISTS began (one INTEGER PRIMARY KEY CHECK (one = 1), at INTEGER NOT NULL) STRICT;
`

/**
 * Opens or creates the file. Each burn is on the disk before it is answered, and blocks the process for as long as that takes.
 * Rejects with `ConfigError` where it cannot be opened. Trusted: whoever can write the file. Not for a network file system, and
 * not to be restored from a backup: remove the file instead, and everything that was issued before is refused.
 */
export async function sqliteBurns(path: string): Promise<Burns> {
  const { DatabaseSync } = await import('node:sqlite')
  const open = (): InstanceType<typeof DatabaseSync> => {
    const database = new DatabaseSync(path)
    database.exec(SCHEMA)
    database.prepare('INSERT INTO began VALUES (1, ?) ON CONFLICT DO NOTHING').run(Date.now())
    return database
  }
  let database: InstanceType<typeof DatabaseSync>
  try {
    database = open()
  } catch (cause) {
    throw new ConfigError(`\`${path}\` cannot be opened for the burns of credentials`, { cause })
  }
  const began = Number(database.prepare('SELECT at FROM began').get()?.['at'])
  const insert = database.prepare('INSERT INTO burns VALUES (?, ?) ON CONFLICT DO NOTHING')
  const sweep = database.prepare(
    'DELETE FROM burns WHERE id IN (SELECT id FROM burns WHERE expires <= ? ORDER BY expires LIMIT ?)',
  )
  return {
    isShared: true,
    since: () => began,
    async burn(id, expiresMs) {
      const now = Date.now()
      if (expiresMs <= now) return Promise.resolve(false)
      const isFirst = insert.run(id, expiresMs).changes === 1
      sweep.run(now, SWEEP)
      return Promise.resolve(isFirst)
    },
    close: () => database.close(),
  }
}

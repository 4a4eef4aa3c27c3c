/**
 * @module
 * The tables of the SQLite store and how a file is opened: never a newer schema, never somebody else's database.
 */
import type { DatabaseSync } from 'node:sqlite'
import { ConfigError } from '../core/errors.ts'

export const SCHEMA_VERSION = 1

/**
 * Ids and keys are BLOBs of `toKeyBytes`: compared byte by byte, without collation, affinity or the end of text at a NUL.
 * `meta` holds the newest version handed out (`version`) and the newest checkpoint (`checkpoint`).
 */
const SCHEMA = `
CREATE TABLE schema_version (version INTEGER NOT NULL) STRICT;
INSERT INTO schema_version VALUES (${SCHEMA_VERSION});
CREATE TABLE meta (name TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE record (key BLOB PRIMARY KEY, value TEXT NOT NULL, version INTEGER NOT NULL) STRICT;
CREATE TABLE burn (
  domain BLOB NOT NULL, id BLOB NOT NULL, expires INTEGER NOT NULL, PRIMARY KEY (domain, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX burn_expires ON burn (expires);
CREATE TABLE entry (idx INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, bytes BLOB NOT NULL) STRICT;
CREATE TABLE node (
  level INTEGER NOT NULL, idx INTEGER NOT NULL, hash BLOB NOT NULL, PRIMARY KEY (level, idx)
) STRICT, WITHOUT ROWID;
CREATE TABLE evidence (id BLOB PRIMARY KEY, subject TEXT NOT NULL, bytes BLOB NOT NULL) STRICT;
CREATE INDEX evidence_subject ON evidence (subject);
`

/**
 * `synchronous=FULL` waits for the disk at every commit; `fullfsync` makes that true on macOS too. `secure_delete` writes
 * zeros over what is deleted, so that a key that was destroyed is not found in a free page.
 */
const DURABLE = `PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA fullfsync=ON; PRAGMA checkpoint_fullfsync=ON;
  PRAGMA secure_delete=ON;`

/** Sets the connection up and creates the tables of a new file. Throws `ConfigError` for a file that is not ours. */
export function openSchema(db: DatabaseSync, path: string, readOnly: boolean): void {
  db.exec('PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON;')
  const tables = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all()
  if (!readOnly && tables.length === 0) {
    db.exec(DURABLE)
    db.exec(`BEGIN IMMEDIATE; ${SCHEMA} COMMIT;`)
    return
  }
  if (!tables.some(({ name }) => name === 'schema_version'))
    throw new ConfigError(
      `\`${path}\` is not a store of unbearer; give the path of one, or of a file that is not there yet`,
    )
  refuseOtherVersion(db, path)
  if (!readOnly) db.exec(DURABLE)
}

function refuseOtherVersion(db: DatabaseSync, path: string): void {
  const version = db.prepare('SELECT version FROM schema_version').get()?.['version']
  if (version === SCHEMA_VERSION) return
  const found = typeof version === 'number' ? version : 'none'
  const advice =
    typeof version === 'number' && version > SCHEMA_VERSION
      ? 'a newer unbearer wrote it; start that one'
      : 'restore a backup'
  throw new ConfigError(`\`${path}\` has schema \`${found}\` and this version knows \`${SCHEMA_VERSION}\`: ${advice}`)
}

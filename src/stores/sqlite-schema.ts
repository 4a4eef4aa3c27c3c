/**
 * @module
 * The tables of the SQLite store and how a file is opened: never a newer schema, never somebody else's database. An older
 * schema is brought forward, step by step, once a copy of the file lies beside it.
 */
import type { DatabaseSync } from 'node:sqlite'
import { ConfigError } from '../core/errors.ts'
import { copyDatabase, findFreePath } from './sqlite-copy.ts'

/**
 * Schema 1. Ids and keys are BLOBs of `toKeyBytes`: compared byte by byte, without collation, affinity or the end of text at
 * a NUL. `meta` holds the newest version handed out (`version`) and the newest checkpoint (`checkpoint`).
 */
const FIRST = `
CREATE TABLE schema_version (version INTEGER NOT NULL) STRICT;
INSERT INTO schema_version VALUES (1);
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
 * The steps from schema 1 on: number `n` (from 0) leads from schema `n + 1` to `n + 2`, in one transaction. A step that was
 * released is never changed; a new file takes all of them, so that there is one schema of each number and not two.
 */
export const MIGRATIONS: readonly string[] = [
  // 2: evidence and some records are sealed, which the version before cannot read. Nothing lists evidence by subject.
  'DROP INDEX evidence_subject;',
]

/** What was done to a file of an older schema. */
export interface Migrated {
  readonly from: number
  readonly to: number
  /** The file as it was before, complete, beside it. */
  readonly copy: string
}

export interface OpenSchema {
  readonly path: string
  readonly readOnly: boolean
  /** Told once an older file has been brought forward. */
  readonly onMigrated?: ((migrated: Migrated) => void) | undefined
  /** Other than `MIGRATIONS` in tests only. */
  readonly migrations?: readonly string[]
}

/**
 * `synchronous=FULL` waits for the disk at every commit; `fullfsync` makes that true on macOS too. `secure_delete` writes
 * zeros over what is deleted, so that a key that was destroyed is not found in a free page.
 */
const DURABLE = `PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA fullfsync=ON; PRAGMA checkpoint_fullfsync=ON;
  PRAGMA secure_delete=ON;`

/**
 * Sets the connection up, creates the tables of a new file and brings an older one forward. Throws `ConfigError` for a file
 * that is not ours, is newer, or is older and open for reading only. Whatever throws on the way leaves the last step that
 * was complete. Does not look into the data: the store compares tree and checkpoint.
 */
export function openSchema(db: DatabaseSync, options: OpenSchema): void {
  const { path, readOnly, migrations = MIGRATIONS } = options
  db.exec('PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON;')
  const tables = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all()
  if (!readOnly && tables.length === 0) {
    db.exec(DURABLE)
    db.exec(`BEGIN IMMEDIATE; ${[FIRST, ...migrations.map(toStep)].join('\n')} COMMIT;`)
    return
  }
  if (!tables.some(({ name }) => name === 'schema_version'))
    throw new ConfigError(
      `\`${path}\` is not a store of unbearer; give the path of one, or of a file that is not there yet`,
    )
  const from = readVersion(db)
  const to = migrations.length + 1
  if (from === undefined || from > to || (from < to && readOnly)) throw toRefusal(path, from, to)
  if (!readOnly) db.exec(DURABLE)
  if (from < to) migrate(db, options, from, migrations)
}

function migrate(
  db: DatabaseSync,
  { path, onMigrated }: OpenSchema,
  from: number,
  migrations: readonly string[],
): void {
  const to = migrations.length + 1
  const copy = findFreePath(`${path}.schema-${from}`)
  copyDatabase(db, copy)
  for (const [index, sql] of migrations.entries()) {
    if (index + 1 < from) continue
    db.exec('BEGIN IMMEDIATE')
    try {
      db.exec(toStep(sql, index))
      db.exec('COMMIT')
    } catch (cause) {
      if (db.isTransaction) db.exec('ROLLBACK')
      const said = `schema \`${from}\` of \`${path}\` could not be brought to \`${to}\``
      throw new ConfigError(`${said}; it is usable as before by the version before, and \`${copy}\` is a copy`, {
        cause,
      })
    }
  }
  onMigrated?.({ from, to, copy })
}

function toStep(sql: string, index: number): string {
  return `${sql}\nUPDATE schema_version SET version = ${index + 2};`
}

/** Undefined for what is no number of a schema. */
function readVersion(db: DatabaseSync): number | undefined {
  const version = db.prepare('SELECT version FROM schema_version').get()?.['version']
  return typeof version === 'number' && version >= 1 ? version : undefined
}

function toRefusal(path: string, found: number | undefined, known: number): ConfigError {
  const advice =
    found === undefined
      ? 'restore a backup'
      : found > known
        ? 'a newer unbearer wrote it; start that one'
        : 'start the server or run `unbearer doctor` once, which brings it forward'
  return new ConfigError(`\`${path}\` has schema \`${found ?? 'none'}\` and this version knows \`${known}\`: ${advice}`)
}

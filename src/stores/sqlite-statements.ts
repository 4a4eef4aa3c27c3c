/**
 * @module
 * Every statement of the SQLite store, prepared once, and the guards for what comes back from them.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { IntegrityError } from '../core/errors.ts'

const SQL = {
  record: 'SELECT value, version FROM record WHERE key = ?',
  versionOf: 'SELECT version FROM record WHERE key = ?',
  // Both bounds are plain comparisons: with `OR … IS NULL` around one, SQLite walks the table from the first key on.
  list: 'SELECT key, value, version FROM record WHERE key >= $from AND key < $end ORDER BY key LIMIT $limit',
  write:
    'INSERT INTO record VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value, version = excluded.version',
  erase: 'DELETE FROM record WHERE key = ?',
  expiryOf: 'SELECT expires FROM burn WHERE domain = ? AND id = ?',
  burn: 'INSERT INTO burn VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET expires = excluded.expires',
  sweep: `DELETE FROM burn WHERE (domain, id) IN
    (SELECT domain, id FROM burn WHERE expires <= ? ORDER BY expires LIMIT 1024)`,
  append: 'INSERT INTO entry VALUES (?, ?, ?)',
  indexOf: 'SELECT idx FROM entry WHERE id = ?',
  entries: 'SELECT bytes FROM entry WHERE idx >= ? AND idx < ? ORDER BY idx',
  last: 'SELECT max(idx) AS idx FROM entry',
  addNode: 'INSERT INTO node VALUES (?, ?, ?)',
  node: 'SELECT hash FROM node WHERE level = ? AND idx = ?',
  addEvidence: 'INSERT INTO evidence VALUES (?, ?, ?)',
  evidence: 'SELECT bytes FROM evidence WHERE id = ?',
  listEvidence: 'SELECT id, subject, bytes FROM evidence WHERE id >= $from ORDER BY id LIMIT $limit',
  dropEvidence: 'DELETE FROM evidence WHERE id = ?',
  meta: 'SELECT value FROM meta WHERE name = ?',
  setMeta: 'INSERT INTO meta VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value',
} as const

export type Statements = Readonly<Record<keyof typeof SQL, StatementSync>>

export function prepareStatements(db: DatabaseSync): Statements {
  return {
    record: db.prepare(SQL.record),
    versionOf: db.prepare(SQL.versionOf),
    list: db.prepare(SQL.list),
    write: db.prepare(SQL.write),
    erase: db.prepare(SQL.erase),
    expiryOf: db.prepare(SQL.expiryOf),
    burn: db.prepare(SQL.burn),
    sweep: db.prepare(SQL.sweep),
    append: db.prepare(SQL.append),
    indexOf: db.prepare(SQL.indexOf),
    entries: db.prepare(SQL.entries),
    last: db.prepare(SQL.last),
    addNode: db.prepare(SQL.addNode),
    node: db.prepare(SQL.node),
    addEvidence: db.prepare(SQL.addEvidence),
    evidence: db.prepare(SQL.evidence),
    listEvidence: db.prepare(SQL.listEvidence),
    dropEvidence: db.prepare(SQL.dropEvidence),
    meta: db.prepare(SQL.meta),
    setMeta: db.prepare(SQL.setMeta),
  }
}

export function toNumber(value: unknown): number {
  if (typeof value !== 'number') throw new IntegrityError('the store holds something else where a number belongs')
  return value
}

export function toText(value: unknown): string {
  if (typeof value !== 'string') throw new IntegrityError('the store holds something else where text belongs')
  return value
}

export function toBytes(value: unknown): Uint8Array {
  if (!(value instanceof Uint8Array)) throw new IntegrityError('the store holds something else where bytes belong')
  return value
}

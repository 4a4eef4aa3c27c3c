/**
 * @module
 * An older file is brought forward step by step, each whole or not at all, with a copy of what it was beside it.
 *
 * Broken once on purpose, and the test that fell:
 *
 * | broken on purpose                        | fell                                               |
 * | ---------------------------------------- | -------------------------------------------------- |
 * | a step does not roll back                | a step that fails leaves the steps before it       |
 * | no copy is made                          | holds all that it held, and a copy of what it was  |
 * | the steps begin anew at each start       | a second start does nothing                        |
 * | a read-only opening migrates             | for reading only is refused with what to do        |
 */
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import { type Migrated, MIGRATIONS, openSchema } from './sqlite-schema.ts'

const STEPS = [
  'CREATE TABLE one (n INTEGER NOT NULL) STRICT; INSERT INTO one SELECT count(*) FROM record;',
  'ALTER TABLE one ADD COLUMN m INTEGER; UPDATE one SET m = n + 1;',
]
const BROKEN = [STEPS[0] ?? '', 'CREATE TABLE two (n INTEGER) STRICT; INSERT INTO nowhere VALUES (1);']

let dir: string
let path: string

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'unbearer-schema-'))
  path = join(dir, 'unbearer.db')
})

afterEach(() => {
  rmSync(dir, { recursive: true })
})

function open(migrations: readonly string[], at: string = path): { db: DatabaseSync; migrated: Migrated[] } {
  const db = new DatabaseSync(at)
  const migrated: Migrated[] = []
  try {
    openSchema(db, { path: at, readOnly: false, migrations, onMigrated: (one) => migrated.push(one) })
    return { db, migrated }
  } catch (cause) {
    db.close()
    throw cause
  }
}

/** A file of schema 1 with one record. */
function writeFirst(): void {
  const { db } = open([])
  db.exec(`INSERT INTO record VALUES (x'61', '"a"', 1)`)
  db.close()
}

const versionOf = (db: DatabaseSync): unknown => db.prepare('SELECT version FROM schema_version').get()?.['version']
const schemaOf = (db: DatabaseSync): unknown =>
  db.prepare('SELECT type, name, sql FROM sqlite_schema ORDER BY type, name').all()

describe('a file of schema 1', () => {
  it('holds all that it held, and a copy of what it was lies beside it for nobody else to read', () => {
    writeFirst()
    const { db, migrated } = open(STEPS)
    expect(versionOf(db)).toBe(3)
    expect(db.prepare('SELECT n, m FROM one').get()).toEqual({ n: 1, m: 2 })
    const copy = `${path}.schema-1`
    expect(migrated).toEqual([{ from: 1, to: 3, copy }])
    expect(statSync(copy).mode & 0o777).toBe(0o600)
    db.close()
    const before = open([], copy)
    expect(before.db.prepare('SELECT count(*) AS n FROM record').get()).toEqual({ n: 1 })
    before.db.close()
  })

  it('becomes what a new file is', () => {
    writeFirst()
    const [older, fresh] = [open(STEPS), open(STEPS, join(dir, 'fresh.db'))]
    expect(schemaOf(older.db)).toEqual(schemaOf(fresh.db))
    expect(versionOf(fresh.db)).toBe(3)
    expect(fresh.migrated).toEqual([])
    for (const { db } of [older, fresh]) db.close()
  })

  it('takes what is missing only, and a second start does nothing', () => {
    writeFirst()
    open(STEPS.slice(0, 1)).db.close()
    const second = open(STEPS)
    expect(second.migrated).toEqual([{ from: 2, to: 3, copy: `${path}.schema-2` }])
    second.db.close()
    const third = open(STEPS)
    expect(third.migrated).toEqual([])
    third.db.close()
  })

  it('in which a step fails keeps the steps before it, and the next try goes on with a copy of its own', () => {
    writeFirst()
    expect(() => open(BROKEN)).toThrow(
      /schema `1` of .* could not be brought to `3`.*unbearer\.db\.schema-1` is a copy/,
    )
    const raw = new DatabaseSync(path)
    expect(versionOf(raw)).toBe(2)
    expect(raw.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'two'").get()).toBeUndefined()
    raw.exec('UPDATE schema_version SET version = 1; DROP TABLE one')
    raw.close()
    const { db, migrated } = open(STEPS)
    expect(migrated).toEqual([{ from: 1, to: 3, copy: `${path}.schema-1.2` }])
    db.close()
  })

  it('open for reading only is refused with what to do', () => {
    writeFirst()
    const db = new DatabaseSync(path, { readOnly: true })
    const opening = { path, readOnly: true, migrations: STEPS }
    expect(() => openSchema(db, opening)).toThrow(/has schema `1` and this version knows `3`: start the server/)
    db.close()
    expect(existsSync(`${path}.schema-1`)).toBe(false)
  })
})

describe('a file of a schema that is', () => {
  it.each([
    ['newer', String(MIGRATIONS.length + 2), /a newer unbearer wrote it; start that one/],
    ['not a schema', '0', /restore a backup/],
  ])('%s is refused and left alone', (_what, version, message) => {
    writeFirst()
    const raw = new DatabaseSync(path)
    raw.exec(`UPDATE schema_version SET version = ${version}`)
    raw.close()
    expect(() => open(MIGRATIONS)).toThrow(message)
    const after = new DatabaseSync(path)
    expect(versionOf(after)).toBe(Number(version))
    after.close()
  })
})

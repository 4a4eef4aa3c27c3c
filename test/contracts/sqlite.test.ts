/**
 * @module
 * What only the SQLite store has: a file, a schema, a fence between processes, and a crash to survive.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { DatabaseSync } from 'node:sqlite'
import { promisify } from 'node:util'
import { afterAll, describe, expect, it, vi } from 'vitest'
import { isJsonObject, type Json, type Store } from '../../src/index.ts'
import { createSqliteStore } from '../../src/stores/sqlite.ts'
import { createTestSeal } from '../../src/testing/index.ts'
import { scaled } from '../support/scale.ts'

const seal = createTestSeal()
const dirs: string[] = []

async function newPath(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'unbearer-sqlite-'))
  dirs.push(dir)
  return join(dir, 'unbearer.db')
}

async function persist(store: Store, id: string): Promise<void> {
  const result = await store.commit({ entries: [{ id, bytes: Buffer.from(id) }], writes: [{ key: id, value: id }] })
  if (result.status !== 'applied') throw new Error(result.status)
  await result.durable
}

async function fill(path: string, count: number): Promise<void> {
  const store = await createSqliteStore({ path, seal })
  for (let i = 0; i < count; i += 1) await persist(store, `id-${i}`)
  await store.close()
}

function tamper(path: string, sql: string): void {
  const db = new DatabaseSync(path)
  db.exec(sql)
  db.close()
}

afterAll(async () => {
  await Promise.all(dirs.map((dir) => rm(dir, { recursive: true })))
})

describe('the file', () => {
  it('and its companions are readable by nobody else', async () => {
    const path = await newPath()
    await writeFile(path, '', { mode: 0o644 })
    const store = await createSqliteStore({ path, seal })
    await persist(store, 'a')
    for (const suffix of ['', '-wal', '-shm', '.lock']) expect((await stat(path + suffix)).mode & 0o777).toBe(0o600)
    await store.close()
  })

  it('of a newer schema is refused with advice', async () => {
    const path = await newPath()
    await fill(path, 1)
    tamper(path, 'UPDATE schema_version SET version = 1000')
    await expect(createSqliteStore({ path, seal })).rejects.toMatchObject({
      code: 'ERR_UNBEARER_CONFIG',
      message: expect.stringContaining('a newer unbearer wrote it'),
    })
  })

  it('of somebody else is refused and left alone', async () => {
    const path = await newPath()
    tamper(path, 'CREATE TABLE theirs (x)')
    await expect(createSqliteStore({ path, seal })).rejects.toMatchObject({ code: 'ERR_UNBEARER_CONFIG' })
    const text = await newPath()
    await writeFile(text, 'not a database, but long enough to be taken for one at first sight')
    await expect(createSqliteStore({ path: text, seal })).rejects.toMatchObject({ code: 'ERR_UNBEARER_INTEGRITY' })
  })

  it('in a folder that is not there is refused', async () => {
    const path = join(await newPath(), 'no', 'unbearer.db')
    await expect(createSqliteStore({ path, seal })).rejects.toMatchObject({ code: 'ERR_UNBEARER_CONFIG' })
    await expect(createSqliteStore({ path, seal, readOnly: true })).rejects.toMatchObject({
      code: 'ERR_UNBEARER_UNAVAILABLE',
    })
  })

  it.each([
    ['a lost entry', 'DELETE FROM entry WHERE idx = 8'],
    ['an entry too many', "INSERT INTO entry VALUES (9, x'00', x'00')"],
    ['a changed node', 'UPDATE node SET hash = zeroblob(32) WHERE level = 3'],
    ['a lost node', 'DELETE FROM node WHERE level = 3'],
    ['a lost checkpoint', "DELETE FROM meta WHERE name = 'checkpoint'"],
    ['another checkpoint', "UPDATE meta SET value = replace(value, '9', '8') WHERE name = 'checkpoint'"],
  ])('with %s does not open', async (_name, sql) => {
    const path = await newPath()
    await fill(path, 9)
    tamper(path, sql)
    await expect(createSqliteStore({ path, seal })).rejects.toMatchObject({ code: 'ERR_UNBEARER_INTEGRITY' })
    await expect(createSqliteStore({ path, seal, readOnly: true })).rejects.toMatchObject({
      code: 'ERR_UNBEARER_INTEGRITY',
    })
  })

  it('forgets expired burns, a bounded number at a time', async () => {
    const path = await newPath()
    let now = 0
    const store = await createSqliteStore({ path, seal, clock: { now: () => now } })
    const burns = Array.from({ length: 1500 }, (_, i) => ({ domain: 'd', id: String(i), expires: 10 }))
    await store.commit({ burns })
    now = 20
    await persist(store, 'a')
    await persist(store, 'b')
    await store.close()
    const db = new DatabaseSync(path, { readOnly: true })
    expect(db.prepare('SELECT count(*) AS n FROM burn').get()?.['n']).toBe(0)
    db.close()
  })
})

describe('beside the writer', () => {
  it('a reader sees what is durable, and cannot write', async () => {
    const path = await newPath()
    const writer = await createSqliteStore({ path, seal })
    await persist(writer, 'a')
    const reader = await createSqliteStore({ path, seal, readOnly: true })
    await persist(writer, 'b')
    expect(await reader.log.size()).toBe(2)
    expect(await reader.log.checkpoint()).toBe(await writer.log.checkpoint())
    const pending = await writer.commit({ entries: [{ id: 'c', bytes: Buffer.from('c') }] })
    expect([await writer.log.size(), await reader.log.size()]).toEqual([3, 2])
    await expect(reader.commit({})).rejects.toMatchObject({ code: 'ERR_UNBEARER_INVARIANT' })
    if (pending.status === 'applied') await pending.durable
    await reader.close()
    await writer.close()
    const alone = await createSqliteStore({ path, seal, readOnly: true })
    expect(await alone.log.size()).toBe(3)
    await alone.close()
  })

  it('a second writer is refused also when it comes through a link', async () => {
    const path = await newPath()
    const store = await createSqliteStore({ path, seal })
    await symlink(path, `${path}-link`)
    await expect(createSqliteStore({ path: `${path}-link`, seal })).rejects.toMatchObject({ retryable: true })
    await store.close()
  })
})

describe('a disk that fails', () => {
  it('at the commit undoes the group, and a later one works', async () => {
    const store = await createSqliteStore({ path: await newPath(), seal })
    await persist(store, 'a')
    const exec = vi.spyOn(DatabaseSync.prototype, 'exec')
    exec.mockImplementation(function failing(this: DatabaseSync, sql: string) {
      if (sql === 'COMMIT') throw new Error('database or disk is full')
      this.prepare(sql.split(';')[0] ?? sql).run()
    })
    await expect(persist(store, 'b')).rejects.toMatchObject({ code: 'ERR_UNBEARER_UNAVAILABLE' })
    exec.mockRestore()
    expect([await store.log.size(), await store.log.indexOf('b')]).toEqual([1, undefined])
    await persist(store, 'b')
    expect(await store.log.size()).toBe(2)
    await store.close()
  })
})

describe('a transaction that SQLite gave up by itself', () => {
  it('takes its whole group along, and the next unit begins a new one', async () => {
    const store = await createSqliteStore({ path: await newPath(), seal })
    const first = await store.commit({ entries: [{ id: 'first', bytes: Buffer.from('first') }] })
    const exec = vi.spyOn(DatabaseSync.prototype, 'exec')
    exec.mockImplementationOnce(function savepoint(this: DatabaseSync, sql: string) {
      this.prepare(sql).run()
    })
    exec.mockImplementationOnce(function giveUp(this: DatabaseSync) {
      this.prepare('ROLLBACK').run()
      throw new Error('disk I/O error')
    })
    const unavailable = { code: 'ERR_UNBEARER_UNAVAILABLE' }
    await expect(persist(store, 'second')).rejects.toMatchObject(unavailable)
    exec.mockRestore()
    const third = persist(store, 'third')
    await expect(first.status === 'applied' ? first.durable : first).rejects.toMatchObject(unavailable)
    await third
    expect([await store.log.indexOf('first'), await store.log.indexOf('third')]).toEqual([undefined, 0])
    await store.close()
  })
})

/** Runs the writer as on a disk of 4 MB, where the system can limit the size of a file. */
async function runOnFullDisk(path: string, evidenceBytes: number): Promise<Json> {
  const script = join(import.meta.dirname, 'fixtures', 'full-disk-writer.ts')
  const limited = `trap '' XFSZ; ulimit -S -f 8000; exec "$0" "$@"`
  const args = ['-c', limited, process.execPath, script, path, String(evidenceBytes)]
  const { stdout } = await promisify(execFile)('sh', args)
  const seen: Json = JSON.parse(stdout)
  return seen
}

const hasPrlimit = process.platform === 'linux' && existsSync('/usr/bin/prlimit')
if (!hasPrlimit) console.info('skipped: a full disk, because there is no prlimit here')

describe('a full disk', () => {
  it.skipIf(!hasPrlimit).each([
    ['at the commit', 0],
    ['in the middle of a group', 700_000],
  ])('%s undoes whole groups, and what is acknowledged stays', async (_when, evidenceBytes) => {
    const seen = await runOnFullDisk(await newPath(), evidenceBytes)
    const acknowledged = isJsonObject(seen) ? Number(seen['acknowledged']) : -1
    expect(seen).toMatchObject({ size: acknowledged, after: [], found: { size: acknowledged + 8, problems: [] } })
    const codes = Array.from({ length: 8 }, () => 'ERR_UNBEARER_UNAVAILABLE')
    expect(seen).toMatchObject({ codes, repeated: codes })
  })
})

interface Writer {
  readonly child: ChildProcess
  readonly acknowledged: string[]
}

/** Starts the writer and resolves once it has acknowledged `count` units. */
async function startWriter(path: string, first: number, count: number): Promise<Writer> {
  const script = join(import.meta.dirname, 'fixtures', 'crash-writer.ts')
  const child = spawn(process.execPath, [script, path, String(first)], { stdio: ['ignore', 'pipe', 'inherit'] })
  const writer: Writer = { child, acknowledged: [] }
  await new Promise<void>((resolve, reject) => {
    child.once('exit', () => reject(new Error('the writer ended')))
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (line !== 'open') writer.acknowledged.push(line)
      if (writer.acknowledged.length >= count || count === 0) resolve()
    })
  })
  return writer
}

async function stopWriter({ child }: Writer): Promise<void> {
  const closed = once(child, 'close')
  child.removeAllListeners('exit')
  child.kill('SIGKILL')
  await closed
}

/** How many units the writer has acknowledged when it is killed. */
const ROUNDS: readonly number[] = Array.from({ length: scaled(1) }, () => [1, 9, 40, 17, 64]).flat()

describe('kill -9', () => {
  it('loses nothing that was acknowledged and frees the fence, many times over', async () => {
    const path = await newPath()
    let first = 0
    for (const count of ROUNDS) {
      const writer = await startWriter(path, first, count)
      await expect(createSqliteStore({ path, seal })).rejects.toMatchObject({ code: 'ERR_UNBEARER_UNAVAILABLE' })
      await stopWriter(writer)
      const store = await createSqliteStore({ path, seal })
      for (const id of writer.acknowledged) {
        const [record] = await store.get([`n/${id}`])
        const index = await store.log.indexOf(id)
        const burned = await store.commit({ burns: [{ domain: 'd', id, expires: Date.now() + 600_000 }] })
        const evidence = await store.evidence(id)
        expect([record?.value, index, burned.status, Buffer.from(evidence ?? []).toString()]).toEqual([
          Number(id),
          Number(id),
          'burned',
          `entry ${id}`,
        ])
      }
      expect(await store.check()).toEqual([])
      first = await store.log.size()
      await store.close()
    }
  })
})

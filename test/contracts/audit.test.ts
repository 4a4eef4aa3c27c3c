/**
 * @module
 * The log against those who can write its files: every flipped byte of an export, every changed row of the store.
 */
import { cp, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { canonicalBytes } from '../../src/core/canonical.ts'
import { appendLeaf, EMPTY_FRONTIER, leafHash, rootOf } from '../../src/core/merkle.ts'
import { generateKey, importKey } from '../../src/crypto/keys.ts'
import { createSeal, toVkey } from '../../src/crypto/note.ts'
import type { Store } from '../../src/index.ts'
import { exportLog } from '../../src/server/audit-export.ts'
import { verifyExport, verifyStore } from '../../src/server/audit.ts'
import { checkHead, createHeadKeeper } from '../../src/server/head.ts'
import { toReceipt, verifyReceipt } from '../../src/server/receipt.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { createSqliteStore } from '../../src/stores/sqlite.ts'

const ORIGIN = 'test.example/log'
const key = importKey({ ...generateKey('Ed25519') })
const vkey = toVkey(ORIGIN, key)
const seal = createSeal(ORIGIN, key)
const otherKey = importKey({ ...generateKey('Ed25519') })
const otherVkey = toVkey(ORIGIN, otherKey)
const COMMITMENT = `sha-256:${'A'.repeat(43)}`

let root = ''
let folders = 0
const newDir = (): string => join(root, String((folders += 1)))

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'unbearer-audit-'))
})
afterAll(() => rm(root, { recursive: true }))

function entryOf(id: string): Uint8Array {
  return canonicalBytes({
    v: 1,
    kind: 'control',
    id,
    time: 1,
    act: 'start',
    by: 'system',
    commitments: { detail: COMMITMENT },
  })
}

async function append(store: Store, from: number, to: number): Promise<void> {
  const ids = Array.from({ length: to - from }, (_, i) => `id-${from + i}`)
  const result = await store.commit({ entries: ids.map((id) => ({ id, bytes: entryOf(id) })) })
  if (result.status === 'applied') await result.durable
}

async function logOf(size: number): Promise<Store> {
  const store = createMemoryStore({ seal })
  await append(store, 0, size)
  return store
}

async function exportOf(size: number): Promise<string> {
  const dir = newDir()
  await exportLog((await logOf(size)).log, dir, { vkey })
  return dir
}

async function filesOf(dir: string): Promise<string[]> {
  const found = await readdir(dir, { recursive: true, withFileTypes: true })
  return found.filter((one) => one.isFile()).map((one) => join(one.parentPath, one.name))
}

async function flip(file: string, at: number, bit: number): Promise<void> {
  const bytes = await readFile(file)
  bytes[at] = (bytes[at] ?? 0) ^ (1 << bit)
  await writeFile(file, bytes)
}

describe('an export', () => {
  it.each([1, 3, 255, 256, 257, 600])('of %i entries is intact', async (size) => {
    const dir = await exportOf(size)
    const report = await verifyExport(dir, { vkey })
    expect(report).toMatchObject({ ok: true, entries: size, witnessed: false, problems: [], keyFrom: 'auditor' })
    expect(report.checkpoint).toContain(`\n${size}\n${report.root}\n`)
    expect(await verifyExport(dir)).toMatchObject({ ok: true, keyFrom: 'export' })
  })

  it('has no byte that can be changed unseen', async () => {
    const dir = await exportOf(3)
    let flipped = 0
    const unseen: string[] = []
    for (const file of await filesOf(dir)) {
      const size = (await stat(file)).size
      for (let at = 0; at < size; at += 1) {
        const bit = at % 8
        await flip(file, at, bit)
        const [own, trusted] = [await verifyExport(dir), await verifyExport(dir, { vkey })]
        if (own.ok || trusted.ok || own.problems.length === 0) unseen.push(`${file}:${at}`)
        await flip(file, at, bit)
        flipped += 1
      }
    }
    expect(unseen).toEqual([])
    expect(flipped).toBeGreaterThan(800)
    expect((await verifyExport(dir)).ok).toBe(true)
  })

  it('of many tiles has no byte that can be changed unseen, by samples', async () => {
    const dir = await exportOf(300)
    for (const file of await filesOf(dir)) {
      const size = (await stat(file)).size
      for (const at of [0, 1, Math.floor(size / 2), size - 1]) {
        await flip(file, at, 0)
        expect((await verifyExport(dir)).ok).toBe(false)
        await flip(file, at, 0)
      }
    }
  })

  it('names the first bad entry', async () => {
    const dir = await exportOf(300)
    const bundle = join(dir, 'tile/entries/000')
    const length = entryOf('id-0').length + 2
    await flip(bundle, length * 4 + 30, 0)
    await flip(join(dir, 'tile/entries/001.p/44'), 5, 0)
    expect(await verifyExport(dir)).toMatchObject({ ok: false, firstBad: 4 })
  })

  it('names no entry when only a tile is bad', async () => {
    const dir = await exportOf(300)
    await flip(join(dir, 'tile/0/000'), 70, 0)
    const report = await verifyExport(dir)
    expect(report.ok).toBe(false)
    expect(report.firstBad).toBeUndefined()
  })

  it('with anything missing, cut off, added or linked is not intact', async () => {
    const dir = await exportOf(300)
    const changes: ((copy: string) => Promise<unknown>)[] = [
      (copy) => rm(join(copy, 'checkpoint')),
      (copy) => rm(join(copy, 'vkey')),
      (copy) => rm(join(copy, 'tile/entries/000')),
      (copy) => rm(join(copy, 'tile'), { recursive: true }),
      (copy) => rm(join(copy, 'tile/1/000.p/1')),
      (copy) => writeFile(join(copy, 'tile/entries/000'), ''),
      (copy) => writeFile(join(copy, 'tile/entries/001.p/44'), 'x', { flag: 'a' }),
      (copy) => writeFile(join(copy, 'tile/0/001.p/44'), 'x', { flag: 'a' }),
      (copy) => writeFile(join(copy, 'checkpoint'), '\n', { flag: 'a' }),
      (copy) => writeFile(join(copy, 'vkey'), '\n', { flag: 'a' }),
      (copy) => writeFile(join(copy, 'tile/0/002'), 'x'),
      (copy) => writeFile(join(copy, 'note'), ''),
      async (copy) => {
        await rm(join(copy, 'vkey'))
        await symlink(join(dir, 'vkey'), join(copy, 'vkey'))
      },
    ]
    for (const change of changes) {
      const copy = newDir()
      await cp(dir, copy, { recursive: true })
      await change(copy)
      const report = await verifyExport(copy)
      expect([String(change), report.ok, report.problems.length > 0]).toEqual([String(change), false, true])
    }
  })

  it('signed anew by another key is intact only to whoever asks the export for its key', async () => {
    const dir = newDir()
    const forged = createMemoryStore({ seal: createSeal(ORIGIN, otherKey) })
    await append(forged, 0, 5)
    await exportLog(forged.log, dir, { vkey: otherVkey })
    expect(await verifyExport(dir)).toMatchObject({ ok: true, keyFrom: 'export' })
    expect((await verifyExport(dir, { vkey })).ok).toBe(false)
  })

  it('rewritten as a whole is found by the checkpoint alone', async () => {
    const dir = newDir()
    const rewritten = createMemoryStore({ seal })
    await append(rewritten, 1, 6)
    await exportLog(rewritten.log, dir, { vkey })
    await cp(join(await exportOf(5), 'checkpoint'), join(dir, 'checkpoint'))
    expect((await verifyExport(dir)).problems).toEqual([expect.stringContaining('do not have the root')])
  })

  it('does not begin with a head of another history', async () => {
    const head = await (await logOf(7)).log.checkpoint()
    const longer = await (await logOf(12)).log.checkpoint()
    const dir = await exportOf(9)
    const rewritten = createMemoryStore({ seal })
    await append(rewritten, 1, 8)
    const other = await rewritten.log.checkpoint()
    if (head === undefined || longer === undefined || other === undefined) throw new Error('no checkpoint')
    expect((await verifyExport(dir, { vkey, head })).ok).toBe(true)
    expect((await verifyExport(dir, { vkey, head: other })).problems).toEqual([
      expect.stringContaining('does not begin'),
    ])
    expect((await verifyExport(dir, { vkey, head: longer })).ok).toBe(false)
    expect((await verifyExport(dir, { vkey, head: head.replace('7', '6') })).ok).toBe(false)
  })

  it('of what is no log entry names it', async () => {
    const store = createMemoryStore({ seal })
    await append(store, 0, 2)
    const loose = Buffer.from(`${Buffer.from(entryOf('x')).toString()} `)
    const result = await store.commit({ entries: [{ id: 'x', bytes: loose }] })
    if (result.status === 'applied') await result.durable
    const dir = newDir()
    await exportLog(store.log, dir, { vkey })
    expect(await verifyExport(dir)).toMatchObject({ ok: false, firstBad: 2 })
  })

  it('is refused where it cannot be made or read', async () => {
    const { log } = await logOf(2)
    await expect(exportLog(log, await exportOf(1), { vkey })).rejects.toThrow('is not empty')
    const file = join(await exportOf(1), 'vkey')
    await expect(exportLog(log, file, { vkey })).rejects.toThrow('is not a folder, or cannot be made')
    await expect(exportLog(createMemoryStore({ seal }).log, newDir(), { vkey })).rejects.toThrow('the log is empty')
    await expect(exportLog(log, newDir(), { vkey: otherVkey })).rejects.toMatchObject({
      code: 'ERR_UNBEARER_INTEGRITY',
    })
    await expect(verifyExport(newDir())).rejects.toMatchObject({ code: 'ERR_UNBEARER_INPUT' })
    const empty = newDir()
    await mkdir(empty)
    await expect(verifyExport(empty)).rejects.toThrow('holds no export')
    await expect(verifyExport(await exportOf(1), { vkey: 'nonsense' })).rejects.toMatchObject({
      code: 'ERR_UNBEARER_CONFIG',
    })
  })
})

describe('the live store', () => {
  it('is intact, also when it is empty', async () => {
    expect(await verifyStore(await logOf(300), { vkey })).toMatchObject({ ok: true, entries: 300, problems: [] })
    expect(await verifyStore(createMemoryStore({ seal }), { vkey })).toMatchObject({ ok: true, entries: 0 })
  })

  it.each([
    ['a changed entry', "UPDATE entry SET bytes = CAST(bytes || x'20' AS BLOB) WHERE idx = 5", 5],
    [
      'a rewritten entry',
      "UPDATE entry SET bytes = CAST(replace(CAST(bytes AS TEXT), 'system', 'nobody') AS BLOB) WHERE idx = 5",
      5,
    ],
    ['swapped entries', 'UPDATE entry SET bytes = (SELECT bytes FROM entry e WHERE e.idx = 2) WHERE idx = 1', 1],
    ['a lost entry', 'DELETE FROM entry WHERE idx = 4', 4],
    ['a changed leaf hash', 'UPDATE node SET hash = zeroblob(32) WHERE level = 0 AND idx = 3', undefined],
    ['a changed inner node', 'UPDATE node SET hash = zeroblob(32) WHERE level = 1 AND idx = 1', undefined],
    ['a lost inner node', 'DELETE FROM node WHERE level = 2 AND idx = 0', undefined],
    ['an id of another entry', "UPDATE entry SET id = x'00' WHERE idx = 3", undefined],
  ])('with %s is not intact', async (_name, sql, firstBad) => {
    await mkdir(newDir())
    const path = join(root, String(folders), 'unbearer.db')
    const store = await createSqliteStore({ path, seal })
    await append(store, 0, 9)
    await store.close()
    const db = new DatabaseSync(path)
    db.exec(sql)
    db.close()
    const opened = await createSqliteStore({ path, seal, readOnly: true })
    const report = await verifyStore(opened, { vkey })
    expect([report.ok, report.firstBad]).toEqual([false, firstBad])
    await opened.close()
  })

  it('signed by another key, or shorter than the head outside, is not intact', async () => {
    const store = await logOf(5)
    expect((await verifyStore(store, { vkey: otherVkey })).ok).toBe(false)
    const head = (await (await logOf(6)).log.checkpoint()) ?? ''
    expect((await verifyStore(store, { vkey, head })).ok).toBe(false)
    expect((await verifyStore(createMemoryStore({ seal }), { vkey, head })).ok).toBe(false)
  })
})

describe('the head outside', () => {
  it('is written with each seal and found again', async () => {
    const path = newDir()
    const keeper = createHeadKeeper(path, vkey)
    expect(keeper.read()).toBeUndefined()
    const store = createMemoryStore({ seal, onSealed: keeper.write })
    await append(store, 0, 4)
    expect(createHeadKeeper(path, vkey).read()).toBe(await store.log.checkpoint())
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    await append(store, 4, 9)
    await checkHead(store.log, createHeadKeeper(path, vkey).read() ?? '', vkey)
  })

  it('never goes back', async () => {
    const keeper = createHeadKeeper(newDir(), vkey)
    keeper.write((await (await logOf(4)).log.checkpoint()) ?? '')
    const shorter = (await (await logOf(3)).log.checkpoint()) ?? ''
    expect(() => keeper.write(shorter)).toThrow('follows one of')
  })

  it('that was changed is not believed', async () => {
    const path = newDir()
    const keeper = createHeadKeeper(path, vkey)
    keeper.write((await (await logOf(4)).log.checkpoint()) ?? '')
    await flip(path, 17, 0)
    expect(() => keeper.read()).toThrow('the note is not signed')
    await writeFile(path, '')
    expect(() => keeper.read()).toThrow('malformed note')
  })

  it('refuses a tree that is shorter, rewritten, emptied or signed by another', async () => {
    const head = (await (await logOf(7)).log.checkpoint()) ?? ''
    const rewritten = createMemoryStore({ seal })
    await append(rewritten, 1, 12)
    const foreign = createMemoryStore({ seal: createSeal(ORIGIN, otherKey) })
    await append(foreign, 0, 8)
    for (const size of [7, 8, 9, 300]) await checkHead((await logOf(size)).log, head, vkey)
    const integrity = { code: 'ERR_UNBEARER_INTEGRITY' }
    for (const store of [await logOf(6), rewritten, foreign, createMemoryStore({ seal })])
      await expect(checkHead(store.log, head, vkey)).rejects.toMatchObject(integrity)
    await expect(checkHead((await logOf(8)).log, head.replace('7', '8'), vkey)).rejects.toMatchObject(integrity)
  })
})

describe('a receipt', () => {
  it('verifies offline, for each entry of logs of many sizes', async () => {
    for (const size of [1, 2, 5, 8, 13, 257]) {
      const { log } = await logOf(size)
      for (const index of new Set([0, size >> 1, size - 1])) {
        const report = verifyReceipt(await toReceipt(log, `id-${index}`), vkey)
        expect(report).toMatchObject({ ok: true, index, entries: size, entry: { id: `id-${index}` }, witnessed: false })
      }
    }
  })

  it('has no byte that can be changed unseen', async () => {
    const receipt = await toReceipt((await logOf(11)).log, 'id-6')
    const text = Buffer.from(receipt)
    const unseen: number[] = []
    for (let at = 0; at < text.length; at += 1) {
      const copy = Buffer.from(text)
      copy[at] = (copy[at] ?? 0) ^ (1 << (at % 8))
      if (verifyReceipt(copy.toString(), vkey).ok) unseen.push(at)
    }
    expect(unseen).toEqual([])
    for (const changed of [`${receipt}\n`, `\n${receipt}`, receipt.slice(0, -1), `${receipt}x`])
      expect(verifyReceipt(changed, vkey).ok).toBe(false)
  })

  it('serves no other entry, key or log', async () => {
    const { log } = await logOf(11)
    const text = await toReceipt(log, 'id-6')
    const [line = '', ...proof] = text.split('\n')
    expect(verifyReceipt(text, otherVkey).ok).toBe(false)
    expect(verifyReceipt(text, vkey, entryOf('id-6')).ok).toBe(true)
    expect(verifyReceipt(text, vkey, entryOf('id-7')).ok).toBe(false)
    expect(verifyReceipt(proof.join('\n'), vkey, Buffer.from(line)).ok).toBe(true)
    expect(verifyReceipt(proof.join('\n'), vkey).ok).toBe(false)
    expect(verifyReceipt(`${Buffer.from(entryOf('id-7')).toString()}\n${proof.join('\n')}`, vkey).ok).toBe(false)
    const extra = text.replace('\nindex', '\nextra AAAA\nindex')
    expect(verifyReceipt(extra, vkey).ok).toBe(false)
  })

  it('is not given for what is not there or not sealed', async () => {
    const store = await logOf(2)
    await expect(toReceipt(store.log, 'none')).rejects.toMatchObject({ code: 'ERR_UNBEARER_INPUT' })
    const pending = await store.commit({ entries: [{ id: 'id-2', bytes: entryOf('id-2') }] })
    await expect(toReceipt(store.log, 'id-2')).rejects.toMatchObject({ code: 'ERR_UNBEARER_UNAVAILABLE' })
    if (pending.status === 'applied') await pending.durable
    expect(verifyReceipt(await toReceipt(store.log, 'id-2'), vkey).ok).toBe(true)
  })

  it('covers a root that anybody can recompute', async () => {
    let frontier = EMPTY_FRONTIER
    for (let i = 0; i < 5; i += 1) ({ frontier } = appendLeaf(frontier, leafHash(entryOf(`id-${i}`))))
    const text = await toReceipt((await logOf(5)).log, 'id-0')
    expect(text).toContain(`\n5\n${Buffer.from(rootOf(frontier)).toString('base64')}\n`)
  })
})

/**
 * @module
 * An archive that grows is, after each run, the export that one run would have written; and nobody can slip anything in.
 *
 * Broken once on purpose, and the test that fell: `checkHead` left out: refuses the archive of another history; `auditTree`
 * left out: refuses a damaged archive; `known` from the files that lie there: does not trust what lies in its way.
 */
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { canonicalBytes } from '../../src/core/canonical.ts'
import { IntegrityError } from '../../src/core/errors.ts'
import { generateKey, importKey } from '../../src/crypto/keys.ts'
import { createSeal, toVkey } from '../../src/crypto/note.ts'
import type { Store } from '../../src/index.ts'
import { archiveLog } from '../../src/server/audit-archive.ts'
import { exportLog } from '../../src/server/audit-export.ts'
import { verifyExport } from '../../src/server/audit.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'

const ORIGIN = 'test.example/log'
const key = importKey({ ...generateKey('Ed25519') })
const vkey = toVkey(ORIGIN, key)

let root = ''
let folders = 0
const newDir = (): string => join(root, String((folders += 1)))

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'unbearer-archive-'))
})
afterAll(() => rm(root, { recursive: true }))

async function grow(store: Store, to: number, act = 'start'): Promise<void> {
  const from = await store.log.size()
  const entries = Array.from({ length: to - from }, (_, i) => {
    const id = `id-${from + i}`
    return { id, bytes: canonicalBytes({ v: 1, kind: 'control', id, time: 1, act, by: 'system', commitments: {} }) }
  })
  const result = await store.commit({ entries })
  if (result.status === 'applied') await result.durable
}

const newLog = (): Store => createMemoryStore({ seal: createSeal(ORIGIN, key) })

/** Path to content of every file. */
async function filesOf(dir: string): Promise<ReadonlyMap<string, string>> {
  const found = await readdir(dir, { recursive: true, withFileTypes: true })
  const files = found.filter((one) => one.isFile()).map((one) => join(one.parentPath, one.name))
  const pairs = files.map(async (file) => [relative(dir, file), (await readFile(file)).toString('hex')] as const)
  return new Map((await Promise.all(pairs)).toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

describe('an archive', () => {
  it.each([[[1, 2]], [[255, 256, 257]], [[300, 600, 600]], [[1, 1000]], [[512, 1024]]])(
    'that grew over %j entries is what one export is',
    async (sizes) => {
      const store = newLog()
      const dir = newDir()
      let before = 0
      for (const size of sizes) {
        await grow(store, size)
        const archived = await archiveLog(store.log, dir, { vkey })
        expect([archived.before, archived.checkpoint.size]).toEqual([before, size])
        before = size
        expect(await verifyExport(dir, { vkey })).toMatchObject({ ok: true, entries: size })
      }
      const once = newDir()
      await exportLog(store.log, once, { vkey })
      expect(await filesOf(dir)).toEqual(await filesOf(once))
    },
  )

  it('writes no whole tile twice', async () => {
    const store = newLog()
    const dir = newDir()
    await grow(store, 700)
    await archiveLog(store.log, dir, { vkey })
    await grow(store, 800)
    const written: number[] = []
    await archiveLog(store.log, dir, { vkey, onProgress: (done, total) => written.push(done, total) })
    // One unfinished tile of entries, of hashes, and of hashes over hashes.
    expect(written.at(-1)).toBeLessThan(6)
  })

  it('refuses a damaged archive, whatever byte it is, and leaves it as it is', async () => {
    const store = newLog()
    const dir = newDir()
    await grow(store, 260)
    await archiveLog(store.log, dir, { vkey })
    await grow(store, 300)
    for (const path of (await filesOf(dir)).keys()) {
      const file = join(dir, path)
      const good = await readFile(file)
      for (const at of [0, Math.floor(good.length / 2), good.length - 1]) {
        const bad = Buffer.from(good)
        bad[at] = (bad[at] ?? 0) ^ 1
        await writeFile(file, bad)
        const before = await filesOf(dir)
        await expect(archiveLog(store.log, dir, { vkey })).rejects.toThrow(/archive|note|checkpoint/)
        expect(await filesOf(dir)).toEqual(before)
      }
      await writeFile(file, good)
    }
    expect((await archiveLog(store.log, dir, { vkey })).before).toBe(260)
  })

  it('refuses the archive of another history, and of a longer one', async () => {
    const dir = newDir()
    const store = newLog()
    await grow(store, 300)
    await archiveLog(store.log, dir, { vkey })
    const other = newLog()
    await grow(other, 400, 'mode')
    await expect(archiveLog(other.log, dir, { vkey })).rejects.toThrow(IntegrityError)
    const shorter = newLog()
    await grow(shorter, 299)
    await expect(archiveLog(shorter.log, dir, { vkey })).rejects.toThrow(IntegrityError)
    const stranger = toVkey(ORIGIN, importKey({ ...generateKey('Ed25519') }))
    await expect(archiveLog(store.log, dir, { vkey: stranger })).rejects.toThrow('another log')
  })

  it('does not trust what lies in its way, and goes on after a run that was broken off', async () => {
    const dir = newDir()
    const store = newLog()
    await grow(store, 300)
    await archiveLog(store.log, dir, { vkey })
    await grow(store, 600)
    for (const path of ['tile/0/001', 'tile/entries/001', 'tile/entries/002.p/88.new', 'checkpoint.new']) {
      await mkdir(dirname(join(dir, path)), { recursive: true })
      await writeFile(join(dir, path), 'planted')
    }
    await archiveLog(store.log, dir, { vkey })
    expect(await verifyExport(dir, { vkey })).toMatchObject({ ok: true, entries: 600 })
  })

  it('begins nowhere but in an empty folder', async () => {
    const dir = newDir()
    await mkdir(dir)
    await writeFile(join(dir, 'notes.txt'), 'mine')
    const store = newLog()
    await grow(store, 3)
    await expect(archiveLog(store.log, dir, { vkey })).rejects.toThrow('not empty')
  })
})

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { canonicalBytes } from '../core/canonical.ts'
import { generateKey, importKey } from '../crypto/keys.ts'
import { createSeal, toVkey } from '../crypto/note.ts'
import type { Store } from '../index.ts'
import { toControlUnit, toDecisionUnit } from '../pdp/log-entries.ts'
import { createMemoryStore } from '../stores/memory.ts'
import { showEntry } from '../server/entries.ts'
import { auditExport, auditShow, auditTail, auditVerify } from './audit.ts'

const key = importKey({ ...generateKey('Ed25519') })
const vkey = toVkey('test.example/log', key)
const seal = createSeal('test.example/log', key)
let root = ''

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'unbearer-audit-cli-'))
})
afterAll(() => rm(root, { recursive: true }))

async function persist(store: Store, detail: string): Promise<string> {
  const unit = toControlUnit({ act: 'start', by: 'system', subject: 'user/alice', detail: { detail }, now: 1 })
  const result = await store.commit(unit)
  if (result.status === 'applied') await result.durable
  return unit.entries[0].id
}

async function unreadable(): Promise<never> {
  throw new Error('gone')
}

async function collect(lines: AsyncIterable<string>): Promise<string[]> {
  const found: string[] = []
  for await (const line of lines) found.push(line)
  return found
}

const indexes = (lines: readonly string[]): unknown[] =>
  lines.map((line) => {
    const { index }: { index: number } = JSON.parse(line)
    return index
  })

describe('audit export and verify', () => {
  it('answer 0 for what is intact and 1 with the first bad entry for what is not', async () => {
    const store = createMemoryStore({ seal })
    for (const detail of ['a', 'b', 'c']) await persist(store, detail)
    const dir = join(root, 'export')
    expect(await auditExport(store.log, dir, { vkey })).toMatchObject({ exitCode: 0, json: { entries: 3 } })
    const intact = await auditVerify({ path: dir }, { vkey })
    expect(intact).toMatchObject({ exitCode: 0, json: { ok: true, entries: 3, witnessed: false } })
    expect(Object.keys(intact.json)).toEqual(
      expect.arrayContaining(['ok', 'entries', 'root', 'checkpoint', 'witnessed']),
    )
    expect(intact.text).toContain('as shown by the operator')
    const file = join(dir, 'tile/entries/000.p/3')
    const bytes = await readFile(file)
    bytes.writeUInt8(bytes.readUInt8(50) ^ 1, 50)
    await writeFile(file, bytes)
    expect(await auditVerify({ path: dir }, { vkey })).toMatchObject({ exitCode: 1, json: { ok: false, firstBad: 0 } })
  })

  it('answer 2 for what cannot be read', async () => {
    expect(await auditVerify({ path: join(root, 'none') }, { vkey })).toMatchObject({ exitCode: 2 })
    expect(await auditVerify({ store: createMemoryStore({ seal }) }, {})).toMatchObject({ exitCode: 2 })
    expect(await auditVerify({ store: createMemoryStore({ seal }) }, { vkey: 'x' })).toMatchObject({ exitCode: 2 })
    expect(await auditExport(createMemoryStore({ seal }).log, join(root, 'e'), { vkey })).toMatchObject({ exitCode: 2 })
  })

  it('take the live store', async () => {
    const store = createMemoryStore({ seal })
    await persist(store, 'a')
    expect(await auditVerify({ store }, { vkey })).toMatchObject({ exitCode: 0, json: { entries: 1 } })
  })
})

describe('audit show', () => {
  it('opens the commitments and gives a receipt that verifies on its own', async () => {
    const store = createMemoryStore({ seal })
    await persist(store, 'a')
    const id = await persist(store, 'b\u202e')
    const shown = await auditShow(await showEntry(store, id), { vkey })
    expect(shown).toMatchObject({
      exitCode: 0,
      json: { ok: true, entry: { id }, commitments: { detail: 'opened' }, evidence: { detail: { detail: 'b\u202e' } } },
    })
    expect(shown.text).not.toContain('\u202e')
    const file = join(root, 'receipt')
    const { receipt } = shown.json
    if (typeof receipt !== 'string') throw new Error('no receipt')
    await writeFile(file, receipt)
    expect(await auditVerify({ path: file }, { vkey })).toMatchObject({ exitCode: 0, json: { ok: true, index: 1 } })
    await writeFile(file, receipt.replace('start', 'stopp'))
    expect(await auditVerify({ path: file }, { vkey })).toMatchObject({ exitCode: 1, json: { ok: false } })
    expect(await auditVerify({ path: file }, {})).toMatchObject({ exitCode: 2 })
  })

  it('answers 1 when evidence is not what was committed to', async () => {
    const store = createMemoryStore({ seal })
    const unit = toControlUnit({ act: 'start', by: 'system', subject: 's', detail: 'true', now: 1 })
    const forged = canonicalBytes({ salts: { detail: 'AAAAAAAAAAAAAAAAAAAAAA' }, values: { detail: 'false' } })
    const evidence = unit.evidence.map((one) => ({ ...one, bytes: forged }))
    const result = await store.commit({ ...unit, evidence })
    if (result.status === 'applied') await result.durable
    const shown = await auditShow(await showEntry(store, unit.entries[0].id), { vkey })
    expect(shown).toMatchObject({ exitCode: 1, json: { ok: false, commitments: { detail: 'mismatch' } } })
  })

  it('shows an entry whose evidence was dropped, and answers 2 for one that is not sealed', async () => {
    const store = createMemoryStore({ seal })
    const { entries } = toControlUnit({ act: 'start', by: 'system', subject: 's', detail: 1, now: 1 })
    const result = await store.commit({ entries })
    if (result.status === 'applied') await result.durable
    expect(await auditShow(await showEntry(store, entries[0].id), { vkey })).toMatchObject({
      exitCode: 0,
      json: { commitments: { detail: 'dropped' }, evidence: null },
    })
    await expect(showEntry(store, 'none')).rejects.toThrow('no entry')
    expect(await auditShow({}, { vkey })).toMatchObject({ exitCode: 2 })
  })
})

describe('audit tail', () => {
  it('gives the newest entries, oldest first', async () => {
    const store = createMemoryStore({ seal })
    const ids: string[] = []
    for (const detail of ['a', 'b', 'c']) ids.push(await persist(store, detail))
    const lines = await collect(auditTail(store.log, { last: 2 }))
    expect(lines).toEqual(ids.slice(1).map((id, i) => `${i + 1} 1970-01-01T00:00:00.001Z control start ${id}`))
    const [first = ''] = await collect(auditTail(store.log, { json: true }))
    expect(JSON.parse(first)).toEqual({
      schema: 'unbearer.audit/1',
      index: 0,
      time: '1970-01-01T00:00:00.001Z',
      entry: {
        v: 1,
        kind: 'control',
        id: ids[0],
        time: 1,
        act: 'start',
        by: 'system',
        commitments: { detail: expect.stringMatching(/^sha-256:[\w-]{43}$/) },
      },
    })
  })

  it('goes on where it stopped, and says when the log was cut', async () => {
    const store = createMemoryStore({ seal })
    for (const detail of ['a', 'b', 'c']) await persist(store, detail)
    expect(indexes(await collect(auditTail(store.log, { json: true, from: 1 })))).toEqual([1, 2])
    expect(await collect(auditTail(store.log, { json: true, from: 3 }))).toEqual([])
    await expect(collect(auditTail(store.log, { json: true, from: 4 }))).rejects.toThrow('it was cut')
  })

  it('leaves out what was let through, and counts what is left', async () => {
    const store = createMemoryStore({ seal })
    const head = { time: 1, plane: 'adapter', advisory: true, proof: 'process', policy: 'p', rev: 0 } as const
    const kept = { request: {}, evidence: null, findings: [], verdicts: [] }
    const permit = { ...head, mode: 'observe', decision: 'permit' } as const
    const facts = [
      { ...head, mode: 'enforce', id: 'denied-1', decision: 'deny', reason: 'policy.denied' },
      { ...permit, id: 'permitted-1', jti: 'j1' },
      { ...permit, id: 'suspended-1', jti: 'j2', suspended: ['policy.denied'] },
    ] as const
    for (const fact of facts) await store.commit(toDecisionUnit(fact, kept, 'user/alice'))
    for (let i = 0; i < 300; i += 1) await persist(store, 'much else')
    const shown = async (last: number): Promise<readonly (string | undefined)[]> =>
      (await collect(auditTail(store.log, { refused: true, last }))).map((line) => line.split(' ').at(-1))
    expect(await shown(20)).toEqual(['denied-1', 'suspended-1'])
    expect(await shown(1)).toEqual(['suspended-1'])
    expect(await shown(0)).toEqual([])
  })

  it('names what a decision was about, as far as evidence says', async () => {
    const store = createMemoryStore({ seal })
    const head = {
      time: 1,
      plane: 'adapter',
      mode: 'enforce',
      advisory: true,
      proof: 'process',
      policy: 'p',
      rev: 0,
    } as const
    const resources = [{ type: 'tool', id: 'desk/find\nme' }, 'none']
    for (const [index, resource] of resources.entries()) {
      const facts = { ...head, id: `id-${index}`, decision: 'deny', reason: 'policy.denied' } as const
      const kept = { request: { resource }, evidence: null, findings: [], verdicts: [] }
      await store.commit(toDecisionUnit(facts, kept, 'user/alice'))
    }
    const evidence = async (id: string) => store.evidence(id)
    const lines = await collect(auditTail(store.log, { evidence }))
    expect(lines.map((line) => line.slice(27))).toEqual([
      'decision deny policy.denied adapter desk/find\\nme id-0',
      'decision deny policy.denied adapter id-1',
    ])
    expect(await collect(auditTail(store.log, { evidence: unreadable }))).toHaveLength(2)
  })

  it('follows until it is told to stop', async () => {
    const store = createMemoryStore({ seal })
    await persist(store, 'a')
    const stop = new AbortController()
    const seen: string[] = []
    for await (const line of auditTail(store.log, { follow: stop.signal, every: 1 })) {
      seen.push(line)
      if (seen.length < 3) await persist(store, 'more')
      else stop.abort()
    }
    expect(seen.length).toBe(3)
  })
})

/**
 * @module
 * The way back: a backup made beside a server under load, and what a restored installation must not do with what it has
 * forgotten.
 *
 * Broken once on purpose, and the test that fell:
 *
 * | broken on purpose                                       | fell                                                 |
 * | ------------------------------------------------------- | ---------------------------------------------------- |
 * | `config/restore.ts` nothing is voided                   | restored over the place that it came from …          |
 * | `config/restore.ts` the journal that is there is lost   | restored over the place that it came from …          |
 * | `config/backup-manifest.ts` the signature is not looked at | that was changed, with its digests, is refused: …  |
 * | `config/backup-manifest.ts` the digests are not compared | that was changed is refused: …                      |
 * | `server/erasure.ts` `eraseAgain` does nothing             | is done again when the backup comes back …           |
 * | `config/restore.ts` nothing is in the way               | does not overwrite …                                 |
 */
import { createHash } from 'node:crypto'
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import { backUp } from '../../src/config/backup.ts'
import { writeKeys } from '../../src/config/backup-keys.ts'
import { loadConfig, type Config } from '../../src/config/load.ts'
import { restore, type RestoreOptions } from '../../src/config/restore.ts'
import { readKeyFile } from '../../src/crypto/keys.ts'
import { verifyStore } from '../../src/server/audit.ts'
import { approve, control, createStage, openTask, readActs, readLog, type Stage } from '../support/places.ts'
import { startServe } from '../support/serve-child.ts'
import { connectAgent } from '../support/agent.ts'

let stage: Stage
let outside: string

beforeEach(async () => {
  outside = mkdtempSync(join(tmpdir(), 'unbearer-backup-'))
  stage = await createStage({ budgets: [{ id: 'writes', limit: 5, effects: ['write'] }] })
})

afterEach(async () => {
  await stage.close()
  rmSync(outside, { recursive: true, force: true })
})

const PURPOSE = 'Delete the records r1 r2, update r3 and r4'

const at = (name: string): string => join(outside, name)
const configOf = async (dir: string = stage.prepared.dir): Promise<Config> => loadConfig(join(dir, 'unbearer.yaml'))
const back = async (to: string) => backUp(await configOf(), { to, madeBy: 'test' })
const restoreInto = async (from: string, dir: string, options: Partial<RestoreOptions> = {}) =>
  restore({
    from,
    dir,
    force: false,
    keepBudgets: false,
    notice: () => undefined,
    operator: async () => readKeyFile(join(dir, 'keys', 'operator.jwk')),
    ...options,
  })

/** An installation with an approval that was given and not used, and a backup of it. */
async function backUpSomething(to: string): Promise<{ txn: string; ticket: string }> {
  const serving = await stage.serve()
  const txn = await openTask(stage, serving, PURPOSE)
  const agent = await stage.agent(serving, txn)
  const { ticket = '' } = await agent.call('delete_record', { id: 'r1' }, 'delete: delete record r1')
  await approve(stage, serving, ticket)
  await back(to)
  await serving.close()
  return { txn, ticket }
}

function change(name: string, more: string): void {
  writeFileSync(at(`backup/${name}`), more, { flag: 'a' })
}

/** Whoever writes to a backup writes its digests too. */
function resign(name: string): void {
  const manifest: { files: { path: string; bytes: number; sha256: string }[] } = JSON.parse(
    readFileSync(at('backup/manifest.json'), 'utf8'),
  )
  const bytes = readFileSync(at(`backup/${name}`))
  for (const file of manifest.files) {
    if (file.path !== name) continue
    file.bytes = bytes.length
    file.sha256 = createHash('sha256').update(bytes).digest('hex')
  }
  writeFileSync(at('backup/manifest.json'), JSON.stringify(manifest))
}

describe('a backup', () => {
  it('is made of one moment while the server goes on, and comes back elsewhere with its keys', async () => {
    const child = await startServe(stage.prepared.dir)
    const state = { stopped: false, done: 0 }
    try {
      const { keys } = stage.prepared
      const { callControl } = await import('../../src/client/index.ts')
      const params = { purpose: PURPOSE, principal: 'alice', actor: 'agent' }
      const task: unknown = await callControl({ url: child.origin, key: keys.host, method: 'task.open', params })
      const txn = typeof task === 'object' && task !== null && 'txn' in task ? String(task.txn) : ''
      const agent = await connectAgent({ origin: child.origin, key: keys.agent, txn })
      const load = (async () => {
        while (!state.stopped) {
          const { ok } = await agent.call('read_record', { id: 'r1' })
          state.done += ok ? 1 : 0
        }
      })()
      for (let round = 0; round < 5; round += 1) {
        const before = state.done
        const manifest = await back(at(`round-${round}`))
        expect(manifest.log.entries).toBeGreaterThan(0)
        while (state.done <= before) await new Promise((resolve) => setTimeout(resolve, 5))
      }
      state.stopped = true
      await load
      await agent.close()
    } finally {
      await child.stop()
    }
    writeKeys(await configOf(), at('keys.json'))
    expect(statSync(at('keys.json')).mode & 0o777).toBe(0o600)
    const { manifest } = await restoreInto(at('round-4'), at('elsewhere'), { keys: at('keys.json') })
    const serving = await stage.serve(at('elsewhere'))
    const { store, vkey } = serving.composed
    expect(await verifyStore(store, { vkey, head: readFileSync(at('round-4/head'), 'utf8') })).toMatchObject({
      ok: true,
    })
    expect((await readLog(serving)).length).toBeGreaterThan(manifest.log.entries)
    const agent = await stage.agent(serving, await openTask(stage, serving, PURPOSE))
    expect(await agent.call('read_record', { id: 'r1' })).toMatchObject({ ok: true })
  })

  it('holds no private key, and nothing of it can be read by others', async () => {
    await backUpSomething(at('backup'))
    const files = readdirSync(at('backup'), { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
    const all = files.map((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1')).join('')
    for (const { d } of Object.values(stage.prepared.jwks)) expect(all).not.toContain(d)
    expect(all).not.toContain('upstream-secret')
    expect(statSync(at('backup')).mode & 0o777).toBe(0o700)
    expect(readdirSync(outside)).toEqual(['backup'])
  })

  it('in one file is what `tar` reads, and comes back too', async () => {
    const { ticket } = await backUpSomething(at('backup.tar'))
    expect(statSync(at('backup.tar')).mode & 0o777).toBe(0o600)
    const listed = execFileSync('tar', ['tf', at('backup.tar')], { encoding: 'utf8' })
    expect(listed).toContain('store.db\n')
    await restoreInto(at('backup.tar'), stage.prepared.dir, { force: true })
    const serving = await stage.serve()
    expect((await serving.composed.services.approvals.show(ticket)).status).toBe('expired')
  })

  it('overwrites nothing, and of a cut store there is none', async () => {
    await backUpSomething(at('backup'))
    await expect(back(at('backup'))).rejects.toThrow(/is there already/)
    const serving = await stage.serve()
    await openTask(stage, serving, PURPOSE)
    await serving.close()
    cpSync(at('backup/store.db'), join(stage.prepared.dir, 'state', 'unbearer.db'))
    await expect(back(at('other'))).rejects.toMatchObject({ code: 'ERR_UNBEARER_INTEGRITY' })
    expect(readdirSync(outside)).toEqual(['backup'])
  })
})

describe('a backup that is restored over the place that it came from', () => {
  it('voids what was issued and waits, brings back revocations from the journal, and says what was lost', async () => {
    const { txn, ticket } = await backUpSomething(at('backup'))
    const later = await stage.serve()
    const agent = await stage.agent(later, txn)
    expect(await agent.call('delete_record', { id: 'r1' }, 'delete: delete record r1')).toMatchObject({ ok: true })
    await control(stage, later, 'operator', 'revoke', { dimension: 'actor', id: stage.prepared.keys.other.jkt })
    const size = await later.composed.store.log.size()
    await expect(restoreInto(at('backup'), stage.prepared.dir, { force: true })).rejects.toMatchObject({
      code: 'ERR_UNBEARER_UNAVAILABLE',
    })
    await later.close()

    await expect(restoreInto(at('backup'), stage.prepared.dir)).rejects.toThrow(/is there already/)
    const restored = await restoreInto(at('backup'), stage.prepared.dir, { force: true })
    expect(restored).toMatchObject({ merged: 1, outside: { size }, voided: { approvals: 1 } })
    for (const path of restored.aside) expect(existsSync(path)).toBe(true)

    const serving = await stage.serve()
    expect(serving.composed.services.revocations.find('actor', stage.prepared.keys.other.jkt)).toBeDefined()
    expect((await serving.composed.services.approvals.show(ticket)).status).toBe('expired')
    await expect(stage.agent(serving, txn)).rejects.toThrow(/over/)
    const fresh = await stage.agent(serving, await openTask(stage, serving, PURPOSE))
    expect(await fresh.call('write_record', { id: 'r3', text: 'x' }, 'write: update record r3')).toMatchObject({
      reason: 'scope.budget',
    })
    const [detail] = await readActs(serving, 'continuity.restore')
    expect(detail).toMatchObject({ by: stage.prepared.keys.operator.jkt, outside: { size }, backup: { rev: 0 } })
    expect(stage.upstream.calls.filter(({ name }) => name === 'delete_record')).toHaveLength(1)
    expect(readdirSync(stage.prepared.dir).filter((name) => name.startsWith('.restore'))).toEqual([])
  })
})

describe('an erasure after the backup', () => {
  it('is done again when the backup comes back where the journal is, and its data are gone from the files', async () => {
    const { ticket } = await backUpSomething(at('backup'))
    const later = await stage.serve()
    const decision = (await readLog(later)).find(({ kind }) => kind === 'decision')
    expect(await later.composed.store.evidenceState(decision?.id ?? '')).toBe('kept')
    await control(stage, later, 'operator', 'subject.erase', { subject: 'alice' })
    await later.close()
    await restoreInto(at('backup'), stage.prepared.dir, { force: true })
    const serving = await stage.serve()
    const { store, vkey, services } = serving.composed
    expect(await store.evidenceState(decision?.id ?? '')).toBe('erased')
    await expect(services.approvals.show(ticket)).rejects.toThrow(/there is no approval/)
    expect(await services.grants.list()).toEqual([])
    expect(await verifyStore(store, { vkey })).toMatchObject({ ok: true })
    expect(await readActs(serving, 'subject.erase')).toHaveLength(1)
  })
})

describe('a backup', () => {
  it.each(['store.db', 'unbearer.yaml', 'engine/0/10-permit.cedar', 'manifests/desk.yaml', 'head'])(
    'that was changed is refused: %s; with its digests too',
    async (name) => {
      await backUpSomething(at('backup'))
      if (!existsSync(at(`backup/${name}`))) throw new Error(`no ${name}`)
      change(name, '\n')
      const integrity = { code: 'ERR_UNBEARER_INTEGRITY' }
      const asked = async () => restoreInto(at('backup'), stage.prepared.dir, { force: true })
      await expect(asked()).rejects.toMatchObject(integrity)
      resign(name)
      await expect(asked()).rejects.toMatchObject(integrity)
      await (await stage.serve()).close()
    },
  )

  it('with more in it is refused', async () => {
    await backUpSomething(at('backup'))
    writeFileSync(at('backup/engine/0/99-more.cedar'), 'permit(principal, action, resource);')
    await expect(restoreInto(at('backup'), stage.prepared.dir, { force: true })).rejects.toThrow(/does not belong/)
  })

  it('of another installation is refused', async () => {
    await backUpSomething(at('backup'))
    const other = await createStage()
    try {
      await expect(restoreInto(at('backup'), other.prepared.dir, { force: true })).rejects.toThrow(
        /not signed by the key/,
      )
    } finally {
      await other.close()
    }
  })

  it('is restored by an operator only, and needs the keys', async () => {
    await backUpSomething(at('backup'))
    const operator = async () => readKeyFile(join(stage.prepared.dir, 'keys', 'agent.jwk'))
    await expect(restoreInto(at('backup'), stage.prepared.dir, { force: true, operator })).rejects.toMatchObject({
      code: 'ERR_UNBEARER_REFUSED',
    })
    await expect(restoreInto(at('backup'), at('elsewhere'))).rejects.toMatchObject({ code: 'ERR_UNBEARER_CONFIG' })
    await expect(restoreInto(at('backup'), at('elsewhere'), { keys: at('none') })).rejects.toThrow(
      /none` cannot be read/,
    )
    writeFileSync(at('cut'), '{"kind":"unbearer-keys","ver')
    await expect(restoreInto(at('backup'), at('elsewhere'), { keys: at('cut') })).rejects.toThrow(
      /cut` is not a whole file/,
    )
    await (await stage.serve()).close()
  })

  it('in an archive that leads out of its folder is refused', async () => {
    await backUpSomething(at('backup.tar'))
    const archive = readFileSync(at('backup.tar'))
    const name = Buffer.alloc(100)
    name.write('../../outside')
    name.copy(archive, 0)
    let sum = 0
    for (const [index, byte] of archive.subarray(0, 512).entries()) sum += index >= 148 && index < 156 ? 32 : byte
    archive.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
    chmodSync(at('backup.tar'), 0o600)
    writeFileSync(at('backup.tar'), archive)
    await expect(restoreInto(at('backup.tar'), stage.prepared.dir, { force: true })).rejects.toThrow(/does not belong/)
  })
})

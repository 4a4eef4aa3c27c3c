/**
 * Broken once on purpose, and the test that fell: `removeRecords` without grants: removes everything of the subject; the id
 * instead of the tag in the detail: names nobody; `scrub` left out: leaves nothing in the files.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import { createInstallation, type Installation } from '../../test/support/installation.ts'
import { connectAgent, type Agent } from '../../test/support/agent.ts'
import { startRecordingUpstream, type RecordingUpstream } from '../../test/support/recording-upstream.ts'
import { auditShow } from '../cli/audit.ts'
import { showEntry } from './entries.ts'
import { isJsonObject, type Json } from '../core/json.ts'
import { subjectKeyRecord } from '../core/records.ts'
import { verifyStore } from './audit.ts'
import { toReceipt, verifyReceipt } from './receipt.ts'

let upstream: RecordingUpstream
let installation: Installation
let agent: Agent
let txn: string
let ticket: string | undefined

beforeEach(async () => {
  upstream = await startRecordingUpstream()
  installation = await createInstallation({ upstream: { url: upstream.url }, store: 'sqlite' })
  txn = (await installation.openTask('Update record r1 and delete record r2')).txn
  agent = await connectAgent({ origin: installation.origin, key: installation.keys.agent, txn })
  await agent.call('write_record', { id: 'r1', text: 'x' }, 'write: update record r1')
  ticket = (await agent.call('delete_record', { id: 'r2' }, 'delete: delete record r2')).ticket
})
afterEach(async () => {
  await agent.close()
  await installation.close()
  await upstream.close()
})

const erase = async (subject: string): Promise<Json> => installation.control('operator', 'subject.erase', { subject })

/** Everything that the files of the store hold. */
function contents(): string {
  const database = join(installation.dir, 'state', 'unbearer.db')
  const files = ['', '-wal'].map((suffix) => database + suffix).filter((file) => existsSync(file))
  return files.map((file) => readFileSync(file).toString('latin1')).join('')
}

describe('erase subject', () => {
  it('leaves evidence erased, the log whole, receipts valid, and others as they were', async () => {
    const { store, vkey } = installation.serving.composed
    const decision = (await installation.entries()).find(({ kind }) => kind === 'decision')
    const enrolment = (await installation.entries())[0]
    expect(await store.evidenceState(decision?.id ?? '')).toBe('kept')
    expect(await erase('alice')).toMatchObject({ found: true, keyDestroyed: true, scrubbed: true })
    expect(await store.evidence(decision?.id ?? '')).toBeUndefined()
    expect(await store.evidenceState(decision?.id ?? '')).toBe('erased')
    expect(await store.evidence(enrolment?.id ?? '')).toBeDefined()
    expect(await verifyStore(store, { vkey })).toMatchObject({ ok: true })
    expect(verifyReceipt(await toReceipt(store.log, decision?.id ?? ''), vkey)).toMatchObject({ ok: true })
    expect(await auditShow(await showEntry(store, decision?.id ?? ''), { vkey })).toMatchObject({
      exitCode: 0,
      json: { ok: true, commitments: { request: 'erased' }, evidence: null },
    })
    expect(await installation.control('operator', 'entry.show', { id: decision?.id ?? '' })).toMatchObject({
      evidenceState: 'erased',
    })
  })

  it('removes everything of the subject and nothing of others', async () => {
    expect(upstream.calls).toHaveLength(1)
    expect(ticket).toBeDefined()
    const { services, store } = installation.serving.composed
    const bob = await services.tasks.open({
      purpose: 'something for bob',
      principal: 'bob',
      actor: 'other',
      openedBy: installation.enrolled.host,
    })
    expect(await erase('alice')).toMatchObject({ removed: { tasks: 1, approvals: 1, grants: 1 } })
    expect(await services.tasks.find(txn)).toBeUndefined()
    expect(await services.tasks.find(bob.txn)).toMatchObject({ purpose: 'something for bob' })
    await expect(services.approvals.show(ticket ?? '')).rejects.toThrow('no approval')
    expect(await services.grants.list()).toEqual([])
    for (const prefix of ['history/', 'observation/', 'approval', 'budget/', 'grant'])
      expect(await store.list(prefix)).toEqual([])
    expect(await agent.call('read_record', { id: 'r1' }, 'read: record r1')).toMatchObject({
      ok: false,
      reason: 'identity.unknown-task',
    })
  })

  it('names nobody, in the leaf or beside it', async () => {
    await erase('alice')
    const entry = (await installation.entries()).findLast(({ kind }) => kind === 'control')
    expect(entry).toMatchObject({ kind: 'control', act: 'subject.erase', by: installation.keys.operator.jkt })
    const { values } = await installation.evidence(entry?.id ?? '')
    const tag = await installation.serving.composed.store.tagOf('user/alice')
    expect(values).toEqual({ detail: { subject: tag } })
    expect(JSON.stringify(entry)).not.toContain('alice')
  })

  it('leaves nothing in the files of the store', async () => {
    const { store } = installation.serving.composed
    const [record] = await store.get([subjectKeyRecord(await store.tagOf('user/alice'))])
    const wrapped = /"wrapped":"([^"]+)"/.exec(JSON.stringify(record?.value))?.[1] ?? ''
    const pieces = wrapped.match(/.{20}/g) ?? []
    expect(pieces.map((piece) => contents().includes(piece))).toEqual([true, true, true, true])
    await erase('alice')
    expect(pieces.map((piece) => contents().includes(piece))).toEqual([false, false, false, false])
    // Grants and purposes too; names of keys and of agents are not hers.
    for (const text of ['"id":"alice"', 'user/alice', 'Update record']) expect(contents()).not.toContain(text)
  })

  it('gives a subject that comes back a new key, and what was erased stays so', async () => {
    const { composed } = installation.serving
    const old = (await installation.entries()).find(({ kind }) => kind === 'decision')
    await erase('user/alice')
    await composed.services.grants.create(
      { principal: 'alice', actor: 'agent', expires: '1d', operations: [{ tool: 'desk/*', effects: ['read'] }] },
      installation.enrolled.operator,
    )
    const task = await installation.openTask('read record r1')
    expect(await composed.services.tasks.find(task.txn)).toMatchObject({ purpose: 'read record r1' })
    expect(await composed.store.evidenceState(old?.id ?? '')).toBe('erased')
    await installation.restart()
    expect(await installation.serving.composed.services.tasks.find(task.txn)).toMatchObject({
      purpose: 'read record r1',
    })
    expect(await installation.serving.composed.store.evidenceState(old?.id ?? '')).toBe('erased')
  })

  it('says so when there is nothing, logs nothing then, and is for admins', async () => {
    const before = await installation.serving.composed.store.log.size()
    const answer = await erase('nobody')
    expect(isJsonObject(answer) ? answer['found'] : undefined).toBe(false)
    await expect(installation.control('operator', 'subject.erase', { subject: '/' })).rejects.toThrow('no subject')
    await expect(installation.control('host', 'subject.erase', { subject: 'alice' })).rejects.toMatchObject({
      code: 'ERR_UNBEARER_REFUSED',
    })
    expect(await installation.serving.composed.store.log.size()).toBe(before)
  })
})

/**
 * @module
 * What the version before left on a disk, opened by this one: everything is still there, and everything that was refused
 * still is. The clock stands where it stood then, because what is alive for minutes is part of it.
 *
 * Broken once on purpose, and the test that fell:
 *
 * | broken on purpose                                             | fell                                               |
 * | ------------------------------------------------------------- | -------------------------------------------------- |
 * | `core/records.ts` revocations are stored under another prefix | refuses the agent that was revoked                 |
 * | `core/records.ts` begun actions are stored under another      | holds an action whose outcome nobody knows, …      |
 * | `core/bind.ts` another first word                             | has approvals: …; holds an action whose outcome …  |
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'

import { serveInstallation, type Serving } from '../../src/config/listen.ts'
import { loadConfig } from '../../src/config/load.ts'
import { readKeyFile } from '../../src/crypto/keys.ts'
import { verifySession } from '../../src/crypto/session-credential.ts'
import { isJsonObject } from '../../src/index.ts'
import { verifyStore } from '../../src/server/audit.ts'
import { showEntry } from '../../src/server/entries.ts'
import { connectAgent, type Agent, type Saw } from '../support/agent.ts'
import { toEntries } from '../support/installation.ts'
import { startRecordingUpstream, type RecordingUpstream } from '../support/recording-upstream.ts'
import { copySchemaOne, type SchemaOne } from '../support/schema-1.ts'

let upstream: RecordingUpstream
let old: SchemaOne
let head: string
let serving: Serving
let agent: Agent

beforeAll(async () => {
  upstream = await startRecordingUpstream()
  old = copySchemaOne(upstream.url)
  vi.useFakeTimers({ toFake: ['Date'], now: old.facts.madeAt + 60_000 })
  head = readFileSync(join(old.dir, 'head', 'unbearer.head'), 'utf8')
  serving = await serveInstallation(await loadConfig(old.file), { version: 'test', report: () => undefined })
  agent = await connectAgent({
    origin: serving.origin,
    key: await readKeyFile(old.keyFile('agent')),
    txn: old.facts.txn,
  })
})

afterAll(async () => {
  await agent.close()
  await serving.close()
  await upstream.close()
  vi.useRealTimers()
  old.remove()
})

const remove = async (id: string): Promise<Saw> => agent.call('delete_record', { id }, `delete: delete record ${id}`)
const write = async (id: string): Promise<Saw> =>
  agent.call('write_record', { id, text: 'x' }, `write: update record ${id}`)

describe('an installation of the version before', () => {
  it('has a log that verifies and begins with the tree of then, and evidence that opens its commitments', async () => {
    const { store, vkey } = serving.composed
    expect(await verifyStore(store, { vkey, head })).toMatchObject({ ok: true })
    expect(head).toContain(`\n${old.facts.entries}\n${old.facts.root}\n`)
    const entries = toEntries(await store.log.entries(0, old.facts.entries))
    expect(entries).toHaveLength(old.facts.entries)
    for (const { id } of entries) {
      const shown = await showEntry(store, id)
      expect(isJsonObject(shown) ? shown['evidence'] : undefined).toMatchObject({ values: expect.anything() })
    }
  })

  it('has a session credential that is accepted', async () => {
    const { jkt } = await readKeyFile(old.keyFile('agent'))
    const { composed } = serving
    const opened = verifySession({
      compact: old.facts.sessionCredential,
      issuer: 'https://unbearer-schema-1.invalid',
      key: composed.issuerKeys.current(),
      jkt,
      now: Date.now(),
    })
    expect(opened).toMatchObject({ ok: true })
  })

  it('has action credentials that are burned', async () => {
    const { store } = serving.composed
    const entries = toEntries(await store.log.entries(0, old.facts.entries))
    const jtis = entries.flatMap((entry) => (entry.kind === 'decision' ? [entry.jti ?? []].flat() : []))
    expect(jtis.length).toBeGreaterThan(3)
    for (const id of jtis) {
      const burned = await store.commit({ burns: [{ domain: 'jti', id, expires: Date.now() + 1000 }] })
      expect(burned).toMatchObject({ status: 'burned' })
    }
  })

  it('has approvals: one that was given counts once, the others are what they were', async () => {
    const { approvals } = old.facts
    expect(await remove('r2')).toMatchObject({ ok: true })
    expect(upstream.calls).toEqual([{ name: 'delete_record', arguments: { id: 'r2' } }])
    const again = await remove('r2')
    expect(again).toMatchObject({ decision: 'challenge', reason: 'policy.approval-required' })
    expect(again.ticket).not.toBe(approvals.approved)
    expect(await remove('r3')).toMatchObject({ decision: 'deny', reason: 'policy.approval-denied' })
    expect(await remove('r4')).toMatchObject({ decision: 'challenge', ticket: approvals.pending })
    expect((await remove('r1')).ticket).not.toBe(approvals.consumed)
    expect(upstream.calls).toHaveLength(1)
  })

  it('holds an action whose outcome nobody knows, and counts what was spent', async () => {
    expect(await write('r6')).toMatchObject({ decision: 'challenge', reason: 'system.outcome-unknown' })
    expect(await write('r5')).toMatchObject({ ok: true })
    expect(await write('r5')).toMatchObject({ decision: 'deny', reason: 'scope.budget' })
  })

  it('refuses the agent that was revoked', async () => {
    const { origin, composed } = serving
    const { stopped, stoppedTxn: txn } = old.facts
    expect(composed.services.revocations.find('actor', stopped)).toMatchObject({ rev: 1 })
    const key = await readKeyFile(old.keyFile('stopped'))
    await expect(connectAgent({ origin, key, txn })).rejects.toThrow(/this key is revoked/)
  })
})

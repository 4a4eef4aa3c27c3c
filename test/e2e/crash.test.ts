/**
 * @module
 * `kill -9` of the server in the middle of an action that changes something. Afterwards nobody knows whether it was done,
 * and that is what the agent is told.
 *
 * Broken once on purpose, and the test that fell:
 *
 * | broken on purpose                          | fell                                         |
 * | ------------------------------------------ | -------------------------------------------- |
 * | `pdp/commit.ts` nothing is marked as begun | leaves an action whose outcome is unknown, … |
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import { afterEach, describe, expect, it, vi } from 'vitest'

import { callControl, openTask } from '../../src/client/index.ts'
import { openForReading } from '../../src/config/reading.ts'
import { verifyStore } from '../../src/server/audit.ts'
import { connectAgent, type Agent, type Saw } from '../support/agent.ts'
import { prepareInstallation, toEntries, type Prepared } from '../support/installation.ts'
import { startServe, type ServeChild } from '../support/serve-child.ts'

const closers: (() => Promise<void>)[] = []

afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close()
})

const TOOLS = join(import.meta.dirname, '..', 'support', 'recording-stdio.ts')

interface Crashing {
  readonly prepared: Prepared
  /** How often the tool was called. */
  readonly calls: () => number
}

async function prepare(): Promise<Crashing> {
  const record = join('state', 'calls.ndjson')
  const prepared = await prepareInstallation({ upstream: { command: [process.execPath, TOOLS, record] } })
  closers.push(async () => prepared.remove())
  const file = join(prepared.dir, record)
  const calls = (): number =>
    existsSync(file)
      ? readFileSync(file, 'utf8')
          .split('\n')
          .filter((line) => line.includes('"name"')).length
      : 0
  return { prepared, calls }
}

async function serve({ prepared }: Crashing): Promise<ServeChild> {
  const server = await startServe(prepared.dir)
  closers.push(async () => server.kill())
  return server
}

async function connect({ prepared }: Crashing, { origin }: ServeChild, txn: string): Promise<Agent> {
  return connectAgent({ origin, key: prepared.keys.agent, txn })
}

const slowWrite = async (agent: Agent): Promise<Saw> =>
  agent.call('slow_write', { id: 'r1' }, 'write: update record r1')

describe('kill -9 in the middle of a write', () => {
  it('leaves an action whose outcome is unknown, a log that verifies, and nothing done twice', async () => {
    const crashing = await prepare()
    const { prepared, calls } = crashing
    const first = await serve(crashing)
    const { keys } = prepared
    const { txn } = await openTask({
      url: first.origin,
      key: keys.host,
      purpose: 'Update record r1',
      principal: 'alice',
      actor: 'agent',
    })
    const lost = slowWrite(await connect(crashing, first, txn))
    await vi.waitFor(() => expect(calls()).toBe(1), { timeout: 5_000 })
    await first.kill()
    expect(await lost).toMatchObject({ ok: false })

    const second = await serve(crashing)
    const again = await connect(crashing, second, txn)
    const saw = await slowWrite(again)
    expect(saw).toMatchObject({ decision: 'challenge', reason: 'system.outcome-unknown' })
    expect(calls()).toBe(1)
    const status = await callControl({ url: second.origin, key: keys.operator, method: 'status' })
    expect(status).toMatchObject({ pendingApprovals: 1 })
    await again.close()
    await second.stop()

    const reading = await openForReading(prepared.config)
    closers.push(async () => reading.close())
    const { store, vkey } = reading
    expect(await verifyStore(store, { vkey })).toMatchObject({ ok: true })
    const entries = toEntries(await store.log.entries(0, await store.log.size()))
    const decisions = entries.flatMap((entry) => (entry.kind === 'decision' ? [entry.decision] : []))
    expect(decisions).toEqual(['permit', 'challenge'])
    expect(entries.filter(({ kind }) => kind === 'outcome')).toEqual([])
  })
})

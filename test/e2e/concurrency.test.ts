/**
 * @module
 * Many calls at once: budgets count exactly, a narrowed action is what runs, and neighbours do not stop each other.
 *
 * Broken once on purpose, and the test that fell:
 *
 * | broken on purpose                                              | fell                                                   |
 * | -------------------------------------------------------------- | ------------------------------------------------------ |
 * | `pdp/commit.ts` nothing is debited                             | of three, eight at once; of an amount count the amount |
 * | `pdp/lanes.ts` no order, and `pdp/commit.ts` reads no versions | of three, eight at once; is not widened by it          |
 * | `pdp/lanes.ts` no order                                        | all succeed (memory)                                   |
 */
import { afterEach, describe, expect, it, vi } from 'vitest'

import type { DecisionEntry } from '../../src/core/entry.ts'
import type { JsonObject, Store } from '../../src/index.ts'
import { connectAgent, type Agent, type Saw } from '../support/agent.ts'
import { clearFaults, faults } from '../support/faults.ts'
import { createInstallation, type Installation, type InstallationOptions } from '../support/installation.ts'
import { startRecordingUpstream, type RecordingUpstream } from '../support/recording-upstream.ts'

vi.mock('../../src/stores/memory.ts', async (importOriginal) => {
  const { toFaultyStore } = await import('../support/faults.ts')
  const real = await importOriginal<typeof import('../../src/stores/memory.ts')>()
  const createMemoryStore = (options: Parameters<typeof real.createMemoryStore>[0]): Store =>
    toFaultyStore(real.createMemoryStore(options))
  return { createMemoryStore }
})

interface Stage {
  readonly upstream: RecordingUpstream
  readonly installation: Installation
  readonly agent: Agent
}

const closers: (() => Promise<void>)[] = []

afterEach(async () => {
  clearFaults()
  for (const close of closers.splice(0).toReversed()) await close()
})

async function stage(grant: JsonObject, purpose: string, options: Partial<InstallationOptions> = {}): Promise<Stage> {
  const upstream = await startRecordingUpstream()
  closers.push(async () => upstream.close())
  const installation = await createInstallation({ upstream, grant, ...options })
  closers.push(async () => installation.close())
  const { txn } = await installation.openTask(purpose)
  const agent = await connectAgent({ origin: installation.origin, key: installation.keys.agent, txn })
  closers.push(async () => agent.close())
  return { upstream, installation, agent }
}

async function many(count: number, call: (index: number) => Promise<Saw>): Promise<readonly Saw[]> {
  return Promise.all(Array.from({ length: count }, async (_, index) => call(index)))
}

const reasonsOf = (saws: readonly Saw[]): readonly (string | undefined)[] =>
  saws.flatMap(({ ok, reason }) => (ok ? [] : [reason]))

describe('budgets', () => {
  it.each(['memory', 'sqlite'] as const)('of three, eight at once: three run (%s)', async (store) => {
    const grant = { budgets: [{ id: 'writes', limit: 3, effects: ['write'] }] }
    const { agent, upstream } = await stage(grant, 'Update the records r0 r1 r2 r3 r4 r5 r6 r7', { store })
    const saws = await many(8, async (index) =>
      agent.call('write_record', { id: `r${index}`, text: 'x' }, `write: update record r${index}`),
    )
    expect(saws.filter(({ ok }) => ok)).toHaveLength(3)
    expect(reasonsOf(saws)).toEqual(Array.from({ length: 5 }, () => 'scope.budget'))
    expect(upstream.calls).toHaveLength(3)
  })

  it('of an amount count the amount', async () => {
    const grant = { budgets: [{ id: 'money', limit: 50, amount: 'amount', effects: ['spend'] }] }
    const { agent, upstream } = await stage(grant, 'Pay 20 to bob@example.org, as often as he asks')
    const saws = await many(4, async () =>
      agent.call('pay', { to: 'bob@example.org', amount: 20 }, 'spend: pay 20 to bob@example.org'),
    )
    expect(saws.filter(({ ok }) => ok)).toHaveLength(2)
    expect(upstream.calls).toHaveLength(2)
  })

  it('are given back by a call that the upstream never got', async () => {
    const grant = { budgets: [{ id: 'writes', limit: 1, effects: ['write'] }] }
    const { agent, installation } = await stage(grant, 'Update record r1')
    // Revoked between decision and redemption would do; a key that is over its time is simpler to arrange: none is needed
    // when nothing was begun, so that the second call is the first that counts.
    const refused = await agent.call('write_record', { id: 'r1' }, 'read: only looking at record r1')
    expect(refused.reason).toBe('intent.effect-mismatch')
    expect(await agent.call('write_record', { id: 'r1' }, 'write: update record r1')).toMatchObject({ ok: true })
    expect(await agent.call('write_record', { id: 'r1' }, 'write: update record r1')).toMatchObject({
      reason: 'scope.budget',
    })
    expect(installation.reports).toEqual([])
  })
})

describe('an action that is narrowed', () => {
  const grant = {
    operations: [
      { tool: 'desk/pay', effects: ['read', 'write', 'spend'], where: { amount: { range: { max: 50, clamp: true } } } },
    ],
  }
  const purpose = 'Pay bob@example.org 80, or 50 if that is too much'

  it('runs as it was narrowed, and the log has the narrowing and the permit', async () => {
    const { agent, upstream, installation } = await stage(grant, purpose)
    const saw = await agent.call('pay', { to: 'bob@example.org', amount: 80 }, 'spend: pay 80 to bob@example.org')
    expect(saw).toMatchObject({ ok: true })
    expect(upstream.calls).toEqual([{ name: 'pay', arguments: { to: 'bob@example.org', amount: 50 } }])
    const decisions = (await installation.entries()).filter(
      (entry): entry is DecisionEntry => entry.kind === 'decision',
    )
    expect(decisions).toMatchObject([{ decision: 'modify', reason: 'scope.clamped' }, { decision: 'permit' }])
    expect(decisions[0]).not.toHaveProperty('jti')
    const opened = await installation.evidence(decisions[1]?.id ?? '')
    expect(opened.values['request']).toMatchObject({ action: { body: { arguments: { amount: 50 } } } })
  })

  it('is not widened by it', async () => {
    const { agent, upstream } = await stage(
      { ...grant, budgets: [{ id: 'money', limit: 120, amount: 'amount' }] },
      purpose,
    )
    const saws = await many(4, async () =>
      agent.call('pay', { to: 'bob@example.org', amount: 80 }, 'spend: pay 80 to bob@example.org'),
    )
    expect(saws.filter(({ ok }) => ok)).toHaveLength(2)
    expect(upstream.calls.map(({ arguments: given }) => given['amount'])).toEqual([50, 50])
  })
})

describe('sixteen calls of one agent at once', () => {
  // A budget that all of them change: without a lane each would spoil what the others have read.
  const grant = { budgets: [{ id: 'calls', limit: 100 }] }

  it.each(['memory', 'sqlite'] as const)('all succeed (%s)', async (store) => {
    const { agent, upstream, installation } = await stage(grant, 'Look at everything', { store })
    // Reads that take a while, so that the calls do meet.
    faults.beforeGet = async () => new Promise((resolve) => setTimeout(resolve, 1))
    const saws = await many(16, async (index) => agent.call('read_record', { id: `r${index}` }))
    expect(reasonsOf(saws)).toEqual([])
    expect(upstream.calls).toHaveLength(16)
    const decisions = (await installation.entries()).filter(
      (entry): entry is DecisionEntry => entry.kind === 'decision',
    )
    expect(decisions.map(({ decision }) => decision)).toEqual(decisions.map(() => 'permit'))
    expect(new Set(decisions.map(({ jti }) => jti)).size).toBe(16)
  })

  it.each(['memory', 'sqlite'] as const)('all succeed when they are one and the same write (%s)', async (store) => {
    const { agent, upstream } = await stage(grant, 'Update record r1', { store })
    const saws = await many(16, async () => agent.call('write_record', { id: 'r1' }, 'write: update record r1'))
    expect(reasonsOf(saws)).toEqual([])
    expect(upstream.calls).toHaveLength(16)
  })
})

/**
 * @module
 * Broken once on purpose: without the look at whose key proved the request: the tests of victims fell.
 */
import { describe, expect, it } from 'vitest'

import type { Reason } from '../core/reasons.ts'
import type { AccessRequest, Proof } from '../core/request.ts'
import { createMemoryStore } from '../stores/memory.ts'
import { createTestSeal } from '../testing/index.ts'
import { createSuspensions, type Suspensions } from './suspensions.ts'

const PROVED: Proof = { grade: 'signature', jkt: 'A', bodyBound: true }

function toRequest(proof: Proof, jkt: string | undefined): AccessRequest {
  return {
    id: 'i',
    plane: 'mcp',
    subject: { type: 'user', id: 'alice' },
    actor: { type: 'agent', id: 'a', ...(jkt === undefined ? {} : { jkt }) },
    action: { name: 'tools/call', body: {} },
    resource: { type: 'tool', id: 'u/t' },
    context: { aud: 'a', upstream: 'u', tool: 't', proof },
  }
}

interface World {
  readonly suspensions: Suspensions
  refuse(times: number, reason: Reason, proof?: Proof, jkt?: string): Promise<void>
  time: number
  readonly acts: () => Promise<readonly string[]>
}

async function create(breakStore = false): Promise<World> {
  const store = createMemoryStore({ seal: createTestSeal() })
  const rule = { after: 3, within: 1_000, families: ['identity', 'scope', 'context'] }
  const world = { time: 0 }
  const broken = { ...store, commit: async () => Promise.reject(new Error('full')), list: store.list.bind(store) }
  const suspensions = await createSuspensions({
    store: breakStore ? broken : store,
    clock: { now: () => 1 },
    rule,
    report: () => undefined,
    ticks: () => world.time,
  })
  return Object.assign(world, {
    suspensions,
    async refuse(times: number, reason: Reason, proof: Proof = PROVED, jkt: string | undefined = 'A') {
      for (let count = 0; count < times; count += 1) await suspensions.count(toRequest(proof, jkt), reason)
    },
    async acts() {
      const entries = await store.log.entries(0, await store.log.size())
      return entries.map((bytes) => {
        const entry: { act?: string } = JSON.parse(new TextDecoder().decode(bytes))
        return entry.act ?? ''
      })
    },
  })
}

describe('refusals that count', () => {
  it('suspend once there are enough within the time, and are logged once', async () => {
    const world = await create()
    await world.refuse(2, 'scope.no-grant')
    expect(world.suspensions.isSuspended('A')).toBe(false)
    await world.refuse(5, 'context.exfiltration')
    expect(world.suspensions.list()).toEqual([
      { actor: 'A', at: 1, refused: { 'scope.no-grant': 2, 'context.exfiltration': 1 } },
    ])
    expect(await world.acts()).toEqual(['agent.suspend'])
    world.suspensions.lift('A')
    expect(world.suspensions.isSuspended('A')).toBe(false)
    await world.refuse(2, 'scope.no-grant')
    expect(world.suspensions.isSuspended('A')).toBe(false)
  })

  it('are forgotten after the time', async () => {
    const world = await create()
    for (let count = 0; count < 10; count += 1) {
      await world.refuse(1, 'scope.no-grant')
      world.time += 500
    }
    expect(world.suspensions.list()).toEqual([])
  })

  it('suspend also when that cannot be recorded', async () => {
    const world = await create(true)
    await world.refuse(3, 'scope.no-grant')
    expect(world.suspensions.isSuspended('A')).toBe(true)
  })
})

describe('refusals that do not count', () => {
  it.each<Reason>([
    'policy.approval-required',
    'intent.missing',
    'system.quota',
    'identity.revoked',
    'identity.suspended',
    'identity.unknown-key',
  ])('%s', async (reason) => {
    const world = await create()
    await world.refuse(9, reason)
    expect(world.suspensions.list()).toEqual([])
  })

  it.each<[string, Proof, string | undefined]>([
    ['without a proof, in the name of a victim', { grade: 'none', bodyBound: false }, 'A'],
    ['without a proof, with the key of a victim', { grade: 'none', jkt: 'A', bodyBound: false }, 'A'],
    ['by a cookie', { grade: 'cookie', jkt: 'A', bodyBound: false }, 'A'],
    ['proved by another key, in the name of a victim', { grade: 'signature', jkt: 'B', bodyBound: true }, 'A'],
  ])('%s', async (_what, proof, jkt) => {
    const world = await create()
    await world.refuse(9, 'identity.bad-proof', proof, jkt)
    expect(world.suspensions.list()).toEqual([])
  })
})

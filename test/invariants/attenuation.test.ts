/**
 * @module
 * Invariant 8 (attenuation is monotone): a child grant is contained in its parent or is refused, and a chain is only as good
 * as each of its grants, at the time of each action.
 *
 * Broken once on purpose, and the test that fell:
 *
 * | broken on purpose                                                 | fell                                |
 * | ----------------------------------------------------------------- | ----------------------------------- |
 * | `server/grants.ts` `assertContained` returns at once              | all eleven that are wider           |
 * | `core/verify/scope.ts` only the leaf in time, links not contained | ends when the parent has expired, … |
 * | `core/verify/budget.ts` only the leaf is debited                  | debits the budget of the parent too |
 */
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'

import type { Grant, JsonObject } from '../../src/index.ts'
import { connectAgent, type Agent, type Saw } from '../support/agent.ts'
import { createInstallation, type Installation } from '../support/installation.ts'
import { startRecordingUpstream, type RecordingUpstream } from '../support/recording-upstream.ts'

let upstream: RecordingUpstream
let installation: Installation
let parent: Grant
const agents: Agent[] = []

const PARENT: JsonObject = {
  expires: '30m',
  depth: 1,
  operations: [
    { tool: 'desk/write_record', effects: ['read', 'write'], where: { id: { in: ['r1', 'r2'] } } },
    { tool: 'desk/pay', effects: ['read', 'write', 'spend'], where: { amount: { range: { max: 50 } } } },
  ],
  budgets: [{ id: 'writes', limit: 2, effects: ['write'] }],
}

beforeAll(async () => {
  upstream = await startRecordingUpstream()
  installation = await createInstallation({ upstream })
  parent = await issue(PARENT)
})

afterEach(() => vi.useRealTimers())

afterAll(async () => {
  await Promise.all(agents.map(async (agent) => agent.close()))
  await installation.close()
  await upstream.close()
})

async function issue(members: JsonObject): Promise<Grant> {
  const grant = { principal: 'alice', actor: 'agent', ...members }
  return installation.serving.composed.services.grants.create(grant, installation.enrolled.operator)
}

const CHILD: JsonObject = {
  expires: '20m',
  operations: [{ tool: 'desk/write_record', effects: ['read', 'write'], where: { id: { in: ['r1'] } } }],
  budgets: [{ id: 'writes', limit: 2, effects: ['write'] }],
}

async function delegate(members: JsonObject): Promise<Grant> {
  return issue({ ...CHILD, parent: parent.id, ...members })
}

async function work(grant: Grant): Promise<Agent> {
  const { txn } = await installation.openTask('Update the records r1 and r2', { grant: grant.id })
  const agent = await connectAgent({ origin: installation.origin, key: installation.keys.agent, txn })
  agents.push(agent)
  return agent
}

const write = async (agent: Agent, id: string): Promise<Saw> =>
  agent.call('write_record', { id }, `write: update record ${id}`)

describe('invariant 8: a child is contained in its parent', () => {
  const wider: readonly (readonly [string, JsonObject])[] = [
    ['another tool', { operations: [{ tool: 'desk/send', effects: ['send'] }] }],
    ['every tool', { operations: [{ tool: 'desk/*', effects: ['read'] }] }],
    [
      'a graver effect',
      { operations: [{ tool: 'desk/write_record', effects: ['delete'], where: { id: { in: ['r1'] } } }] },
    ],
    [
      'another argument',
      { operations: [{ tool: 'desk/write_record', effects: ['write'], where: { id: { in: ['r1', 'r3'] } } }] },
    ],
    ['no constraint', { operations: [{ tool: 'desk/write_record', effects: ['write'] }] }],
    [
      'a greater amount',
      { operations: [{ tool: 'desk/pay', effects: ['spend'], where: { amount: { range: { max: 51 } } } }] },
    ],
    ['a later end', { expires: '31m' }],
    ['no budget', { budgets: [] }],
    ['a greater budget', { budgets: [{ id: 'writes', limit: 3, effects: ['write'] }] }],
    ['more depth', { depth: 1 }],
    ['another principal', { principal: 'bob' }],
  ]
  it.each(wider)('%s is refused', async (_what, members) => {
    await expect(delegate(members)).rejects.toMatchObject({ reason: 'scope.operation' })
  })

  it('and a narrower one is not', async () => {
    expect(await delegate({ expires: '1m' })).toMatchObject({ parent: parent.id })
  })
})

describe('invariant 8: a chain is as good as each of its grants', () => {
  it('permits what all of them cover, and nothing else', async () => {
    const agent = await work(await delegate({}))
    expect(await write(agent, 'r1')).toMatchObject({ ok: true })
    expect(await write(agent, 'r2')).toMatchObject({ ok: false, reason: 'scope.argument' })
  })

  it('debits the budget of the parent too', async () => {
    const fresh = await issue(PARENT)
    const child = await issue({ ...CHILD, parent: fresh.id })
    const own = await work(fresh)
    expect(await write(own, 'r1')).toMatchObject({ ok: true })
    const agent = await work(child)
    expect(await write(agent, 'r1')).toMatchObject({ ok: true })
    expect(await write(agent, 'r1')).toMatchObject({ ok: false, reason: 'scope.budget' })
  })

  it('ends when the parent is revoked', async () => {
    const fresh = await issue(PARENT)
    const agent = await work(await issue({ ...CHILD, parent: fresh.id }))
    await installation.control('operator', 'revoke', { dimension: 'grant', id: fresh.id })
    expect(await write(agent, 'r1')).toMatchObject({ ok: false, reason: 'identity.revoked' })
  })

  it('ends when the parent has expired, although nothing may outlive it on paper', async () => {
    const fresh = await issue(PARENT)
    const child = await issue({ ...CHILD, parent: fresh.id })
    // A store that somebody wrote to: the core compares again, whatever was refused at issue.
    const { store } = installation.serving.composed
    const stored = { ...fresh, expires: Date.now() + 1_000 }
    await store.commit({ writes: [{ key: `grant/${fresh.id}`, value: JSON.parse(JSON.stringify(stored)) }] })
    const agent = await work(child)
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 5_000 })
    const before = upstream.calls.length
    const saw = await write(agent, 'r1')
    expect(saw).toMatchObject({ ok: false, reason: expect.stringMatching(/^scope\.(?:grant-expired|no-grant)$/) })
    expect(upstream.calls).toHaveLength(before)
  })

  it('ends when it has expired itself', async () => {
    const agent = await work(await delegate({ expires: '1m' }))
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 90_000 })
    expect(await write(agent, 'r1')).toMatchObject({ ok: false, reason: 'scope.grant-expired' })
  })

  it('is worth nothing with a link missing', async () => {
    const fresh = await issue(PARENT)
    const agent = await work(await issue({ ...CHILD, parent: fresh.id }))
    await installation.serving.composed.store.commit({ writes: [{ key: `grant/${fresh.id}` }] })
    expect(await write(agent, 'r1')).toMatchObject({ ok: false, reason: 'scope.no-grant' })
  })

  it('is not for an agent to lengthen', async () => {
    const params = { grant: { ...CHILD, principal: 'alice', actor: 'agent', parent: parent.id } }
    await expect(installation.control('agent', 'grant.create', params)).rejects.toMatchObject({
      reason: 'identity.key-role',
    })
  })
})

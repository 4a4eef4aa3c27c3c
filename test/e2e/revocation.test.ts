/**
 * @module
 * Revocation end to end: the next call, what is in flight, after a restart, and where the store fails.
 *
 * Broken once on purpose, and the test that fell:
 *
 * | broken on purpose                                           | fell                                                                |
 * | ----------------------------------------------------------- | ------------------------------------------------------------------- |
 * | `pdp/enforcer.ts` a flight without dimensions               | what is in flight … by actor, subject, grant, task, all             |
 * | `pdp/enforcer.ts` the flight begins after the disk          | by an ancestor of its grant, while the decision goes to the disk, … |
 * | `pdp/gather.ts` one under way hides another that is unknown | is challenged again also while an approved repetition …             |
 * | `server/revocations.ts` an unrecorded revocation is fresh   | is in force all the same, and everything else is denied as stale …  |
 * | `server/revocations.ts` the record is not written           | of every dimension is denied, before and after a restart            |
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, describe, expect, it, vi } from 'vitest'

import type { DecisionEntry, OutcomeEntry } from '../../src/core/entry.ts'
import { RefusedError, UnavailableError, type Store, type Task } from '../../src/index.ts'
import { connectAgent, openRaw, type Agent } from '../support/agent.ts'
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
  readonly task: Task
}

const closers: (() => Promise<void>)[] = []

afterEach(async () => {
  clearFaults()
  for (const close of closers.splice(0).toReversed()) await close()
})

async function connect(installation: Installation, { txn }: Task): Promise<Agent> {
  const agent = await connectAgent({ origin: installation.origin, key: installation.keys.agent, txn })
  closers.push(async () => agent.close())
  return agent
}

async function stage(options: Partial<InstallationOptions> = {}): Promise<Stage> {
  const upstream = await startRecordingUpstream()
  closers.push(async () => upstream.close())
  const installation = await createInstallation({ upstream, ...options })
  closers.push(async () => installation.close())
  const task = await installation.openTask('Update record r1')
  return { upstream, installation, task, agent: await connect(installation, task) }
}

const WRITE = 'write: update record r1'
const write = async (agent: Agent) => agent.call('write_record', { id: 'r1' }, WRITE)
const slowWrite = async (agent: Agent) => agent.call('slow_write', { id: 'r1' }, WRITE)

const TARGETS = {
  actor: () => 'agent',
  subject: () => 'alice',
  grant: ({ installation }: Stage) => installation.grant.id,
  task: ({ task }: Stage) => task.txn,
  tool: () => 'desk/write_record',
  all: () => undefined,
} as const
type Dimension = keyof typeof TARGETS
const DIMENSIONS: readonly Dimension[] = ['actor', 'subject', 'grant', 'task', 'tool', 'all']

async function revoke(on: Stage, dimension: Dimension): Promise<unknown> {
  const id = TARGETS[dimension](on)
  return on.installation.control('operator', 'revoke', { dimension, ...(id === undefined ? {} : { id }) })
}

/** A key that is revoked gets no session credential, and opens no MCP session; the rest is told at the call. */
async function callAnew({ installation, task }: Stage): Promise<string | undefined> {
  try {
    return (await write(await connect(installation, task))).reason
  } catch (fault) {
    return fault instanceof RefusedError ? fault.reason : /\bidentity\.[a-z-]+/.exec(String(fault))?.[0]
  }
}

async function isCalled({ calls }: RecordingUpstream): Promise<void> {
  await vi.waitFor(() => expect(calls.length).toBeGreaterThan(0))
}

describe('the next call after a revocation', () => {
  it.each(DIMENSIONS)('of %s is denied, before and after a restart', async (dimension) => {
    const on = await stage({ store: 'sqlite' })
    expect(await write(on.agent)).toMatchObject({ ok: true })
    expect(await revoke(on, dimension)).toMatchObject({ recorded: true, peps: ['gateway'], silent: [] })
    expect(await write(on.agent)).toMatchObject({ ok: false, reason: 'identity.revoked' })
    await on.agent.close()
    await on.installation.restart()
    expect(await callAnew(on)).toBe('identity.revoked')
    expect(on.upstream.calls).toHaveLength(1)
  })

  it.each(DIMENSIONS.filter((each) => each !== 'tool'))(
    'of %s is refused also where nothing is decided',
    async (dimension) => {
      const on = await stage()
      expect((await on.agent.client.listTools()).tools).not.toEqual([])
      await revoke(on, dimension)
      await expect(on.agent.client.listTools()).rejects.toThrow('identity.revoked')
    },
  )

  it('leaves what it is not about alone', async () => {
    const on = await stage()
    await revoke(on, 'tool')
    expect(await write(on.agent)).toMatchObject({ reason: 'identity.revoked' })
    expect(await on.agent.call('read_record', { id: 'r1' })).toMatchObject({ ok: true })
  })

  it('is not for an agent, a host, an approver or a PEP to make', async () => {
    const on = await stage()
    for (const name of ['agent', 'host', 'approver', 'pep'] as const) {
      await expect(on.installation.control(name, 'revoke', { dimension: 'all' })).rejects.toMatchObject({
        reason: 'identity.key-role',
      })
    }
    expect(await write(on.agent)).toMatchObject({ ok: true })
  })
})

describe('what is in flight when it is revoked', () => {
  it.each(DIMENSIONS.filter((each) => each !== 'tool'))('by %s is told so and cancelled', async (dimension) => {
    const on = await stage()
    const answered = slowWrite(on.agent)
    await isCalled(on.upstream)
    await revoke(on, dimension)
    expect(await answered).toMatchObject({ ok: false, reason: 'credential.revoked' })
    await vi.waitFor(() => expect(on.upstream.notifications).toContain('notifications/cancelled'))
    // The request itself as well: a server that knows nothing of the notification sees its client go.
    await vi.waitFor(() => expect(on.upstream.aborted.join()).toContain('slow_write'))
    const outcome = (await on.installation.entries()).find((entry): entry is OutcomeEntry => entry.kind === 'outcome')
    expect(outcome).toMatchObject({ outcome: 'aborted', reason: 'credential.revoked' })
  })

  it('over stdio is told so and cancelled', async () => {
    const tools = join(import.meta.dirname, '..', 'support', 'recording-stdio.ts')
    const folder = mkdtempSync(join(tmpdir(), 'unbearer-stdio-'))
    closers.push(async () => Promise.resolve(rmSync(folder, { recursive: true, force: true })))
    const file = join(folder, 'calls')
    const said = (): string => (existsSync(file) ? readFileSync(file, 'utf8') : '')
    const installation = await createInstallation({ upstream: { command: [process.execPath, tools, file] } })
    closers.push(async () => installation.close())
    const agent = await connect(installation, await installation.openTask('Update record r1'))
    const answered = slowWrite(agent)
    await vi.waitFor(() => expect(said()).toContain('slow_write'))
    await installation.control('operator', 'revoke', { dimension: 'actor', id: 'agent' })
    expect(await answered).toMatchObject({ ok: false, reason: 'credential.revoked' })
    await vi.waitFor(() => expect(said()).toContain('notifications/cancelled'))
  })

  it('by its credential is told so and cancelled', async () => {
    const on = await stage()
    const answered = slowWrite(on.agent)
    await isCalled(on.upstream)
    const decision = (await on.installation.entries()).find(
      (entry): entry is DecisionEntry => entry.kind === 'decision',
    )
    await on.installation.control('operator', 'revoke', { dimension: 'credential', id: decision?.jti ?? '' })
    expect(await answered).toMatchObject({ ok: false, reason: 'credential.revoked' })
    expect(await write(on.agent)).toMatchObject({ ok: true })
  })

  it('by an ancestor of its grant, while the decision goes to the disk, is never begun', async () => {
    const on = await stage()
    const { installation } = on
    const child = await installation.serving.composed.services.grants.create(
      {
        principal: 'alice',
        actor: 'agent',
        parent: (await toParent(installation)).id,
        expires: '10m',
        operations: [{ tool: 'desk/*', effects: ['read', 'write'] }],
      },
      installation.enrolled.operator,
    )
    const task = await installation.openTask('Update record r1', { grant: child.id })
    const agent = await connect(installation, task)
    expect(await write(agent)).toMatchObject({ ok: true })
    let isRevoked = false
    faults.commit = async (unit, real) => {
      const result = await real()
      const isDecision = Buffer.from(unit.entries?.[0]?.bytes ?? []).includes('"kind":"decision"')
      if (!isDecision || isRevoked || result.status !== 'applied') return result
      isRevoked = true
      const durable = result.durable
        .then(async () => installation.control('operator', 'revoke', { dimension: 'grant', id: child.parent ?? '' }))
        .then(() => undefined)
      return { ...result, durable }
    }
    expect(await write(agent)).toMatchObject({ ok: false, reason: 'credential.revoked' })
    expect(on.upstream.calls).toHaveLength(1)
  })
})

/** A grant from which more can be delegated. */
async function toParent({ serving, enrolled }: Installation): Promise<{ readonly id: string }> {
  return serving.composed.services.grants.create(
    {
      principal: 'alice',
      actor: 'agent',
      expires: '1h',
      depth: 1,
      operations: [{ tool: 'desk/*', effects: ['read', 'write'] }],
    },
    enrolled.operator,
  )
}

describe('sessions of what is revoked', () => {
  it('take no place from what is not', async () => {
    const on = await stage()
    // As many as one key may have open at once.
    for (let opened = 1; opened < 100; opened += 1) {
      const { txn } = await on.installation.openTask('Update record r1')
      await openRaw({ origin: on.installation.origin, key: on.installation.keys.agent, txn })
      await on.installation.serving.composed.services.revocations.revoke('task', txn, on.installation.enrolled.operator)
    }
    const task = await on.installation.openTask('Update record r1')
    await connect(on.installation, task)
    expect(await write(await connect(on.installation, task))).toMatchObject({ ok: true })
  }, 60_000)
})

describe('the end of a stop of everything', () => {
  it('lets agents begin again, and nothing that was revoked by itself', async () => {
    const on = await stage({ store: 'sqlite' })
    expect(await write(on.agent)).toMatchObject({ ok: true })
    await revoke(on, 'tool')
    await revoke(on, 'all')
    expect(await write(on.agent)).toMatchObject({ ok: false, reason: 'identity.revoked' })
    await on.installation.control('operator', 'resume')
    await on.installation.restart()
    const again = await connect(on.installation, on.task)
    expect(await again.call('read_record', { id: 'r1' })).toMatchObject({ ok: true })
    expect(await write(again)).toMatchObject({ ok: false, reason: 'identity.revoked' })
  })
})

describe('a revocation that the store does not take', () => {
  it('is in force all the same, and everything else is denied as stale until it is recorded', async () => {
    const on = await stage()
    const other = await on.installation.serving.composed.services.grants.create(
      { principal: 'alice', actor: 'other', expires: '1h', operations: [{ tool: 'desk/*', effects: ['read'] }] },
      on.installation.enrolled.operator,
    )
    const { txn } = await on.installation.openTask('Look at r1', { actor: 'other', grant: other.id })
    const bystander = await connectAgent({ origin: on.installation.origin, key: on.installation.keys.other, txn })
    closers.push(async () => bystander.close())
    const answered = slowWrite(on.agent)
    await isCalled(on.upstream)
    faults.commit = async (unit, real) => {
      if (Buffer.from(unit.entries?.[0]?.bytes ?? []).includes('"kind":"control"')) throw new UnavailableError('full')
      return real()
    }
    expect(await revoke(on, 'actor')).toMatchObject({ recorded: false })
    expect(await answered).toMatchObject({ reason: 'credential.revoked' })
    expect(await write(on.agent)).toMatchObject({ reason: expect.stringMatching(/stale-revocations|revoked/) })
    expect(await bystander.call('read_record', { id: 'r1' })).toMatchObject({ reason: 'system.stale-revocations' })
    const ready = await fetch(new URL('/readyz', on.installation.origin))
    expect(ready.status).toBe(503)
    clearFaults()
    await vi.waitFor(
      async () => expect(await bystander.call('read_record', { id: 'r1' })).toMatchObject({ ok: true }),
      { timeout: 5_000, interval: 100 },
    )
    expect(await write(on.agent)).toMatchObject({ reason: 'identity.revoked' })
    expect(on.upstream.calls).toHaveLength(2)
  })
})

describe('an action whose outcome nobody knows', () => {
  it('is challenged again also while an approved repetition of it is under way', async () => {
    const on = await stage()
    const lost = slowWrite(on.agent)
    await isCalled(on.upstream)
    // The outcome cannot be recorded, as after a crash: the action stays begun.
    faults.commit = async (unit, real) => {
      if (Buffer.from(unit.entries?.[0]?.bytes ?? []).includes('"kind":"outcome"')) throw new UnavailableError('gone')
      return real()
    }
    on.upstream.release()
    expect(await lost).toMatchObject({ ok: false })
    clearFaults()
    const challenged = await slowWrite(on.agent)
    expect(challenged).toMatchObject({ decision: 'challenge', reason: 'system.outcome-unknown' })
    await on.installation.answer(challenged.ticket ?? '', 'approved')
    const second = slowWrite(on.agent)
    await vi.waitFor(() => expect(on.upstream.calls).toHaveLength(2))
    expect(await slowWrite(on.agent)).toMatchObject({ decision: 'challenge', reason: 'system.outcome-unknown' })
    on.upstream.release()
    expect(await second).toMatchObject({ ok: true })
    expect(on.upstream.calls).toHaveLength(2)
  })
})

/**
 * @module
 * Invariants 1 (recorded first), 2 (fail closed) and 7 (engines fail to deny), through the real gateway and enforcer.
 * What is asserted is what reached the upstream, not only what the agent was told.
 *
 * Broken once on purpose, and the test that fell:
 *
 * | broken on purpose                                          | fell                                                                                         |
 * | ---------------------------------------------------------- | -------------------------------------------------------------------------------------------- |
 * | `pdp/enforcer.ts` `waitForDisk` without `await durable`    | does not act when the decision does not become durable; … before the decision is on the disk |
 * | `pdp/perform.ts` the outcome of a change is not awaited    | does not tell of a change before its outcome is on the disk                                  |
 * | `pdp/perform.ts` `isTelling` is false                      | does not show what a stranger wrote when its label is lost                                   |
 * | `pdp/perform.ts` `release` settles no outcome              | logs the decision before the outcome, one of each                                            |
 * | `pdp/evaluate.ts` `withDeadline` waits for the work        | gathering that takes longer than the deadline; an engine that is late                        |
 * | `pdp/enforcer.ts` `tryCommit` takes a conflict for applied | a store that keeps changing under the decision                                               |
 * | `core/parse-json.ts` duplicate names pass                  | input that cannot be parsed without doubt: duplicate names                                   |
 * | `core/verify/scope.ts` an unknown tool passes              | an unknown tool                                                                              |
 * | `core/objections.ts` only the verdict `deny` objects       | an engine that throws; … says error; … has nothing to say; … is late                         |
 * | `pdp/evaluate.ts` an engine that throws permits            | an engine that throws                                                                        |
 * | `engines/cedar-encoding.ts` `HOSTILE` is empty             | an argument that Cedar would read as `__entity`, `__extn`, `__expr`                          |
 */
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'

import type { DecisionEntry, LogEntry, OutcomeEntry } from '../../src/core/entry.ts'
import { UnavailableError, type CommitUnit, type Engine, type Store } from '../../src/index.ts'
import { connectAgent, openRaw, toCall, type Agent, type RawSession } from '../support/agent.ts'
import { clearFaults, faults } from '../support/faults.ts'
import { createInstallation, type Installation } from '../support/installation.ts'
import { startRecordingUpstream, type RecordingUpstream } from '../support/recording-upstream.ts'
import { ATTACKER } from '../support/tools.ts'

vi.mock('../../src/stores/memory.ts', async (importOriginal) => {
  const { toFaultyStore } = await import('../support/faults.ts')
  const real = await importOriginal<typeof import('../../src/stores/memory.ts')>()
  const createMemoryStore = (options: Parameters<typeof real.createMemoryStore>[0]): Store =>
    toFaultyStore(real.createMemoryStore(options))
  return { createMemoryStore }
})

vi.mock('../../src/engines/cedar.ts', async (importOriginal) => {
  const { toFaultyEngine } = await import('../support/faults.ts')
  const real = await importOriginal<typeof import('../../src/engines/cedar.ts')>()
  const createCedarEngine = async (options: Parameters<typeof real.createCedarEngine>[0]): Promise<Engine> =>
    toFaultyEngine(await real.createCedarEngine(options))
  return { ...real, createCedarEngine }
})

let upstream: RecordingUpstream
let installation: Installation
let agent: Agent
let raw: RawSession

beforeAll(async () => {
  upstream = await startRecordingUpstream()
  installation = await createInstallation({ upstream, deadline: '400ms' })
  const { txn } = await installation.openTask('Update record r1')
  const options = { origin: installation.origin, key: installation.keys.agent, txn }
  agent = await connectAgent(options)
  raw = await openRaw(options)
})

afterAll(async () => {
  await agent.close()
  await installation.close()
  await upstream.close()
})

afterEach(() => clearFaults())

const WRITE = 'write: update record r1'
const write = async () => agent.call('write_record', { id: 'r1', text: 'x' }, WRITE)

/** What became of a call: the reason that the agent was told, and how many calls reached the upstream. */
async function attempt(
  call: () => Promise<{ readonly reason?: string }>,
): Promise<{ readonly reason?: string; readonly reached: number }> {
  const before = upstream.calls.length
  const { reason } = await call()
  return { ...(reason === undefined ? {} : { reason }), reached: upstream.calls.length - before }
}

/** The entry that a unit would append; undefined for a burn and the like. */
function entryOf(unit: CommitUnit): LogEntry | undefined {
  const bytes = unit.entries?.[0]?.bytes
  if (bytes === undefined) return undefined
  const entry: LogEntry = JSON.parse(new TextDecoder().decode(bytes))
  return entry
}

function isKind(unit: CommitUnit, kind: LogEntry['kind']): boolean {
  return entryOf(unit)?.kind === kind
}

/** A gate that a test opens. */
function createGate(): { readonly passed: Promise<void>; open(): void } {
  const { promise, resolve } = Promise.withResolvers<void>()
  return { passed: promise, open: resolve }
}

/** Lets everything that can happen without the gate happen. */
async function settle(): Promise<void> {
  for (let turns = 0; turns < 50; turns += 1) await new Promise((resolve) => setTimeout(resolve, 2))
}

describe('invariant 1: recorded first', () => {
  it('does not act when the decision does not become durable', async () => {
    const before = upstream.calls.length
    faults.commit = async (unit, real) =>
      isKind(unit, 'decision')
        ? { status: 'applied', indexes: [], durable: Promise.reject(new UnavailableError('the disk is gone')) }
        : real()
    expect(await write()).toMatchObject({ ok: false, reason: 'system.log-unavailable' })
    expect(upstream.calls).toHaveLength(before)
  })

  it('does not act when the decision cannot be committed', async () => {
    const before = upstream.calls.length
    faults.commit = async (unit, real) => {
      if (isKind(unit, 'decision')) throw new UnavailableError('the disk is full')
      return real()
    }
    expect(await write()).toMatchObject({ ok: false })
    expect(upstream.calls).toHaveLength(before)
  })

  it('does not act before the decision is on the disk', async () => {
    const before = upstream.calls.length
    const gate = createGate()
    faults.commit = async (unit, real) => {
      const result = await real()
      if (!isKind(unit, 'decision') || result.status !== 'applied') return result
      return { ...result, durable: result.durable.then(async () => gate.passed) }
    }
    const answered = write()
    await settle()
    expect(upstream.calls).toHaveLength(before)
    gate.open()
    expect(await answered).toMatchObject({ ok: true })
    expect(upstream.calls).toHaveLength(before + 1)
  })

  it('does not tell of a change before its outcome is on the disk', async () => {
    const gate = createGate()
    let isAnswered = false
    faults.commit = async (unit, real) => {
      const result = await real()
      if (!isKind(unit, 'outcome') || result.status !== 'applied') return result
      return { ...result, durable: result.durable.then(async () => gate.passed) }
    }
    const answered = write().then((saw) => {
      isAnswered = true
      return saw
    })
    await settle()
    expect(isAnswered).toBe(false)
    gate.open()
    expect(await answered).toMatchObject({ ok: true })
  })

  it('does not show what a stranger wrote when its label is lost', async () => {
    faults.commit = async (unit, real) =>
      isKind(unit, 'outcome')
        ? { status: 'applied', indexes: [], durable: Promise.reject(new UnavailableError('the disk is gone')) }
        : real()
    const saw = await agent.call('read_inbox', {}, 'read: what the inbox says')
    expect(saw.ok).toBe(false)
    expect(JSON.stringify(saw.whole)).not.toContain(ATTACKER)
  })

  it('logs the decision before the outcome, one of each', async () => {
    await write()
    const entries = await installation.entries()
    const last = entries.filter((entry): entry is DecisionEntry => entry.kind === 'decision').at(-1)
    const outcomes = entries.filter((entry): entry is OutcomeEntry => entry.kind === 'outcome' && entry.of === last?.id)
    expect(last).toMatchObject({ decision: 'permit', mode: 'enforce', proof: 'signature', advisory: true })
    expect(last?.jti).toMatch(/^[\w-]{22}$/)
    expect(outcomes).toMatchObject([{ outcome: 'done' }])
    expect(entries.findIndex(({ id }) => id === last?.id)).toBeLessThan(
      entries.findIndex(({ id }) => id === outcomes[0]?.id),
    )
  })

  it('logs refusals too, with their reason', async () => {
    const saw = await agent.call('write_record', { id: 'r1' }, 'read: only looking at record r1')
    const entry = (await installation.entries()).find(({ id }) => id === saw.entry)
    expect(entry).toMatchObject({ kind: 'decision', decision: 'deny', reason: 'intent.effect-mismatch' })
    expect(entry).not.toHaveProperty('jti')
  })
})

describe('invariant 2: fail closed', () => {
  it('an unknown tool', async () => {
    expect(await attempt(async () => agent.call('format_disk', {}))).toEqual({
      reason: 'scope.unknown-tool',
      reached: 0,
    })
  })

  it('a fault while gathering', async () => {
    faults.beforeGet = async () => {
      if (new Error().stack?.includes('gather') === true) throw new TypeError('something in the store')
    }
    expect(await attempt(write)).toEqual({ reason: 'system.indeterminate', reached: 0 })
  })

  it('gathering that takes longer than the deadline', async () => {
    faults.beforeGet = async () => {
      if (new Error().stack?.includes('gather') === true) await new Promise((resolve) => setTimeout(resolve, 300))
    }
    expect(await attempt(write)).toEqual({ reason: 'system.deadline', reached: 0 })
  })

  it('a fault before the action is recorded where the store still takes an entry', async () => {
    faults.beforeGet = async () => {
      if (new Error().stack?.includes('gather') === true) throw new TypeError('something in the store')
    }
    const saw = await write()
    const entry = (await installation.entries()).find(({ id }) => id === saw.entry)
    expect(entry).toMatchObject({ kind: 'decision', decision: 'deny', reason: 'system.indeterminate' })
  })

  it('a store that keeps changing under the decision', async () => {
    faults.commit = async (unit, real) =>
      isKind(unit, 'decision') && Object.keys(unit.reads ?? {}).some((key) => !key.startsWith('subject-key/'))
        ? { status: 'conflict', keys: [] }
        : real()
    expect(await attempt(write)).toEqual({ reason: 'system.conflict', reached: 0 })
  })

  it.each([
    ['duplicate names', toCall(1, 'write_record', { id: 'r1' }, WRITE).replace('"id":"r1"', '"id":"r1","id":"r2"')],
    [
      'a number that does not round-trip',
      toCall(1, 'pay', { amount: 1 }).replace('"amount":1', '"amount":9007199254740993'),
    ],
    ['half a message', toCall(1, 'write_record', { id: 'r1' }, WRITE).slice(0, -3)],
    ['a lone surrogate', toCall(1, 'write_record', { id: 'r1' }, WRITE).replace('"r1"', '"\\ud800"')],
    ['a batch', `[${toCall(1, 'write_record', { id: 'r1' }, WRITE)}]`],
    ['an envelope with more in it', toCall(1, 'write_record', { id: 'r1' }, WRITE).replace('{', '{"auth":"alice",')],
  ])('input that cannot be parsed without doubt: %s', async (_what, body) => {
    expect(await attempt(async () => raw.post(body))).toEqual({ reason: 'system.malformed', reached: 0 })
  })

  it('deep nesting', async () => {
    const deep = `${'['.repeat(10_000)}${']'.repeat(10_000)}`
    expect(
      await attempt(async () =>
        raw.post(toCall(1, 'write_record', { id: 'r1', text: 1 }, WRITE).replace('"text":1', `"text":${deep}`)),
      ),
    ).toEqual({ reason: 'system.malformed', reached: 0 })
  })

  it('a method that nobody decided about', async () => {
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/execute', params: {} })
    expect(await attempt(async () => raw.post(body))).toEqual({ reason: 'system.unknown-method', reached: 0 })
  })

  it('goes on properly after all of this', async () => {
    expect(await write()).toMatchObject({ ok: true })
  })
})

describe('invariant 7: engines fail to deny', () => {
  it('an engine that throws', async () => {
    faults.evaluate = async () => {
      throw new TypeError('a policy went wrong')
    }
    expect(await attempt(write)).toEqual({ reason: 'policy.error', reached: 0 })
  })

  it('an engine that says error beside its answer', async () => {
    faults.evaluate = async (_document, real) => ({ ...(await real()), outcome: 'error' })
    expect(await attempt(write)).toEqual({ reason: 'policy.error', reached: 0 })
  })

  it('an engine that has nothing to say', async () => {
    faults.evaluate = async (_document, real) => ({ ...(await real()), outcome: 'undefined' })
    expect(await attempt(write)).toEqual({ reason: 'policy.undefined', reached: 0 })
  })

  it('an engine that is late', async () => {
    faults.evaluate = async (_document, real) => {
      await new Promise((resolve) => setTimeout(resolve, 1_000))
      return real()
    }
    expect(await attempt(write)).toEqual({ reason: 'policy.unavailable', reached: 0 })
  })

  it('an engine that obliges to something unknown', async () => {
    faults.evaluate = async (_document, real) => ({
      ...(await real()),
      obligations: [{ type: 'burn-after-reading', properties: {} }],
    })
    expect(await attempt(write)).toEqual({ reason: 'policy.unknown-obligation', reached: 0 })
  })

  it.each(['__entity', '__extn', '__expr'])('an argument that Cedar would read as `%s`', async (name) => {
    const before = upstream.calls.length
    const text = { deep: [{ [name]: { type: 'User', id: 'alice' } }] }
    const saw = await agent.call('write_record', { id: 'r1', text }, WRITE)
    expect(saw).toMatchObject({ ok: false, reason: 'policy.error' })
    expect(upstream.calls).toHaveLength(before)
  })
})

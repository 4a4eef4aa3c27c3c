/**
 * Broken once on purpose, and the test that fell: `classOf` of a denial is `permits`; `entry.time > until` turned round; the
 * cursor written before the drops: each drops what is over and nothing else.
 */
import { beforeEach, describe, expect, it } from 'vitest'

import { createTestSeal } from '../testing/index.ts'
import { retentionRecord } from '../core/records.ts'
import type { Retention } from '../core/retention.ts'
import type { CommitUnit, Store } from '../ports/store.ts'
import { createMemoryStore } from '../stores/memory.ts'
import { newId, toControlUnit, toDecisionUnit, toOutcomeUnit } from './log-entries.ts'
import { createSweeper, type Sweeper } from './retention.ts'

const DAY = 86_400_000
const RETENTION: Retention = { outputs: 30 * DAY, permits: 90 * DAY, refusals: 365 * DAY, acts: undefined }

let store: Store
let now: number
let sweeper: Sweeper

beforeEach(() => {
  now = 0
  store = createMemoryStore({ seal: createTestSeal() })
  sweeper = createSweeper({ store, clock: { now: () => now }, retention: RETENTION })
})

async function persist(unit: CommitUnit): Promise<string> {
  const result = await store.commit(unit)
  if (result.status !== 'applied') throw new Error(result.status)
  await result.durable
  return unit.entries?.[0]?.id ?? ''
}

const SUBJECT = 'user/alice'

async function decide(decision: 'permit' | 'deny' | 'challenge', time: number): Promise<string> {
  const entry = {
    id: newId(),
    time,
    plane: 'mcp',
    mode: 'enforce',
    advisory: true,
    proof: 'none',
    policy: '',
    rev: 0,
  } as const
  return persist(
    toDecisionUnit({ ...entry, decision }, { request: 1, evidence: 2, findings: [], verdicts: [] }, SUBJECT),
  )
}
const give = async (time: number): Promise<string> =>
  persist(toOutcomeUnit({ id: newId(), time, of: 'x', outcome: 'done' }, { output: 'row' }, SUBJECT))
const act = async (time: number): Promise<string> =>
  persist(toControlUnit({ act: 'task.open', by: 'system', subject: SUBJECT, detail: {}, now: time }))

async function kept(ids: readonly string[]): Promise<readonly boolean[]> {
  return Promise.all(ids.map(async (id) => (await store.evidence(id)) !== undefined))
}

const NOTHING = { permits: 0, refusals: 0, outputs: 0, acts: 0 }

describe('a sweep', () => {
  it('drops what is over and nothing else, class by class, and the log keeps every entry', async () => {
    const ids = [
      await decide('permit', 0),
      await give(0),
      await decide('deny', 0),
      await decide('challenge', 0),
      await act(0),
    ]
    now = 30 * DAY - 1
    expect(await sweeper.sweep('system')).toEqual(NOTHING)
    now = 30 * DAY
    expect(await sweeper.sweep('system')).toEqual({ ...NOTHING, outputs: 1 })
    expect(await kept(ids)).toEqual([true, false, true, true, true])
    now = 90 * DAY
    expect(await sweeper.sweep('system')).toEqual({ ...NOTHING, permits: 1 })
    now = 10_000 * DAY
    expect(await sweeper.sweep('system')).toEqual({ ...NOTHING, refusals: 2 })
    expect(await kept(ids)).toEqual([false, false, false, false, true])
    for (const id of ids) expect(await store.log.indexOf(id)).toBe(ids.indexOf(id))
  })

  it('is an entry of the log when it dropped something, with numbers and nothing else', async () => {
    await give(0)
    now = 31 * DAY
    await sweeper.sweep('operator-key')
    await sweeper.sweep('operator-key')
    expect(await store.log.size()).toBe(2)
    const [bytes] = await store.log.entries(1, 2)
    expect(JSON.parse(Buffer.from(bytes ?? []).toString())).toMatchObject({ act: 'evidence.sweep', by: 'operator-key' })
  })

  it('goes on where the last one stopped, over many entries, also after a restart', async () => {
    const old: string[] = []
    for (let i = 0; i < 300; i += 1) old.push(await (i % 3 === 0 ? give(i) : decide('deny', i)))
    const young = await give(20 * DAY)
    now = 31 * DAY
    expect(await sweeper.sweep('system')).toEqual({ ...NOTHING, outputs: 100 })
    expect(await kept([young])).toEqual([true])
    const [cursor] = await store.get([retentionRecord('outputs')])
    expect(cursor?.value).toEqual({ next: 300 })
    now = 50 * DAY
    const again = createSweeper({ store, clock: { now: () => now }, retention: RETENTION })
    expect(await again.sweep('system')).toEqual({ ...NOTHING, outputs: 1 })
    expect(await kept(old.slice(0, 3))).toEqual([false, true, true])
  })

  it('drops more when less is to be kept from now on', async () => {
    const id = await decide('deny', 0)
    now = 100 * DAY
    await sweeper.sweep('system')
    const stricter = createSweeper({ store, clock: { now: () => now }, retention: { ...RETENTION, refusals: DAY } })
    expect(await stricter.sweep('system')).toEqual({ ...NOTHING, refusals: 1 })
    expect(await kept([id])).toEqual([false])
  })

  it('runs one at a time', async () => {
    await give(0)
    now = 31 * DAY
    const [first, second] = await Promise.all([sweeper.sweep('system'), sweeper.sweep('system')])
    expect([first.outputs, second.outputs]).toEqual([1, 0])
  })

  it('passes over what is no entry of ours', async () => {
    await persist({ entries: [{ id: 'x', bytes: Buffer.from('not an entry') }] })
    const id = await give(0)
    now = 31 * DAY
    expect(await sweeper.sweep('system')).toEqual({ ...NOTHING, outputs: 1 })
    expect(await kept([id])).toEqual([false])
  })
})

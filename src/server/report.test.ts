import { beforeEach, describe, expect, it } from 'vitest'

import type { Approval } from '../core/evidence.ts'
import { asJson, isJsonObject, type Json, type JsonObject } from '../core/json.ts'
import { approvalRecord } from '../core/records.ts'
import { newId, toControlUnit, toDecisionUnit, toOutcomeUnit } from '../pdp/log-entries.ts'
import type { CommitUnit, Store } from '../ports/store.ts'
import { createMemoryStore } from '../stores/memory.ts'
import { createTestSeal } from '../testing/index.ts'
import { makeReport } from './report.ts'

const MINUTE = 60_000
let store: Store

beforeEach(() => {
  store = createMemoryStore({ seal: createTestSeal() })
})

async function commit(unit: CommitUnit): Promise<void> {
  const result = await store.commit(unit)
  if (result.status === 'applied') await result.durable
}

async function decide(time: number, withEvidence: boolean): Promise<string> {
  const said = {
    id: newId(),
    time,
    plane: 'mcp',
    mode: 'enforce',
    advisory: false,
    proof: 'none',
    policy: '',
    rev: 0,
  } as const
  const request = { subject: {}, actor: { id: 'a' }, action: {}, context: { upstream: 'up', tool: 'do' } }
  const values = { request, evidence: null, findings: [], verdicts: [] }
  const unit = toDecisionUnit({ ...said, decision: 'deny', reason: 'system.deadline' }, values, 'user/alice')
  await commit(withEvidence ? unit : { entries: unit.entries })
  return said.id
}

async function ask(approval: Pick<Approval, 'createdAt' | 'status'> & Partial<Approval>): Promise<void> {
  const id = newId()
  const whole: Approval = { id, bind: 'b', txn: 't', expires: approval.createdAt + 60 * MINUTE, ...approval }
  await commit({ writes: [{ key: approvalRecord(id), value: asJson(whole) }] })
}

const answered = (createdAt: number, after: number) => ({ createdAt, answered: { by: 'k', at: createdAt + after } })

async function report(since: number, now: number): Promise<JsonObject> {
  return makeReport(store, { since, now })
}

function memberOf(value: Json | undefined, name: string): Json | undefined {
  return isJsonObject(value) ? value[name] : undefined
}

describe('report', () => {
  it('is of nothing where there is nothing', async () => {
    expect(await report(0, 1)).toMatchObject({
      v: 1,
      entries: 0,
      refusals: { total: 0, groups: [] },
      approvals: { asked: 0, dwellMs: null },
      autonomy: { consequential: 0, share: null },
      turnedAway: {},
    })
  })

  it('counts a refusal without evidence by its leaf, and leaves out what is older', async () => {
    await decide(1_000, true)
    await decide(5_000, true)
    await decide(6_000, false)
    const found = await report(5_000, 9_000)
    expect(found).toMatchObject({ entries: 2, evidenceGone: 1, decisions: { deny: 2 } })
    expect(memberOf(found['refusals'], 'groups')).toEqual([
      { tool: 'up/do', reason: 'system.deadline', decision: 'deny', count: 1, right: 0, wrong: 0 },
      { tool: null, reason: 'system.deadline', decision: 'deny', count: 1, right: 0, wrong: 0 },
    ])
  })

  it('counts approvals by how they ended, and how long people took', async () => {
    await ask({ ...answered(1_000, MINUTE), status: 'consumed' })
    await ask({ ...answered(1_000, MINUTE), status: 'approved' })
    await ask({ ...answered(1_000, 10 * MINUTE), status: 'denied' })
    await ask({ createdAt: 1_000, status: 'pending' })
    await ask({ createdAt: 100 * MINUTE, status: 'pending' })
    const { approvals } = await report(0, 120 * MINUTE)
    expect(approvals).toMatchObject({ asked: 5, given: 2, denied: 1, expired: 1, open: 1 })
    const { median, p95 } = Object(memberOf(approvals, 'dwellMs'))
    expect(Math.abs(median / MINUTE - 1)).toBeLessThan(0.011)
    expect(Math.abs(p95 / (10 * MINUTE) - 1)).toBeLessThan(0.011)
    expect(await report(100 * MINUTE, 120 * MINUTE)).toMatchObject({ approvals: { asked: 1, dwellMs: null } })
  })

  it('adds up what was turned away before it was decided', async () => {
    for (const count of [3, 4]) {
      const detail = { actor: 'a', refused: { 'system.quota': count, 'no-reason-of-ours': 9 } }
      await commit(toControlUnit({ act: 'refusals.summary', by: 'system', subject: 'system', detail, now: 1 }))
    }
    expect(await report(0, 9)).toMatchObject({ turnedAway: { 'system.quota': 7 }, refusals: { total: 0 } })
  })

  it('passes over what is no leaf of ours, and an outcome of nothing', async () => {
    await commit({ entries: [{ id: newId(), bytes: Buffer.from('not json') }] })
    await commit(toOutcomeUnit({ id: newId(), of: newId(), time: 1, outcome: 'done' }, {}, 'user/alice'))
    expect(await report(0, 9)).toMatchObject({ entries: 1, evidenceGone: 1, autonomy: { consequential: 0 } })
  })

  it('says how far it is', async () => {
    for (let n = 0; n < 3; n += 1) await decide(1, true)
    const said: (readonly number[])[] = []
    await makeReport(store, { since: 0, now: 9, onProgress: (done, total) => said.push([done, total]) })
    expect(said).toEqual([
      [0, 3],
      [3, 3],
    ])
  })
})

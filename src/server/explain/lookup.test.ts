/**
 * @module
 * Ids by prefix. Broken once on purpose, and the test that fell: the first of two is taken (is never one of two).
 */
import { beforeEach, describe, expect, it } from 'vitest'

import { toControlUnit, toDecisionUnit, toOutcomeUnit } from '../../pdp/log-entries.ts'
import type { CommitUnit, Store } from '../../ports/store.ts'
import { approvalRecord } from '../../core/records.ts'
import { createMemoryStore } from '../../stores/memory.ts'
import { createTestSeal } from '../../testing/index.ts'
import { findDecision, findOutcome } from './lookup.ts'

let store: Store

beforeEach(() => {
  store = createMemoryStore({ seal: createTestSeal() })
})

async function commit(unit: CommitUnit): Promise<void> {
  const result = await store.commit(unit)
  if (result.status === 'applied') await result.durable
}

async function decide(id: string): Promise<void> {
  const said = { time: 1, plane: 'mcp', mode: 'enforce', advisory: false, proof: 'none', policy: '', rev: 0 } as const
  const values = { request: {}, evidence: null, findings: [], verdicts: [] }
  await commit(toDecisionUnit({ id, ...said, decision: 'deny', reason: 'scope.operation' }, values, 'user/alice'))
}

async function settle(id: string, of: string): Promise<void> {
  await commit(toOutcomeUnit({ id, of, time: 2, outcome: 'done' }, {}, 'user/alice'))
}

async function ask(id: string, entry: string): Promise<void> {
  await commit({ writes: [{ key: approvalRecord(id), value: { id, presented: { entry } } }] })
}

const found = async (id: string): Promise<string> => (await findDecision(store, id)).entry.id

describe('findDecision', () => {
  it('is found by its id, by the start of it, by its outcome and by its ticket', async () => {
    await decide('decision-aaaaaaaaaaaaa')
    await settle('outcome-bbbbbbbbbbbbbb', 'decision-aaaaaaaaaaaaa')
    await ask('ticket-cccccccccccccccc', 'decision-aaaaaaaaaaaaa')
    for (const id of [
      'decision-aaaaaaaaaaaaa',
      'decision',
      'outcome-bbbbbbbbbbbbbb',
      'outcome-',
      'ticket-cccccccccccccccc',
      'ticket-c',
    ])
      expect(await found(id)).toBe('decision-aaaaaaaaaaaaa')
  })

  it('is never one of two', async () => {
    await decide('decision-aaaaaaaaaaaaa')
    await decide('decision-bbbbbbbbbbbbb')
    await expect(found('decision')).rejects.toThrow('more than one id')
    await expect(found('decision-')).rejects.toThrow('more than one id')
    expect(await found('decision-b')).toBe('decision-bbbbbbbbbbbbb')
    await ask('decision-bcccccccccccc', 'decision-aaaaaaaaaaaaa')
    await expect(found('decision-b')).rejects.toThrow('more than one id')
    await ask('same-start-aaaaaaaaaaa', 'decision-aaaaaaaaaaaaa')
    await ask('same-start-bbbbbbbbbbb', 'decision-bbbbbbbbbbbbb')
    await expect(found('same-start')).rejects.toThrow('more than one id')
  })

  it('is no act, no ticket without an entry, and nothing that is not there', async () => {
    await commit(
      toControlUnit({
        id: 'act-aaaaaaaaaaaaaaaaaa',
        act: 'start',
        by: 'system',
        subject: 'system',
        detail: {},
        now: 1,
      }),
    )
    await expect(found('act-aaaaaaaaaaaaaaaaaa')).rejects.toThrow('no decision')
    await commit({
      writes: [{ key: approvalRecord('old-ticket-aaaaaaaaaaa'), value: { id: 'old-ticket-aaaaaaaaaaa' } }],
    })
    await expect(found('old-ticket')).rejects.toThrow('does not say which entry')
    await expect(found('nothing-here')).rejects.toThrow('there is no entry')
    for (const id of ['', 'short', 'a/../../b-and-more', 'x'.repeat(65)])
      await expect(found(id)).rejects.toThrow('is not an id')
  })

  it('is found among more entries than are read at a time, with the outcome behind it', async () => {
    await decide('decision-aaaaaaaaaaaaa')
    for (let n = 0; n < 600; n += 1) await decide(`other-${String(n).padStart(16, '0')}`)
    await settle('outcome-bbbbbbbbbbbbbb', 'decision-aaaaaaaaaaaaa')
    await decide('later-decision-aaaaaaa')
    expect(await found('later-dec')).toBe('later-decision-aaaaaaa')
    const decision = await findDecision(store, 'decision-a')
    expect((await findOutcome(store.log, decision))?.id).toBe('outcome-bbbbbbbbbbbbbb')
    expect(await findOutcome(store.log, await findDecision(store, 'later-dec'))).toBeUndefined()
  })
})

/**
 * @module
 * What an agent is told: the closed text of one reason, and nothing else.
 */
import { describe, expect, it } from 'vitest'
import type { Refusal } from '../ports/pep.ts'
import { isReason, REASONS } from './reasons.ts'
import { type Stopping, toRefusal, toRefusalMessage } from './refusal.ts'

const drift: Stopping = {
  kind: 'deny',
  reason: 'intent.effect-mismatch',
  reasons: ['intent.effect-mismatch', 'context.exfiltration', 'policy.denied'],
}

describe('toRefusal', () => {
  it('is a refusal of the port', () => {
    const refusal: Refusal = toRefusal(drift, { entry: 'E1' })
    expect(refusal).toEqual({
      decision: 'deny',
      reason: 'intent.effect-mismatch',
      help: REASONS['intent.effect-mismatch'].help,
      retry: true,
      entry: 'E1',
    })
  })
  it('gives a ticket to a challenge only', () => {
    const held: Stopping = { kind: 'challenge', reason: 'anomaly.unusual', reasons: ['anomaly.unusual'] }
    expect(toRefusal(held, { ticket: 'A1' })).toMatchObject({ decision: 'challenge', ticket: 'A1', retry: true })
    expect(toRefusal(drift, { ticket: 'A1' })).not.toHaveProperty('ticket')
    expect(toRefusal(held)).not.toHaveProperty('entry')
  })
  it('says what to do about a challenge, whatever it is for', () => {
    const held: Stopping = { kind: 'challenge', reason: 'context.exfiltration', reasons: [] }
    expect(toRefusal(held)).toMatchObject({ retry: true })
    expect(toRefusal(held).help).toContain(REASONS['policy.approval-required'].help)
  })
  it('sends nobody to a person about a denial', () => {
    expect(toRefusal({ kind: 'deny', reason: 'context.unattested', reasons: [] }).retry).toBe(false)
    expect(toRefusal({ kind: 'deny', reason: 'intent.missing', reasons: [] }).retry).toBe(true)
    expect(toRefusal({ kind: 'defer', reason: 'system.conflict', reasons: [] }).retry).toBe(true)
  })
})

describe('toRefusalMessage', () => {
  it('is one sentence and its parts', () => {
    const held: Stopping = { kind: 'challenge', reason: 'policy.approval-required', reasons: [] }
    const { text, data } = toRefusalMessage(toRefusal(held, { entry: 'E1', ticket: 'A1' }))
    expect(text).toBe(
      'held (policy.approval-required): a person has to approve this one action; retry the identical call once they have (ticket A1, for a person: `unbearer approvals show A1`)',
    )
    expect(data).toEqual({
      decision: 'challenge',
      reason: 'policy.approval-required',
      help: REASONS['policy.approval-required'].help,
      retry: true,
      ticket: 'A1',
      entry: 'E1',
    })
    expect(toRefusalMessage(toRefusal(drift)).text).toMatch(/^refused \(intent\.effect-mismatch\): the call does more/)
  })
  it('is no oracle: of a decision only its first reason goes out', () => {
    for (const reason of Object.keys(REASONS).filter(isReason)) {
      const message = JSON.stringify(toRefusalMessage(toRefusal({ ...drift, reason })))
      const others = drift.reasons.filter((other) => other !== reason)
      expect(others.filter((other) => message.includes(other))).toEqual([])
    }
  })
})

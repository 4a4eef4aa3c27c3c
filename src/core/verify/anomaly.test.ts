import { describe, expect, it } from 'vitest'

import type { EffectKind } from '../effect.ts'
import type { BehaviourFacts } from '../evidence.ts'
import { verifyAnomaly } from './anomaly.ts'
import { makeEvidence, makeRequest, report } from './scenario.test-data.ts'

function find(behaviour: Partial<BehaviourFacts>, kind: EffectKind = 'write'): string {
  const evidence = makeEvidence({
    effect: report([kind]),
    behaviour: { events: 100, signals: [{ name: 'tool', p: 0.5, why: '' }], threshold: 0.01, ...behaviour },
  })
  const finding = verifyAnomaly(makeRequest(), evidence)
  return finding.outcome === 'pass' ? 'pass' : `${finding.outcome} ${finding.reason}`
}

const at = (p: number): Partial<BehaviourFacts> => ({ signals: [{ name: 'tool', p, why: '' }] })
const UNUSUAL = 'concern anomaly.unusual'
const INSUFFICIENT = 'insufficient anomaly.insufficient'

describe('verifyAnomaly', () => {
  it('says so while too little is known', () => {
    expect(find({ events: 29 })).toBe(INSUFFICIENT)
    expect(find({ events: Number.NaN })).toBe(INSUFFICIENT)
    expect(find({ signals: [] }, 'read')).toBe(INSUFFICIENT)
  })

  it('is concerned below the threshold, over all signals together', () => {
    expect(find(at(0.02))).toBe('pass')
    expect(find(at(0.009))).toBe(UNUSUAL)
    const two = [0.009, 0.5].map((p) => ({ name: 'tool' as const, p, why: '' }))
    expect(find({ signals: two })).toBe('pass')
  })

  it('asks about a plain read only where it is extremely unusual', () => {
    expect(find(at(0.001), 'read')).toBe('pass')
    expect(find(at(0.00001), 'read')).toBe(UNUSUAL)
  })

  it('takes what is no number for unusual', () => {
    expect(find(at(Number.NaN))).toBe(UNUSUAL)
    expect(find({ threshold: Number.NaN })).toBe(UNUSUAL)
  })
})

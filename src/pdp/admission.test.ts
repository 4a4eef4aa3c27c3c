/**
 * @module
 * Broken once on purpose: with a count that is not per actor, and with a summary for each refusal: a test below fell.
 */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'

import type { JsonObject } from '../core/json.ts'
import type { Reason } from '../core/reasons.ts'
import { createAdmission, type Admission } from './admission.ts'

let time = 0
let summaries: JsonObject[] = []
let counted: Reason[] = []
let reports: string[] = []
let suspended: string | undefined
let low = false
let broken = false

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  time = 0
  summaries = []
  counted = []
  reports = []
  suspended = undefined
  low = false
  broken = false
})
afterEach(() => void vi.useRealTimers())

function create(): Admission {
  return createAdmission({
    limits: { decisionsPerMinute: 3, underWayPerActor: 2 },
    isSuspended: (jkt) => jkt === suspended,
    isSpaceLow: () => low,
    summarise: async (detail) => {
      if (broken) throw new Error('no room')
      summaries.push(detail)
    },
    count: (reason) => counted.push(reason),
    report: (where) => reports.push(where),
    ticks: () => time,
  })
}

/** Enters and leaves; the reason when it may not. */
function once(admission: Admission, jkt: string | undefined): Reason | 'in' {
  const entered = admission.enter(jkt)
  if (!entered.ok) return entered.reason
  entered.leave()
  return 'in'
}

const times = (count: number, admission: Admission, jkt: string | undefined): readonly string[] =>
  Array.from({ length: count }, () => once(admission, jkt))

describe('the quota of an actor', () => {
  it('takes so many a minute, of each actor by itself', () => {
    const admission = create()
    expect(times(4, admission, 'A')).toEqual(['in', 'in', 'in', 'system.quota'])
    expect(times(3, admission, 'B')).toEqual(['in', 'in', 'in'])
    time = 59_999
    expect(once(admission, 'A')).toBe('system.quota')
    time = 60_000
    expect(times(4, admission, 'A')).toEqual(['in', 'in', 'in', 'system.quota'])
  })

  it('is one for all who have no key', () => {
    const admission = create()
    expect([...times(3, admission, undefined), once(admission, undefined)].at(-1)).toBe('system.quota')
    expect(once(admission, 'A')).toBe('in')
  })

  it('bounds what is under way, and gives a place back once', () => {
    const admission = create()
    const [first, second] = [admission.enter('A'), admission.enter('A')]
    expect([first.ok, second.ok, once(admission, 'A')]).toEqual([true, true, 'system.quota'])
    if (first.ok) first.leave()
    expect(once(admission, 'A')).toBe('in')
  })

  it('a look takes nothing of it, and is counted when it turns away', () => {
    const admission = create()
    for (let looks = 0; looks < 10; looks += 1) expect(admission.turnAway('A')).toBeUndefined()
    expect(times(3, admission, 'A')).toEqual(['in', 'in', 'in'])
    expect(admission.turnAway('A')).toBe('system.quota')
    expect(counted).toEqual(['system.quota'])
  })
})

describe('what is said of those turned away', () => {
  it('is one summary a window, whatever they were', async () => {
    const admission = create()
    times(1_003, admission, 'A')
    suspended = 'A'
    times(10, admission, 'A')
    expect(summaries).toEqual([])
    await vi.advanceTimersByTimeAsync(60_000)
    expect(summaries).toEqual([{ actor: 'A', refused: { 'system.quota': 1_000, 'identity.suspended': 10 } }])
    expect(counted).toHaveLength(1_010)
    await vi.advanceTimersByTimeAsync(600_000)
    expect(summaries).toHaveLength(1)
  })

  it('is not lost at the end, and nothing is said where nothing was', async () => {
    const admission = create()
    times(5, admission, 'A')
    times(1, admission, 'B')
    await admission.close()
    expect(summaries).toEqual([{ actor: 'A', refused: { 'system.quota': 2 } }])
  })

  it('that cannot be written is reported and keeps nobody', async () => {
    const admission = create()
    broken = true
    times(5, admission, 'A')
    await admission.close()
    expect(reports).toEqual(['summary of refusals'])
  })
})

describe('before the quota', () => {
  it('comes the space that is kept, and before that the suspension', () => {
    const admission = create()
    low = true
    expect(once(admission, 'A')).toBe('system.space')
    expect(once(admission, undefined)).toBe('system.space')
    suspended = 'A'
    expect(once(admission, 'A')).toBe('identity.suspended')
    low = false
    expect(once(admission, 'B')).toBe('in')
  })

  it('a thumbprint that spells like those without a key is not taken for them', () => {
    const admission = create()
    suspended = 'unproved'
    expect(once(admission, undefined)).toBe('in')
  })
})

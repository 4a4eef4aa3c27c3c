import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { createGroups, createTimes } from './tally.ts'

describe('groups', () => {
  it('tells apart what differs, also where names run into each other', () => {
    const groups = createGroups<{ count: number }>()
    for (const names of [['a', 'b'], ['a', 'b'], ['a,b'], ['a"', 'b']]) {
      const group = groups.find(names, () => ({ count: 0 }))
      if (group !== undefined) group.count += 1
    }
    expect(groups.values().map(({ count }) => count)).toEqual([2, 1, 1])
  })

  it('stops growing, and keeps counting what it knows', () => {
    const groups = createGroups<{ count: number }>()
    for (let n = 0; n < 5_000; n += 1) if (groups.find([`tool-${n}`], () => ({ count: 0 })) === undefined) groups.miss()
    expect(groups.values()).toHaveLength(2_000)
    expect(groups.other()).toBe(3_000)
    expect(groups.find(['tool-0'], () => ({ count: 9 }))).toEqual({ count: 0 })
  })
})

describe('times', () => {
  it('has no quantile of nothing', () => {
    expect(createTimes().quantile(0.5)).toBeUndefined()
  })

  it('tells every quantile to within 1 %', () => {
    const milliseconds = fc.integer({ min: 100, max: 1_000_000_000 })
    fc.assert(
      fc.property(
        fc.array(milliseconds, { minLength: 1, maxLength: 50 }),
        fc.double({ min: 0.01, max: 1, noNaN: true }),
        (all, share) => {
          const times = createTimes()
          for (const each of all) times.add(each)
          const exact = all.toSorted((a, b) => a - b)[Math.max(1, Math.ceil(share * all.length)) - 1] ?? 0
          const told = times.quantile(share) ?? 0
          expect(Math.abs(told - exact)).toBeLessThanOrEqual(exact * 0.0101 + 1)
        },
      ),
    )
  })

  it('takes no time that runs backwards', () => {
    const times = createTimes()
    for (const bad of [-1, Number.NaN]) times.add(bad)
    expect(times.quantile(0.5)).toBeUndefined()
  })
})

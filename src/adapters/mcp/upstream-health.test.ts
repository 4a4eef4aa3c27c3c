import { expect, it } from 'vitest'

import { createHealth, createHealths } from './upstream-health.ts'

it('leaves a server alone for longer after each failure, up to a minute, and forgets', () => {
  let now = 1_000_000
  const health = createHealth({ now: () => now })
  const waits = Array.from({ length: 9 }, () => {
    health.failed()
    const wait = health.waitMs()
    now += wait
    expect(health.waitMs()).toBe(0)
    return wait
  })
  expect(waits).toEqual([0, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000])
  now += 120_001
  health.failed()
  expect(health.waitMs()).toBe(0)
})

it('is healthy again once it worked, and waits no longer when the clock is set back', () => {
  let now = 1_000_000
  const health = createHealth({ now: () => now })
  for (let count = 0; count < 3; count += 1) health.failed()
  now -= 500_000
  expect(health.waitMs()).toBe(2_000)
  health.worked()
  expect(health.waitMs()).toBe(0)
})

it('is known for each owner by itself', () => {
  const healths = createHealths({ now: () => 0 })
  for (let count = 0; count < 3; count += 1) healths('s', 'a').failed()
  expect(healths('s', 'a').waitMs()).toBe(2_000)
  expect(healths('s', 'b').waitMs()).toBe(0)
  expect(healths('t', 'a').waitMs()).toBe(0)
})

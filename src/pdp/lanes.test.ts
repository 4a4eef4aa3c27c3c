import { describe, expect, it } from 'vitest'

import { createLanes } from './lanes.ts'

describe('lanes', () => {
  it('let one work of a lane happen at a time, in order, and lanes side by side', async () => {
    const lanes = createLanes()
    const seen: string[] = []
    const work = (name: string, turns: number) => async () => {
      seen.push(`+${name}`)
      for (let turn = 0; turn < turns; turn += 1) await Promise.resolve()
      seen.push(`-${name}`)
    }
    await Promise.all([lanes.run('a', work('a1', 9)), lanes.run('a', work('a2', 1)), lanes.run('b', work('b1', 1))])
    const ofA = seen.filter((each) => each.includes('a'))
    expect(ofA).toEqual(['+a1', '-a1', '+a2', '-a2'])
    expect(seen.indexOf('-b1')).toBeLessThan(seen.indexOf('-a1'))
  })

  it('are not stopped by a work that throws, whose own caller is told', async () => {
    const lanes = createLanes()
    const failing = lanes.run('a', async () => {
      throw new RangeError('no')
    })
    const next = lanes.run('a', async () => 'done')
    await expect(failing).rejects.toThrow('no')
    expect(await next).toBe('done')
  })
})

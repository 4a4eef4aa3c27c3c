/**
 * @module
 * The contract of `Burns` (`ports/burns.ts`) as cases that any implementation runs, ours or other people's, under any test
 * runner.
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'

import type { Burns } from '../index.ts'
import type { ContractCase } from './store-contract.ts'

/** Opens the same burns once more, as another replica or after a restart would. */
export type MakeBurns = () => Promise<Burns>

const MINUTE_MS = 60_000
const RACERS = 64

/**
 * The cases. All must pass, in any order, over one place that may hold what others burned. Does not measure what a failover, an
 * eviction or a restored backup forgets: `since` has to say that.
 */
export function burnsContract(open: MakeBurns): readonly ContractCase[] {
  const over = async (count: number, run: (replicas: readonly Burns[]) => Promise<void>): Promise<void> => {
    const replicas = await Promise.all(Array.from({ length: count }, open))
    try {
      await run(replicas)
    } finally {
      for (const replica of replicas) replica.close()
    }
  }
  return [
    {
      name: 'burns an id once, however many race in however many replicas',
      run: async () => over(4, async (replicas) => assert.equal(await race(replicas, randomUUID()), 1)),
    },
    {
      name: 'tells ids apart to the last character',
      run: async () =>
        over(1, async ([burns]) => {
          const id = `jti/https%3A%2F%2Fa.example/${randomUUID()}`
          for (const each of [id, `${id} `, id.toUpperCase(), `${id}a`, id.slice(0, -1)])
            assert.equal(await burns?.burn(each, Date.now() + MINUTE_MS), true, each)
        }),
    },
    {
      name: 'remembers after it was opened again',
      run: async () => {
        const id = randomUUID()
        await over(1, async ([burns]) => assert.equal(await burns?.burn(id, Date.now() + MINUTE_MS), true))
        await over(1, async ([burns]) => assert.equal(await burns?.burn(id, Date.now() + 2 * MINUTE_MS), false))
      },
    },
    {
      name: 'refuses what is over already',
      run: async () =>
        over(1, async ([burns]) => {
          assert.equal(await burns?.burn(randomUUID(), Date.now() - 1), false)
          assert.equal(await burns?.burn(randomUUID(), 0), false)
        }),
    },
    {
      name: 'says since when it remembers, and not that this is to come',
      run: async () => over(1, async ([burns]) => assert((burns?.since() ?? Infinity) <= Date.now())),
    },
  ]
}

/** How many of those who race are the first. */
async function race(replicas: readonly Burns[], id: string): Promise<number> {
  const expires = Date.now() + MINUTE_MS
  const answers = await Promise.all(
    Array.from({ length: RACERS }, async (_, racer) => replicas[racer % replicas.length]?.burn(id, expires)),
  )
  return answers.filter((isFirst) => isFirst === true).length
}

/**
 * Both burns of `unbearer/http` under the contract suite that `unbearer/testing` exports, and ways to get it wrong that the
 * suite notices.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, afterEach, describe, expect, it, vi } from 'vitest'

import { memoryBurns, sqliteBurns, type Burns } from '../../src/http/index.ts'
import { burnsContract, type ContractCase, type MakeBurns } from '../../src/testing/index.ts'

const dir = mkdtempSync(join(tmpdir(), 'unbearer-burns-'))
afterAll(() => rmSync(dir, { recursive: true, force: true }))
afterEach(() => vi.useRealTimers())

const MAKES: readonly (readonly [string, MakeBurns])[] = [
  ['memory', async () => Promise.resolve(memoryBurns())],
  ['sqlite', async () => sqliteBurns(join(dir, 'burns.db'))],
]

describe.each(MAKES)('burns: %s', (_name, make) => {
  it.each(burnsContract(make))('$name', async (contract) => {
    await expect(contract.run()).resolves.toBeUndefined()
  })

  it('burns nothing again that it has forgotten, when the clock is set back', async () => {
    const burns = await make()
    const began = Date.now()
    expect(await burns.burn('old', began + 1_000)).toBe(true)
    vi.useFakeTimers({ now: began + 100_000, toFake: ['Date'] })
    for (let count = 0; count < 200; count += 1) await burns.burn(`later ${count}`, began + 160_000)
    vi.setSystemTime(began)
    expect(await burns.burn('old', began + 1_000)).toBe(false)
    burns.close()
  })
})

/** Reads, then writes. */
function createHasty(): MakeBurns {
  const burned = new Set<string>()
  const hasty: Burns = {
    isShared: true,
    since: () => 0,
    async burn(id, expires) {
      if (burned.has(id) || expires <= Date.now()) return false
      await new Promise((resolve) => setImmediate(resolve))
      burned.add(id)
      return true
    },
    close: () => undefined,
  }
  return async () => Promise.resolve(hasty)
}

/** Each replica for itself. */
const lonely: MakeBurns = async () => createHasty()()

const failing = async (cases: readonly ContractCase[]): Promise<readonly string[]> => {
  const failed: string[] = []
  for (const { name, run } of cases) await run().catch(() => failed.push(name))
  return failed
}

describe('the contract of burns', () => {
  it('notices a read before the write, and replicas that do not share', async () => {
    expect(await failing(burnsContract(createHasty()))).toEqual([expect.stringContaining('however many race')])
    expect(await failing(burnsContract(lonely))).toEqual([
      expect.stringContaining('however many race'),
      expect.stringContaining('opened again'),
    ])
  })
})

import { describe, expect, it } from 'vitest'

import type { PolicyVerdict } from '../core/decision.ts'
import { makeEvidence, makeRequest } from '../core/verify/scenario.test-data.ts'
import type { Engine } from '../ports/engine.ts'
import { evaluateAll, toPolicyVersion, withDeadline } from './evaluate.ts'

function toEngine(kind: string, evaluate: Engine['evaluate']): Engine {
  return { kind, version: 'v1', evaluate, close: async () => undefined }
}

const PERMIT: PolicyVerdict = { engine: 'good', version: 'v1', outcome: 'permit', policies: ['p'], obligations: [] }
const good = toEngine('good', async () => PERMIT)

const evaluate = async (engines: readonly Engine[]): Promise<readonly PolicyVerdict[]> =>
  evaluateAll(engines, makeRequest(), makeEvidence(), [], 30)

describe('engines', () => {
  it('are all asked, and answer in order', async () => {
    const slow = toEngine('slow', async () => {
      await new Promise((resolve) => setTimeout(resolve, 5))
      return { ...PERMIT, engine: 'slow' }
    })
    expect((await evaluate([slow, good])).map(({ engine }) => engine)).toEqual(['slow', 'good'])
    expect(toPolicyVersion([slow, good])).toBe('slow:v1 good:v1')
  })

  it.each([
    ['rejects', async () => Promise.reject(new Error('no'))],
    [
      'throws',
      () => {
        throw new Error('no')
      },
    ],
  ])('one that %s is an error beside the others', async (_what, fault) => {
    const verdicts = await evaluate([good, toEngine('bad', fault)])
    expect(verdicts).toEqual([
      PERMIT,
      { engine: 'bad', version: 'v1', outcome: 'error', policies: [], obligations: [], fault: 'the engine failed' },
    ])
  })

  it('one that is silent is unavailable', async () => {
    const silent = toEngine('silent', async () => new Promise<never>(() => undefined))
    expect((await evaluate([silent])).map(({ outcome }) => outcome)).toEqual(['unavailable'])
  })
})

describe('a deadline', () => {
  it('settles as the work does, in time', async () => {
    expect(await withDeadline(Promise.resolve(1), 1_000, () => 2)).toBe(1)
    await expect(withDeadline(Promise.reject(new Error('no')), 1_000, () => 2)).rejects.toThrow('no')
  })

  it('settles with what is said when it is late, a fault too', async () => {
    const never = new Promise<never>(() => undefined)
    expect(await withDeadline<number>(never, 1, () => 2)).toBe(2)
    const late = withDeadline(never, 1, () => {
      throw new RangeError('late')
    })
    await expect(late).rejects.toThrow('late')
  })
})

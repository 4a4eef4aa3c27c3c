/**
 * @module
 * The global stop, and its end, while the disk lies: whoever can make a write fail at the right moment must not turn a stop that
 * everybody believes in into one that the next start forgets.
 *
 * Broken once on purpose, and the test that fell:
 *
 * | broken on purpose                                        | fell                                          |
 * | -------------------------------------------------------- | --------------------------------------------- |
 * | `server/revocations.ts` a failed end stops nothing anew  | whose end was said to have failed, and had not |
 */
import { afterEach, describe, expect, it } from 'vitest'

import { createRevocations, type Revocations } from '../../src/server/revocations.ts'
import { UnavailableError, type CommitUnit, type Store } from '../../src/index.ts'
import { createControlPlane, STORES, type ControlPlane } from '../fixtures/control-plane.ts'

let plane: ControlPlane
const opened: Revocations[] = []

afterEach(async () => {
  for (const each of opened.splice(0)) each.close()
  await plane.close()
})

const by = (): { readonly jkt: string } => plane.enrolled.operator

async function open(store: Store = plane.store): Promise<Revocations> {
  const revocations = await createRevocations(store, plane.clock)
  opened.push(revocations)
  return revocations
}

/** Says that a unit failed which writes this record, before or after the disk has it. */
function toLying(store: Store, isMeant: (unit: CommitUnit) => boolean, how: 'commit' | 'durable'): Store {
  return {
    ...store,
    log: store.log,
    async commit(unit) {
      const result = await store.commit(unit)
      if (!isMeant(unit)) return result
      if (result.status === 'applied') await result.durable
      const fault = new UnavailableError('the disk did not answer')
      if (how === 'commit' || result.status !== 'applied') throw fault
      const durable = Promise.reject(fault)
      durable.catch(() => undefined)
      return { ...result, durable }
    },
  }
}

const isEnd = ({ writes = [] }: CommitUnit): boolean => writes.some(({ key }) => key.includes('resumed'))

describe.each(STORES)('a stop of everything on %s', (kind) => {
  it.each(['commit', 'durable'] as const)(
    'whose end was said to have failed, and had not, stands after a restart (%s)',
    async (how) => {
      plane = await createControlPlane(kind)
      const before = await open(toLying(plane.store, isEnd, how))
      await before.revoke('all', '*', by())
      await expect(before.resume(by())).rejects.toThrow('did not answer')
      expect(before.find('all', '*')).toBeDefined()
      const again = await before.revoke('all', '*', by())
      expect(again.recorded).toBe(true)
      const after = await open()
      expect(after.find('all', '*')).toBeDefined()
      // It can be ended once the disk answers.
      await after.resume(by())
      expect((await open()).find('all', '*')).toBeUndefined()
    },
  )
})

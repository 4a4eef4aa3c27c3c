import { afterEach, describe, expect, it, vi } from 'vitest'

import { createControlPlane, STORES, type ControlPlane } from '../../test/fixtures/control-plane.ts'
import { UnavailableError } from '../core/errors.ts'
import type { Store } from '../ports/store.ts'
import { createRevocations } from './revocations.ts'

let plane: ControlPlane
afterEach(async () => {
  vi.useRealTimers()
  await plane.close()
})

/** A disk that can be full. */
function createFlaky(): { full: boolean; readonly wrap: (store: Store) => Store } {
  const disk = {
    full: false,
    wrap: (store: Store): Store => ({
      log: store.log,
      get: async (keys) => store.get(keys),
      list: async (prefix, options) => store.list(prefix, options),
      evidence: async (id) => store.evidence(id),
      listEvidence: async (options) => store.listEvidence(options),
      scrub: async (options) => store.scrub(options),
      check: async () => store.check(),
      close: async () => store.close(),
      async commit(unit) {
        if (disk.full) throw new UnavailableError('the disk is full')
        return store.commit(unit)
      },
    }),
  }
  return disk
}

describe.each(STORES)('revocations on %s', (kind) => {
  it('is in force, and told, before anything is awaited', async () => {
    plane = await createControlPlane(kind)
    const { revocations } = plane.services
    const told: string[] = []
    revocations.subscribe(({ id }) => void told.push(id))
    const settled = revocations.revoke('task', 't1', plane.enrolled.operator)
    expect(revocations.find('task', 't1')?.rev).toBe(1)
    expect(revocations.rev()).toBe(1)
    expect(told).toEqual(['t1'])
    expect(await settled).toMatchObject({ recorded: true })
    expect(await plane.acts()).toContain('revoke')
  })

  it('is in force while the store throws, denies by staleness, and is recorded later', async () => {
    const disk = createFlaky()
    plane = await createControlPlane(kind, disk)
    const { revocations } = plane.services
    disk.full = true
    vi.useFakeTimers()
    expect(await revocations.revoke('all', '*', plane.enrolled.operator)).toMatchObject({ recorded: false })
    expect(revocations.find('all', '*')).toBeDefined()
    // Its number could be given out again after a restart, so nothing may be decided under it.
    expect(revocations.fresh()).toBe(false)
    await vi.advanceTimersByTimeAsync(2000)
    expect(revocations.unrecorded()).toBe(1)
    disk.full = false
    await vi.advanceTimersByTimeAsync(20_000)
    vi.useRealTimers()
    await vi.waitFor(() => expect(revocations.unrecorded()).toBe(0))
    expect(revocations.fresh()).toBe(true)
    expect((await plane.acts()).filter((act) => act === 'revoke')).toHaveLength(1)
  })

  it('goes on telling the others when one listener throws', async () => {
    plane = await createControlPlane(kind)
    const { revocations } = plane.services
    const told: string[] = []
    revocations.subscribe(() => {
      throw new Error('broken')
    })
    const stop = revocations.subscribe(({ id }) => void told.push(id))
    await revocations.revoke('task', 't1', plane.enrolled.operator)
    stop()
    await revocations.revoke('task', 't2', plane.enrolled.operator)
    expect(told).toEqual(['t1'])
  })

  it('is idempotent, also when asked twice at once', async () => {
    plane = await createControlPlane(kind)
    const { revocations } = plane.services
    const twice = [1, 2].map(async () => revocations.revoke('grant', 'g', plane.enrolled.operator))
    const [first, second] = await Promise.all(twice)
    expect(second).toEqual(first)
    expect(await revocations.revoke('grant', 'g', plane.enrolled.operator)).toEqual(first)
    expect(revocations.list()).toHaveLength(1)
    expect((await plane.acts()).filter((act) => act === 'revoke')).toHaveLength(1)
  })

  it('is still in force after a restart, and the sequence goes on', async () => {
    plane = await createControlPlane(kind)
    await plane.services.revocations.revoke('actor', 'a', plane.enrolled.operator)
    await plane.services.revocations.revoke('actor', 'b', plane.enrolled.operator)
    plane.services.revocations.close()
    expect(plane.services.revocations.fresh()).toBe(false)
    const again = await createRevocations(plane.store, plane.clock)
    expect(again.rev()).toBe(2)
    expect(again.find('actor', 'a')?.rev).toBe(1)
    expect(again.fresh()).toBe(true)
    expect((await again.revoke('actor', 'c', plane.enrolled.operator)).revocation.rev).toBe(3)
    again.close()
  })

  it('does not confuse ids of two dimensions', async () => {
    plane = await createControlPlane(kind)
    await plane.services.revocations.revoke('task', 'x', plane.enrolled.operator)
    expect(plane.services.revocations.find('grant', 'x')).toBeUndefined()
  })
})

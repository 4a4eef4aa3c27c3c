import { afterEach, describe, expect, it, vi } from 'vitest'

import { createControlPlane, STORES, type ControlPlane } from '../../test/fixtures/control-plane.ts'
import { UnavailableError } from '../core/errors.ts'
import type { Store } from '../ports/store.ts'
import type { Journal, JournalLine } from './journal.ts'
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

const by = (): { readonly jkt: string } => plane.enrolled.operator

describe.each(STORES)('the end of a stop of everything on %s', (kind) => {
  it('lets nothing of before come back, and stands after a restart', async () => {
    plane = await createControlPlane(kind)
    const { revocations } = plane.services
    await expect(revocations.resume(by())).rejects.toThrow('nothing is stopped')
    await revocations.revoke('task', 't1', by())
    const { revocation: stop } = await revocations.revoke('all', '*', by())
    const told: string[] = []
    revocations.subscribe(({ id }) => void told.push(id))
    const resumed = await revocations.resume(by())
    expect(revocations.find('all', '*')).toBeUndefined()
    expect(revocations.find('task', 't1')).toBeDefined()
    expect(revocations.find('all', 'issued')?.rev).toBeGreaterThan(stop.rev)
    expect(told).toEqual(['issued', 'resumed'])
    expect(await plane.acts()).toContain('resume')
    const again = await createRevocations(plane.store, plane.clock)
    expect(again.find('all', '*')).toBeUndefined()
    expect(again.find('all', 'resumed')?.rev).toBe(resumed.rev)
    expect(again.rev()).toBe(revocations.rev())
    again.close()
    // Whoever stops it again has stopped it.
    await revocations.revoke('all', '*', by())
    const stopped = await createRevocations(plane.store, plane.clock)
    expect(stopped.find('all', '*')).toBeDefined()
    stopped.close()
  })

  it('is not the end where somebody stops everything meanwhile', async () => {
    plane = await createControlPlane(kind)
    const { revocations } = plane.services
    await revocations.revoke('all', '*', by())
    const resuming = revocations.resume(by()).catch((fault: unknown) => String(fault))
    const { revocation } = await revocations.revoke('all', '*', by())
    expect(await resuming).toContain('stopped again')
    expect(revocations.find('all', '*')).toEqual(revocation)
    const again = await createRevocations(plane.store, plane.clock)
    expect(again.find('all', '*')).toEqual(revocation)
    again.close()
  })

  it('lets go of nothing before it is on the disk', async () => {
    const disk = createFlaky()
    plane = await createControlPlane(kind, disk)
    const { revocations } = plane.services
    await revocations.revoke('all', '*', by())
    disk.full = true
    await expect(revocations.resume(by())).rejects.toThrow(UnavailableError)
    expect(revocations.find('all', '*')).toBeDefined()
    disk.full = false
  })
})

describe('the journal outside', () => {
  it('does not bring back a stop that was ended, and never ends one', async () => {
    plane = await createControlPlane('memory')
    const lines: JournalLine[] = []
    const journal: Journal = {
      lines: () => lines,
      erasures: () => [],
      append: (added) => void lines.push(...added.filter((line): line is JournalLine => 'rev' in line)),
    }
    const first = await createRevocations(plane.store, plane.clock, journal)
    await first.revoke('all', '*', plane.enrolled.operator)
    await first.resume(plane.enrolled.operator)
    first.close()
    expect(lines.map(({ id }) => id)).toEqual(['*', 'issued'])
    const again = await createRevocations(plane.store, plane.clock, journal)
    expect(again.find('all', '*')).toBeUndefined()
    again.close()
    await plane.close()
    // An old copy of the store, from before the stop was ended: it is not known here that it was.
    plane = await createControlPlane('memory')
    lines.push({ rev: 9, dimension: 'all', id: 'resumed', at: 1, by: 'whoever can write the file' })
    const restored = await createRevocations(plane.store, plane.clock, journal)
    expect(restored.find('all', '*')).toBeDefined()
    restored.close()
  })
})

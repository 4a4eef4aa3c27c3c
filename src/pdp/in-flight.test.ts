import { describe, expect, it } from 'vitest'

import type { Revocation, RevocationFeed } from '../ports/revocations.ts'
import { createInFlight } from './in-flight.ts'

function createFeed(): RevocationFeed & { push(revocation: Omit<Revocation, 'rev' | 'at'>): void } {
  const listeners = new Set<(revocation: Revocation) => void>()
  return {
    rev: () => 0,
    fresh: () => true,
    find: () => undefined,
    subscribe(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    push: (revocation) => listeners.forEach((listener) => listener({ rev: 1, at: 0, ...revocation })),
  }
}

describe('what is in flight', () => {
  it('is aborted by a revocation of any of its dimensions, and nothing else is', () => {
    const feed = createFeed()
    const inFlight = createInFlight(feed)
    const mine = inFlight.begin('e1', [
      ['all', '*'],
      ['task', 't1'],
    ])
    const other = inFlight.begin('e2', [
      ['all', '*'],
      ['task', 't2'],
    ])
    feed.push({ dimension: 'task', id: 't1' })
    expect([mine.signal.aborted, other.signal.aborted]).toEqual([true, false])
    feed.push({ dimension: 'actor', id: '*' })
    expect(other.signal.aborted).toBe(false)
    feed.push({ dimension: 'all', id: '*' })
    expect(other.signal.aborted).toBe(true)
  })

  it('is under way by its entry, until it lands', () => {
    const inFlight = createInFlight(createFeed())
    const first = inFlight.begin('e1', [])
    const second = inFlight.begin('e2', [])
    expect([inFlight.has('e1'), inFlight.has('e2'), inFlight.has('e3'), inFlight.size()]).toEqual([
      true,
      true,
      false,
      2,
    ])
    first.land()
    first.land()
    expect([inFlight.has('e1'), inFlight.has('e2'), inFlight.size()]).toEqual([false, true, 1])
    second.land()
    expect(inFlight.size()).toBe(0)
  })

  it('is not aborted after it has landed', () => {
    const feed = createFeed()
    const flight = createInFlight(feed).begin('e1', [['all', '*']])
    flight.land()
    feed.push({ dimension: 'all', id: '*' })
    expect(flight.signal.aborted).toBe(false)
  })
})

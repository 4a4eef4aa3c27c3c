import { describe, expect, it } from 'vitest'

import {
  combineSignals,
  emptyProfile,
  learnProfile,
  MIN_EVENTS,
  scoreProfile,
  type Profile,
  type ProfileEvent,
} from './baseline.ts'
import type { BehaviourSignal } from './evidence.ts'

const THRESHOLD = { threshold: 0.01 }

function event(at: number, change: Partial<ProfileEvent> = {}): ProfileEvent {
  return { tool: 's/query', at, objects: ['customers'], destinations: [], effects: ['read'], ...change }
}

function learnAll(events: readonly ProfileEvent[]): Profile {
  return events.reduce(learnProfile, emptyProfile())
}

/** A generator with a fixed seed, so that a failure repeats. */
function createRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

/** A support agent: tasks of a few calls, hours between them, now and then a new customer. */
function work(count: number, seed = 1): readonly ProfileEvent[] {
  const random = createRandom(seed)
  let at = 0
  return Array.from({ length: count }, () => {
    at += random() < 0.2 ? 3_600_000 * random() : 5_000 * random()
    if (random() < 0.7) return event(at, { objects: [random() < 0.5 ? 'customers' : 'orders'] })
    return event(at, {
      tool: 's/send',
      effects: ['send'],
      objects: [],
      destinations: [random() < 0.9 ? 'a@own.example' : 'b@own.example'],
    })
  })
}

function signalOf(profile: Profile, next: ProfileEvent, name: BehaviourSignal['name']): BehaviourSignal | undefined {
  return scoreProfile(profile, next, THRESHOLD).signals.find((signal) => signal.name === name)
}

const settled = learnAll(work(1000))
const soon = (settled.last?.at ?? 0) + 2_000

describe('the profile', () => {
  it('says nothing while it is young', () => {
    const young = learnAll(work(MIN_EVENTS - 1))
    expect(scoreProfile(young, event(soon), THRESHOLD)).toEqual({
      events: MIN_EVENTS - 1,
      signals: [],
      threshold: 0.01,
    })
    expect(scoreProfile(learnAll(work(MIN_EVENTS)), event(soon), THRESHOLD).signals.length).toBeGreaterThan(0)
  })

  it('stays small and holds no names, whatever it is taught', () => {
    const many = Array.from({ length: 1500 }, (_, n) => {
      const names = Array.from({ length: 40 }, (_unused, m) => `secret-${n}-${m}`)
      return event(n * 997, { tool: `s/tool${n % 300}`, objects: names, destinations: names })
    })
    const text = JSON.stringify(learnAll(many))
    expect(text.length).toBeLessThan(8 * 1024)
    expect(text).not.toMatch(/secret|tool\d/)
    expect(JSON.parse(text)).toEqual(learnAll(many))
  })

  it('finds the usual usual', () => {
    const usual = scoreProfile(settled, event(soon, { objects: ['orders'] }), THRESHOLD)
    expect(combineSignals(usual.signals)).toBeGreaterThan(0.05)
  })

  it.each<[BehaviourSignal['name'], Partial<ProfileEvent>]>([
    ['tool', { tool: 's/drop' }],
    ['tool', { effects: ['delete'] }],
    ['transition', { tool: 's/drop' }],
    ['resource', { objects: ['salaries'] }],
    ['destination', { destinations: ['evil@attacker.example'] }],
  ])('finds a new %s unusual: %j', (name, change) => {
    expect(signalOf(settled, event(soon, change), name)?.p).toBeLessThan(0.01)
    expect(signalOf(settled, event(soon, change), name)?.why).not.toMatch(/drop|salaries|evil/)
  })

  it('finds a burst unusual, and a pause not', () => {
    let profile = settled
    const lowest = Array.from({ length: 60 }, (_, n) => {
      const next = event(soon + n * 10)
      const p = signalOf(profile, next, 'rate')?.p ?? 1
      profile = learnProfile(profile, next)
      return p
    })
    expect(Math.min(...lowest)).toBeLessThan(0.01)
    expect(signalOf(settled, event(soon + 86_400_000), 'rate')?.p).toBeGreaterThan(0.1)
  })

  it('survives a clock that steps back', () => {
    const back = learnProfile(settled, event(0))
    for (const { p } of scoreProfile(back, event(-1), THRESHOLD).signals) expect(p).toBeGreaterThan(0)
  })

  it('takes a new habit for usual after a while', () => {
    const habit = Array.from({ length: 150 }, (_, n) =>
      event(soon + n * 60_000, { tool: 's/report', objects: ['reports'] }),
    )
    const changed = habit.reduce(learnProfile, settled)
    expect(signalOf(changed, event(soon + 151 * 60_000, { tool: 's/report' }), 'tool')?.p).toBeGreaterThan(0.05)
  })
})

describe('honest p-values', () => {
  it('are at most rarely below what they say, for an agent whose work does not change', () => {
    const levels = [0.01, 0.02, 0.05]
    const below = levels.map(() => 0)
    let scored = 0
    for (let seed = 1; seed <= 6; seed += 1) {
      let profile = emptyProfile()
      for (const next of work(600, seed)) {
        const { signals } = scoreProfile(profile, next, THRESHOLD)
        if (signals.length > 0) scored += 1
        const p = signals.length === 0 ? 1 : combineSignals(signals)
        for (const [index, level] of levels.entries()) if (p < level) below[index] = (below[index] ?? 0) + 1
        profile = learnProfile(profile, next)
      }
    }
    for (const [index, level] of levels.entries()) expect((below[index] ?? 0) / scored).toBeLessThan(level)
  })

  it('do not claim more than the number of events supports', () => {
    const profile = learnAll(work(MIN_EVENTS + 20))
    for (const { p } of scoreProfile(profile, event(0, { tool: 'x/y', objects: ['z'] }), THRESHOLD).signals) {
      expect(p).toBeGreaterThanOrEqual(1 / (2 * profile.events + 2))
    }
  })

  it('remember that many things came up only once, although nothing new did of late', () => {
    const once = Array.from({ length: 60 }, (_, n) => event(n * 1000, { objects: [`order-${n}`] }))
    const since = Array.from({ length: 500 }, (_, n) => event(60_000 + n * 1000))
    const profile = learnAll([...once, ...since])
    expect(signalOf(profile, event(600_000, { objects: ['order-new'] }), 'resource')?.p).toBeGreaterThan(0.03)
  })

  it('are combined as so many tries', () => {
    const signals = [0.01, 0.5, 1].map((p) => ({ name: 'tool' as const, p, why: '' }))
    expect(combineSignals(signals)).toBeCloseTo(0.03)
    expect(combineSignals([])).toBe(1)
  })
})

/**
 * @module
 * The resolution of modes. Broken once on purpose: without the look at the file's `enforce` rules, with acts that need no
 * end, with `observe` covering an effect that is not known, and with the oldest act first: each time a test below fell.
 */
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { BESIDE, LEVELS, WORST, toEffect, type Effect, type EffectKind } from './effect.ts'
import {
  findUnsigned,
  isScopeWithin,
  MAX_OBSERVE_MS,
  resolveMode,
  toModeMessage,
  type ModeAct,
  type ModeFacts,
  type ModeFile,
  type ModeRule,
  type ModeScope,
} from './mode.ts'

const NOW = 1_800_000_000_000
const HOUR = 3_600_000
const ENFORCE: ModeFile = { mode: 'enforce', rules: [] }
const OBSERVE: ModeFile = { mode: 'observe', rules: [] }
const FACTS: ModeFacts = {
  upstream: 'orders',
  tool: 'query',
  actor: { jkt: 'K1', name: 'support' },
  effect: toEffect('read'),
}

let count = 0
function observes(scope: ModeScope = {}, more: Partial<ModeAct> = {}): ModeAct {
  count += 1
  return { id: `act-${count}`, mode: 'observe', by: 'op', at: NOW, expires: NOW + HOUR, ...scope, ...more }
}
const enforces = (scope: ModeScope = {}): ModeAct => ({ id: 'e', mode: 'enforce', by: 'op', at: NOW, ...scope })
const modeOf = (file: ModeFile, acts: readonly ModeAct[], facts: Partial<ModeFacts> = {}, now = NOW): string => {
  const { mode, from } = resolveMode(file, acts, { ...FACTS, ...facts }, now)
  return `${mode} ${from}`
}

describe('the file alone', () => {
  it.each<[ModeFile, string]>([
    [ENFORCE, 'enforce mode'],
    [OBSERVE, 'enforce mode unsigned'],
    [
      { mode: 'enforce', rules: [{ upstream: 'orders', mode: 'observe', place: 'upstreams[0].mode' }] },
      'enforce upstreams[0].mode unsigned',
    ],
    [
      { mode: 'observe', rules: [{ upstream: 'orders', mode: 'enforce', place: 'upstreams[0].mode' }] },
      'enforce upstreams[0].mode',
    ],
  ])('%j says nothing but enforce', (file, answer) => {
    expect(modeOf(file, [])).toBe(answer)
  })
})

describe('an act to observe', () => {
  it('observes what fits all that it names, and nothing else', () => {
    const act = observes({ upstream: 'orders', tool: 'query', actor: 'K1', effect: 'read' })
    expect(modeOf(ENFORCE, [act])).toBe(`observe act ${act.id}`)
    expect(modeOf(ENFORCE, [act], { upstream: 'crm' })).toBe('enforce mode')
    expect(modeOf(ENFORCE, [act], { tool: 'refund' })).toBe('enforce mode')
    expect(modeOf(ENFORCE, [act], { effect: toEffect('write') })).toBe('enforce mode')
    expect(modeOf(ENFORCE, [act], { effect: { level: 'read', beside: ['send'] } })).toBe('enforce mode')
    expect(modeOf(ENFORCE, [act], { actor: { jkt: 'K2', name: 'support' } })).toBe('enforce mode')
  })

  it('names a key: an agent that is called like the thumbprint is not meant', () => {
    expect(modeOf(ENFORCE, [observes({ actor: 'K1' })], { actor: { jkt: 'K2', name: 'K1' } })).toBe('enforce mode')
  })

  it.each<[string, keyof ModeFacts, ModeScope]>([
    ['tool', 'tool', { upstream: 'orders', tool: 'query' }],
    ['actor', 'actor', { actor: 'K1' }],
    ['effect', 'effect', { effect: 'read' }],
  ])('opens nothing while the %s is not known: nobody gets in without a proof by it', (_what, member, scope) => {
    const { [member]: _left, ...facts } = FACTS
    expect(resolveMode(ENFORCE, [observes(scope)], { upstream: 'orders', ...facts }, NOW).mode).toBe('enforce')
  })

  it('ends, at most 30 days after it was signed, and does not begin before', () => {
    const act = observes()
    expect(modeOf(ENFORCE, [act], {}, NOW + HOUR - 1)).toBe(`observe act ${act.id}`)
    expect(modeOf(ENFORCE, [act], {}, NOW + HOUR)).toBe('enforce mode')
    expect(modeOf(ENFORCE, [act], {}, NOW - HOUR)).toBe('enforce mode')
    const { expires: _expires, ...endless } = observes()
    expect(modeOf(ENFORCE, [endless])).toBe('enforce mode')
    expect(modeOf(ENFORCE, [observes({}, { expires: NOW + MAX_OBSERVE_MS + 1 })])).toBe('enforce mode')
    expect(modeOf(ENFORCE, [observes({}, { expires: Number.NaN })])).toBe('enforce mode')
  })

  it('that only says yes to the file ends where the file says otherwise', () => {
    const act = observes({}, { configured: true })
    expect(modeOf(OBSERVE, [act])).toBe(`observe act ${act.id}`)
    expect(modeOf(ENFORCE, [act])).toBe('enforce mode')
    const part: ModeFile = { mode: 'enforce', rules: [{ effect: 'read', mode: 'observe', place: 'modes[0]' }] }
    expect(modeOf(part, [act])).toBe(`observe act ${act.id}`)
    expect(modeOf(part, [act], { effect: toEffect('write') })).toBe('enforce mode')
  })

  it('gives way to a newer one to enforce, and the other way round', () => {
    const act = observes()
    expect(modeOf(ENFORCE, [act, enforces({ tool: 'query', upstream: 'orders' })])).toBe('enforce act e')
    expect(modeOf(ENFORCE, [act, enforces({ tool: 'refund', upstream: 'orders' })])).toBe(`observe act ${act.id}`)
    expect(modeOf(ENFORCE, [enforces(), act])).toBe(`observe act ${act.id}`)
    expect(modeOf(ENFORCE, [enforces(), act], {}, NOW + HOUR)).toBe('enforce act e')
  })
})

describe('a rule of the file to enforce', () => {
  it('stands above every act, for what does at least its effect', () => {
    const file: ModeFile = { mode: 'observe', rules: [{ effect: 'write', mode: 'enforce', place: 'modes[0]' }] }
    const act = observes()
    expect(modeOf(file, [act])).toBe(`observe act ${act.id}`)
    expect(modeOf(file, [act], { effect: toEffect('write') })).toBe('enforce modes[0]')
    expect(modeOf(file, [act], { effect: toEffect('delete') })).toBe('enforce modes[0]')
    expect(modeOf(file, [act], { effect: WORST })).toBe('enforce modes[0]')
    expect(modeOf(file, [act], { effect: toEffect('send') })).toBe(`observe act ${act.id}`)
  })

  it('names an agent by name or key', () => {
    for (const actor of ['support', 'K1']) {
      const file: ModeFile = { mode: 'observe', rules: [{ actor, mode: 'enforce', place: 'modes[0]' }] }
      expect(modeOf(file, [observes()])).toBe('enforce modes[0]')
    }
  })
})

const kind = fc.constantFrom<EffectKind>(...LEVELS, ...BESIDE)
const effect = fc.record({ level: fc.constantFrom(...LEVELS), beside: fc.subarray([...BESIDE]) })
const name = fc.constantFrom('a', 'b')
const scope = fc.record({ upstream: name, tool: name, actor: name, effect: kind }, { requiredKeys: [] })
const act = fc
  .record({
    scope,
    mode: fc.constantFrom('observe', 'enforce'),
    at: fc.integer({ min: -2, max: 2 }),
    configured: fc.boolean(),
  })
  .map((given): ModeAct => {
    const times = { at: NOW + given.at * HOUR, expires: NOW + (given.at + 1) * HOUR }
    return { id: 'x', by: 'op', mode: given.mode, configured: given.configured, ...times, ...given.scope }
  })
const rule = fc
  .record({ scope, mode: fc.constantFrom('observe', 'enforce') })
  .map((given): ModeRule => ({ ...given.scope, mode: given.mode, place: 'modes[0]' }))
const file = fc.record({ mode: fc.constantFrom('observe', 'enforce'), rules: fc.array(rule, { maxLength: 3 }) })
const facts = fc
  .record({ upstream: name, tool: name, actor: name, effect }, { requiredKeys: ['upstream'] })
  .map(({ actor, ...rest }): ModeFacts => ({
    ...rest,
    ...(actor === undefined ? {} : { actor: { jkt: actor, name: actor } }),
  }))

describe('of any file, acts and action', () => {
  it('observes only by an act to observe that is in force, and the file cannot change that', () => {
    fc.assert(
      fc.property(file, fc.array(act, { maxLength: 4 }), facts, (said, acts, known) => {
        const narrow = acts.filter(
          ({ mode, at, expires }) => mode === 'enforce' || NOW < at - HOUR || (expires ?? 0) <= NOW,
        )
        expect(resolveMode(said, narrow, known, NOW).mode).toBe('enforce')
      }),
    )
  })

  it('a rule to enforce never lets more through', () => {
    fc.assert(
      fc.property(file, fc.array(act, { maxLength: 4 }), facts, rule, (said, acts, known, more) => {
        const stricter = { ...said, rules: [...said.rules, { ...more, mode: 'enforce' as const }] }
        const modes = [resolveMode(stricter, acts, known, NOW).mode, resolveMode(said, acts, known, NOW).mode]
        expect(modes).not.toEqual(['observe', 'enforce'])
      }),
    )
  })

  it('what is observed of a graver effect is observed of a lesser one, by acts alone', () => {
    fc.assert(
      fc.property(fc.array(act, { maxLength: 1 }), facts, (acts, known) => {
        const least: Effect = { level: 'read', beside: [] }
        const modeAt = (by: Effect): string => resolveMode(OBSERVE, acts, { ...known, effect: by }, NOW).mode
        expect([modeAt(known.effect ?? WORST), modeAt(least)]).not.toEqual(['observe', 'enforce'])
      }),
    )
  })
})

describe('what is said of it', () => {
  it('names what the file observes and nobody signed', () => {
    const rules: readonly ModeRule[] = [
      { upstream: 'a', mode: 'observe', place: 'upstreams[0].mode' },
      { upstream: 'b', mode: 'observe', place: 'upstreams[1].mode' },
    ]
    expect(findUnsigned({ mode: 'observe', rules }, [])).toEqual(['mode', 'upstreams[0].mode', 'upstreams[1].mode'])
    expect(findUnsigned({ mode: 'enforce', rules }, [observes({ upstream: 'b' })])).toEqual(['upstreams[0].mode'])
    expect(findUnsigned({ mode: 'enforce', rules }, [enforces()])).toHaveLength(2)
    expect(isScopeWithin({ upstream: 'a' }, { upstream: 'a', tool: 't' })).toBe(false)
  })

  it('signs every member, and the installation', () => {
    const base = observes({ upstream: 'orders' }, { note: 'n' })
    const said = (more: Partial<ModeAct>, issuer = 'https://a.example'): string =>
      Buffer.from(toModeMessage({ ...base, ...more }, issuer)).toString()
    const variants: readonly Partial<ModeAct>[] = [
      { id: 'other' },
      { by: 'other' },
      { at: 1 },
      { expires: 1 },
      { configured: true },
      { note: 'other' },
      { upstream: 'other' },
      { tool: 'other' },
      { actor: 'other' },
      { effect: 'read' },
      { mode: 'enforce' },
    ]
    const all = [said({}), said({}, 'https://b.example'), ...variants.map((more) => said(more))]
    expect(new Set(all).size).toBe(all.length)
    expect(said({}).startsWith('unbearer-mode-v1\0')).toBe(true)
  })
})

/**
 * @module
 * Attenuation never widens: whatever a contained child permits, its parent permits.
 */
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isContained, isGrantContained } from './attenuation.ts'
import { satisfies } from './constraint.ts'
import type { Constraint, Grant } from './grant.ts'
import type { Json } from './json.ts'
import { scaled } from '../../test/support/scale.ts'

const paths = ['/a', '/a/', '/a/b', '/ab', '/', 'a', '/a/../b', '', '/a//b']
const hosts = [
  'x.test',
  'a.x.test',
  'ax.test',
  'test',
  'X.test',
  '1.2.3.4',
  '',
  'bob@a.x.test',
  'http://x.test/',
  'http://x.test@y.test',
]
const blocks = ['10.0.0.0/8', '10.1.0.0/16', '0.0.0.0/0', '::/0', '2001:db8::/32', '10.0.0.1/8', 'x']
const addresses = ['10.0.0.1', '10.1.2.3', '11.0.0.1', '::1', '2001:db8::5', '::ffff:10.0.0.1']
const value: fc.Arbitrary<Json> = fc.constantFrom<Json>(...paths, ...hosts, ...addresses, -5, 0, 3, 7, 10, null, [], {})
const bound = fc.option(fc.constantFrom(-5, 0, 3, 7, 10, NaN), { nil: undefined })
const range = fc.tuple(bound, bound).map(([min, max]) => ({
  range: { ...(min === undefined ? {} : { min }), ...(max === undefined ? {} : { max }) },
}))
const { constraint } = fc.letrec<{ constraint: Constraint }>((tie) => ({
  constraint: fc.oneof(
    { maxDepth: 2 },
    fc.record({ in: fc.array(value, { maxLength: 3 }) }),
    range,
    fc.record({ pathPrefix: fc.constantFrom(...paths) }),
    fc.record({ hostSuffix: fc.constantFrom(...hosts) }),
    fc.record({ cidr: fc.constantFrom(...blocks) }),
    fc.record({ all: fc.array(tie('constraint'), { maxLength: 3 }) }),
  ),
}))

describe('isContained', () => {
  it('is sound: what satisfies a contained child satisfies the parent', () => {
    let contained = 0
    fc.assert(
      fc.property(constraint, constraint, fc.array(value, { minLength: 8, maxLength: 16 }), (child, parent, values) => {
        if (!isContained(child, parent)) return true
        contained += 1
        return values.every((each) => !satisfies(child, each) || satisfies(parent, each))
      }),
      { numRuns: scaled(4000) },
    )
    expect(contained).toBeGreaterThan(50)
  })
  it('proves what it should', () => {
    const proven: readonly [Constraint, Constraint][] = [
      [{ in: ['a'] }, { in: ['b', 'a'] }],
      [{ in: [1, 2] }, { range: { min: 0, max: 2 } }],
      [{ in: ['bob@a.x.test'] }, { hostSuffix: 'x.test' }],
      [{ range: { min: 1, max: 2 } }, { range: { min: 1 } }],
      [{ pathPrefix: '/a/b' }, { pathPrefix: '/a' }],
      [{ hostSuffix: 'a.x.test' }, { hostSuffix: 'x.test' }],
      [{ cidr: '10.1.0.0/16' }, { cidr: '10.0.0.0/8' }],
      [{ all: [{ range: { min: 1 } }, { range: { max: 2 } }] }, { range: { min: 0, max: 3 } }],
      [{ pathPrefix: '/a/b' }, { all: [{ pathPrefix: '/a' }, { pathPrefix: '/' }] }],
    ]
    for (const [child, parent] of proven)
      expect([child, parent, isContained(child, parent)]).toEqual([child, parent, true])
  })
  it('does not guess', () => {
    const refused: readonly [Constraint, Constraint][] = [
      [{ range: {} }, { range: { max: 3 } }],
      [{ range: { max: NaN } }, { range: { max: 3 } }],
      [{ pathPrefix: '/ab' }, { pathPrefix: '/a' }],
      [{ pathPrefix: '/a/../b' }, { pathPrefix: '/a' }],
      [{ hostSuffix: 'ax.test' }, { hostSuffix: 'x.test' }],
      [{ hostSuffix: 'x.test' }, { hostSuffix: 'a.x.test' }],
      [{ cidr: '0.0.0.0/0' }, { cidr: '10.0.0.0/8' }],
      [{ cidr: '10.0.0.0/8' }, { cidr: '::/0' }],
      [{ all: [] }, { in: ['a'] }],
      [{ in: ['a'] }, { all: [] }],
    ]
    for (const [child, parent] of refused)
      expect([child, parent, isContained(child, parent)]).toEqual([child, parent, false])
  })
})

describe('isGrantContained', () => {
  const parent: Grant = {
    id: 'P',
    principal: { type: 'user', id: 'alice' },
    actor: 'jkt-a',
    issuedBy: { role: 'operator', jkt: 'op' },
    notBefore: 100,
    expires: 200,
    operations: [
      { upstream: 'shop', tool: '*', effects: ['write'], where: { to: { hostSuffix: 'x.test' } } },
      { upstream: 'shop', tool: 'mail', effects: ['send'], where: {} },
    ],
    budgets: [{ id: 'calls', limit: 10, per: 'task', effects: ['write'] }],
    depth: 2,
  }
  const child: Grant = { ...parent, id: 'C', actor: 'jkt-b', parent: 'P', depth: 1 }
  it('holds an equal and a narrower grant', () => {
    expect(isGrantContained(child, parent)).toBe(true)
    const narrower: Grant = {
      ...child,
      notBefore: 120,
      expires: 150,
      depth: 0,
      operations: [
        {
          upstream: 'shop',
          tool: 'query',
          effects: ['read'],
          where: { to: { hostSuffix: 'a.x.test' }, n: { in: [1] } },
        },
      ],
      budgets: [
        { id: 'calls', limit: 5, per: 'grant', effects: ['write', 'read'] },
        { id: 'more', limit: 1, per: 'task' },
      ],
    }
    expect(isGrantContained(narrower, parent)).toBe(true)
  })
  const wider: Readonly<Record<string, Partial<Grant>>> = {
    'another principal': { principal: { type: 'user', id: 'bob' } },
    'another type': { principal: { type: 'group', id: 'alice' } },
    'an earlier start': { notBefore: 99 },
    'a later end': { expires: 201 },
    'an end that is no number': { expires: NaN },
    'the same depth': { depth: 2 },
    'a negative depth': { depth: -1 },
    'another upstream': {
      operations: [{ upstream: 'bank', tool: 'query', effects: ['read'], where: { to: { hostSuffix: 'x.test' } } }],
    },
    'a graver effect': {
      operations: [{ upstream: 'shop', tool: 'q', effects: ['delete'], where: { to: { hostSuffix: 'x.test' } } }],
    },
    'an effect beside': {
      operations: [{ upstream: 'shop', tool: 'q', effects: ['read', 'send'], where: { to: { hostSuffix: 'x.test' } } }],
    },
    'no effect': { operations: [{ upstream: 'shop', tool: 'mail', effects: [], where: {} }] },
    'every tool for one': { operations: [{ upstream: 'shop', tool: '*', effects: ['send'], where: {} }] },
    'a dropped constraint': { operations: [{ upstream: 'shop', tool: 'q', effects: ['read'], where: {} }] },
    'a wider constraint': {
      operations: [{ upstream: 'shop', tool: 'q', effects: ['read'], where: { to: { hostSuffix: 'test' } } }],
    },
    'a dropped budget': { budgets: [] },
    'a larger budget': { budgets: [{ id: 'calls', limit: 11, per: 'task', effects: ['write'] }] },
    'a budget that counts less': { budgets: [{ id: 'calls', limit: 10, per: 'task', effects: ['delete'] }] },
    'a budget that sums instead': {
      budgets: [{ id: 'calls', limit: 10, per: 'task', effects: ['write'], amount: 'n' }],
    },
  }
  for (const [name, change] of Object.entries(wider)) {
    it(`refuses ${name}`, () => expect(isGrantContained({ ...child, ...change }, parent)).toBe(false))
  }
  it('refuses a task budget below a budget over the whole life', () => {
    const strict: Grant = { ...parent, budgets: [{ id: 'calls', limit: 10, per: 'grant' }] }
    expect(isGrantContained({ ...child, budgets: [{ id: 'calls', limit: 10, per: 'task' }] }, strict)).toBe(false)
  })
})

/**
 * @module
 * Nobody gets more by asking for a grant themselves than the ceiling says. Seen to fail without `isGrantContained`.
 */
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { parseCeiling, parseWithin, type GrantCeiling } from './grant-ceiling.ts'
import { InputError } from './errors.ts'
import type { Grant } from './grant.ts'
import type { JsonObject } from './json.ts'

const CEILING: GrantCeiling = parseCeiling({
  operations: [
    { tool: 'orders/read', effects: ['read'] },
    { tool: 'orders/refund', effects: ['spend'], where: { amount: { range: { max: 50 } } } },
  ],
  budgets: [{ id: 'refunds', limit: 3, effects: ['spend'] }],
  expires: '8h',
})
const ALICE = { type: 'oidc', id: 'https://a.example#alice' }
const NOW = 1_700_000_000_000

const within = (asked: JsonObject): Grant =>
  parseWithin(CEILING, { actor: 'agent', ...asked }, ALICE, {
    id: 'g',
    now: NOW,
    resolveActor: (name) => (name === 'agent' ? 'jkt' : undefined),
    issuedBy: { role: 'host', jkt: 'host' },
  })

describe('a grant under a ceiling', () => {
  it('takes from it what it leaves out', () => {
    const grant = within({})
    expect(grant).toMatchObject({ principal: ALICE, actor: 'jkt', expires: NOW + 8 * 3_600_000, depth: 0 })
    expect(grant.operations.map(({ tool }) => tool)).toEqual(['read', 'refund'])
    expect(grant.budgets).toMatchObject([{ id: 'refunds', limit: 3 }])
  })

  it('may be narrower, and keeps the budgets of the ceiling', () => {
    const grant = within({
      operations: [{ tool: 'orders/read' }],
      budgets: [{ id: 'looks', limit: 5 }],
      expires: '1h',
    })
    expect(grant.expires).toBe(NOW + 3_600_000)
    expect(grant.budgets.map(({ id }) => id)).toEqual(['looks', 'refunds'])
  })

  it.each<[string, JsonObject]>([
    ['another tool', { operations: [{ tool: 'orders/delete' }] }],
    ['every tool', { operations: [{ tool: 'orders/*' }] }],
    ['another upstream', { operations: [{ tool: 'crm/read' }] }],
    ['a graver effect', { operations: [{ tool: 'orders/read', effects: ['read', 'write'] }] }],
    ['an argument without its bound', { operations: [{ tool: 'orders/refund', effects: ['spend'] }] }],
    [
      'a wider bound',
      { operations: [{ tool: 'orders/refund', effects: ['spend'], where: { amount: { range: { max: 51 } } } }] },
    ],
    ['a larger budget', { budgets: [{ id: 'refunds', limit: 4, effects: ['spend'] }] }],
    ['the same budget for each task', { budgets: [{ id: 'refunds', limit: 3, per: 'task', effects: ['spend'] }] }],
    ['the same budget for other effects', { budgets: [{ id: 'refunds', limit: 3, effects: ['admin'] }] }],
    ['a longer life', { expires: '9h' }],
    ['a longer life from later on', { notBefore: '2023-11-15T00:00:00Z', expires: '2023-11-16T00:00:00Z' }],
    ['delegation', { depth: 1 }],
    ['a parent', { parent: 'other' }],
    ['the form of break-glass', { breakGlass: true }],
    ['another principal', { principal: 'bob' }],
    ['a local principal of that name', { principal: 'https://a.example#alice' }],
    ['another type of principal', { principal: { type: 'user', id: 'https://a.example#alice' } }],
    ['an agent that is not enrolled', { actor: 'ghost' }],
    ['no agent', { actor: '' }],
  ])('does not get %s', (_title, asked) => {
    expect(() => within(asked)).toThrow(InputError)
  })

  it('never gets a bound above the ceiling', () => {
    fc.assert(
      fc.property(fc.double({ min: 50.001, max: 1e9, noNaN: true }), (max) => {
        const where = { amount: { range: { max } } }
        expect(() => within({ operations: [{ tool: 'orders/refund', effects: ['spend'], where }] })).toThrow(InputError)
      }),
      { numRuns: 200 },
    )
  })

  it('names its principal in one way only', () => {
    expect(within({ principal: { ...ALICE } }).principal).toEqual(ALICE)
    expect(within({ principal: 'oidc/https://a.example#alice' }).principal).toEqual(ALICE)
  })

  it.each([[{}], [{ operations: [] }], [{ operations: [{ tool: 'x/y' }], actor: 'z' }]])(
    '%j is no ceiling',
    (value) => {
      expect(() => parseCeiling(value)).toThrow(InputError)
    },
  )
})

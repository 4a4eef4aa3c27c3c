/**
 * @module
 * The human form of a grant: strict, and silent about values.
 */
import { describe, expect, it } from 'vitest'
import { InputError } from './errors.ts'
import type { Json, JsonObject } from './json.ts'
import { parseGrant } from './parse-grant.ts'

const NOW = Date.parse('2026-01-01T00:00:00Z')
const HOUR = 3_600_000

function parse(value: Json): ReturnType<typeof parseGrant> {
  return parseGrant(value, {
    id: 'G1',
    now: NOW,
    resolveActor: (name) => (name === 'support-agent' || name === 'jkt-1' ? 'jkt-1' : undefined),
    issuedBy: { role: 'operator', jkt: 'op' },
  })
}

const minimal: JsonObject = { principal: 'alice', actor: 'support-agent', operations: [{ tool: 'shop/query' }] }

/** The message of the InputError, or what happened instead. */
function refusal(value: Json): string {
  try {
    return `parsed: ${JSON.stringify(parse(value))}`
  } catch (fault) {
    return fault instanceof InputError ? fault.message : `another fault: ${String(fault)}`
  }
}

describe('parseGrant', () => {
  it('fills in what is least', () => {
    expect(parse(minimal)).toEqual({
      id: 'G1',
      principal: { type: 'user', id: 'alice' },
      actor: 'jkt-1',
      issuedBy: { role: 'operator', jkt: 'op' },
      notBefore: NOW,
      expires: NOW + 24 * HOUR,
      operations: [{ upstream: 'shop', tool: 'query', effects: ['read'], where: {} }],
      budgets: [],
      depth: 0,
    })
  })
  it('reads everything that the form has', () => {
    const grant = parse({
      principal: { type: 'service', id: 'crm' },
      actor: 'jkt-1',
      expires: '8h',
      notBefore: '2026-01-01T01:00:00Z',
      operations: [
        {
          tool: 'shop/*',
          effects: ['write', 'send'],
          where: { 'order/id': { range: { min: 1, max: 9, clamp: true } } },
        },
        { tool: 'shop/resources/read', where: { uri: { all: [{ pathPrefix: '/a' }, { in: ['/a/b'] }] } } },
        { tool: 'shop/mail', where: { to: { hostSuffix: 'x.test' }, ip: { cidr: '10.0.0.0/8' } } },
      ],
      budgets: [
        { id: 'calls', limit: 100, per: 'task', effects: ['send'] },
        { id: 'spend', limit: 500, amount: 'amount' },
      ],
      depth: 2,
      parent: 'G0',
    })
    expect(grant).toMatchObject({ expires: NOW + 8 * HOUR, notBefore: NOW + HOUR, depth: 2, parent: 'G0' })
    expect(grant.operations.map(({ upstream, tool }) => `${upstream} ${tool}`)).toEqual([
      'shop *',
      'shop resources/read',
      'shop mail',
    ])
    expect(grant.budgets).toEqual([
      { id: 'calls', limit: 100, per: 'task', effects: ['send'] },
      { id: 'spend', limit: 500, per: 'grant', amount: 'amount' },
    ])
  })
  it('reads dates', () => {
    expect(parse({ ...minimal, expires: '2026-02-01' }).expires).toBe(Date.parse('2026-02-01T00:00:00Z'))
    expect(parse({ ...minimal, expires: '2026-02-01T00:00:00+02:00' }).expires).toBe(Date.parse('2026-01-31T22:00:00Z'))
    expect(parse({ ...minimal, expires: '90d' }).expires).toBe(NOW + 90 * 24 * HOUR)
  })
  it('keeps a key `__proto__` a key', () => {
    const where: JsonObject = { ['__proto__']: { in: ['a'] } }
    expect(
      Object.keys(parse({ ...minimal, operations: [{ tool: 'shop/q', where }] }).operations[0]?.where ?? {}),
    ).toEqual(['__proto__'])
  })

  const one = (operation: Json): Json => ({ ...minimal, operations: [operation] })
  const where = (constraint: Json): Json => one({ tool: 'shop/q', where: { to: constraint } })
  const budget = (member: JsonObject): Json => ({ ...minimal, budgets: [{ id: 'a', limit: 1, ...member }] })
  const refused: readonly [string, Json, string][] = [
    ['no object', ['secret-value'], '`grant` must be an object'],
    ['an unknown key', { ...minimal, admin: 'secret-value' }, '`grant.admin` is not a known key'],
    ['no principal', { ...minimal, principal: undefined }, '`grant.principal` is missing'],
    [
      'an unknown key of the principal',
      { ...minimal, principal: { type: 'a', id: 'b', x: 1 } },
      '`grant.principal.x` is',
    ],
    ['an unknown actor', { ...minimal, actor: 'secret-value' }, '`grant.actor` is not an enrolled agent'],
    ['an empty actor', { ...minimal, actor: '' }, '`grant.actor` must be a text'],
    ['a text with a control character', { ...minimal, principal: 'a\0' }, '`grant.principal` must be plain text'],
    ['no operation', { ...minimal, operations: [] }, '`grant.operations` must not be empty'],
    ['every upstream', one({ tool: '*' }), '`grant.operations[0].tool` must be'],
    ['every upstream by name', one({ tool: '*/query' }), '`grant.operations[0].tool` must be'],
    ['a pattern', one({ tool: 'shop/que*' }), '`grant.operations[0].tool` must be'],
    [
      'an unknown effect',
      one({ tool: 'shop/q', effects: ['secret-value'] }),
      '`grant.operations[0].effects[0]` must be',
    ],
    ['no effect', one({ tool: 'shop/q', effects: [] }), '`grant.operations[0].effects` must not be empty'],
    ['an unknown constraint', where({ regex: 'secret-value' }), '`grant.operations[0].where.to.regex` is not'],
    [
      'two constraints',
      where({ in: ['a'], range: { max: 1 } }),
      '`grant.operations[0].where.to` must have exactly one',
    ],
    ['no constraint', where({}), '`grant.operations[0].where.to` must have exactly one'],
    ['an empty list', where({ in: [] }), '`grant.operations[0].where.to.in` must not be empty'],
    ['an empty range', where({ range: { clamp: true } }), '`grant.operations[0].where.to.range` must have `min` or'],
    [
      'a reversed range',
      where({ range: { min: 2, max: 1 } }),
      '`grant.operations[0].where.to.range` must have `min` at',
    ],
    ['a bound as text', where({ range: { max: '1' } }), '`grant.operations[0].where.to.range.max` must be a number'],
    ['a path with dots', where({ pathPrefix: '/a/../b' }), '`grant.operations[0].where.to.pathPrefix` must be'],
    ['a suffix with a dot', where({ hostSuffix: '.x.test' }), '`grant.operations[0].where.to.hostSuffix` must be'],
    ['a block with host bits', where({ cidr: '10.0.0.1/8' }), '`grant.operations[0].where.to.cidr` must be'],
    ['an empty conjunction', where({ all: [] }), '`grant.operations[0].where.to.all` must not be empty'],
    [
      'a leading slash',
      one({ tool: 'shop/q', where: { '/to': { in: [1] } } }),
      '`grant.operations[0].where./to` must be',
    ],
    ['a bad escape', one({ tool: 'shop/q', where: { '~2': { in: [1] } } }), '`grant.operations[0].where.~2` must be'],
    ['a duration without unit', { ...minimal, expires: '8' }, '`grant.expires` must be a duration'],
    ['a time without zone', { ...minimal, expires: '2026-02-01T00:00:00' }, '`grant.expires` must be a duration'],
    ['a day that is none', { ...minimal, expires: '2026-02-30' }, '`grant.expires` must be a duration'],
    ['a number as date', { ...minimal, expires: 1_790_000_000_000 }, '`grant.expires` must be a text'],
    ['the past', { ...minimal, expires: '2025-12-31' }, '`grant.expires` lies in the past'],
    ['a life of 91 days', { ...minimal, expires: '91d' }, '`grant.expires` is more than 90 days away'],
    ['a start after the end', { ...minimal, expires: '1h', notBefore: '2026-01-02' }, '`grant.expires` lies before'],
    ['a start after the default end', { ...minimal, notBefore: '2026-01-03' }, '`grant.expires` lies before'],
    ['a negative depth', { ...minimal, depth: -1 }, '`grant.depth` must be from'],
    ['half a depth', { ...minimal, depth: 0.5 }, '`grant.depth` must be a whole'],
    ['a negative limit', budget({ limit: -1 }), '`grant.budgets[0].limit` must be'],
    ['an endless limit', budget({ limit: Infinity }), '`grant.budgets[0].limit` must be'],
    ['an unknown period', budget({ per: 'secret-value' }), '`grant.budgets[0].per` must be'],
    ['a budget with a slash', budget({ id: 'a/b' }), '`grant.budgets[0].id` must be'],
    [
      'twice the same budget',
      {
        ...minimal,
        budgets: [
          { id: 'a', limit: 1 },
          { id: 'a', limit: 2 },
        ],
      },
      '`grant.budgets` must',
    ],
  ]
  for (const [name, value, message] of refused) {
    it(`refuses ${name}`, () => {
      expect(refusal(value)).toContain(message)
      expect(refusal(value)).not.toContain('secret-value')
    })
  }
  it('refuses constraints without end', () => {
    let nested: Json = { in: ['a'] }
    for (let depth = 0; depth < 20; depth += 1) nested = { all: [nested] }
    expect(refusal(where(nested))).toContain('is nested too deeply')
  })
  it('keeps control characters of a key out of its messages', () => {
    expect(refusal({ ...minimal, 'a\u202e\n`b': 1 })).toBe('`grant.a???b` is not a known key')
  })
})

/**
 * @module
 * Obligations: what policy wants hidden is hidden, or nothing goes out.
 */
import { describe, expect, it } from 'vitest'
import type { Obligation } from './decision.ts'
import { InputError } from './errors.ts'
import type { Json, JsonObject } from './json.ts'
import { discharge, isKnownObligation } from './obligations.ts'

const redact = (...fields: Json[]): Obligation => ({ type: 'redact', properties: { fields } })

describe('isKnownObligation', () => {
  const unknown: readonly [string, JsonObject][] = [
    ['encrypt', {}],
    ['constructor', {}],
    ['redact', {}],
    ['redact', { fields: [] }],
    ['redact', { fields: '/a' }],
    ['redact', { fields: [1] }],
    ['redact', { fields: ['a'] }],
    ['redact', { fields: ['/~2'] }],
    ['redact', { fields: ['/a'], unless: 'admin' }],
    ['notify', {}],
    ['notify', { topic: '' }],
    ['notify', { topic: 1 }],
  ]
  for (const [type, properties] of unknown) {
    it(`does not know ${type} ${JSON.stringify(properties)}`, () => {
      expect(isKnownObligation({ type, properties })).toBe(false)
      expect(() => discharge([{ type, properties }], {})).toThrow(InputError)
    })
  }
  it('knows what is in the set', () => {
    expect(isKnownObligation(redact('/a', '/b[]/c', ''))).toBe(true)
    expect(isKnownObligation({ type: 'notify', properties: { topic: 'security' } })).toBe(true)
  })
})

describe('discharge', () => {
  const rows = { rows: [{ id: 1, email: 'a@x' }, { id: 2 }], n: 2 }
  const hidden: readonly [string, Obligation, Json, Json][] = [
    ['a member', redact('/n'), rows, { ...rows, n: '[redacted]' }],
    [
      'a member of every item',
      redact('/rows[]/email'),
      rows,
      { rows: [{ id: 1, email: '[redacted]' }, { id: 2 }], n: 2 },
    ],
    [
      'the same with a star',
      redact('/rows/*/email'),
      rows,
      { rows: [{ id: 1, email: '[redacted]' }, { id: 2 }], n: 2 },
    ],
    ['every item', redact('/rows[]'), rows, { rows: ['[redacted]', '[redacted]'], n: 2 }],
    ['items at the top', redact('/[]/a'), [{ a: 1 }], [{ a: '[redacted]' }]],
    ['one item', redact('/rows/0/id'), rows, { rows: [{ id: '[redacted]', email: 'a@x' }, { id: 2 }], n: 2 }],
    ['everything', redact(''), rows, '[redacted]'],
    ['nothing in an empty list', redact('/rows[]/email'), { rows: [] }, { rows: [] }],
    ['a whole and its part', redact('/n', '/n'), rows, { ...rows, n: '[redacted]' }],
    ['a part after its whole', redact('/rows', '/rows/0/id'), rows, { rows: '[redacted]', n: 2 }],
    ['an own member of a strange name', redact('/__proto__'), { ['__proto__']: 1 }, { ['__proto__']: '[redacted]' }],
  ]
  for (const [name, obligation, output, expected] of hidden) {
    it(`hides ${name}`, () => expect(discharge([obligation], output)).toEqual(expected))
  }
  const misfits: readonly [string, Obligation, Json][] = [
    ['a missing member', redact('/email'), rows],
    ['an inherited member', redact('/toString'), rows],
    ['text instead of structure', redact('/rows[]/email'), '{"rows":[{"email":"a@x"}]}'],
    ['a missing list', redact('/rows[]/email'), { result: 'a@x' }],
    ['no list', redact('/rows[]/email'), { rows: { email: 'a@x' } }],
    ['a member that no item has', redact('/rows[]/mail'), rows],
    ['an inner member that no item has', redact('/rows[]/a/b'), { rows: [{ a: {} }] }],
    ['items that are no objects', redact('/rows[]/email'), { rows: ['a@x'] }],
    ['one item that lacks the way', redact('/rows[]/a/b'), { rows: [{ a: { b: 1 } }, { c: { b: 1 } }] }],
  ]
  for (const [name, obligation, output] of misfits) {
    it(`lets nothing out for ${name}`, () => expect(() => discharge([obligation], output)).toThrow(InputError))
  }
  it('changes nothing for a notification, and never its input', () => {
    const before = JSON.stringify(rows)
    expect(discharge([{ type: 'notify', properties: { topic: 'a' } }], rows)).toBe(rows)
    discharge([redact('/rows[]/email')], rows)
    expect(JSON.stringify(rows)).toBe(before)
  })
})

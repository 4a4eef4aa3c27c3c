import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { InputError } from './errors.ts'
import { parseJson } from './parse-json.ts'
import { scaled } from '../../test/support/scale.ts'

const deep = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth)

describe('what is accepted', () => {
  it.each([
    ['null', null],
    [' \t\r\n{"a":[1,true,false,null,"x"]} ', { a: [1, true, false, null, 'x'] }],
    ['"\\u0000\\b\\f\\n\\r\\t\\"\\\\\\/"', '\0\b\f\n\r\t"\\/'],
    ['"\\ud83d\\ude02\\u20ac"', '😂€'],
    ['"😂"', '😂'],
    ['-0', 0],
    ['-0.0e7', 0],
    ['0e99999999999999999999', 0],
    ['1.50', 1.5],
    ['1E2', 100],
    ['100e-2', 1],
    ['0.1', 0.1],
    ['5e-324', 5e-324],
    ['9007199254740992', 2 ** 53],
    ['-9007199254740992', -(2 ** 53)],
    ['[]', []],
    ['{ }', {}],
    ['{"constructor":1,"hasOwnProperty":2,"toString":3}', { constructor: 1, hasOwnProperty: 2, toString: 3 }],
    [deep(64), JSON.parse(deep(64))],
  ])('%s', (text, value) => {
    expect(parseJson(text)).toStrictEqual(value)
    expect(Object.is(parseJson(text), -0)).toBe(false)
    expect(parseJson(Buffer.from(text))).toStrictEqual(value)
  })
})

describe('what is refused', () => {
  const bodies: readonly (string | Uint8Array)[] = [
    '',
    ' ',
    'nul',
    'nulll',
    'True',
    'NaN',
    'Infinity',
    'undefined',
    '{"a":1,"a":2}',
    '{"a":1,"\\u0061":2}',
    '{"a":{"b":1,"b":1}}',
    '{"__proto__":1}',
    '{"\\u005f_proto__":{"x":1}}',
    '{"a\\u0000":1}',
    '{a:1}',
    "{'a':1}",
    '{"a"}',
    '{"a":}',
    '{"a":1,}',
    '{,}',
    '[1,]',
    '[,1]',
    '[1 2]',
    '[1',
    '{"a":1',
    '"a',
    '"\\',
    '"\\x41"',
    '"\\u12"',
    '"\\u12g4"',
    '"\\u+123"',
    '"\n"',
    '"\u0001"',
    '"\\ud800"',
    '"\\udc00\\ud800"',
    '"\\ud800x\\udc00"',
    '"\ud800"',
    '{"\\ud800":1}',
    '1 2',
    '{}{}',
    'null//x',
    '/**/null',
    '\ufeffnull',
    '\u00a0null',
    '+1',
    '01',
    '-01',
    '-',
    '1.',
    '.5',
    '1e',
    '1e+',
    '0x10',
    '1_000',
    '9007199254740993',
    '9007199254740994',
    '-9007199254740994',
    '1e21',
    '0.1000000000000000055511151231257827',
    '333333333.33333329',
    '1e400',
    '-1e400',
    '1e-400',
    '1e-99999999999999999999',
    '3e-324',
    deep(65),
    '{"a":'.repeat(65) + '1' + '}'.repeat(65),
    '['.repeat(1_000_000),
    '{"":'.repeat(1_000_000),
    Uint8Array.of(0x22, 0xff, 0x22),
    Uint8Array.of(0x22, 0xc0, 0x80, 0x22),
    Uint8Array.of(0x22, 0xed, 0xa0, 0x80, 0x22),
    Uint8Array.of(0xef, 0xbb, 0xbf, 0x31),
    Uint8Array.of(0x22, 0xe2, 0x82),
    Uint8Array.of(0xff, 0xfe, 0x31, 0x00),
  ]
  it.each(bodies.map((body) => [typeof body === 'string' ? JSON.stringify(body).slice(0, 60) : String(body), body]))(
    '%s',
    (_, body) => {
      expect(() => parseJson(body)).toThrow(InputError)
    },
  )

  it('says where, and never what', () => {
    const fault = (() => {
      try {
        return parseJson('{"password":"hunter2" "x"}')
      } catch (thrown) {
        return thrown
      }
    })()
    expect(fault).toMatchObject({ reason: 'system.malformed', message: 'expected a comma or the end at offset 22' })
  })
})

describe('options', () => {
  it('takes any finite number of an upstream, duplicates never', () => {
    expect(
      parseJson('[9007199254740993,1e300,1e-400,0.1000000000000000055511151231257827]', { numbers: 'any' }),
    ).toEqual(JSON.parse('[9007199254740993,1e300,0,0.1]'))
    expect(() => parseJson('1e400', { numbers: 'any' })).toThrow(InputError)
    expect(() => parseJson('{"a":1,"a":1}', { numbers: 'any' })).toThrow(InputError)
  })

  it('never goes so deep that the stack could overflow', () => {
    expect(parseJson(deep(512), { maxDepth: 1e9 })).toEqual(JSON.parse(deep(512)))
    expect(() => parseJson(deep(513), { maxDepth: 1e9 })).toThrow(InputError)
    expect(() => parseJson('[[]]', { maxDepth: 1 })).toThrow(InputError)
    expect(() => parseJson('[]', { maxDepth: Number.NaN })).toThrow(InputError)
  })
})

describe('against JSON.parse', () => {
  it('reads the same value wherever it reads one', () => {
    const texts = fc.property(fc.json({ depthSize: 'medium' }), agrees)
    expect(() => fc.assert(texts)).not.toThrow()
  })

  it('refuses whatever JSON.parse refuses, however a text is damaged', () => {
    const seed = '{"a":[1,-2.5e3,"x\\u0041\\n😂",true,null],"b":{"c":""}}'
    const damage = fc.record({
      at: fc.nat(seed.length),
      cut: fc.nat(3),
      put: fc.string({ maxLength: 3, unit: 'binary' }),
    })
    const texts = fc.property(fc.array(damage, { minLength: 1, maxLength: 3 }), (damages) =>
      agrees(damages.reduce((old, { at, cut, put }) => old.slice(0, at) + put + old.slice(at + cut), seed)),
    )
    expect(() => fc.assert(texts, { numRuns: scaled(5000, 100) })).not.toThrow()
  })
})

/** Ours may refuse more, but what it reads is what JSON.parse reads. `JSON.stringify` takes -0 as 0, as we do. */
function agrees(text: string): boolean {
  const ours = attempt(() => parseJson(text, { numbers: 'any' }))
  return ours === undefined || JSON.stringify(ours) === JSON.stringify(attempt(() => JSON.parse(text)))
}

function attempt(parse: () => unknown): unknown {
  try {
    return parse()
  } catch {
    return undefined
  }
}

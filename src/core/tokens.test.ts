import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { heavy, light, partsOf, toIban, toNumberText, typesOf, wholePartsOf } from './tokens.ts'

const kinds = (text: string): string[] => typesOf(text).map(({ kind }) => kind)
const parts = (text: string): string[] => [...partsOf(text)].map((part) => `${part.kind} ${part.text}`)

describe('normal forms', () => {
  it('light keeps identity: only ASCII case, quotes, blanks and sentence marks go', () => {
    expect(light('  "Bob@X.example". ')).toBe('bob@x.example')
    expect(light('../etc/passwd')).toBe('../etc/passwd')
    expect(light('ｂｏｂ@x.example')).toBe('ｂｏｂ@x.example')
    expect(light('\u212Aelvin@x.example')).not.toBe('kelvin@x.example')
  })

  it('heavy folds what looks alike', () => {
    expect(heavy('ｅｖｉｌ@attacker.example')).toBe('evil@attacker.example')
    expect(heavy('ev\u200Bil@atta\u00ADcker.example')).toBe('evil@attacker.example')
  })

  it('are idempotent', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(light(light(text))).toBe(light(text))
      }),
    )
  })
})

describe('kinds', () => {
  it('tells addresses, hosts, accounts, numbers and ids from words', () => {
    expect(kinds('evil@attacker.example')).toEqual(['email'])
    expect(kinds('https://a.example/x?y=1')).toEqual(['url'])
    expect(kinds('US133000000121212121212')).toEqual(['iban'])
    expect(kinds('98.70')).toEqual(['number'])
    expect(kinds('bill-december-2023.txt')).toEqual(['host', 'id'])
    expect(kinds('2022-03-07')).toEqual(['id'])
    expect(kinds('customers')).toEqual([])
  })

  it('reads one number however it is written, and leaves ids alone', () => {
    expect(['1,250.00', '$1250', '1250'].map(toNumberText)).toEqual(['1250', '1250', '1250'])
    expect(['007', '1,25', '1e5', '12345678901234567890'].map(toNumberText)).toEqual(Array(4).fill(undefined))
    expect(toIban('DE89 3704 0044 0532 0130 00')).toBe('de89370400440532013000')
  })
})

describe('parts', () => {
  it('finds an address inside a longer note, whatever stands around it', () => {
    expect(parts('please send it to:<evil@attacker.example>, now')).toContain('email evil@attacker.example')
    expect(parts('[mail](mailto:evil@attacker.example?subject=x)')).toContain('email evil@attacker.example')
    expect(parts('see https://evil.example/q?d=1')).toContain('host evil.example')
    expect(parts('IBAN GB29 NWBK 6016 1331 9268 19 please')).toContain('iban gb29nwbk60161331926819')
  })

  it('of a purpose stand whole: an address gives no host, no tail of itself', () => {
    const found = [...wholePartsOf('write alice.bob@x.example about https://a.example/x')].map((part) => part.text)
    expect(found).toEqual(['write', 'alice.bob@x.example', 'about', 'https://a.example/x'])
  })

  it('come in linear time from hostile text', () => {
    for (const piece of ['a', '@', '"', "'", '.', 'a@', 'a.', 'A1 ', '\n  a ', 'AB12 ABCD ', '((', '=']) {
      let count = 0
      for (const part of partsOf(piece.repeat(200_000))) count += part.text.length > 0 ? 1 : 0
      expect(count).toBeGreaterThanOrEqual(0)
    }
  })
})

import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fromKeyBytes, toKeyBytes, toKeyRange } from './key-bytes.ts'

const key = fc.string({
  unit: fc.oneof(
    fc.constantFrom('a', 'ä', '\u0000', '\uffff', '\ue000', '\ud800', '\udc00', '😀'),
    fc.string({ minLength: 1, maxLength: 1 }),
  ),
})

describe('the bytes of keys', () => {
  it('come back as the same key, also with lone surrogates', () => {
    fc.assert(
      fc.property(key, (a) => {
        expect(fromKeyBytes(toKeyBytes(a))).toBe(a)
      }),
    )
  })

  it('have the order of code units', () => {
    fc.assert(
      fc.property(key, key, (a, b) => {
        expect(Buffer.compare(toKeyBytes(a), toKeyBytes(b)) < 0).toBe(a < b)
      }),
    )
  })

  it('have a range for each prefix and each key to go on after, that keeps inside in and outside out', () => {
    fc.assert(
      fc.property(key, key, fc.option(key, { nil: undefined }), (prefix, other, after) => {
        const bytes = toKeyBytes(other)
        const { from, end } = toKeyRange(prefix, after)
        const inside = Buffer.compare(bytes, from) >= 0 && Buffer.compare(bytes, end) < 0
        expect(inside).toBe(other.startsWith(prefix) && (after === undefined || other > after))
      }),
    )
  })

  it('of ASCII are ASCII', () => {
    expect(Buffer.from(toKeyBytes('task/abc')).toString('latin1')).toBe('task/abc')
  })
})

/**
 * @module
 * Two issuers and one `sub`: whoever controls one of them must not become a principal of the other.
 */
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { InputError } from './errors.ts'
import { toOutsidePrincipal } from './outside-principal.ts'

const issuers = fc.webUrl({ validSchemes: ['https'] }).map((url) => url.slice(0, 200))
const subs = fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 64 })

describe('a principal of an issuer outside', () => {
  it('is told apart by issuer and subject', () => {
    fc.assert(
      fc.property(issuers, subs, issuers, subs, (a, x, b, y) => {
        const same = toOutsidePrincipal(a, x).id === toOutsidePrincipal(b, y).id
        expect(same).toBe(a === b && x === y)
      }),
      { numRuns: 300 },
    )
  })

  it('is of no type that a local name has', () => {
    expect(toOutsidePrincipal('https://a.example', 'alice')).toEqual({ type: 'oidc', id: 'https://a.example#alice' })
  })

  it.each([
    ['https://a.example#x', 'alice'],
    ['ftp://a.example', 'alice'],
    ['https://a.example', ''],
    ['https://a.example', 'a\nb'],
    ['https://a.example', 'alicé'],
    ['https://a.example', 'x'.repeat(256)],
  ])('is not made of %s and %j', (issuer, sub) => {
    expect(() => toOutsidePrincipal(issuer, sub)).toThrow(InputError)
  })
})

import { describe, expect, it } from 'vitest'

import { toClaims } from '../../test/support/claims.ts'
import { REVOCATION_DIMENSIONS, type RevocationDimension } from './evidence.ts'
import { dimensionsOf, refuseRevoked, type Known } from './revoked.ts'

function know(
  rev: number,
  fresh: boolean,
  ...revoked: readonly (readonly [RevocationDimension, string, number])[]
): Known {
  return {
    rev: () => rev,
    fresh: () => fresh,
    find(dimension, id) {
      const found = revoked.find((each) => each[0] === dimension && each[1] === id)
      return found === undefined ? undefined : { rev: found[2] }
    },
  }
}

describe('what is revoked', () => {
  it('of a credential is every dimension, and every grant above its own', () => {
    const claims = toClaims(5)
    expect(new Set(dimensionsOf(claims).map(([dimension]) => dimension))).toEqual(new Set(REVOCATION_DIMENSIONS))
    for (const [dimension, id] of dimensionsOf(claims)) {
      expect(refuseRevoked(know(6, true, [dimension, id, 6]), claims)).toBe('credential.revoked')
      expect(refuseRevoked(know(6, false, [dimension, id, 6]), claims)).toBe('credential.revoked')
      expect(refuseRevoked(know(5, true, [dimension, id, 5]), claims)).toBeUndefined()
    }
    expect(dimensionsOf(claims)).toContainEqual(['grant', 'grant-0'])
  })

  it('is not known by a feed that is stale or behind', () => {
    expect(refuseRevoked(know(5, false), toClaims(5))).toBe('system.stale-revocations')
    expect(refuseRevoked(know(4, true), toClaims(5))).toBe('system.stale-revocations')
    expect(refuseRevoked(know(5, true), toClaims(5))).toBeUndefined()
  })
})

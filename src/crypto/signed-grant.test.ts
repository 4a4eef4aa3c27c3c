/**
 * The signed form of a grant, held to the published vector, and what is refused of it before anybody looks at the grant.
 */
import { hash } from 'node:crypto'
import { readFileSync } from 'node:fs'

import { describe, expect, it } from 'vitest'

import { canonicalize } from '../core/canonical.ts'
import { toGrantNonce } from '../core/grant-nonce.ts'
import type { JsonObject } from '../core/json.ts'
import { signJwt } from './jwt.ts'
import { generateKey, importKey } from './keys.ts'
import { GRANT_TYP, signerOf, signGrant, verifyGrant } from './signed-grant.ts'

const vector = JSON.parse(readFileSync('docs/reference/vectors/grant.json', 'utf8'))
const KEY = importKey(vector.key)
const NOW = 1_790_000_001_000

const verifying = (claims: JsonObject, now: number = NOW): ReturnType<typeof verifyGrant> =>
  verifyGrant(KEY, signJwt(KEY, GRANT_TYP, { ...vector.claims, ...claims }), vector.issuer, now)

const encode = (value: JsonObject): string => Buffer.from(canonicalize(value)).toString('base64url')

describe('the vector', () => {
  it('is what anybody computes from the RFCs alone', () => {
    const input = `${encode({ alg: 'Ed25519', kid: KEY.jkt, typ: 'unbearer-grant+jwt' })}.${encode(vector.claims)}`
    expect(vector.signed.startsWith(`${input}.`)).toBe(true)
    expect(signJwt(KEY, GRANT_TYP, vector.claims)).toBe(vector.signed)
    expect(vector.id).toBe(hash('sha256', input, 'buffer').subarray(0, 16).toString('base64url'))
    const { grant, salt, nonce } = vector.nonce
    expect(hash('sha256', canonicalize({ grant, salt }), 'base64url')).toBe(nonce)
    expect(toGrantNonce(grant, salt)).toBe(nonce)
  })

  it('verifies, at its issuer and under its key alone', () => {
    const { claims, id, signed, issuer } = vector
    expect(verifyGrant(KEY, signed, issuer, NOW)).toEqual({
      ok: true,
      grant: claims.grant,
      id,
      issuedAt: claims.iat * 1000,
    })
    expect(verifyGrant(KEY, signed, `${issuer}/`, NOW).ok).toBe(false)
    expect(verifyGrant(importKey(generateKey('Ed25519')), signed, issuer, NOW).ok).toBe(false)
    expect(signerOf(signed)).toBe(KEY.jkt)
    expect(signerOf('x')).toBeUndefined()
  })
})

describe('a signed grant', () => {
  it('is made here as it is verified here, anew each time', () => {
    const made = signGrant({ key: KEY, issuer: vector.issuer, grant: {}, now: NOW })
    expect(verifyGrant(KEY, made, vector.issuer, NOW)).toMatchObject({ ok: true, grant: {} })
    expect(signGrant({ key: KEY, issuer: vector.issuer, grant: {}, now: NOW })).not.toBe(made)
    const waiting = { key: KEY, issuer: vector.issuer, grant: {}, now: NOW }
    expect(() => signGrant({ ...waiting, waitSeconds: 86_401 })).toThrow('a day')
    expect(() => signGrant({ ...waiting, waitSeconds: 0 })).toThrow('a day')
  })

  it.each<[string, number, string | undefined]>([
    ['just signed, by a clock that is ahead', 1_790_000_000_000 - 5_000, undefined],
    ['too far ahead', 1_790_000_000_000 - 5_001, 'identity.expired'],
    ['in its last moment', 1_790_000_599_999, undefined],
    ['at its end', 1_790_000_600_000, 'identity.expired'],
    ['at no time', Number.NaN, 'identity.expired'],
  ])('clock edges: %s', (_title, now, reason) => {
    const verified = verifying({}, now)
    expect(verified.ok ? undefined : verified.reason).toBe(reason)
  })

  it.each<[string, JsonObject]>([
    ['another signer than it says', { iss: 'x' }],
    ['no signer', { iss: undefined }],
    ['a list of issuers', { aud: [vector.issuer] }],
    ['an end before its beginning', { exp: 1_789_999_999 }],
    ['an end that is too far away', { exp: 1_790_086_401 }],
    ['times that are no whole numbers', { iat: 1_790_000_000.5 }],
    ['times as text', { iat: '1790000000' }],
    ['a short `jti`', { jti: 'short' }],
    ['no grant', { grant: undefined }],
    ['a grant that is a list', { grant: [] }],
    ['a member too many', { sub: 'user/root' }],
  ])('is refused with %s', (_title, claims) => {
    expect(verifying(claims)).toEqual({ ok: false, reason: 'identity.bad-proof' })
  })

  it('is refused with every bit flipped', () => {
    const bytes = Buffer.from(vector.signed, 'latin1')
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const flipped = Buffer.from(bytes)
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      expect(verifyGrant(KEY, flipped.toString('latin1'), vector.issuer, NOW).ok).toBe(false)
    }
  })
})

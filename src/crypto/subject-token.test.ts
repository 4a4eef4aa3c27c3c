/**
 * A proof of a principal as bytes: whatever is changed in it, it is refused and nothing throws; what is said about it holds
 * nothing of it. The attacks through the listener are in `test/attacks/credential-issuer-trust.test.ts`.
 */
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import type { Json } from '../core/json.ts'
import { AUDIENCE, makeOutsideKey, mint } from '../../test/support/outside-issuer.ts'
import { scaled } from '../../test/support/scale.ts'
import { parseOutsideKeys, type OutsideKey } from './outside-keys.ts'
import { chooseRule, toSubjectKind, verifySubject, type SubjectRule, type SubjectVerdict } from './subject-token.ts'

const NOW = 1_790_000_000_000
const IAT = NOW / 1000
const ISSUER = 'https://login.example'
const PAIR = makeOutsideKey('ES256', 'k')
const [KEY] = parseOutsideKeys({ keys: [PAIR.jwk] })
const RULE: SubjectRule = {
  issuer: ISSUER,
  audience: AUDIENCE,
  algorithms: ['ES256'],
  kinds: ['id-token'],
  maxAge: 300_000,
}
const CLAIMS = { iss: ISSUER, sub: 'alice', aud: AUDIENCE, iat: IAT, exp: IAT + 300, jti: 'canary-jti' }
const HEADER = { alg: 'ES256', kid: 'k', typ: 'JWT' }

const good = mint(PAIR, HEADER, CLAIMS)

function verifying(
  compact: string,
  rule: Partial<SubjectRule> = {},
  key: OutsideKey | undefined = KEY,
): SubjectVerdict {
  return verifySubject({ compact, kind: 'id-token', rule: { ...RULE, ...rule }, key, now: NOW })
}

describe('a proof', () => {
  it('that is right gives the principal, what to burn and until when', () => {
    expect(verifying(good)).toMatchObject({
      ok: true,
      principal: { type: 'oidc', id: `${ISSUER}#alice` },
      expires: NOW + 300_000,
      issuedAt: NOW,
      facts: { iss: ISSUER, sub: 'alice', kind: 'id-token' },
    })
    const burned = [good, mint(PAIR, HEADER, CLAIMS)]
      .map((each) => verifying(each))
      .map((each) => each.ok && each.burnIds)
    // Signed twice, it is the same proof.
    expect(burned[0]).toEqual(burned[1])
    expect(burned[0]).toHaveLength(2)
  })

  it('with one audience was issued to it as a client', () => {
    expect(verifying(good, { clients: [AUDIENCE] }).ok).toBe(true)
    expect(verifying(good, { clients: ['other'] }).ok).toBe(false)
    const several = { ...CLAIMS, aud: [AUDIENCE, 'other'] }
    expect(verifying(mint(PAIR, HEADER, several), { clients: [AUDIENCE] }).ok).toBe(false)
    expect(verifying(mint(PAIR, HEADER, { ...several, azp: AUDIENCE }), { clients: [AUDIENCE] }).ok).toBe(true)
  })

  it('is refused with every bit flipped', () => {
    const bytes = Buffer.from(good, 'latin1')
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const flipped = Buffer.from(bytes)
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      expect(verifying(flipped.toString('latin1')).ok).toBe(false)
    }
  })

  it('of any claims and header whatsoever never throws, and counts only for the principal that it names', () => {
    const json = fc.jsonValue({ maxDepth: 2 })
    const member = fc.constantFrom(
      'iss',
      'sub',
      'aud',
      'iat',
      'exp',
      'nbf',
      'jti',
      'azp',
      'nonce',
      'events',
      'client_id',
    )
    const part = fc.constantFrom('alg', 'kid', 'typ', 'cty', 'crit', 'jku', 'jwk', 'x5u', 'zip')
    fc.assert(
      fc.property(fc.dictionary(member, json), fc.dictionary(part, json), (claims, header) => {
        const changed: Json = JSON.parse(JSON.stringify({ ...CLAIMS, ...claims }))
        const bent: Json = JSON.parse(JSON.stringify({ ...HEADER, ...header }))
        const verdict = verifying(mint(PAIR, bent, changed))
        if (!verdict.ok) return
        const { sub = 'alice', aud = AUDIENCE, events } = claims
        expect(verdict.principal.id).toBe(`${ISSUER}#${typeof sub === 'string' ? sub : ''}`)
        expect([aud].flat()).toContain(AUDIENCE)
        expect(events).toBeUndefined()
      }),
      { numRuns: scaled(300) },
    )
  })

  it('of any text never throws', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
        expect(verifying(text).ok).toBe(false)
        expect(chooseRule([RULE], 'id-token', text).ok).toBe(false)
      }),
      { numRuns: scaled(300) },
    )
  })

  it('is told about without anything of it', () => {
    const canary = { ...CLAIMS, sub: 'canary-sub', nonce: 'canary-nonce', azp: 'canary-azp', acr: 'canary-acr' }
    const rules: Partial<SubjectRule>[] = [
      {},
      { issuer: 'https://x.example' },
      { clients: ['y'] },
      { acr: ['z'] },
      { kinds: [] },
    ]
    for (const rule of rules)
      for (const bent of [canary, { ...canary, aud: 'canary-aud' }, { ...canary, iat: IAT - 900 }])
        for (const header of [
          HEADER,
          { ...HEADER, kid: 'canary-kid', typ: 'canary-typ' },
          { ...HEADER, alg: 'canary' },
        ]) {
          const verdict = verifying(mint(PAIR, header, bent), rule)
          const said = verdict.ok ? 'accepted' : verdict.why
          expect(said).not.toContain('canary')
          expect(said).toMatch(/^the proof of the principal: [^.]*[a-z`0-9_]+[^.]*$|`trust\.issuers`/)
        }
  })

  it('without a key is refused', () => {
    expect(verifySubject({ compact: good, kind: 'id-token', rule: RULE, key: undefined, now: NOW }).ok).toBe(false)
  })
})

describe('the types of RFC 8693', () => {
  it.each([
    ['urn:ietf:params:oauth:token-type:id_token', 'id-token'],
    ['urn:ietf:params:oauth:token-type:access_token', 'access-token'],
    ['urn:ietf:params:oauth:token-type:id-jag', 'id-jag'],
    ['id-token', 'id-token'],
    ['urn:ietf:params:oauth:token-type:refresh_token', undefined],
    ['urn:ietf:params:oauth:token-type:jwt', undefined],
    ['constructor', undefined],
    ['', undefined],
  ])('%s', (type, kind) => {
    expect(toSubjectKind(type)).toBe(kind)
  })
})

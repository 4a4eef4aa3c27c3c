import { describe, expect, it } from 'vitest'

import { ACTION_TYP, SESSION_TYP } from '../core/credential.ts'
import { InvariantError } from '../core/errors.ts'
import type { JsonObject } from '../core/json.ts'
import { signJwt } from './jwt.ts'
import { generateKey, importKey } from './keys.ts'
import { issueSession, verifySession, type VerifySession } from './session-credential.ts'

const ISSUER = 'https://unbearer.example'
const KEY = importKey({ ...generateKey('Ed25519') })
const NOW = 1_790_000_000_000
const GOOD = { issuer: ISSUER, key: KEY, sub: 'user/alice', jkt: 'agent-key', txn: 't1', now: NOW }

const verifying = (compact: string, change: Partial<VerifySession> = {}): ReturnType<typeof verifySession> =>
  verifySession({ compact, issuer: ISSUER, key: KEY, jkt: 'agent-key', now: NOW, ...change })

describe('a session credential', () => {
  it('gives back its claims', () => {
    const result = verifying(issueSession({ ...GOOD, jti: 'j1' }))
    expect(result).toEqual({
      ok: true,
      claims: {
        iss: ISSUER,
        aud: ISSUER,
        iat: NOW / 1000,
        exp: NOW / 1000 + 600,
        jti: 'j1',
        sub: 'user/alice',
        txn: 't1',
        cnf: { jkt: 'agent-key' },
      },
    })
  })

  it('lives ten minutes at most', () => {
    expect(() => issueSession({ ...GOOD, ttlSeconds: 601 })).toThrow(InvariantError)
    expect(() => issueSession({ ...GOOD, ttlSeconds: 0 })).toThrow(InvariantError)
    expect(() => issueSession({ ...GOOD, ttlSeconds: Number.NaN })).toThrow(InvariantError)
  })

  it.each<[string, Partial<VerifySession>, string]>([
    ['the key of another', { jkt: 'other' }, 'identity.bad-proof'],
    ['another issuer', { issuer: 'https://other.example' }, 'identity.bad-proof'],
    ['another audience', { aud: 'https://other.example' }, 'identity.bad-proof'],
    ['another signing key', { key: importKey({ ...generateKey('Ed25519') }) }, 'identity.bad-proof'],
    ['at its end', { now: NOW + 600_000 }, 'identity.expired'],
    ['issued in the future', { now: NOW - 6000 }, 'identity.bad-proof'],
    ['at no time', { now: Number.NaN }, 'identity.bad-proof'],
    ['expired and of another', { now: NOW + 600_000, jkt: 'other' }, 'identity.bad-proof'],
  ])('is refused: %s', (_, change, reason) => {
    expect(verifying(issueSession(GOOD), change)).toEqual({ ok: false, reason })
  })

  it('is good just before its end, and within the skew', () => {
    expect(verifying(issueSession(GOOD), { now: NOW + 599_999 }).ok).toBe(true)
    expect(verifying(issueSession(GOOD), { now: NOW - 5000 }).ok).toBe(true)
  })

  const claims = {
    iss: ISSUER,
    aud: ISSUER,
    iat: NOW / 1000,
    exp: NOW / 1000 + 60,
    jti: 'j',
    sub: 's',
    cnf: { jkt: 'agent-key' },
  }
  it.each<[string, string, JsonObject, boolean]>([
    ['as it should be', SESSION_TYP, claims, true],
    ['the type of an action credential', ACTION_TYP, claims, false],
    ['no type of ours', 'JWT', claims, false],
    ['a life of an hour', SESSION_TYP, { ...claims, exp: claims.iat + 3600 }, false],
    ['an unknown claim', SESSION_TYP, { ...claims, admin: true }, false],
    ['no key', SESSION_TYP, { ...claims, cnf: undefined }, false],
    ['a key by value', SESSION_TYP, { ...claims, cnf: { jwk: {} } }, false],
    ['two confirmations', SESSION_TYP, { ...claims, cnf: { jkt: 'agent-key', x5t: 'x' } }, false],
    ['a list of audiences', SESSION_TYP, { ...claims, aud: [ISSUER] }, false],
    ['no end', SESSION_TYP, { ...claims, exp: undefined }, false],
    ['an end that is text', SESSION_TYP, { ...claims, exp: String(claims.exp) }, false],
    ['an empty task', SESSION_TYP, { ...claims, txn: '' }, false],
  ])('%s', (_, typ, body, ok) => {
    expect(verifying(signJwt(KEY, typ, body)).ok).toBe(ok)
  })
})

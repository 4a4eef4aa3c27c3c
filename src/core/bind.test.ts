import { existsSync, readFileSync } from 'node:fs'

import { describe, expect, it } from 'vitest'

import { bindOf, commitmentOf, digestOf, hashOf, thumbprintOf, type BindParts } from './bind.ts'
import { InputError, InvariantError } from './errors.ts'

const SALT = Uint8Array.from({ length: 16 }, (_, i) => i)
const ACTION = { method: 'tools/call', name: 'query', arguments: { sql: 'SELECT 1', limit: 10 } }
const PARTS: BindParts = {
  aud: 'https://gateway.example/mcp/orders',
  upstream: 'orders',
  tool: 'query',
  manifest: 'sha-256:47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU',
  action: ACTION,
  sub: 'user/alice',
  actor: '0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I',
  grant: 'g1',
  txn: 't1',
  referents: [{ id: './deploy.sh', hash: 'sha-256:47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU' }],
}

// Frozen: whoever redeems elsewhere computes the same. Never change one to make a test pass.
describe('pins', () => {
  it('digest', () => {
    expect(digestOf(ACTION, SALT)).toBe('sha-256:uI0862WBR3Vsdj_qWLpqQ-2qt064AERYad1evojWpPM')
    expect(digestOf({ arguments: { limit: 10, sql: 'SELECT 1' }, name: 'query', method: 'tools/call' }, SALT)).toBe(
      digestOf(ACTION, SALT),
    )
  })

  it('commitment', () => {
    expect(commitmentOf([1, 'two', null], SALT)).toBe('sha-256:NuryO_zhl1RkMJW3QUWBRfqoj3O6h0MtiQ6OgkCp27M')
  })

  it('bind', () => {
    expect(bindOf(PARTS)).toBe('sha-256:CqYuNTgO031V7PPBDd8-DDXJLTdKiD9GxR9Mzdk62Jo')
  })

  it('bind without the absent', () => {
    const { manifest: _m, actor: _a, grant: _g, txn: _t, referents: _r, ...rest } = PARTS
    expect(bindOf(rest)).toBe('sha-256:rrKSoIq-2PJ6qlob6nnD8wUgO1Lh2UAk6lyA1i3rMko')
  })

  it('hash', () => {
    expect(hashOf('')).toBe('sha-256:Eq4yyx7ALQHto1gbEnwf7jsNxTVy7WuvI5choD2C4SY')
  })
})

describe('bind', () => {
  it.each<[string, Partial<BindParts>]>([
    ['aud', { aud: 'https://other.example' }],
    ['upstream', { upstream: 'crm' }],
    ['tool', { tool: 'delete' }],
    ['manifest', { manifest: 'sha-256:other' }],
    ['action', { action: { ...ACTION, arguments: { sql: 'SELECT 2', limit: 10 } } }],
    ['sub', { sub: 'user/bob' }],
    ['actor', { actor: 'another' }],
    ['grant', { grant: 'g2' }],
    ['txn', { txn: 't2' }],
    ['referents', { referents: [{ id: './deploy.sh', hash: 'sha-256:other' }] }],
  ])('changes with %s', (_, change) => {
    expect(bindOf({ ...PARTS, ...change })).not.toBe(bindOf(PARTS))
  })

  it('hashes nothing that is not part of it', () => {
    expect(bindOf(Object.assign({ note: 'x' }, PARTS))).toBe(bindOf(PARTS))
  })
})

describe('salted', () => {
  it('depends on the salt, which has one length', () => {
    expect(digestOf(ACTION, SALT.toReversed())).not.toBe(digestOf(ACTION, SALT))
    expect(() => digestOf(ACTION, SALT.subarray(1))).toThrow(InvariantError)
    expect(() => commitmentOf(1, new Uint8Array(17))).toThrow(InvariantError)
  })
})

describe('thumbprint (RFC 7638)', () => {
  it('counts only the required members', () => {
    const jwk = { kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' }
    // RFC 8037 appendix A.3
    expect(thumbprintOf(jwk)).toBe('kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k')
    expect(thumbprintOf({ ...jwk, kid: 'x', d: 'secret', alg: 'EdDSA' })).toBe(thumbprintOf(jwk))
  })

  it.each([
    {},
    { kty: 'RSA', n: 'AQAB', e: 'AQAB' },
    { kty: 'EC', crv: 'P-384', x: 'a', y: 'b' },
    { kty: 'OKP', crv: 'Ed25519' },
  ])('refuses %o', (jwk) => {
    expect(() => thumbprintOf(jwk)).toThrow(InputError)
  })

  const path = '../shared/data/vectors/crypto.json'
  if (!existsSync(path)) console.info(`skipped: ${path} is absent`)
  it.skipIf(!existsSync(path))('of the key in RFC 9449', () => {
    const { rfc9449 } = JSON.parse(readFileSync(path, 'utf8'))
    expect(thumbprintOf(rfc9449.jwk)).toBe(rfc9449.jkt)
  })
})

import { createHmac } from 'node:crypto'

import { importJWK, jwtVerify, SignJWT } from 'jose'
import { describe, expect, it } from 'vitest'

import { canonicalize } from '../core/canonical.ts'
import type { JsonObject } from '../core/json.ts'
import { signJwt, verifyJwt } from './jwt.ts'
import { generateKey, importKey, signBytes, type KeyPair } from './keys.ts'

const TYP = 'unbearer-test+jwt'
const CLAIMS = { iss: 'https://issuer.example', n: 1, text: 'é😀' }
const JWK = generateKey('Ed25519')
const KEY = importKey({ ...JWK })
const encode = (text: string | Uint8Array): string => Buffer.from(text).toString('base64url')

/** Signs any header and payload as they stand, so that only the defect under test can be why it is refused. */
function forge(header: string, payload: string, key: KeyPair = KEY): string {
  const input = `${encode(header)}.${encode(payload)}`
  return `${input}.${encode(signBytes(key, Buffer.from(input)))}`
}

const header = (change: JsonObject = {}): string => canonicalize({ alg: 'Ed25519', kid: KEY.jkt, typ: TYP, ...change })

describe.each(['Ed25519', 'ES256'] as const)('%s', (alg) => {
  const jwk = generateKey(alg)
  const key = importKey({ ...jwk })

  it('verifies what it signed', () => {
    expect(verifyJwt(key, TYP, signJwt(key, TYP, CLAIMS))).toEqual(CLAIMS)
  })

  it('agrees with jose, both ways', async () => {
    const theirs = await importJWK({ ...jwk, alg })
    const theirPublic = await importJWK({ ...key.jwk, alg })
    const verified = await jwtVerify(signJwt(key, TYP, CLAIMS), theirPublic, { typ: TYP, algorithms: [alg] })
    expect(verified.payload).toEqual(CLAIMS)
    const signed = await new SignJWT(CLAIMS).setProtectedHeader({ alg, kid: key.jkt, typ: TYP }).sign(theirs)
    expect(verifyJwt(key, TYP, signed)).toEqual(CLAIMS)
  })

  it('refuses every flipped bit', () => {
    const compact = Buffer.from(signJwt(key, TYP, CLAIMS), 'latin1')
    for (let bit = 0; bit < compact.length * 8; bit += 1) {
      const flipped = Buffer.from(compact)
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      expect(verifyJwt(key, TYP, flipped.toString('latin1'))).toBeUndefined()
    }
  })
})

describe('what is refused', () => {
  const good = signJwt(KEY, TYP, CLAIMS)
  const [head = '', body = '', signature = ''] = good.split('.')
  const payload = canonicalize(CLAIMS)
  const mac = (input: string): string => createHmac('sha256', KEY.jwk.x).update(input).digest('base64url')
  const hs256 = `${encode(header({ alg: 'HS256' }))}.${body}`

  it('forged as it should be, it is not (the rows below differ only in their defect)', () => {
    expect(verifyJwt(KEY, TYP, forge(header(), payload))).toEqual(CLAIMS)
  })

  it.each<[string, string]>([
    ['nothing', ''],
    ['alg none, without a signature', `${encode(header({ alg: 'none' }))}.${body}.`],
    ['alg none, signed', forge(header({ alg: 'none' }), payload)],
    ['HS256 under the public key', `${hs256}.${mac(hs256)}`],
    ['alg EdDSA', forge(header({ alg: 'EdDSA' }), payload)],
    ['alg ES256 under an Ed25519 key', forge(header({ alg: 'ES256' }), payload)],
    ['alg in another case', forge(header({ alg: 'ed25519' }), payload)],
    ['no alg', forge(header({ alg: undefined }), payload)],
    ['another typ', forge(header({ typ: 'JWT' }), payload)],
    ['typ with the media type', forge(header({ typ: `application/${TYP}` }), payload)],
    ['no typ', forge(header({ typ: undefined }), payload)],
    ['another kid', forge(header({ kid: 'x' }), payload)],
    ['no kid', forge(header({ kid: undefined }), payload)],
    ['crit', forge(header({ crit: ['exp'] }), payload)],
    ['empty crit', forge(header({ crit: [] }), payload)],
    ['jwk', forge(header({ jwk: { ...KEY.jwk } }), payload)],
    ['cty', forge(header({ cty: 'JWT' }), payload)],
    ['b64 false', forge(header({ b64: false }), payload)],
    ['a header member twice', forge(header().replace('{', '{"alg":"none",'), payload)],
    ['a header that is no object', forge('[]', payload)],
    ['a header that is no JSON', forge('{', payload)],
    ['a claim twice', forge(header(), payload.replace('{', '{"iss":"https://other.example",'))],
    ['claims that are no object', forge(header(), '"x"')],
    ['claims that are no JSON', forge(header(), '{')],
    ['a number that does not round-trip', forge(header(), '{"exp":9007199254740993}')],
    ['another key', forge(header(), payload, importKey({ ...generateKey('Ed25519') }))],
    ['a truncated signature', good.slice(0, -2)],
    ['half a signature', `${head}.${body}.${signature.slice(0, 43)}`],
    ['no signature', `${head}.${body}.`],
    ['two parts', `${head}.${body}`],
    ['four parts', `${good}.`],
    ['five parts, as a JWE', `${good}.x.y`],
    ['padding', `${good}==`],
    ['white space', ` ${good}`],
    ['a line break at the end', `${good}\n`],
    ['a detached payload', `${head}..${signature}`],
    ['the parts exchanged', `${body}.${head}.${signature}`],
    [
      'unused bits of the signature',
      good.slice(0, -1) + ({ A: 'B', Q: 'R', g: 'h', w: 'x' }[good.at(-1) ?? ''] ?? 'A'),
    ],
    ['too long', forge(header(), JSON.stringify({ a: 'x'.repeat(20_000) }))],
  ])('%s', (_, compact) => {
    expect(verifyJwt(KEY, TYP, compact)).toBeUndefined()
  })
})

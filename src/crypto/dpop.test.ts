import { createHmac } from 'node:crypto'
import { existsSync, globSync, readFileSync } from 'node:fs'

import { calculateJwkThumbprint, exportJWK, importJWK, SignJWT } from 'jose'
import { describe, expect, it } from 'vitest'

import { canonicalize } from '../core/canonical.ts'
import { ACTION_TYP, REDEMPTION_TYP, SESSION_TYP } from '../core/credential.ts'
import type { JsonObject } from '../core/json.ts'
import { DPOP_TYP, signDpop, verifyDpop, type VerifyDpop } from './dpop.ts'
import { HEARTBEAT_TYP } from './heartbeat.ts'
import { signJwt, signJws, verifyJwt } from './jwt.ts'
import { generateKey, importKey, signBytes, type KeyPair } from './keys.ts'
import { GRANT_TYP } from './signed-grant.ts'

const NOW = 1_790_000_000_000
const IAT = NOW / 1000
const JWK = generateKey('Ed25519')
const KEY = importKey({ ...JWK })
const EC_JWK = generateKey('ES256')
const EC = importKey({ ...EC_JWK })
const OTHER = importKey({ ...generateKey('Ed25519') })
const PLACE = 'https://api.example/orders/7?full=1'
const CREDENTIAL = 'a.b.c'
const NONCE = 'server-nonce-1'
const encode = (text: string | Uint8Array): string => Buffer.from(text).toString('base64url')

const ATH = 'hF4wRIgJ4ryJWOsCW_x5UjXROwd6U9DDq70jhRcNybg'
const CLAIMS = { jti: 'proof-0001', htm: 'POST', htu: 'https://api.example/orders/7', iat: IAT }

function verifying(
  proofs: string | readonly string[],
  change: Partial<VerifyDpop> = {},
): ReturnType<typeof verifyDpop> {
  return verifyDpop({
    proofs: typeof proofs === 'string' ? [proofs] : proofs,
    method: 'POST',
    url: PLACE,
    now: NOW,
    ...change,
  })
}

/** A proof as it should be, but for what is changed. */
function proof(claims: JsonObject = {}, header: JsonObject = {}, key: KeyPair = KEY): string {
  return signJws(key, { typ: DPOP_TYP, alg: key.alg, jwk: { ...key.jwk }, ...header }, { ...CLAIMS, ...claims })
}

/** Any header and payload text, signed, so that only the defect under test can be why it is refused. */
function forge(header: string, payload: string, key: KeyPair = KEY): string {
  const input = `${encode(header)}.${encode(payload)}`
  return `${input}.${encode(signBytes(key, Buffer.from(input)))}`
}

function unsigned(header: JsonObject, end = ''): string {
  return `${encode(canonicalize(header))}.${encode(canonicalize(CLAIMS))}.${end}`
}

function hs256(header: JsonObject, secret: string): string {
  const input = `${encode(canonicalize(header))}.${encode(canonicalize(CLAIMS))}`
  return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`
}

const isNonce = (nonce: string | undefined): boolean => nonce === NONCE

function down(): never {
  throw new Error('down')
}

function name(result: ReturnType<typeof verifyDpop>): string {
  return result.ok ? result.burnId : ''
}

describe('a proof', () => {
  it.each([KEY, EC])('of $alg gives back its key, its id and until when it must be remembered', (key) => {
    const result = verifying(proof({}, {}, key), { jkt: key.jkt })
    expect(result).toMatchObject({ ok: true, jkt: key.jkt, jti: 'proof-0001', expires: NOW + 60_000 })
  })

  it('is made here as it is verified here', () => {
    const made = signDpop({ key: KEY, method: 'POST', url: PLACE, credential: CREDENTIAL, nonce: NONCE, now: NOW })
    const ok = verifying(made, { credential: CREDENTIAL, acceptNonce: isNonce })
    expect(ok).toMatchObject({ ok: true, jkt: KEY.jkt })
  })

  it.each([
    ['Ed25519', JWK],
    ['ES256', EC_JWK],
  ] as const)('of jose with %s verifies', async (alg, jwk) => {
    const { d: _d, ...open } = jwk
    const theirs = await new SignJWT(CLAIMS)
      .setProtectedHeader({ typ: 'dpop+jwt', alg, jwk: open })
      .sign(await importJWK({ ...jwk, alg }))
    expect(verifying(theirs)).toMatchObject({ ok: true, jkt: await calculateJwkThumbprint(open) })
  })

  it('has the same name for its burn each time, and another for another key or place', () => {
    const first = name(verifying(proof()))
    expect(first).not.toBe('')
    expect(name(verifying(proof()))).toBe(first)
    expect(name(verifying(proof({ jti: 'proof-0002' })))).not.toBe(first)
    expect(name(verifying(proof({}, {}, EC)))).not.toBe(first)
    const elsewhere = { htu: 'https://api.example/other' }
    expect(name(verifying(proof(elsewhere), { url: elsewhere.htu }))).not.toBe(first)
  })

  it.each([
    ['a host in capitals', 'https://API.example/orders/7', PLACE],
    ['the default port', 'https://api.example:443/orders/7', PLACE],
    ['its query and fragment', 'https://api.example/orders/7?other#part', PLACE],
    ['no path at all', 'https://api.example', 'https://api.example/'],
  ])('may name the place with %s (RFC 3986 §6.2)', (_title, htu, url) => {
    expect(verifying(proof({ htu }), { url })).toMatchObject({ ok: true })
  })
})

describe('what is refused', () => {
  const header = { typ: DPOP_TYP, alg: 'Ed25519', jwk: { ...KEY.jwk } }
  const good = proof()
  const [head = '', body = '', signature = ''] = good.split('.')
  const rsa = { kty: 'RSA', n: KEY.jwk.x, e: 'AQAB' }
  const small = { kty: 'OKP', crv: 'Ed25519', x: Buffer.alloc(32).toString('base64url') }

  it('made as it should be, it is not (the rows below differ only in their defect)', () => {
    expect(verifying(good, { jkt: KEY.jkt })).toMatchObject({ ok: true })
    expect(verifying(forge(canonicalize(header), canonicalize(CLAIMS)))).toMatchObject({ ok: true })
    const withAth = { credential: CREDENTIAL }
    expect(verifying(proof({ ath: ATH }), withAth)).toMatchObject({ ok: true })
  })

  it.each<[string, string | readonly string[], Partial<VerifyDpop>]>([
    ['no header', [], {}],
    ['two DPoP headers', [good, good], {}],
    ['two proofs joined by a comma', `${good}, ${good}`, {}],
    ['another method', proof({ htm: 'GET' }), {}],
    ['the method in small letters', proof({ htm: 'post' }), {}],
    ['another path', proof({ htu: 'https://api.example/orders/8' }), {}],
    ['a path of another case', proof({ htu: 'https://api.example/Orders/7' }), {}],
    ['another host', proof({ htu: 'https://api.example.evil/orders/7' }), {}],
    ['another port', proof({ htu: 'https://api.example:8443/orders/7' }), {}],
    ['another scheme', proof({ htu: 'http://api.example/orders/7' }), {}],
    ['user information in the place', proof({ htu: 'https://a@api.example/orders/7' }), {}],
    ['a relative place', proof({ htu: '/orders/7' }), {}],
    ['a place that is no web address', proof({ htu: 'data:orders' }), { url: 'data:orders' }],
    [
      'a request whose path is not in normal form',
      proof({ htu: 'https://api.example/b' }),
      { url: 'https://api.example/a/../b' },
    ],
    ['the credential of another', proof({ ath: 'x' }), { credential: CREDENTIAL }],
    ['no ath beside a credential', good, { credential: CREDENTIAL }],
    ['an ath without a credential', proof({ ath: ATH }), {}],
    ['the key of another', good, { jkt: OTHER.jkt }],
    ['an empty expected key', good, { jkt: '' }],
    ['a key in the header that did not sign', proof({}, { jwk: { ...OTHER.jwk } }), {}],
    ['no key', forge(canonicalize({ typ: DPOP_TYP, alg: 'Ed25519', kid: KEY.jkt }), canonicalize(CLAIMS)), {}],
    ['a key by reference', proof({}, { jku: 'https://evil.example/jwks' }), {}],
    ['a private key in jwk', proof({}, { jwk: { ...JWK } }), {}],
    ['a private key of EC in jwk', proof({}, { jwk: { ...EC_JWK } }, EC), {}],
    ['a symmetric key in jwk', proof({}, { jwk: { kty: 'oct', k: encode('secret') } }), {}],
    ['a key of RSA', proof({}, { jwk: rsa, alg: 'RS256' }), {}],
    ['a point of small order', forge(canonicalize({ ...header, jwk: small }), canonicalize(CLAIMS)), {}],
    ['HS256 under the public key', hs256({ ...header, alg: 'HS256' }, KEY.jwk.x), {}],
    [
      'HS256 over a symmetric key',
      hs256({ ...header, alg: 'HS256', jwk: { kty: 'oct', k: 'c2VjcmV0' } }, 'secret'),
      {},
    ],
    ['alg none without a signature', unsigned({ ...header, alg: 'none' }), {}],
    ['alg none with a signature', forge(canonicalize({ ...header, alg: 'none' }), canonicalize(CLAIMS)), {}],
    ['alg NONE', unsigned({ ...header, alg: 'NONE' }, signature), {}],
    ['the algorithm of another kind of key', proof({}, { alg: 'ES256' }), {}],
    ['EdDSA, which names no curve', proof({}, { alg: 'EdDSA' }), {}],
    ['a critical extension', proof({}, { crit: ['b64'], b64: false }), {}],
    ['another type', proof({}, { typ: 'jwt' }), {}],
    ['no type', forge(canonicalize({ alg: 'Ed25519', jwk: { ...KEY.jwk } }), canonicalize(CLAIMS)), {}],
    ['the type in capitals', proof({}, { typ: 'DPOP+JWT' }), {}],
    ['the long name of the type', proof({}, { typ: 'application/dpop+jwt' }), {}],
    ['a truncated signature', `${head}.${body}.${signature.slice(0, -2)}`, {}],
    ['half a signature', `${head}.${body}.${signature.slice(0, 43)}`, {}],
    ['no signature', `${head}.${body}.`, {}],
    ['two parts', `${head}.${body}`, {}],
    ['four parts', `${good}.x`, {}],
    ['the payload of another', `${head}.${proof({ htm: 'GET' }).split('.')[1]}.${signature}`, {}],
    ['padding', `${head}.${body}.${signature}==`, {}],
    ['a member twice', forge(canonicalize(header), `{"htm":"POST",${canonicalize(CLAIMS).slice(1)}`), {}],
    ['no jti', proof({ jti: undefined }), {}],
    ['a jti that is no text', proof({ jti: 12_345_678 }), {}],
    ['a jti that could be guessed at once', proof({ jti: '1' }), {}],
    ['a jti without end', proof({ jti: 'x'.repeat(513) }), {}],
    ['no iat', proof({ iat: undefined }), {}],
    ['an iat that is text', proof({ iat: String(IAT) }), {}],
    ['an iat that is negative', proof({ iat: -1 }), {}],
    ['an empty nonce', proof({ nonce: '' }), {}],
    ['more than a header may hold', proof({ note: 'x'.repeat(4000) }), {}],
    ['nothing', '', {}],
  ])('%s', (_title, proofs, change) => {
    const reason = proofs.length === 0 && typeof proofs !== 'string' ? 'identity.missing' : 'identity.bad-proof'
    expect(verifying(proofs, change)).toEqual({ ok: false, reason })
  })

  it.each<[string, JsonObject, Partial<VerifyDpop>]>([
    ['at its end', { iat: IAT - 60 }, {}],
    ['stale', { iat: IAT - 3600 }, {}],
    ['from the future', { iat: IAT + 6 }, {}],
    ['from far in the future', { iat: IAT + 86_400 }, {}],
    ['older than the caller accepts', { iat: IAT - 10 }, { maxAgeSeconds: 10 }],
    ['past its own end', { exp: IAT }, {}],
    ['before its own beginning', { nbf: IAT + 6 }, {}],
    ['at no time', {}, { now: Number.NaN }],
  ])('stale: %s', (_title, claims, change) => {
    expect(verifying(proof(claims), change)).toEqual({ ok: false, reason: 'identity.stale-proof' })
  })

  it.each<[string, JsonObject]>([
    ['missing', {}],
    ['old', { nonce: 'server-nonce-0' }],
    ['of a proof that is stale as well', { nonce: 'server-nonce-0', iat: IAT - 3600 }],
  ])('a nonce that is %s', (_title, claims) => {
    expect(verifying(proof(claims), { acceptNonce: isNonce })).toEqual({ ok: false, reason: 'identity.use-nonce' })
  })

  it('tells nobody about nonces whose proof is wrong', () => {
    expect(verifying(proof({ htm: 'GET' }), { acceptNonce: isNonce })).toEqual({
      ok: false,
      reason: 'identity.bad-proof',
    })
  })

  it('whatever throws', () => {
    expect(verifying(good, { acceptNonce: down })).toEqual({ ok: false, reason: 'identity.bad-proof' })
  })

  it('every flipped bit', () => {
    const bytes = Buffer.from(good, 'latin1')
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const flipped = Buffer.from(bytes)
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      expect(verifying(flipped.toString('latin1')).ok).toBe(false)
    }
  })
})

/** Each of our types in both forms of header: as we make it, and as a proof would have to look. */
const OURS = [ACTION_TYP, SESSION_TYP, REDEMPTION_TYP, HEARTBEAT_TYP, GRANT_TYP, DPOP_TYP]
const TYPES = [...OURS, 'secevent+jwt', 'wit+jwt', 'wpt+jwt', 'oauth-id-jag+jwt', 'JWT', 'at+jwt']
const PAIRS = TYPES.flatMap((made) => TYPES.filter((read) => read !== made).map((read) => [made, read] as const))

it('every type that this package knows is among them', () => {
  const known = globSync('src/**/*.ts').flatMap((file) =>
    file.endsWith('.test.ts')
      ? []
      : [...readFileSync(file, 'utf8').matchAll(/'([a-z-]+\+jwt)'/g)].map((found) => found[1]),
  )
  expect(known.filter((type) => type === undefined || !TYPES.includes(type))).toEqual([])
})

describe('types are not taken for one another', () => {
  it.each(PAIRS)('%s for %s', (made, read) => {
    const compact = signJwt(KEY, made, CLAIMS)
    const asProof = proof({}, { typ: made })
    const isTaken = (text: string): boolean =>
      read === DPOP_TYP ? verifying(text).ok : verifyJwt(KEY, read, text) !== undefined
    expect([isTaken(compact), isTaken(asProof)]).toEqual([false, false])
  })
})

const PATH = '../shared/data/vectors/crypto.json'

describe('vectors of others', () => {
  if (!existsSync(PATH)) console.info(`skipped: no ${PATH}`)
  it.skipIf(!existsSync(PATH))('RFC 9449: the proof of a protected resource', async () => {
    const { rfc9449: vector, wimse_wpt: wimse } = JSON.parse(readFileSync(PATH, 'utf8'))
    const request = {
      method: 'GET',
      url: 'https://resource.example.org/protectedresource',
      credential: vector.access_token,
      now: 1_562_262_618_000,
      jkt: vector.jkt,
    }
    expect(verifying(vector.proof, request)).toMatchObject({ ok: true, jti: 'e1j3V_bKic8-LAEB' })
    expect(verifying(vector.proof, { ...request, credential: `${vector.access_token}x` }).ok).toBe(false)
    expect(verifying(vector.proof, { ...request, jkt: KEY.jkt }).ok).toBe(false)
    expect(verifying(vector.proof, { ...request, now: NOW })).toEqual({ ok: false, reason: 'identity.stale-proof' })
    expect(verifying(wimse.wpt, { ...request, now: 1_745_510_000_000 }).ok).toBe(false)
    const theirs = await exportJWK(await importJWK({ ...vector.jwk, alg: 'ES256' }))
    expect(await calculateJwkThumbprint(theirs)).toBe(vector.jkt)
  })
})

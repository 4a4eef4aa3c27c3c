/**
 * Where the keys of an issuer outside come from: what a hostile or broken issuer could make us fetch, believe, keep or repeat.
 * Seen to fail: without the comparison of `issuer` in discovery, with redirects followed, without the bound on how often we ask.
 */
import { createHmac } from 'node:crypto'
import { createServer } from 'node:http'

import { afterAll, beforeEach, describe, expect, it } from 'vitest'

import { parseConfig } from '../../src/config/load.ts'
import { findOutsideKey, parseOutsideKeys, verifyOutside } from '../../src/crypto/outside-keys.ts'
import { fetchJson, isFetchable } from '../../src/server/trust/fetch-json.ts'
import { createOutsideJwks, type OutsideJwks } from '../../src/server/trust/outside-jwks.ts'
import { asJson } from '../../src/core/json.ts'
import type { Json, JsonObject } from '../../src/index.ts'
import {
  createOutsideIssuer,
  makeOutsideKey,
  signInput,
  type Alg,
  type OutsideIssuer,
} from '../support/outside-issuer.ts'

const issuers: OutsideIssuer[] = []
let issuer: OutsideIssuer
let keys: OutsideJwks
let now = 0

beforeEach(async () => {
  issuer = await createOutsideIssuer()
  issuers.push(issuer)
  now = 1_700_000_000_000
  keys = of(issuer.url)
})
afterAll(async () => {
  for (const each of issuers) await each.close()
})

const of = (url: string, jwks?: string): OutsideJwks =>
  createOutsideJwks({
    issuer: url,
    clock: { now: () => now },
    fetchDocument: fetchJson,
    ...(jwks === undefined ? {} : { jwks }),
  })
const find = async (kid: string | undefined = issuer.key.kid): Promise<boolean> =>
  (await keys.find(kid, 'RS256')) !== undefined
const asks = (): number => issuer.asked.filter((path) => path.endsWith('/jwks')).length

const never: typeof fetch = async () => Promise.reject(new Error('fetched'))

const privateOf = (): JsonObject => {
  const { privateKey } = makeOutsideKey('RS256')
  return { ...asJson(JSON.parse(JSON.stringify(privateKey.export({ format: 'jwk' })))) }
}

const parse = (issuing: string): unknown =>
  parseConfig(`issuer: https://unbearer.example\ndeployment: same-user\ntrust: { issuers: [${issuing}] }`, {
    dir: '/',
  })
const GRANTS = 'grants: { operations: [{ tool: orders/read }] }'

describe('keys over time', () => {
  it('are asked for once, whoever asks, and again after minutes', async () => {
    expect(await Promise.all([find(), find(), find()])).toEqual([true, true, true])
    expect(asks()).toBe(1)
    now += 9 * 60_000
    expect(await find()).toBe(true)
    expect(asks()).toBe(1)
    now += 2 * 60_000
    expect(await find()).toBe(true)
    expect(asks()).toBe(2)
  })

  it('a new one is found at once, the one before is gone with the next answer', async () => {
    await find()
    const next = makeOutsideKey('RS256', 'next')
    issuer.published.jwks = { keys: [next.jwk] }
    now += 30_000
    expect(await find('next')).toBe(true)
    expect(await find(issuer.key.kid)).toBe(false)
  })

  it('a withdrawn one is believed for ten minutes at most, also while the issuer is away', async () => {
    await find()
    issuer.published.status = 500
    now += 9 * 60_000
    expect(await find()).toBe(true)
    now += 60_000
    await expect(find()).rejects.toMatchObject({ code: 'ERR_UNBEARER_UNAVAILABLE' })
    // Not asked again for every one who asks us.
    const before = issuer.asked.length
    for (let i = 0; i < 20; i += 1) await expect(find()).rejects.toMatchObject({ retryable: true })
    expect(issuer.asked.length).toBe(before)
    issuer.published.status = 200
    now += 30_000
    expect(await find()).toBe(true)
  })

  it('names that are made up make us ask twice a minute', async () => {
    await find()
    for (let i = 0; i < 60; i += 1) {
      now += 1_000
      expect(await find(`made-up-${i}`)).toBe(false)
    }
    expect(asks()).toBeLessThanOrEqual(3)
  })

  it('a clock that was set back does not keep them for ever', async () => {
    await find()
    issuer.published.jwks = { keys: [] }
    now -= 3_600_000
    expect(await find()).toBe(false)
  })
})

describe('discovery', () => {
  const unavailable = { code: 'ERR_UNBEARER_UNAVAILABLE' }

  it.each<[string, (url: string) => Json]>([
    ['another issuer (mix-up)', (url) => ({ issuer: 'https://other.example', jwks_uri: `${url}/jwks` })],
    ['the issuer with a slash', (url) => ({ issuer: `${url}/`, jwks_uri: `${url}/jwks` })],
    ['no issuer', (url) => ({ jwks_uri: `${url}/jwks` })],
    ['keys on another origin', (url) => ({ issuer: url, jwks_uri: 'http://127.0.0.2:1/jwks' })],
    ['keys in the address space of others', (url) => ({ issuer: url, jwks_uri: 'http://169.254.169.254/latest' })],
    ['keys in a file', (url) => ({ issuer: url, jwks_uri: 'file:///etc/passwd' })],
    ['keys with a password', (url) => ({ issuer: url, jwks_uri: `${url.replace('//', '//a:b@')}/jwks` })],
    ['keys nowhere', (url) => ({ issuer: url })],
    ['keys in a list', (url) => ({ issuer: url, jwks_uri: [`${url}/jwks`] })],
    ['a list', () => []],
    ['nothing', () => null],
  ])('with %s is refused', async (_title, document) => {
    issuer.published.discovery = document(issuer.url)
    await expect(find()).rejects.toMatchObject(unavailable)
    expect(asks()).toBe(0)
  })

  it('with keys at another origin does not send us there', async () => {
    const elsewhere = await createOutsideIssuer()
    issuers.push(elsewhere)
    issuer.published.discovery = { issuer: issuer.url, jwks_uri: `${elsewhere.url}/jwks` }
    await expect(find()).rejects.toMatchObject(unavailable)
    expect(elsewhere.asked).toEqual([])
  })

  it('is not needed where the keys are named', async () => {
    keys = of('https://issuer.invalid', `${issuer.url}/jwks`)
    expect(await find()).toBe(true)
    expect(issuer.asked).toEqual(['/jwks'])
  })

  it('of an issuer with a path is below the path', async () => {
    const tenant = await createOutsideIssuer({ path: '/tenant' })
    issuers.push(tenant)
    expect(await of(tenant.url).find(tenant.key.kid, 'RS256')).toBeDefined()
    expect(tenant.asked[0]).toBe('/tenant/.well-known/openid-configuration')
  })
})

describe('what is fetched', () => {
  it.each<[string, Partial<OutsideIssuer['published']>]>([
    ['another status', { status: 404 }],
    ['no JSON', { body: '<html>' }],
    ['a member twice', { body: '{"keys":[],"keys":[{"kty":"RSA"}]}' }],
    ['nothing', { body: '' }],
  ])('%s is no document', async (_title, bent) => {
    Object.assign(issuer.published, bent)
    await expect(find()).rejects.toMatchObject({ code: 'ERR_UNBEARER_UNAVAILABLE' })
  })

  it('is bounded', async () => {
    issuer.published.body = JSON.stringify({ keys: [], padding: 'x'.repeat(300_000) })
    await expect(find()).rejects.toThrow('too large')
  })

  it('a redirect is not followed', async () => {
    const target = await createOutsideIssuer()
    issuers.push(target)
    issuer.published.status = 302
    issuer.published.headers = { location: `${target.url}/jwks` }
    await expect(find()).rejects.toMatchObject({ code: 'ERR_UNBEARER_UNAVAILABLE' })
    expect(target.asked).toEqual([])
  })

  it('what comes compressed is bounded by what it unpacks to', async () => {
    const { gzipSync } = await import('node:zlib')
    const bomb = gzipSync(Buffer.alloc(8_000_000, 0x20))
    const server = createServer((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' })
      response.end(bomb)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    await expect(fetchJson(new URL(`http://127.0.0.1:${port}/`))).rejects.toThrow('too large')
    server.closeAllConnections()
    server.close()
  })

  it.each<[string, boolean]>([
    ['https://login.example/jwks', true],
    ['http://127.0.0.1:8080/jwks', true],
    ['http://[::1]/jwks', true],
    ['http://login.example/jwks', false],
    ['http://localhost/jwks', false],
    ['http://127.0.0.1.example/jwks', false],
    ['http://10.0.0.1/jwks', false],
    ['http://0.0.0.0/jwks', false],
    ['https://a:b@login.example/jwks', false],
    ['file:///etc/passwd', false],
    ['data:application/json,{}', false],
    ['ftp://127.0.0.1/', false],
  ])('%s', (url, expected) => {
    expect(isFetchable(new URL(url))).toBe(expected)
  })

  it('nothing else is fetched at all', async () => {
    await expect(fetchJson(new URL('http://10.0.0.1/'), never)).rejects.toMatchObject({ code: 'ERR_UNBEARER_INPUT' })
  })
})

describe('key sets', () => {
  const rsa = makeOutsideKey('RS256', 'a').jwk
  it.each<[string, Json]>([
    ['a private key', { keys: [rsa, privateOf()] }],
    ['a symmetric key', { keys: [rsa, { kty: 'oct', k: 'c2VjcmV0' }] }],
    ['a symmetric key that hides', { keys: [rsa, { kty: 'oct' }] }],
    ['a symmetric member in another kind', { keys: [{ ...rsa, k: 'c2VjcmV0' }] }],
    ['more keys than anybody has', { keys: Array.from({ length: 65 }, () => rsa) }],
    ['something that is no key', { keys: ['x'] }],
    ['no list', { keys: rsa }],
    ['nothing', null],
  ])('with %s are refused as a whole', (_title, set) => {
    expect(() => parseOutsideKeys(set)).toThrow(/key/)
  })

  it.each<[string, JsonObject]>([
    ['for encryption', { ...rsa, use: 'enc' }],
    ['for signing only', { ...rsa, key_ops: ['sign'] }],
    ['of an unknown kind', { kty: 'XYZ' }],
    ['on another curve', { kty: 'EC', crv: 'secp256k1', x: 'AA', y: 'AA' }],
    ['off the curve', { kty: 'EC', crv: 'P-256', x: 'A'.repeat(43), y: 'A'.repeat(43) }],
    ['of 1024 bits', { kty: 'RSA', e: 'AQAB', n: `v${'x'.repeat(170)}` }],
    ['without its parts', { kty: 'RSA' }],
    ['with a `kid` that is no text', { ...rsa, kid: 7 }],
  ])('leave out a key %s', (_title, jwk) => {
    expect(parseOutsideKeys({ keys: [jwk] })).toEqual([])
  })

  it('choose one key or none', () => {
    const [a, b] = [makeOutsideKey('RS256', 'same').jwk, makeOutsideKey('RS256', 'same').jwk]
    const both = parseOutsideKeys({ keys: [a, b] })
    expect(both).toHaveLength(2)
    expect(findOutsideKey(both, 'same', 'RS256')).toBeUndefined()
    expect(findOutsideKey(both, undefined, 'RS256')).toBeUndefined()
    const { alg: _alg, ...open } = a
    const one = parseOutsideKeys({ keys: [open] })
    expect(findOutsideKey(one, undefined, 'PS256')).toBeDefined()
    expect(findOutsideKey(parseOutsideKeys({ keys: [a] }), 'same', 'PS256')).toBeUndefined()
    expect(findOutsideKey(one, 'same', 'ES256')).toBeUndefined()
    expect(findOutsideKey(one, 'other', 'RS256')).toBeUndefined()
  })

  it.each<Alg>(['RS256', 'PS256', 'ES256', 'ES384', 'Ed25519'])('verify %s, and nothing else under its name', (alg) => {
    const made = makeOutsideKey(alg)
    const [key] = parseOutsideKeys({ keys: [made.jwk] })
    if (key === undefined) throw new Error('no key')
    const input = Buffer.from('what was signed')
    const signature = Buffer.from(signInput(made, 'what was signed'), 'base64url')
    expect(verifyOutside(key, alg, input, signature)).toBe(true)
    expect(verifyOutside(key, alg, Buffer.from('something else'), signature)).toBe(false)
    expect(verifyOutside(key, alg, input, signature.subarray(1))).toBe(false)
    for (const other of ['RS256', 'PS256', 'ES256', 'ES384', 'Ed25519'] as const)
      expect(verifyOutside(key, other, input, signature)).toBe(other === alg)
    expect(verifyOutside(key, alg, input, createHmac('sha256', 'secret').update(input).digest())).toBe(false)
    // Zeros verify under broken implementations of ECDSA.
    expect(verifyOutside(key, alg, input, Buffer.alloc(signature.length))).toBe(false)
  })
})

describe('the configuration', () => {
  it('takes an issuer in one line', () => {
    expect(parse(`{ issuer: 'https://login.example/', audience: x, ${GRANTS} }`)).toMatchObject({
      trust: {
        issuers: [{ issuer: 'https://login.example/', algorithms: ['RS256'], kinds: ['id-token'], maxAge: 300_000 }],
      },
    })
  })

  it.each<[string, string]>([
    ['plain HTTP to another machine', `{ issuer: 'http://login.example', audience: x, ${GRANTS} }`],
    ['plain HTTP to a name', `{ issuer: 'http://localhost:1', audience: x, ${GRANTS} }`],
    [
      'keys over plain HTTP',
      `{ issuer: 'https://login.example', audience: x, jwks: 'http://login.example/', ${GRANTS} }`,
    ],
    ['our own issuer', `{ issuer: 'https://unbearer.example', audience: x, ${GRANTS} }`],
    ['our own issuer with a slash', `{ issuer: 'https://unbearer.example/', audience: x, ${GRANTS} }`],
    ['no audience', `{ issuer: 'https://login.example', ${GRANTS} }`],
    ['no ceiling', `{ issuer: 'https://login.example', audience: x }`],
    [
      'a ceiling for everything',
      `{ issuer: 'https://login.example', audience: x, grants: { operations: [{ tool: '*' }] } }`,
    ],
    ['a symmetric algorithm', `{ issuer: 'https://login.example', audience: x, algorithms: [HS256], ${GRANTS} }`],
    ['no algorithm', `{ issuer: 'https://login.example', audience: x, algorithms: [none], ${GRANTS} }`],
    [
      'a bound nonce of what has none',
      `{ issuer: 'https://login.example', audience: x, nonce: bound, accept: [id-jag], ${GRANTS} }`,
    ],
    ['a key that does not exist', `{ issuer: 'https://login.example', audience: x, kid: y, ${GRANTS} }`],
    [
      'two of one name',
      `{ issuer: 'https://a.example', audience: x, ${GRANTS} }, { issuer: 'https://a.example', audience: y, ${GRANTS} }`,
    ],
  ])('refuses %s', (_title, issuing) => {
    expect(() => parse(issuing)).toThrow(/configuration|trust/)
  })
})

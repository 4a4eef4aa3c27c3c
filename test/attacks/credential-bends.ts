/**
 * @module
 * What a thief does with a request that they saw whole, and have no key for: each bend, on every framework, has to reach no
 * handler, and to leave the credential to its owner.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'

import { toContentDigest } from '../../src/core/http-action.ts'
import { signDpop } from '../../src/crypto/dpop.ts'
import {
  API,
  callOf,
  createParties,
  NOTE_ACT,
  READ_ACT,
  startApi,
  wireOf,
  type Api,
  type MakeApi,
  type Parties,
} from '../support/orders-api.ts'
import { sendBytes, sendWire, toBytes, withBody, withHeader, withLine, type WireRequest } from './wire.ts'

type Bend = (request: WireRequest, parties: Parties) => WireRequest

const at =
  (line: string): Bend =>
  (one) => ({ ...one, line })
const without =
  (...names: readonly string[]): Bend =>
  (one) =>
    names.reduce((bent, name) => withHeader(bent, name, () => undefined), one)
const added =
  (...lines: readonly string[]): Bend =>
  (one) =>
    withLine(one, ...lines)
const changed =
  (name: string, change: (value: string) => string): Bend =>
  (one) =>
    withHeader(one, name, change)

function valueOf({ head }: WireRequest, name: string): string {
  return head.find((line) => line.startsWith(`${name}:`))?.slice(name.length + 2) ?? ''
}

const OWN = '{"text":"free!!"}'

function chunked(one: WireRequest, ...chunks: readonly string[]): WireRequest {
  const bent = withLine(without('content-length')(one, NOBODY), 'Transfer-Encoding: chunked')
  const sent = chunks.map((chunk) => `${Buffer.byteLength(chunk).toString(16)}\r\n${chunk}\r\n`)
  return { ...bent, body: Buffer.from(`${sent.join('')}0\r\n\r\n`) }
}

const NOBODY = createParties()

/** Of a request to read: method, target, host. */
const READ_BENT: readonly (readonly [string, Bend])[] = [
  ['another method', at('DELETE /orders/7?fields=id,state&limit=2 HTTP/1.1')],
  ['HEAD', at('HEAD /orders/7?fields=id,state&limit=2 HTTP/1.1')],
  ['OPTIONS', at('OPTIONS /orders/7?fields=id,state&limit=2 HTTP/1.1')],
  ['TRACE', at('TRACE /orders/7?fields=id,state&limit=2 HTTP/1.1')],
  ['a method in small letters', at('get /orders/7?fields=id,state&limit=2 HTTP/1.1')],
  ['QUERY', at('QUERY /orders/7?fields=id,state&limit=2 HTTP/1.1')],
  ['another path', at('GET /orders/8?fields=id,state&limit=2 HTTP/1.1')],
  ['a longer path', at('GET /orders/7/notes?fields=id,state&limit=2 HTTP/1.1')],
  ['a slash at the end', at('GET /orders/7/?fields=id,state&limit=2 HTTP/1.1')],
  ['a doubled slash', at('GET //orders/7?fields=id,state&limit=2 HTTP/1.1')],
  ['a doubled slash inside', at('GET /orders//7?fields=id,state&limit=2 HTTP/1.1')],
  ['capitals', at('GET /Orders/7?fields=id,state&limit=2 HTTP/1.1')],
  ['dots', at('GET /x/../orders/7?fields=id,state&limit=2 HTTP/1.1')],
  ['one dot', at('GET /./orders/7?fields=id,state&limit=2 HTTP/1.1')],
  ['encoded dots', at('GET /x/%2e%2e/orders/7?fields=id,state&limit=2 HTTP/1.1')],
  ['half encoded dots', at('GET /x/.%2E/orders/7?fields=id,state&limit=2 HTTP/1.1')],
  ['an encoded letter', at('GET /%6frders/7?fields=id,state&limit=2 HTTP/1.1')],
  ['an encoded number', at('GET /orders/%37?fields=id,state&limit=2 HTTP/1.1')],
  ['an encoded slash', at('GET /orders%2f7?fields=id,state&limit=2 HTTP/1.1')],
  ['an encoded backslash', at('GET /orders%5c7?fields=id,state&limit=2 HTTP/1.1')],
  ['a backslash', at('GET /orders\\7?fields=id,state&limit=2 HTTP/1.1')],
  ['a doubly encoded number', at('GET /orders/%2537?fields=id,state&limit=2 HTTP/1.1')],
  ['a path parameter', at('GET /orders/7;v=1?fields=id,state&limit=2 HTTP/1.1')],
  ['an encoded NUL', at('GET /orders/7%00?fields=id,state&limit=2 HTTP/1.1')],
  ['an encoded line break', at('GET /orders/7%0d%0aX: y?fields=id,state&limit=2 HTTP/1.1')],
  ['no query', at('GET /orders/7 HTTP/1.1')],
  ['an empty query', at('GET /orders/7? HTTP/1.1')],
  ['the query in another order', at('GET /orders/7?limit=2&fields=id,state HTTP/1.1')],
  ['a longer query', at('GET /orders/7?fields=id,state&limit=2&all=1 HTTP/1.1')],
  ['a repeated member', at('GET /orders/7?fields=id,state&limit=2&limit=9 HTTP/1.1')],
  ['an encoded comma', at('GET /orders/7?fields=id%2Cstate&limit=2 HTTP/1.1')],
  ['a plus', at('GET /orders/7?fields=id,state&limit=2+ HTTP/1.1')],
  ['a fragment', at('GET /orders/7?fields=id,state&limit=2#x HTTP/1.1')],
  ['an absolute target', at(`GET ${API}/orders/7?fields=id,state&limit=2 HTTP/1.1`)],
  ['a foreign absolute target', at('GET http://a.example/orders/7?fields=id,state&limit=2 HTTP/1.1')],
  ['an authority', at('GET @a.example/orders/7?fields=id,state&limit=2 HTTP/1.1')],
  ['an asterisk', at('OPTIONS * HTTP/1.1')],
  ['an older version, without a host', (one, who) => without('host')(at('GET /orders/7 HTTP/1.0')(one, who), who)],
  ['another host', changed('host', () => 'a.example')],
  ['another port', changed('host', (host) => `${host}0`)],
  ['a host with a user', changed('host', (host) => `x@${host}`)],
  ['a host with a dot', changed('host', (host) => host.replace(':', '.:'))],
  ['two hosts', added('Host: a.example')],
  ['no host', without('host')],
  ['a body', (one) => withBody(withLine(one, 'Content-Length: 0', 'Content-Type: application/json'), OWN)],
  ['a content type', added('Content-Type: application/json')],
  ['a body of nothing, in chunks', (one) => chunked(one)],
  ['an upgrade', (one, who) => withLine(without('connection')(one, who), 'Connection: close, upgrade', 'Upgrade: h2c')],
]

/** Of a request to write: body, proof, other headers. */
const NOTE_BENT: readonly (readonly [string, Bend])[] = [
  ['another body of the same length', (one) => withBody(one, OWN)],
  [
    'another body with its digest',
    (one) => withBody(withLine(one, `Content-Digest: ${toContentDigest(Buffer.from(OWN))}`), OWN),
  ],
  ['a member twice', (one) => withBody(one, '{"text":"urgent","text":"free"}')],
  ['a space in it', (one) => withBody(one, '{"text": "urgent"}')],
  ['a byte order mark', (one) => withBody(one, '\u{feff}{"text":"urgent"}')],
  ['a line behind it', (one) => withBody(one, '{"text":"urgent"}\n')],
  ['nothing', (one) => withBody(one, '')],
  ['another body, chunked', (one) => chunked(one, OWN)],
  ['a body that goes on, chunked', (one) => chunked(one, '{"text":"urgent"}', ' ')],
  ['a shorter length', changed('content-length', (length) => String(Number(length) - 1))],
  ['two lengths', added('Content-Length: 3')],
  ['a length with a sign', changed('content-length', (length) => `+${length}`)],
  ['a length in other digits', changed('content-length', (length) => `0x${Number(length).toString(16)}`)],
  ['a length and chunks', added('Transfer-Encoding: chunked')],
  [
    'chunks of another name',
    (one, who) => withLine(without('content-length')(one, who), 'Transfer-Encoding: xchunked'),
  ],
  ['chunks twice', (one, who) => withLine(without('content-length')(one, who), 'Transfer-Encoding: chunked, chunked')],
  ['a space before the colon', (one, who) => withLine(without('content-type')(one, who), 'Content-Type : text/plain')],
  ['a trailer', (one) => ({ ...withLine(chunked(one, '{"text":"urgent"}'), 'Trailer: x-user') })],
  [
    'an unannounced trailer',
    (one) => ({ ...chunked(one), body: Buffer.from('11\r\n{"text":"urgent"}\r\n0\r\nx-user: root\r\n\r\n') }),
  ],
  ['another type', changed('content-type', () => 'text/plain')],
  ['another character set', changed('content-type', (type) => `${type}; charset=utf-16`)],
  ['a type with a parameter', changed('content-type', (type) => `${type};x=1`)],
  ['no type', without('content-type')],
  ['two types', added('Content-Type: text/plain')],
  ['a coding', added('Content-Encoding: gzip')],
  ['a coding that changes nothing', added('Content-Encoding: identity')],
  ['a range', added('Content-Range: bytes 0-3/4')],
  ['an overridden method', added('X-HTTP-Method-Override: DELETE')],
  ['an overridden method, older', added('X-HTTP-Method: DELETE')],
  ['an overridden method, other', added('X-Method-Override: DELETE')],
  ['an overridden path', added('X-Original-URL: /admin')],
  ['an overridden path, other', added('X-Rewrite-URL: /admin')],
  ['no credential', without('authorization')],
  ['a bearer', changed('authorization', (value) => value.replace('DPoP', 'Bearer'))],
  ['the scheme in small letters', changed('authorization', (value) => value.replace('DPoP', 'dpop'))],
  ['two spaces', changed('authorization', (value) => value.replace(' ', '  '))],
  ['a comma behind it', changed('authorization', (value) => `${value},`)],
  ['two credentials', (one) => withLine(one, `Authorization: ${valueOf(one, 'authorization')}`)],
  ['a bearer before it', (one) => ({ ...one, head: ['Authorization: Bearer x', ...one.head] })],
  [
    'the credential in the query',
    (one, who) => {
      const compact = valueOf(one, 'authorization').slice(5)
      return without('authorization')(at(`POST /orders/7/notes?access_token=${compact} HTTP/1.1`)(one, who), who)
    },
  ],
  ['no proof', without('dpop', 'signature', 'signature-input')],
  ['two proofs', (one) => withLine(one, `DPoP: ${valueOf(one, 'dpop')}`, 'DPoP: x')],
  ['a proof and junk', added('Signature: sig=:AAAA:', 'Signature-Input: sig=("@method");created=1')],
  ['a folded header', changed('authorization', (value) => `${value}\r\n x`)],
  ['a bare line feed', changed('authorization', (value) => `${value}\nX-HTTP-Method-Override: DELETE`)],
  ['a NUL', changed('content-type', (value) => `${value}\0`)],
  ['a cut credential', changed('authorization', (value) => value.slice(0, -2))],
  ['a credential without its signature', changed('authorization', (value) => value.replace(/\.[^.]*$/, '.'))],
  [
    'the credential of a header without an algorithm',
    changed('authorization', (value) =>
      value.replace(/ [^.]+/, ` ${toPart({ alg: 'none', typ: 'unbearer-action+jwt' })}`),
    ),
  ],
  ['a proof by a key of the thief', (one, { thief }) => prove(one, thief)],
  ['a proof by the key of the issuer', (one, { issuerKey }) => prove(one, issuerKey)],
  ['a signature by a key of the thief', (one, who) => sign(one, who)],
]

const toPart = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')

function prove(one: WireRequest, key: Parties['thief']): WireRequest {
  const credential = valueOf(one, 'authorization').slice(5)
  const dpop = signDpop({ key, method: 'POST', url: `${API}/orders/7/notes`, credential, now: Date.now() })
  return withLine(
    without('dpop', 'signature', 'signature-input', 'signature-key', 'content-digest')(one, NOBODY),
    `dpop: ${dpop}`,
  )
}

function sign(one: WireRequest, parties: Parties): WireRequest {
  const credential = valueOf(one, 'authorization').slice(5)
  const headers = callOf(parties, { credential, key: parties.thief, by: 'signature' })
  const proof = ['signature', 'signature-input', 'signature-key', 'content-digest'].map(
    (name) => `${name}: ${headers[name]}`,
  )
  return withLine(
    without('dpop', 'signature', 'signature-input', 'signature-key', 'content-digest')(one, parties),
    ...proof,
  )
}

/** Of a request that is signed. */
const SIGNED_BENT: readonly (readonly [string, Bend])[] = [
  ['no digest', without('content-digest')],
  ['another digest', changed('content-digest', () => toContentDigest(Buffer.from(OWN)))],
  ['a digest list', changed('content-digest', (digest) => `${digest}, sha-512=:AA==:`)],
  ['a digest left out', changed('signature-input', (input) => input.replace(' "content-digest"', ''))],
  ['a credential left out', changed('signature-input', (input) => input.replace(' "authorization"', ''))],
  ['another nonce', changed('signature-input', (input) => input.replace('nonce="', 'nonce="x'))],
  ['another end', changed('signature-input', (input) => input.replace(/expires=(\d+)/, 'expires=9$1'))],
  ['no key', without('signature-key')],
  [
    'the key of the thief',
    (one, { thief }) => withHeader(one, 'signature-key', () => `sig=hwk;kty="OKP";crv="Ed25519";x="${thief.jwk.x}"`),
  ],
  ['two keys', (one) => withLine(one, `signature-key: ${valueOf(one, 'signature-key')}`)],
]

/** Runs every bend against an API of one framework. */
export function describeBends(name: string, make: MakeApi): void {
  describe(`a thief who bends a request to an API on ${name}`, () => {
    const parties = createParties()
    let api: Api
    beforeAll(async () => {
      api = await startApi(make, parties)
    })
    afterAll(async () => api.close())
    beforeEach(() => {
      api.seen.length = 0
    })

    /** What reaches the handler: of the bent request nothing, of the owner's the request once, and nothing of a replay. */
    const attack = async (one: WireRequest, bend: Bend): Promise<readonly unknown[]> => {
      const origin = `http://${api.host}`
      const bent = await sendWire(origin, bend(one, parties))
      const stolen = [...api.seen, ...(bent.status === 200 ? ['answered'] : [])]
      const own = await sendWire(origin, one)
      const again = await sendWire(origin, one)
      return [stolen, own.status, again.reason, ...api.seen]
    }
    const read = { method: 'GET', url: READ_ACT.target, body: '', sub: 'user/alice' }
    const note = { method: 'POST', url: NOTE_ACT.target, body: NOTE_ACT.content, sub: 'user/alice' }
    const readOnce = [[], 200, 'credential.replayed', read]
    const noteOnce = [[], 200, 'credential.replayed', note]

    it.each(READ_BENT)('read: %s', async (_what, bend) => {
      expect(await attack(wireOf(api.host, parties, { act: READ_ACT }), bend)).toEqual(readOnce)
    })
    it.each(READ_BENT)('read, signed: %s', async (_what, bend) => {
      expect(await attack(wireOf(api.host, parties, { act: READ_ACT, by: 'signature' }), bend)).toEqual(readOnce)
    })
    it.each(NOTE_BENT)('write: %s', async (_what, bend) => {
      expect(await attack(wireOf(api.host, parties), bend)).toEqual(noteOnce)
    })
    it.each([...NOTE_BENT, ...SIGNED_BENT])('write, signed: %s', async (_what, bend) => {
      expect(await attack(wireOf(api.host, parties, { by: 'signature' }), bend)).toEqual(noteOnce)
    })

    it('cannot put a request of its own behind one that is right', async () => {
      const own = toBytes(wireOf(api.host, parties))
      const open = Buffer.from(own.toString('latin1').replace('connection: close', 'connection: keep-alive'), 'latin1')
      const smuggled = `DELETE /orders/7 HTTP/1.1\r\nHost: ${api.host}\r\nConnection: close\r\n\r\n`
      await sendBytes(`http://${api.host}`, Buffer.concat([open, Buffer.from(smuggled)]))
      expect(api.seen).toEqual([note])
    })

    it('finds it used once, however many send it at once', async () => {
      const bytes = toBytes(wireOf(api.host, parties))
      const answers = await Promise.all(Array.from({ length: 32 }, async () => sendBytes(`http://${api.host}`, bytes)))
      expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
      expect(api.seen).toHaveLength(1)
    })

    it.each([
      {},
      { claims: { iat: 1_700_000_000, exp: 1_700_000_030 } },
      { claims: { aud: 'https://a.example' } },
      { claims: { mode: 'observe' } } as const,
    ])('is told nothing of a credential that it has no key for: %j', async (calling) => {
      const { thief: key } = parties
      const { reason } = await sendWire(`http://${api.host}`, wireOf(api.host, parties, { ...calling, key }))
      expect(reason).toBe('identity.bad-proof')
    })
  })
}

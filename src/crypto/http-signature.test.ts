import { createHmac } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'

import { describe, expect, it } from 'vitest'

import { InputError } from '../core/errors.ts'
import { toContentDigest } from '../core/http-action.ts'
import { signatureBase, signRequest, verifyRequest, verifySignatureBase, type VerifyRequest } from './http-signature.ts'
import { generateKey, importKey, signBytes, type KeyPair } from './keys.ts'

const NOW = 1_790_000_000_000
const CREATED = NOW / 1000
const KEY = importKey({ ...generateKey('Ed25519') })
const EC = importKey({ ...generateKey('ES256') })
const OTHER = importKey({ ...generateKey('Ed25519') })
const BODY = Buffer.from('{"jsonrpc":"2.0"}')
const SENT = { authorization: 'Unbearer a.b.c', 'content-type': 'application/json', 'mcp-session-id': 's1' }

type Headers = Record<string, string | readonly string[]>

type Signing = Partial<Parameters<typeof signRequest>[0]> & { readonly headers?: Record<string, string> }

function signed(options: Signing = {}): Headers {
  const input = { key: KEY, method: 'POST', target: '/mcp?x=1', headers: SENT, body: BODY, now: NOW, ...options }
  return { ...input.headers, ...signRequest(input) }
}

function verifying(headers: Headers, options: Partial<VerifyRequest> = {}): ReturnType<typeof verifyRequest> {
  return verifyRequest({
    method: 'POST',
    target: '/mcp?x=1',
    headers: (name) => headers[name],
    body: BODY,
    resolveKey: (jkt) => [KEY, EC].find((key) => key.jkt === jkt),
    now: NOW,
    ...options,
  })
}

/** Signs whatever parameters and components it is told, to show that a valid signature over too little is refused. */
function forge(list: string, tail: string, lines: readonly (readonly [string, string])[], key: KeyPair = KEY): Headers {
  const params = `(${list})${tail}`
  const base = signatureBase(lines, params)
  return {
    ...SENT,
    'content-digest': toContentDigest(BODY),
    'signature-input': `sig=${params}`,
    signature: `sig=:${signBytes(key, Buffer.from(base, 'latin1')).toString('base64')}:`,
  }
}

const LINES: readonly (readonly [string, string])[] = [
  ['@method', 'POST'],
  ['@request-target', '/mcp?x=1'],
  ['authorization', SENT.authorization],
  ['content-type', SENT['content-type']],
  ['content-digest', toContentDigest(BODY)],
  ['mcp-session-id', 's1'],
]
const NONCE = 'AAAAAAAAAAAAAAAAAAAAAA'
const list = (lines: typeof LINES): string => lines.map(([name]) => `"${name}"`).join(' ')
const tail = (change: Record<string, string | undefined> = {}): string =>
  Object.entries({
    created: String(CREATED),
    expires: String(CREATED + 60),
    nonce: `"${NONCE}"`,
    keyid: `"${KEY.jkt}"`,
    tag: '"unbearer"',
    ...change,
  })
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `;${name}=${value}`)
    .join('')

describe('a signed request', () => {
  it.each([
    ['Ed25519', KEY],
    ['ES256', EC],
  ])('verifies under %s', (_, key) => {
    const result = verifying(signed({ key, nonce: 'n'.repeat(16) }))
    expect(result).toEqual({
      ok: true,
      jkt: key.jkt,
      nonce: 'n'.repeat(16),
      created: CREATED,
      expires: CREATED + 60,
      bodyBound: true,
    })
  })

  it('covers what the profile asks for, and nothing else', () => {
    const without = signed({ headers: {}, body: new Uint8Array() })
    expect(without['content-digest']).toBeUndefined()
    expect(without['signature-input']).toMatch(/^sig=\("@method" "@request-target"\);/)
    expect(signed()['signature-input']).toContain(
      'sig=("@method" "@request-target" "authorization" "content-type" "content-digest" "mcp-session-id");created=',
    )
    expect(verifying(without, { body: new Uint8Array() }).ok).toBe(true)
  })

  it('has a fresh nonce each time', () => {
    expect(signed()['signature-input']).not.toBe(signed()['signature-input'])
  })

  it('reads Headers and names in any case', () => {
    const headers = new Headers(SENT)
    const proof = signRequest({ key: KEY, method: 'POST', target: '/mcp?x=1', headers, body: BODY, now: NOW })
    expect(verifying({ ...SENT, ...proof }).ok).toBe(true)
    const upper = { 'Content-Type': 'application/json', Authorization: 'Unbearer a.b.c', 'Mcp-Session-Id': 's1' }
    expect(verifying({ ...SENT, ...signed({ headers: upper }) }).ok).toBe(true)
  })

  it('is not made where the profile cannot cover the message', () => {
    expect(() => signed({ headers: {} })).toThrow(InputError)
    expect(() => signed({ target: 'https://a.example/' })).toThrow(InputError)
    expect(() => signed({ target: '/a b' })).toThrow(InputError)
    expect(() => signed({ method: 'post' })).toThrow(InputError)
    expect(() => signed({ nonce: 'short' })).toThrow(InputError)
    expect(() => signed({ nonce: '"; tag="x"aaaaaaaaaaaaaa' })).toThrow(InputError)
    expect(() => signed({ headers: { ...SENT, authorization: 'x\n"@method": GET' } })).toThrow(InputError)
    expect(() => signed({ headers: { ...SENT, authorization: 'ümlaut' } })).toThrow(InputError)
  })

  it('forged by hand as in the profile is the same (the tests below differ from this one only in their defect)', () => {
    expect(verifying(forge(list(LINES), tail(), LINES)).ok).toBe(true)
    const turned = LINES.toReversed()
    expect(verifying(forge(list(turned), tail(), turned)).ok).toBe(true)
  })
})

describe('another message than the signed one', () => {
  it.each<[string, Headers, Partial<VerifyRequest>]>([
    ['method', {}, { method: 'PUT' }],
    ['method in another case', {}, { method: 'post' }],
    ['path', {}, { target: '/mcp/other?x=1' }],
    ['query', {}, { target: '/mcp?x=2' }],
    ['body', {}, { body: Buffer.from('{"jsonrpc":"2.1"}') }],
    ['no body', {}, { body: new Uint8Array() }],
    ['authorization', { authorization: 'Unbearer a.b.d' }, {}],
    ['content type', { 'content-type': 'text/plain' }, {}],
    ['MCP session', { 'mcp-session-id': 's2' }, {}],
    ['digest of another body', { 'content-digest': toContentDigest(Buffer.from('x')) }, { body: Buffer.from('x') }],
    ['digest of two algorithms', { 'content-digest': `${toContentDigest(BODY)}, sha-512=:AAAA:` }, {}],
    ['content coding', { 'content-encoding': 'gzip' }, {}],
  ])('%s', (_, headers, options) => {
    expect(verifying({ ...signed(), ...headers }, options)).toEqual({ ok: false, reason: 'identity.bad-proof' })
  })

  it.each(['authorization', 'content-type', 'content-digest', 'mcp-session-id'])('without its %s', (name) => {
    const { [name]: _, ...rest } = signed()
    expect(verifying(rest)).toEqual({ ok: false, reason: 'identity.bad-proof' })
  })

  it.each(['authorization', 'content-type', 'content-digest', 'mcp-session-id', 'signature', 'signature-input'])(
    'with %s twice',
    (name) => {
      const headers = signed()
      const value = headers[name]
      expect(verifying({ ...headers, [name]: [String(value), String(value)] }).ok).toBe(false)
      expect(verifying({ ...headers, [name]: `${String(value)}, ${String(value)}` }).ok).toBe(false)
    },
  )

  it('with a header that was added after signing', () => {
    const headers = signed({ headers: { 'content-type': 'application/json' } })
    expect(verifying(headers).ok).toBe(true)
    expect(verifying({ ...headers, authorization: 'Unbearer x.y.z' }).ok).toBe(false)
    expect(verifying({ ...headers, 'mcp-session-id': 's1' }).ok).toBe(false)
  })

  it('with a body that was added after signing', () => {
    const headers = signed({ headers: {}, body: new Uint8Array() })
    const added = { ...headers, 'content-type': 'application/json', 'content-digest': toContentDigest(BODY) }
    expect(verifying(added)).toEqual({ ok: false, reason: 'identity.bad-proof' })
  })
})

describe('a valid signature over too little, or said in another way', () => {
  const without = (name: string): typeof LINES => LINES.filter(([own]) => own !== name)

  it.each(LINES.map(([name]) => name))('without %s', (name) => {
    const lines = without(name)
    expect(verifying(forge(list(lines), tail(), lines))).toEqual({ ok: false, reason: 'identity.bad-proof' })
  })

  it.each(['created', 'expires', 'nonce', 'keyid', 'tag'])('without the parameter %s', (name) => {
    expect(verifying(forge(list(LINES), tail({ [name]: undefined }), LINES)).ok).toBe(false)
  })

  it.each<[string, string]>([
    ['alg', tail({ alg: '"ed25519"' })],
    ['alg of a MAC', tail({ alg: '"hmac-sha256"' })],
    ['an unknown parameter', tail({ other: '1' })],
    ['a parameter twice', `${tail()};nonce="${NONCE}"`],
    ['a flag', `${tail()};flag`],
    ['a short nonce', tail({ nonce: '"AAAAAAAAAAAAAAA"' })],
    ['an empty nonce', tail({ nonce: '""' })],
    ['a nonce that is no string', tail({ nonce: NONCE })],
    ['an endless nonce', tail({ nonce: `"${'A'.repeat(257)}"` })],
    ['an escaped nonce', tail({ nonce: String.raw`"AAAAAAAAAAAAAAAA\""` })],
    ['another tag', tail({ tag: '"wimse-workload-to-workload"' })],
    ['the tag in another case', tail({ tag: '"Unbearer"' })],
    ['the tag as a word', tail({ tag: 'unbearer' })],
    ['created as text', tail({ created: `"${CREATED}"` })],
    ['created with a leading zero', tail({ created: `0${CREATED}` })],
    ['created as a decimal', tail({ created: `${CREATED}.0` })],
    ['created negative', tail({ created: '-1' })],
    ['expires before created', tail({ expires: String(CREATED - 1) })],
    ['expires at created', tail({ expires: String(CREATED) })],
    ['a proof for too long', tail({ expires: String(CREATED + 301) })],
    ['white space', tail().replace(';', '; ')],
    ['trailing input', `${tail()} `],
    ['a second member', `${tail()}, other=("@method")`],
  ])('%s', (_, parameters) => {
    expect(verifying(forge(list(LINES), parameters, LINES)).ok).toBe(false)
  })

  it.each<[string, string, typeof LINES]>([
    ['a component twice', `${list(LINES)} "@method"`, [...LINES, ['@method', 'POST']]],
    ['an unknown derived component', `${list(LINES)} "@authority"`, [...LINES, ['@authority', 'a.example']]],
    ['another header', `${list(LINES)} "date"`, [...LINES, ['date', 'x']]],
    ['the name in upper case', list(LINES).replace('"content-type"', '"Content-Type"'), LINES],
    ['a parameter on a component (req)', list(LINES).replace('"@method"', '"@method";req'), LINES],
    ['a parameter on a component (bs)', list(LINES).replace('"content-digest"', '"content-digest";bs'), LINES],
    ['a parameter on a component (sf)', list(LINES).replace('"content-type"', '"content-type";sf'), LINES],
    ['two spaces', list(LINES).replace(' ', '  '), LINES],
    ['a leading space', ` ${list(LINES)}`, LINES],
    ['nothing', '', []],
  ])('%s', (_, components, lines) => {
    const headers = { ...forge(components, tail(), lines), date: 'x' }
    expect(verifying(headers)).toEqual({ ok: false, reason: 'identity.bad-proof' })
  })

  it('another label, alone or beside ours', () => {
    const good = forge(list(LINES), tail(), LINES)
    const input = String(good['signature-input'])
    const signature = String(good['signature'])
    const other = {
      ...good,
      'signature-input': input.replace('sig=', 'sig1='),
      signature: signature.replace('sig=', 'sig1='),
    }
    expect(verifying(other).ok).toBe(false)
    expect(verifying({ ...good, 'signature-input': `${input}, b=()` }).ok).toBe(false)
    expect(verifying({ ...good, signature: `${signature}, b=:AAAA:` }).ok).toBe(false)
    expect(verifying({ ...good, signature: `${signature};x` }).ok).toBe(false)
    expect(verifying({ ...good, signature: signature.replace('=:', ':') }).ok).toBe(false)
  })

  it('base64 that decodes to the same bytes', () => {
    const good = forge(list(LINES), tail(), LINES)
    const signature = String(good['signature'])
    // 64 bytes end in `==` with four unused bits before it.
    const last = signature.at(-4) ?? ''
    const twin = { A: 'B', Q: 'R', g: 'h', w: 'x' }[last] ?? ''
    expect(verifying({ ...good, signature: signature.replace(`${last}==:`, `${twin}==:`) }).ok).toBe(false)
    expect(verifying({ ...good, signature: signature.replace('==:', ':') }).ok).toBe(false)
    expect(
      verifying({ ...good, signature: signature.replaceAll('+', '-').replaceAll('/', '_').replace('==:', '') }).ok,
    ).toBe(false)
  })

  it('every flipped bit of both headers', () => {
    const good = forge(list(LINES), tail(), LINES)
    for (const name of ['signature', 'signature-input']) {
      const value = Buffer.from(String(good[name]), 'latin1')
      for (let bit = 0; bit < value.length * 8; bit += 1) {
        const flipped = Buffer.from(value)
        flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
        expect(verifying({ ...good, [name]: flipped.toString('latin1') }).ok).toBe(false)
      }
    }
  })
})

const resolveKey = (): never => {
  throw new Error('store away')
}

describe('whose proof', () => {
  it('none at all is missing, half of one is bad', () => {
    const { signature, 'signature-input': input, ...rest } = signed()
    expect(verifying(rest)).toEqual({ ok: false, reason: 'identity.missing' })
    expect(verifying({ ...rest, signature: String(signature) }).ok).toBe(false)
    expect(verifying({ ...rest, 'signature-input': String(input) })).toEqual({
      ok: false,
      reason: 'identity.bad-proof',
    })
  })

  it('an unknown key', () => {
    expect(verifying(signed({ key: OTHER }))).toEqual({ ok: false, reason: 'identity.unknown-key' })
  })

  it('a known key id over the signature of another key', () => {
    const forged = forge(list(LINES), tail(), LINES, OTHER)
    expect(verifying(forged)).toEqual({ ok: false, reason: 'identity.bad-proof' })
    // A resolver that answers with another key than it was asked for does not help.
    expect(verifying(forged, { resolveKey: () => OTHER })).toEqual({ ok: false, reason: 'identity.unknown-key' })
  })

  it('a MAC under the public key', () => {
    const good = forge(list(LINES), tail(), LINES)
    const mac = createHmac('sha512', KEY.jwk.x).update('x').digest('base64')
    expect(verifying({ ...good, signature: `sig=:${mac}:` }).ok).toBe(false)
  })

  it('a fault while looking for the key is a bad proof', () => {
    expect(verifying(signed(), { resolveKey })).toEqual({ ok: false, reason: 'identity.bad-proof' })
  })
})

describe('when', () => {
  it.each<[string, number, boolean]>([
    ['at once', 0, true],
    ['a clock 5 s behind ours', -5_000, true],
    ['a clock more than 5 s ahead', -5_001, false],
    ['just before a minute', 59_999, true],
    ['after a minute', 60_000, false],
    ['much later', 86_400_000, false],
    ['at no time', Number.NaN, false],
  ])('%s', (_, later, ok) => {
    const result = verifying(signed(), { now: NOW + later })
    expect(result.ok ? 'ok' : result.reason).toBe(ok ? 'ok' : 'identity.stale-proof')
  })

  it('its own expiry counts where it is sooner or later than our limit', () => {
    const short = forge(list(LINES), tail({ expires: String(CREATED + 1) }), LINES)
    expect(verifying(short, { now: NOW + 999 }).ok).toBe(true)
    expect(verifying(short, { now: NOW + 1000 })).toEqual({ ok: false, reason: 'identity.stale-proof' })
    const long = forge(list(LINES), tail({ expires: String(CREATED + 300) }), LINES)
    expect(verifying(long, { now: NOW + 60_000 })).toEqual({ ok: false, reason: 'identity.stale-proof' })
    expect(verifying(long, { now: NOW + 60_000, maxAgeSeconds: 120 }).ok).toBe(true)
  })
})

const PATH = '../shared/data/vectors/crypto.json'
const vectors = existsSync(PATH) ? JSON.parse(readFileSync(PATH, 'utf8')) : undefined
if (vectors === undefined) console.info(`skipped: ${PATH} is absent`)

describe.skipIf(vectors === undefined)('vectors', () => {
  it('RFC 9421 B.2.6', () => {
    const vector = vectors.rfc9421_b26
    // RFC 9421 B.1.4; its private part is the one in the vector.
    const key = importKey({
      kty: 'OKP',
      crv: 'Ed25519',
      x: 'JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs',
      d: Buffer.from(vector.key_pkcs8_b64, 'base64').subarray(-32).toString('base64url'),
    })
    const lines = String(vector.signature_base).split('\n')
    const params = lines.pop()?.replace('"@signature-params": ', '') ?? ''
    const components = lines.map((line): [string, string] => {
      const [, name = '', value = ''] = /^"([^"]+)": (.*)$/.exec(line) ?? []
      return [name, value]
    })
    expect(signatureBase(components, params)).toBe(vector.signature_base)
    expect(verifySignatureBase(key, vector.signature_base, vector.signature)).toBe(true)
    expect(signBytes(key, Buffer.from(vector.signature_base)).toString('base64')).toBe(vector.signature)
    expect(verifySignatureBase(key, `${vector.signature_base} `, vector.signature)).toBe(false)
  })

  it('RFC 9530', () => {
    expect(toContentDigest(Buffer.from(vectors.rfc9530.body))).toBe(vectors.rfc9530.content_digest)
  })

  it('WIMSE request', () => {
    const vector = vectors.wimse_httpsig
    const header = (name: string): string => new RegExp(`^${name}: (.*)$`, 'm').exec(vector.request)?.[1] ?? ''
    const params = header('Signature-Input').replace('wimse=', '')
    const base = signatureBase(
      [
        ['@method', 'GET'],
        ['@request-target', '/gimme-ice-cream?flavor=vanilla'],
        ['workload-identity-token', header('Workload-Identity-Token')],
      ],
      params,
    )
    expect(base).toBe(vector.request_signature_base)
    const signature = /^wimse=:(.*):$/.exec(header('Signature'))?.[1] ?? ''
    expect(verifySignatureBase(importKey(vector.caller_private_jwk), base, signature)).toBe(true)
    expect(verifySignatureBase(importKey(vector.callee_private_jwk), base, signature)).toBe(false)
  })
})

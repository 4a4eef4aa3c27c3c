/**
 * @module
 * A thief on the wire who has every byte of an agent and no key. Each row bends a proof that was never used before; nothing may
 * reach the tool server, and the request as it was must still work once.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'

import { toContentDigest } from '../../src/core/http-action.ts'
import { generateKey, importKey } from '../../src/crypto/keys.ts'
import { INITIALIZE, toCall } from '../support/agent.ts'
import { createInstallation, type Installation } from '../support/installation.ts'
import { startRecordingUpstream, type RecordingUpstream } from '../support/recording-upstream.ts'
import {
  openCredential,
  openWire,
  ROUTE,
  sendBytes,
  sendWire,
  signAgent,
  signWire,
  toBytes,
  withBody,
  withHeader,
  withLine,
  type AgentWire,
  type WireRequest,
} from './wire.ts'

let upstream: RecordingUpstream
let installation: Installation
let agent: AgentWire
let txn: string

beforeAll(async () => {
  upstream = await startRecordingUpstream()
  installation = await createInstallation({ upstream })
  txn = (await installation.openTask('Read record r1')).txn
  agent = await openWire(installation.origin, installation.keys.agent, txn)
})

afterAll(async () => {
  await installation.close()
  await upstream.close()
})

let calls = 0
beforeEach(() => {
  calls = upstream.calls.length
})

const CALL = toCall(1, 'read_record', { id: 'r1' })
const OWN = toCall(1, 'read_record', { id: 'r2' })
const captured = (): WireRequest => signAgent(agent, CALL)

type Bend = (request: WireRequest) => WireRequest

const chunked = (request: WireRequest, ...chunks: readonly string[]): WireRequest => ({
  ...withLine(
    withHeader(request, 'content-length', () => undefined),
    'Transfer-Encoding: chunked',
  ),
  body: Buffer.from(
    `${chunks.map((chunk) => `${Buffer.byteLength(chunk).toString(16)}\r\n${chunk}\r\n`).join('')}0\r\n\r\n`,
  ),
})

const BENT: readonly (readonly [string, Bend])[] = [
  ['another body', (one) => withBody(one, OWN)],
  [
    'another body with its own digest',
    (one) => withHeader(withBody(one, OWN), 'content-digest', () => toContentDigest(Buffer.from(OWN))),
  ],
  ['another body, the digest dropped', (one) => withHeader(withBody(one, OWN), 'content-digest', () => undefined)],
  ['another body, chunked', (one) => chunked(one, OWN)],
  ['a body that goes on, chunked', (one) => chunked(one, CALL, ' ')],
  [
    'a shorter length than the body',
    (one) => withHeader(one, 'content-length', (length) => String(Number(length) - 1)),
  ],
  ['two lengths', (one) => withLine(one, 'Content-Length: 1')],
  ['a length and chunks', (one) => withLine(one, 'Transfer-Encoding: chunked')],
  ['two digests', (one) => withLine(one, `Content-Digest: ${toContentDigest(Buffer.from(OWN))}`)],
  ['a digest list', (one) => withHeader(one, 'content-digest', (digest) => `${digest}, sha-512=:AA==:`)],
  ['two signature inputs', (one) => withLine(one, 'Signature-Input: sig=("@method");created=1')],
  ['two signatures', (one) => withLine(one, 'Signature: sig=:AAAA:')],
  ['another label', (one) => withHeader(one, 'signature-input', (input) => input.replace('sig=', 'sig1='))],
  [
    'a second label in one line',
    (one) => withHeader(one, 'signature-input', (input) => `${input}, evil=("@method");created=1`),
  ],
  ['a label in capitals', (one) => withHeader(one, 'signature-input', (input) => input.replace('sig=', 'SIG='))],
  [
    'a component dropped',
    (one) => withHeader(one, 'signature-input', (input) => input.replace(' "content-digest"', '')),
  ],
  ['the nonce changed', (one) => withHeader(one, 'signature-input', (input) => input.replace('nonce="', 'nonce="x'))],
  [
    'the end changed',
    (one) => withHeader(one, 'signature-input', (input) => input.replace(/expires=(\d+)/, 'expires=9$1')),
  ],
  ['an algorithm named', (one) => withHeader(one, 'signature-input', (input) => `${input};alg="ed25519"`)],
  [
    'parameters in another order',
    (one) => withHeader(one, 'signature-input', (input) => input.replace(/;(created=\d+);(expires=\d+)/, ';$2;$1')),
  ],
  [
    'white space in the input',
    (one) => withHeader(one, 'signature-input', (input) => input.replace(';created', '; created')),
  ],
  ['a folded line', (one) => withHeader(one, 'authorization', (value) => `${value}\r\n `)],
  ['a folded line with more in it', (one) => withHeader(one, 'mcp-session-id', (value) => `${value}\r\n x`)],
  ['a tab before the value', (one) => withHeader(one, 'signature-input', (input) => `sig=();${input}`)],
  [
    'another credential scheme',
    (one) => withHeader(one, 'authorization', (value) => value.replace('Unbearer', 'Bearer')),
  ],
  ['two credentials', (one) => withLine(one, `Authorization: Unbearer ${agent.credential}`)],
  ['no credential', (one) => withHeader(one, 'authorization', () => undefined)],
  [
    'no signature',
    (one) =>
      withHeader(
        withHeader(one, 'signature', () => undefined),
        'signature-input',
        () => undefined,
      ),
  ],
  ['no MCP session', (one) => withHeader(one, 'mcp-session-id', () => undefined)],
  ['two MCP sessions', (one) => withLine(one, `Mcp-Session-Id: ${agent.mcpSession}`)],
  ['another MCP session', (one) => withHeader(one, 'mcp-session-id', () => 'A'.repeat(22))],
  ['another type of body', (one) => withHeader(one, 'content-type', () => 'application/json; charset=utf-16')],
  ['a coding of the body', (one) => withLine(one, 'Content-Encoding: identity')],
  ['another method', (one) => ({ ...one, line: `PUT ${ROUTE} HTTP/1.1` })],
  [
    'an overridden method',
    (one) => ({ ...withLine(one, 'X-HTTP-Method-Override: DELETE'), line: `PATCH ${ROUTE} HTTP/1.1` }),
  ],
  ['an absolute target', (one) => ({ ...one, line: `POST ${agent.origin}${ROUTE} HTTP/1.1` })],
  ['a foreign absolute target', (one) => ({ ...one, line: `POST http://attacker.example${ROUTE} HTTP/1.1` })],
  ['a doubled slash', (one) => ({ ...one, line: `POST /${ROUTE} HTTP/1.1` })],
  ['an encoded letter', (one) => ({ ...one, line: `POST ${ROUTE.replace('d', '%64')} HTTP/1.1` })],
  ['an encoded slash', (one) => ({ ...one, line: 'POST /mcp%2Fdesk HTTP/1.1' })],
  ['dots', (one) => ({ ...one, line: 'POST /mcp/x/../desk HTTP/1.1' })],
  ['a query', (one) => ({ ...one, line: `POST ${ROUTE}?a=b HTTP/1.1` })],
  ['a fragment', (one) => ({ ...one, line: `POST ${ROUTE}# HTTP/1.1` })],
  ['the only route without a name', (one) => ({ ...one, line: 'POST /mcp HTTP/1.1' })],
  ['the control plane', (one) => ({ ...one, line: 'POST /control HTTP/1.1' })],
  ['the session endpoint', (one) => ({ ...one, line: 'POST /session HTTP/1.1' })],
  ['another host', (one) => withHeader(one, 'host', () => 'attacker.example')],
  ['no host', (one) => withHeader(one, 'host', () => undefined)],
  ['an origin', (one) => withLine(one, 'Origin: http://127.0.0.1:1')],
  ['the origin null', (one) => withLine(one, 'Origin: null')],
]

describe('a thief who bends a request that never arrived', () => {
  it.each(BENT)('%s', async (_what, bend) => {
    const one = captured()
    const bent = await sendWire(agent.origin, bend(one))
    expect(upstream.calls.slice(calls)).toEqual([])
    expect(bent.status).not.toBe(200)
    // The proof was not used up by whoever could not use it.
    expect(await sendWire(agent.origin, one)).toMatchObject({
      status: 200,
      text: expect.stringContaining('row-canary'),
    })
    expect(upstream.calls).toHaveLength(calls + 1)
  })

  it('finds it used up once it arrived, on every connection and at once', async () => {
    const bytes = toBytes(captured())
    const answers = await Promise.all(Array.from({ length: 16 }, async () => sendBytes(agent.origin, bytes)))
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
    expect(new Set(answers.filter(({ status }) => status !== 200).map(({ reason }) => reason))).toEqual(
      new Set(['identity.replayed']),
    )
    expect(upstream.calls).toHaveLength(calls + 1)
  })

  it('cannot put a second request behind a body that ends early', async () => {
    const own = signAgent(agent, CALL)
    const smuggled = `POST ${ROUTE} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`
    const bytes = Buffer.concat([toBytes(withHeader(own, 'connection', () => 'keep-alive')), Buffer.from(smuggled)])
    await sendBytes(agent.origin, bytes)
    expect(upstream.calls.length - calls).toBeLessThanOrEqual(1)
  })
})

async function under(request: WireRequest): Promise<readonly [number, string | undefined]> {
  const { status, reason } = await sendWire(agent.origin, request)
  expect(upstream.calls).toHaveLength(calls)
  return [status, reason]
}

describe('a thief who has the session credential', () => {
  it('and a key that nobody enrolled', async () => {
    const key = importKey({ ...generateKey('Ed25519') })
    expect(await under(signAgent({ ...agent, key }, CALL))).toEqual([401, 'identity.unknown-key'])
  })

  it('and the key of another agent', async () => {
    expect(await under(signAgent({ ...agent, key: installation.keys.other }, CALL))).toEqual([
      401,
      'identity.bad-proof',
    ])
  })

  it.each(['operator', 'approver', 'host', 'pep'] as const)('and the key of a %s', async (role) => {
    expect(await under(signAgent({ ...agent, key: installation.keys[role] }, CALL))).toEqual([401, 'identity.key-role'])
  })

  it.each([
    ['without signature', (compact: string) => compact.replace(/[^.]*$/, '')],
    [
      'of no algorithm',
      (compact: string) => compact.replace(/^[^.]*/, Buffer.from('{"alg":"none","typ":"x"}').toString('base64url')),
    ],
    [
      'with another end',
      (compact: string) => {
        const [header, payload = '', signature] = compact.split('.')
        const claims = Buffer.from(payload, 'base64url')
          .toString('utf8')
          .replace(/"exp":\d+/, '"exp":99999999999')
        return [header, Buffer.from(claims).toString('base64url'), signature].join('.')
      },
    ],
    ['padded', (compact: string) => `${compact}=`],
    ['twice', (compact: string) => `${compact} ${compact}`],
  ])('changed: %s', async (_what, change) => {
    const [status] = await under(signAgent({ ...agent, credential: change(agent.credential) }, CALL))
    expect(status).toBe(401)
  })

  it('of a task that its own key was not given', async () => {
    const answer = openCredential(agent.origin, installation.keys.other, txn)
    await expect(answer).rejects.toMatchObject({ reason: 'identity.task-mismatch' })
  })

  it('and moves an MCP session to another task of the same agent', async () => {
    const credential = await openCredential(agent.origin, agent.key)
    expect(await under(signAgent({ ...agent, credential }, CALL))).toEqual([404, undefined])
  })

  it('is too late or too early', async () => {
    const now = Date.now()
    expect(await under(signAgent(agent, CALL, { now: now - 61_000 }))).toEqual([401, 'identity.stale-proof'])
    expect(await under(signAgent(agent, CALL, { now: now + 30_000 }))).toEqual([401, 'identity.stale-proof'])
  })
})

const nonceOf = (text: string): string => /unbearer-nonce: ([^\r]+)/i.exec(text)?.[1] ?? ''

describe('a thief at the control plane', () => {
  const JSON_TYPE = { 'content-type': 'application/json' }
  const asked = (nonce?: string, target = '/control', method = 'status'): WireRequest =>
    signWire(agent.origin, {
      key: installation.keys.operator,
      target,
      headers: JSON_TYPE,
      body: JSON.stringify({ method }),
      ...(nonce === undefined ? {} : { nonce }),
    })

  it('gets nothing without a nonce of this server, nor with one that was used', async () => {
    const first = await sendWire(agent.origin, asked())
    expect(first).toMatchObject({ status: 401, reason: 'identity.use-nonce' })
    const fresh = `${nonceOf(first.text)}.${'r'.repeat(22)}`
    const once = asked(fresh)
    expect((await sendWire(agent.origin, once)).status).toBe(200)
    expect(await sendWire(agent.origin, once)).toMatchObject({ reason: 'identity.replayed' })
    // The same nonce for another request and another endpoint is the same nonce.
    expect(await sendWire(agent.origin, asked(fresh, '/control', 'key.list'))).toMatchObject({
      reason: 'identity.replayed',
    })
  })

  it('cannot open MCP with the key of an operator', async () => {
    expect(await sendWire(agent.origin, asked(undefined, ROUTE))).toMatchObject({ status: 401 })
  })

  it('cannot ask as an agent', async () => {
    const as = signWire(agent.origin, {
      key: agent.key,
      target: '/control',
      headers: JSON_TYPE,
      body: '{"method":"status"}',
    })
    expect(await sendWire(agent.origin, as)).toMatchObject({ status: 401, reason: 'identity.key-role' })
  })

  it('cannot open a session that names a foreign MCP session', async () => {
    const fixed = signAgent({ ...agent, mcpSession: 'chosen-by-the-attacker' }, INITIALIZE)
    expect((await sendWire(agent.origin, fixed)).status).toBe(400)
  })
})

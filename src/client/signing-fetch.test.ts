import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'

import { answer, SERVER_NONCE, startGateway, type LoopbackGateway } from '../../test/support/loopback-gateway.ts'
import { ConfigError, InputError, RefusedError, UnavailableError } from '../core/errors.ts'
import { generateKey, importKey, importPublicKey, writeKeyFile } from '../crypto/keys.ts'
import { callControl, openTask } from './control.ts'
import { createSigningFetch } from './signing-fetch.ts'

const JWK = generateKey('Ed25519')
const KEY = importKey({ ...JWK })
let gateway: LoopbackGateway

beforeEach(async () => {
  gateway = await startGateway(KEY)
})
afterEach(async () => {
  await gateway.close()
})

const answers = (): readonly string[] =>
  gateway.log.map(({ method, target, answered }) => `${method} ${target} ${answered}`)

describe('a signing fetch', () => {
  it('fetches a session credential with a nonce of the gateway, then signs each request', async () => {
    const signing = createSigningFetch({ key: JWK, url: gateway.url, txn: 't1' })
    const response = await signing(gateway.url, {
      method: 'post',
      body: '{"a":1}',
      headers: { 'Content-Type': 'application/json', 'Mcp-Session-Id': 's1' },
    })
    expect(await response.json()).toEqual({ ok: true })
    expect((await signing(`${gateway.url.href}?x=1`)).status).toBe(200)
    expect(answers()).toEqual([
      'POST /session identity.use-nonce',
      'POST /session ok',
      'POST /mcp/orders ok',
      'GET /mcp/orders?x=1 ok',
    ])
    expect(gateway.log[1]?.body).toBe('{"txn":"t1"}')
    expect(gateway.log[1]?.headers['signature-input']?.[0]).toContain(`;nonce="${SERVER_NONCE}.`)
  })

  it('fetches one credential for many requests at once', async () => {
    const signing = createSigningFetch({ key: KEY, url: gateway.url })
    await Promise.all(Array.from({ length: 16 }, async () => signing(gateway.url)))
    expect(answers().filter((line) => line.includes('/session')).length).toBe(2)
    expect(answers().filter((line) => line.endsWith('/mcp/orders ok')).length).toBe(16)
  })

  it('sends every kind of body as the bytes that it signed', async () => {
    const signing = createSigningFetch({ key: JWK, url: gateway.url })
    const bodies: [string, RequestInit, string][] = [
      ['text/plain;charset=UTF-8', { body: 'é' }, 'é'],
      ['application/octet-stream', { body: new TextEncoder().encode('bytes') }, 'bytes'],
      ['application/octet-stream', { body: new TextEncoder().encode('xbytes').subarray(1) }, 'bytes'],
      ['application/x-www-form-urlencoded;charset=UTF-8', { body: new URLSearchParams({ a: 'b c' }) }, 'a=b+c'],
      ['application/octet-stream', { body: new Blob(['from a stream']).stream(), duplex: 'half' }, 'from a stream'],
      ['text/csv', { body: new Blob(['a,b'], { type: 'text/csv' }) }, 'a,b'],
      ['text/x', { body: 'own type', headers: { 'content-type': 'text/x' } }, 'own type'],
    ]
    for (const [type, init, expected] of bodies) {
      expect((await signing(gateway.url, { method: 'POST', ...init })).status).toBe(200)
      expect(gateway.log.at(-1)).toMatchObject({ body: expected, headers: { 'content-type': [type] } })
    }
    const request = new Request(gateway.url, { method: 'PUT', body: 'of a request', headers: { 'x-own': '1' } })
    expect((await signing(request)).status).toBe(200)
    expect(gateway.log.at(-1)).toMatchObject({ method: 'PUT', body: 'of a request', headers: { 'x-own': ['1'] } })
    expect((await signing(gateway.url, { method: 'POST', body: '' })).status).toBe(200)
  })

  it('renews before the credential expires, in the task that it was given', async () => {
    let now = Date.now()
    gateway.expiresIn = 100
    const signing = createSigningFetch({ key: JWK, url: gateway.url, now: () => now })
    const opened = (): readonly string[] =>
      gateway.log.filter(({ target, answered }) => target === '/session' && answered === 'ok').map(({ body }) => body)
    await signing(gateway.url)
    now += 69_999
    await signing(gateway.url)
    expect(opened()).toEqual(['{}'])
    now += 1
    await signing(gateway.url)
    expect(opened()).toEqual(['{}', '{"txn":"connection-task"}'])
  })

  it('renews once when the gateway says that it has expired, and sends the same body again', async () => {
    const signing = createSigningFetch({ key: JWK, url: gateway.url })
    await signing(gateway.url)
    gateway.ahead = 700_000
    gateway.log.length = 0
    const response = await signing(gateway.url, { method: 'POST', body: 'x' })
    expect(response.status).toBe(200)
    expect(answers()).toEqual([
      'POST /mcp/orders identity.expired',
      'POST /session identity.use-nonce',
      'POST /session ok',
      'POST /mcp/orders ok',
    ])
    gateway.respond = (_request, out) => answer(out, 401, { error: 'invalid_token', reason: 'identity.expired' })
    gateway.log.length = 0
    expect((await signing(gateway.url)).status).toBe(401)
    expect(answers().filter((line) => line.includes('/mcp/orders')).length).toBe(2)
  })

  it('hands other refusals back, readable, without trying again', async () => {
    gateway.respond = (_request, out) => answer(out, 401, { error: 'invalid_token', reason: 'identity.revoked' })
    const signing = createSigningFetch({ key: JWK, url: gateway.url })
    const response = await signing(gateway.url)
    expect(await response.json()).toEqual({ error: 'invalid_token', reason: 'identity.revoked' })
    expect(answers().length).toBe(3)
  })

  it('signs for its gateway only', async () => {
    const signing = createSigningFetch({ key: JWK, url: gateway.url })
    const elsewhere = await startGateway(KEY)
    await expect(signing(elsewhere.url)).rejects.toThrow(InputError)
    await expect(signing(gateway.url.href.replace('127.0.0.1', 'localhost'))).rejects.toThrow(InputError)
    await expect(signing('/relative')).rejects.toThrow(InputError)
    expect([...elsewhere.log, ...gateway.log]).toEqual([])
    await elsewhere.close()
  })

  it('follows no redirect', async () => {
    const elsewhere = await startGateway(KEY)
    gateway.respond = (_request, out) => out.writeHead(307, { location: elsewhere.url.href }).end()
    const signing = createSigningFetch({ key: JWK, url: gateway.url })
    await expect(signing(gateway.url, { redirect: 'follow' })).rejects.toThrow(UnavailableError)
    expect(elsewhere.log).toEqual([])
    await elsewhere.close()
  })

  it('of a key that the gateway does not know is refused', async () => {
    const signing = createSigningFetch({ key: generateKey('ES256'), url: gateway.url })
    const fault: unknown = await signing(gateway.url).catch((thrown: unknown) => thrown)
    expect(fault).toBeInstanceOf(RefusedError)
    expect(fault).toMatchObject({ reason: 'identity.unknown-key' })
  })

  it('takes a path, and never a public key', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'unbearer-client-'))
    const path = join(folder, 'agent.jwk')
    await writeKeyFile(path, { ...JWK })
    expect((await createSigningFetch({ key: path, url: gateway.url })(gateway.url)).status).toBe(200)
    const open = importPublicKey({ ...KEY.jwk })
    await expect(createSigningFetch({ key: open, url: gateway.url })(gateway.url)).rejects.toThrow(ConfigError)
    await rm(folder, { recursive: true })
  })

  it('stops when it is aborted', async () => {
    gateway.respond = () => undefined
    const signing = createSigningFetch({ key: JWK, url: gateway.url })
    await expect(signing(gateway.url, { signal: AbortSignal.timeout(100) })).rejects.toThrow(/abort|timeout/i)
  })

  it.each(['nonsense', 'ftp://a.example/', 'http://user:secret@127.0.0.1/'])('refuses the URL %s', (url) => {
    expect(() => createSigningFetch({ key: JWK, url })).toThrow(InputError)
  })

  it('works as the fetch of the official MCP client', async () => {
    const methods: string[] = []
    gateway.respond = ({ method, body }, out) => {
      if (method !== 'POST') {
        out.writeHead(405).end()
        return
      }
      const message: { id?: number; method: string } = JSON.parse(body)
      methods.push(message.method)
      out.setHeader('mcp-session-id', 'session-1')
      const result =
        message.method === 'initialize'
          ? { protocolVersion: '2025-06-18', capabilities: { tools: {} }, serverInfo: { name: 'x', version: '1' } }
          : { content: [{ type: 'text', text: 'done' }] }
      if (message.id === undefined) out.writeHead(202).end()
      else answer(out, 200, { jsonrpc: '2.0', id: message.id, result })
    }
    const client = new Client({ name: 'agent', version: '1' })
    const fetch = createSigningFetch({ key: JWK, url: gateway.url })
    await client.connect(new StreamableHTTPClientTransport(gateway.url, { fetch }))
    const result = await client.callTool({ name: 'query', arguments: { sql: 'SELECT 1' } })
    expect(result.content).toEqual([{ type: 'text', text: 'done' }])
    await client.close()
    expect(methods).toEqual(['initialize', 'notifications/initialized', 'tools/call'])
    expect(gateway.log.filter(({ answered }) => answered !== 'ok').map(({ target }) => target)).toEqual(['/session'])
  })
})

describe('the control plane', () => {
  it('opens a task', async () => {
    gateway.respond = (_request, out) => answer(out, 200, { result: { txn: 't9', purpose: 'x' } })
    const task = await openTask({
      url: gateway.url,
      key: JWK,
      purpose: 'find the e-mail of customer 42',
      principal: 'alice',
      actor: 'support-agent',
    })
    expect(task).toEqual({ txn: 't9' })
    expect(answers()).toEqual(['POST /control identity.use-nonce', 'POST /control ok'])
    expect(JSON.parse(gateway.log[1]?.body ?? '')).toEqual({
      method: 'task.open',
      params: { purpose: 'find the e-mail of customer 42', principal: 'alice', actor: 'support-agent' },
    })
  })

  it.each<[string, number, unknown, new (...args: never[]) => Error, object]>([
    [
      'a refusal',
      403,
      { error: 'x', reason: 'identity.key-role', message: 'm' },
      RefusedError,
      { reason: 'identity.key-role', message: 'm' },
    ],
    [
      'malformed',
      400,
      { error: 'x', reason: 'system.malformed', message: 'm' },
      InputError,
      { reason: 'system.malformed' },
    ],
    ['an unknown reason', 403, { reason: 'made.up' }, UnavailableError, { retryable: true }],
    ['no JSON', 502, undefined, UnavailableError, {}],
    ['no result', 200, { other: 1 }, InputError, {}],
  ])('%s', async (_, status, value, kind, expected) => {
    gateway.respond = (_request, out) => answer(out, status, value)
    const fault: unknown = await callControl({ url: gateway.url, key: JWK, method: 'x' }).catch(
      (thrown: unknown) => thrown,
    )
    expect(fault).toBeInstanceOf(kind)
    expect(fault).toMatchObject(expected)
  })

  it('does not sign a nonce that is none, and asks only once', async () => {
    const asked: string[] = []
    const fetch: typeof globalThis.fetch = async (_url, init) => {
      asked.push(new Headers(init?.headers).get('signature-input') ?? '')
      const headers = { 'unbearer-nonce': 'x";tag="other"' }
      return Response.json({ error: 'use_dpop_nonce', reason: 'identity.use-nonce' }, { status: 401, headers })
    }
    await expect(callControl({ url: gateway.url, key: JWK, method: 'x', fetch })).rejects.toThrow('malformed nonce')
    expect(asked.length).toBe(1)
    const again: typeof globalThis.fetch = async (_url, init) => {
      asked.push(new Headers(init?.headers).get('signature-input') ?? '')
      const headers = { 'unbearer-nonce': SERVER_NONCE }
      return Response.json({ error: 'use_dpop_nonce', reason: 'identity.use-nonce' }, { status: 401, headers })
    }
    await expect(callControl({ url: gateway.url, key: JWK, method: 'x', fetch: again })).rejects.toThrow(RefusedError)
    expect(asked.length).toBe(3)
  })
})

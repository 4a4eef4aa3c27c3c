import { request as httpRequest } from 'node:http'
import { PassThrough } from 'node:stream'

import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import { answer, startGateway, type LoopbackGateway } from '../../test/support/loopback-gateway.ts'
import { ConfigError } from '../core/errors.ts'
import { REASONS } from '../core/reasons.ts'
import { generateKey, importKey } from '../crypto/keys.ts'
import { readEventData } from './event-stream.ts'
import { runListenBridge, type ListenBridge } from './listen-bridge.ts'
import { createSigningFetch } from './signing-fetch.ts'
import { runStdioBridge } from './stdio-bridge.ts'

const JWK = generateKey('Ed25519')
let gateway: LoopbackGateway

beforeEach(async () => {
  gateway = await startGateway(importKey({ ...JWK }))
})
afterEach(async () => {
  await gateway.close()
})

const INITIALIZE = '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18"}}'
const INITIALIZED = '{"jsonrpc":"2.0","method":"notifications/initialized"}'
const CALL = '{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"x"}}'
const RESULT = { protocolVersion: '2025-06-18', capabilities: {}, serverInfo: { name: 's', version: '1' } }

async function runStdio(lines: readonly string[], key = JWK): Promise<readonly string[]> {
  const input = new PassThrough()
  const output = new PassThrough()
  const running = runStdioBridge({
    url: gateway.url,
    fetch: createSigningFetch({ key, url: gateway.url }),
    input,
    output,
  })
  input.end(lines.join('\n'))
  await running
  return String(output.read() ?? '')
    .split('\n')
    .filter((line) => line !== '')
}

/** An MCP server that answers `initialize` with a session and everything else by `rest`. */
function serveMcp(rest: LoopbackGateway['respond']): void {
  gateway.respond = (request, response, incoming) => {
    if (request.method !== 'POST') {
      rest(request, response, incoming)
      return
    }
    const message: { id?: unknown; method?: string } = JSON.parse(request.body)
    if (message.method === 'initialize') {
      response.setHeader('mcp-session-id', 'session-1')
      answer(response, 200, { jsonrpc: '2.0', id: message.id, result: RESULT })
    } else if (message.id === undefined) {
      response.writeHead(202).end()
    } else {
      rest(request, response, incoming)
    }
  }
}

describe('over stdio', () => {
  it('keeps the session and the protocol version, answers in JSON or events, ends the session', async () => {
    serveMcp(({ method }, response) => {
      if (method === 'POST') {
        response.writeHead(200, { 'content-type': 'text/event-stream' })
        response.write(
          ': hello\r\n\r\nevent: message\r\ndata: {"jsonrpc":"2.0","method":"notifications/progress"}\r\n\r\n',
        )
        response.end('id: 2\ndata: {"jsonrpc":"2.0",\ndata: "id":"a","result":9007199254740993}\n\n')
      } else {
        response.writeHead(method === 'GET' ? 405 : 204).end()
      }
    })
    expect(await runStdio([INITIALIZE, INITIALIZED, CALL, ''])).toEqual([
      JSON.stringify({ jsonrpc: '2.0', id: 1, result: RESULT }),
      '{"jsonrpc":"2.0","method":"notifications/progress"}',
      // Unchanged, but on one line.
      '{"jsonrpc":"2.0", "id":"a","result":9007199254740993}',
    ])
    const proved = gateway.log.filter(({ target }) => target !== '/session')
    expect(proved.map(({ method, answered }) => `${method} ${answered}`).toSorted()).toEqual([
      'DELETE ok',
      'GET ok',
      'POST ok',
      'POST ok',
      'POST ok',
    ])
    for (const { headers } of proved.slice(1)) {
      expect(headers).toMatchObject({ 'mcp-session-id': ['session-1'], 'mcp-protocol-version': ['2025-06-18'] })
    }
    expect(proved.map(({ body }) => body).slice(0, 2)).toEqual([INITIALIZE, INITIALIZED])
  })

  it.each([
    [
      'opens another session where the gateway has forgotten the first, and asks again',
      RESULT.protocolVersion,
      'again',
    ],
    ['says so where the other one would speak another version', '2024-11-05', 'no such session'],
  ])('%s', async (_what, version, said) => {
    let opened = 0
    gateway.respond = (request, response) => {
      if (request.method !== 'POST') return void response.writeHead(405).end()
      const message: { id?: unknown; method?: string } = JSON.parse(request.body)
      if (message.method === 'initialize') {
        opened += 1
        response.setHeader('mcp-session-id', `session-${opened}`)
        const result = { ...RESULT, protocolVersion: opened === 1 ? RESULT.protocolVersion : version }
        return answer(response, 200, { jsonrpc: '2.0', id: message.id, result })
      }
      if (message.id === undefined) return void response.writeHead(202).end()
      const isKnown = request.headers['mcp-session-id']?.[0] === 'session-2'
      return isKnown
        ? answer(response, 200, { jsonrpc: '2.0', id: message.id, result: { said: 'again' } })
        : answer(response, 404, { jsonrpc: '2.0', id: null, error: { code: -32001, message: 'no such session' } })
    }
    const other = CALL.replace('"a"', '"b"')
    const lines = await runStdio([INITIALIZE, INITIALIZED, CALL, other])
    // The client sees one session: the answer to the second opening is not its.
    expect(lines.filter((line) => line.includes('serverInfo'))).toHaveLength(1)
    expect(lines.filter((line) => line.includes(said))).toHaveLength(2)
    expect(opened).toBeLessThanOrEqual(3)
  })

  it('passes on what the gateway says unasked', async () => {
    serveMcp(({ method }, response) => {
      if (method === 'GET') {
        response.writeHead(200, { 'content-type': 'text/event-stream' })
        response.write('data: {"jsonrpc":"2.0","method":"notifications/tools/list_changed"}\n\n')
      } else if (method === 'DELETE') {
        response.writeHead(204).end()
      } else {
        // Answered late, so that the other stream is there first.
        setTimeout(() => answer(response, 200, { jsonrpc: '2.0', id: 'a', result: {} }), 200)
      }
    })
    expect(await runStdio([INITIALIZE, INITIALIZED, CALL])).toContain(
      '{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}',
    )
  })

  // Seen to fail: `unbearer mcp` never ended, because its gateway is in the same process and the stream outlived its request.
  it('ends with its client, also where the stream of the gateway does not end with its request', async () => {
    const input = new PassThrough()
    const asked: string[] = []
    const fetch = async (_url: unknown, init?: RequestInit): Promise<Response> => {
      const { method = 'GET', body } = init ?? {}
      asked.push(method)
      if (method === 'GET') {
        return new Response(new ReadableStream(), { headers: { 'content-type': 'text/event-stream' } })
      }
      if (method === 'DELETE' || typeof body !== 'string' || !body.includes('"id"'))
        return new Response(null, { status: 202 })
      return Response.json({ jsonrpc: '2.0', id: 1, result: RESULT }, { headers: { 'mcp-session-id': 's' } })
    }
    const running = runStdioBridge({ url: gateway.url, fetch, input, output: new PassThrough() })
    input.end(`${INITIALIZE}\n${INITIALIZED}\n`)
    await running
    expect(asked).toEqual(['POST', 'POST', 'GET', 'DELETE'])
  })

  // Seen to fail: a line broken at U+2028, bytes that are not UTF-8 sent on as U+FFFD.
  it('takes a line for what is between two line feeds, and nothing that is not UTF-8', async () => {
    serveMcp(({ method, body }, response) => {
      if (method !== 'POST') response.writeHead(405).end()
      else answer(response, 200, { jsonrpc: '2.0', id: 'a', result: { body } })
    })
    const call = CALL.replace('"x"', '"x\u2028y\u0085z"')
    const broken = Buffer.concat([Buffer.from(CALL.slice(0, -3)), Buffer.from([0xff]), Buffer.from(CALL.slice(-3))])
    const input = new PassThrough()
    const output = new PassThrough()
    const signing = createSigningFetch({ key: JWK, url: gateway.url })
    const running = runStdioBridge({ url: gateway.url, fetch: signing, input, output })
    input.write(`${INITIALIZE}\r\n`)
    for (const byte of Buffer.from(`${call}\n`)) input.write(Uint8Array.of(byte))
    input.write(broken)
    input.end(`\n\uFEFF${CALL}`)
    await running
    const said = String(output.read()).trim().split('\n')
    expect(said.filter((line) => line.includes('-32700'))).toHaveLength(1)
    expect(said.filter((line) => line.includes('system.malformed'))).toHaveLength(1)
    expect(gateway.log.filter(({ method, target }) => method === 'POST' && target !== '/session')).toHaveLength(2)
    expect(said.join('')).toContain('x\u2028y\u0085z')
  })

  it('answers for a gateway that refuses or is away, and only what asked', async () => {
    gateway.respond = (_request, response) =>
      answer(response, 401, { error: 'invalid_token', reason: 'identity.revoked' })
    const refused = await runStdio([INITIALIZE, INITIALIZED, CALL, '{"a":1,"a":2}', 'not json'])
    const answered = refused.map((line): { id: unknown; error: { code: number; data?: unknown } } => JSON.parse(line))
    expect(answered.map(({ id, error }) => `${String(id)} ${error.code}`).toSorted()).toEqual([
      '1 -32040',
      'a -32040',
      'null -32700',
      'null -32700',
    ])
    expect(answered.find(({ id }) => id === 1)?.error.data).toEqual({ reason: 'identity.revoked' })
    await gateway.close()
    const away = await runStdio([CALL])
    const message = `no whole answer came from \`${gateway.url.origin}\`; is the gateway running`
    expect(JSON.parse(away[0] ?? '')).toMatchObject({ id: 'a', error: { code: -32603, message } })
  })

  it('says why where the gateway opens no session for this key', async () => {
    const refused = await runStdio([INITIALIZE, CALL], generateKey('Ed25519'))
    const { mcp: code, help: message } = REASONS['identity.unknown-key']
    const error = { code, message, data: { reason: 'identity.unknown-key' } }
    expect(refused.map((line): unknown => JSON.parse(line))).toEqual([
      { jsonrpc: '2.0', id: 1, error },
      { jsonrpc: '2.0', id: 'a', error },
    ])
  })

  it('keeps requests side by side', async () => {
    const waiting: (() => void)[] = []
    serveMcp(({ method, body }, response) => {
      if (method !== 'POST') {
        response.writeHead(405).end()
        return
      }
      const { id }: { id: unknown } = JSON.parse(body)
      waiting.push(() => answer(response, 200, { jsonrpc: '2.0', id, result: {} }))
      // Nobody is answered before both have arrived.
      if (waiting.length === 2) for (const go of waiting) go()
    })
    const lines = await runStdio([INITIALIZE, INITIALIZED, CALL, CALL.replace('"a"', '"b"')])
    expect(lines.length).toBe(3)
  })
})

describe('events', () => {
  it('are read however they are cut', async () => {
    const text = 'data: a\r\ndata:b\r\n\r\nevent: x\n\ndata\n\ndata:  c\n\n: comment\rdata: é\r\rdata: incomplete\n'
    const bytes = Buffer.from(text)
    for (let size = 1; size <= bytes.length; size += 1) {
      const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
        bytes.subarray(i * size, (i + 1) * size),
      )
      const data: string[] = []
      for await (const one of readEventData(chunks)) data.push(one)
      expect(data).toEqual(['a\nb', ' c', 'é'])
    }
  })
})

describe('listening', () => {
  let bridge: ListenBridge
  beforeEach(async () => {
    const fetch = createSigningFetch({ key: JWK, url: gateway.url })
    bridge = await runListenBridge({ url: gateway.url, fetch, listen: '127.0.0.1:0' })
  })
  afterEach(async () => {
    await bridge.close()
  })

  /** `fetch` does not let a test lie about `Host` and `Origin`, or climb with dots. */
  async function raw(path: string, headers: Record<string, string> = {}): Promise<number> {
    return new Promise((resolve, reject) => {
      const { hostname, port } = bridge.url
      const sent = httpRequest({ hostname, port, path, headers }, (response) => {
        response.resume()
        resolve(response.statusCode ?? 0)
      })
      sent.on('error', reject)
      sent.end()
    })
  }

  it('passes on method, path, body and MCP headers, signed, and nothing of the client itself', async () => {
    gateway.respond = (_request, response) => {
      response.writeHead(201, { 'content-type': 'text/event-stream', 'mcp-session-id': 's1', 'set-cookie': 'a=b' })
      response.end('data: x\n\n')
    }
    const response = await fetch(new URL('/below?x=1', bridge.url), {
      method: 'POST',
      body: 'hello',
      headers: {
        'content-type': 'text/x',
        'mcp-session-id': 's1',
        authorization: 'Bearer secret',
        cookie: 'a=b',
        'x-other': '1',
      },
    })
    expect([response.status, await response.text()]).toEqual([201, 'data: x\n\n'])
    expect(response.headers.get('mcp-session-id')).toBe('s1')
    expect(response.headers.get('set-cookie')).toBeNull()
    const seen = gateway.log.at(-1)
    expect(seen).toMatchObject({ method: 'POST', target: '/mcp/orders/below?x=1', body: 'hello', answered: 'ok' })
    expect(seen?.headers).toMatchObject({ 'content-type': ['text/x'], 'mcp-session-id': ['s1'] })
    expect(seen?.headers['authorization']?.[0]).toMatch(/^Unbearer /)
    expect(seen?.headers['cookie'] ?? seen?.headers['x-other']).toBeUndefined()
  })

  it.each([
    ['/', '/mcp/orders'],
    ['/?x=1', '/mcp/orders?x=1'],
    ['/a/b', '/mcp/orders/a/b'],
  ])('%s is %s there', async (path, target) => {
    expect(await raw(path)).toBe(200)
    expect(gateway.log.at(-1)?.target).toBe(target)
  })

  it('streams: the first event arrives while the second is not there yet', async () => {
    let finish: (() => void) | undefined
    gateway.respond = (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write('data: 1\n\n')
      finish = () => response.end('data: 2\n\n')
    }
    const response = await fetch(bridge.url)
    const reader = response.body?.getReader()
    expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toBe('data: 1\n\n')
    finish?.()
    expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toBe('data: 2\n\n')
  })

  it.each<[string, string, Record<string, string>]>([
    ['a page of another origin', '/', { origin: 'https://evil.example' }],
    ['a page without an origin', '/', { origin: 'null' }],
    ['a rebound name', '/', { host: 'evil.example' }],
    ['a name that ends like ours', '/', { host: 'localhost.evil.example' }],
    ['a request that the browser calls cross-site', '/', { 'sec-fetch-site': 'cross-site' }],
    ['dots that climb', '/../../control', {}],
    ['encoded dots that climb', '/%2e%2e/%2e%2e/control', {}],
    ['backslashes that climb', String.raw`/..\..\control`, {}],
    ['a sibling', '/../orders2', {}],
  ])('refuses %s', async (_, path, headers) => {
    const status = await raw(path, headers)
    expect([400, 403]).toContain(status)
    expect(gateway.log).toEqual([])
  })

  it('says that the gateway is away', async () => {
    await gateway.close()
    expect(await raw('/')).toBe(502)
  })

  it.each(['0.0.0.0:0', '192.168.1.1:80', 'example.com:80', '127.0.0.1', ':80', '127.0.0.1:99999', '[::]:0'])(
    'does not listen on %s',
    async (listen) => {
      await expect(runListenBridge({ url: gateway.url, fetch, listen })).rejects.toThrow(ConfigError)
    },
  )
})

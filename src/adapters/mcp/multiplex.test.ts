import { describe, expect, it } from 'vitest'

import { createFakePep, toCaller } from '../../../test/fixtures/mcp-harness.ts'
import { isJsonObject, type Json, type JsonObject } from '../../index.ts'
import { mergeCapabilities } from './merged-sessions.ts'
import { ALL, createMultiplexer } from './multiplex.ts'
import { createSessionEvents, type SessionEvents } from './session-events.ts'
import type { GatewayInput } from './types.ts'

interface Asked {
  readonly upstream: string
  readonly method: string
  readonly session: string | null
  readonly version: string | null
  readonly message: Json
}

interface Scene {
  readonly asked: Asked[]
  /** What a server tells on its stream. */
  readonly events: Readonly<Record<string, SessionEvents>>
  send(method: string, body?: Json, headers?: Record<string, string>, jkt?: string): Promise<Response>
  begin(): Promise<string>
}

/** Two servers, each of which says which it is. */
function play(answers: (upstream: string, method: string) => Json | undefined = () => undefined): Scene {
  const asked: Asked[] = []
  const events = { orders: createSessionEvents(), mail: createSessionEvents() }
  const handle = async ({ upstream, request, body }: GatewayInput): Promise<Response> => {
    const text = Buffer.from(body).toString()
    const message: Json = text === '' ? null : JSON.parse(text)
    const { headers, method } = request
    const version = headers.get('mcp-protocol-version')
    asked.push({ upstream, method, session: headers.get('mcp-session-id'), version, message })
    if (method === 'GET') return events[upstream === 'mail' ? 'mail' : 'orders'].open(null)
    if (!isJsonObject(message) || message['id'] === undefined) return new Response(null, { status: 202 })
    const called = typeof message['method'] === 'string' ? message['method'] : ''
    const result = answers(upstream, called) ?? (called === 'initialize' ? toInitialized(upstream) : { from: upstream })
    return Response.json(
      { jsonrpc: '2.0', id: message['id'], result },
      { headers: { 'mcp-session-id': `at-${upstream}` } },
    )
  }
  const multiplexer = createMultiplexer({
    upstreams: ['orders', 'mail'],
    handle,
    pep: createFakePep(),
    clock: { now: () => 0 },
    onProblem: () => undefined,
  })
  const send: Scene['send'] = async (method, body, headers = {}, jkt = 'a') => {
    const request = new Request('http://127.0.0.1/mcp', {
      method,
      headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...headers },
    })
    const bytes = Buffer.from(body === undefined ? '' : JSON.stringify(body))
    return multiplexer({ upstream: ALL, request, body: bytes, caller: toCaller(jkt) })
  }
  return {
    asked,
    events,
    send,
    begin: async () => (await send('POST', toRequest('initialize', {}))).headers.get('mcp-session-id') ?? '',
  }
}

function toInitialized(upstream: string): JsonObject {
  const protocolVersion = upstream === 'mail' ? '2025-06-18' : '2025-11-25'
  const resources = upstream === 'mail' ? {} : { subscribe: true }
  return { protocolVersion, capabilities: { tools: {}, resources }, serverInfo: { name: upstream, version: '1' } }
}

const toRequest = (method: string, params: JsonObject, id: string | number = 1): JsonObject => ({
  jsonrpc: '2.0',
  id,
  method,
  params,
})

async function readUntil(response: Response, ...wanted: readonly string[]): Promise<string> {
  const reader = response.body?.getReader()
  let text = ''
  for (let at = 0; at < 20 && !wanted.every((each) => text.includes(each)); at += 1)
    text += Buffer.from((await reader?.read())?.value ?? []).toString()
  await reader?.cancel()
  return text
}

describe('the one endpoint of several servers', () => {
  it('begins a session at each, and speaks the version and shows the switches that they have', async () => {
    const scene = play()
    const response = await scene.send('POST', toRequest('initialize', {}))
    expect(await response.json()).toMatchObject({
      result: { protocolVersion: '2025-06-18', capabilities: { resources: { subscribe: true } } },
    })
    expect(scene.asked.map(({ upstream }) => upstream)).toEqual(['orders', 'mail'])
  })

  it('sends a call to the server that it names, under the name, the session and the version there', async () => {
    const scene = play()
    const headers = { 'mcp-session-id': await scene.begin() }
    const call = toRequest(
      'tools/call',
      { name: 'mail__send', arguments: { to: 'x' }, _meta: { progressToken: 4 } },
      'c',
    )
    expect(await (await scene.send('POST', call, headers)).json()).toMatchObject({ id: 'c', result: { from: 'mail' } })
    expect(scene.asked.at(-1)).toEqual({
      upstream: 'mail',
      method: 'POST',
      session: 'at-mail',
      version: '2025-06-18',
      message: { ...call, params: { name: 'send', arguments: { to: 'x' }, _meta: { progressToken: 4 } } },
    })
  })

  it('tells every server that a call is cancelled: only one of them has it', async () => {
    const scene = play()
    const headers = { 'mcp-session-id': await scene.begin() }
    const cancelled = { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 'c' } }
    expect((await scene.send('POST', cancelled, headers)).status).toBe(202)
    expect(scene.asked.slice(-2).map(({ upstream, message }) => [upstream, message])).toEqual([
      ['orders', cancelled],
      ['mail', cancelled],
    ])
  })

  it('has one stream of what they tell, in order for each, resumed where the client was', async () => {
    const scene = play()
    const headers = { 'mcp-session-id': await scene.begin() }
    const stream = await scene.send('GET', undefined, headers)
    await new Promise((resolve) => setTimeout(resolve, 10))
    scene.events['orders']?.tell('"o1"')
    scene.events['orders']?.tell('"o2"')
    scene.events['mail']?.tell('"m1"')
    const text = await readUntil(stream, 'data: "o1"', 'data: "o2"', 'data: "m1"')
    expect(text.indexOf('"o1"')).toBeLessThan(text.indexOf('"o2"'))
    const again = await scene.send('GET', undefined, { ...headers, 'last-event-id': '2' })
    expect(await readUntil(again, 'id: 3')).not.toContain('id: 2')
    // The streams of the servers are opened once, not with each stream of the client.
    expect(scene.asked.filter(({ method }) => method === 'GET').map(({ session }) => session)).toEqual([
      'at-orders',
      'at-mail',
    ])
  })

  it('shows the stream to nobody else, and not where none is taken', async () => {
    const scene = play()
    const headers = { 'mcp-session-id': await scene.begin() }
    expect((await scene.send('GET', undefined, headers, 'another-key')).status).toBe(404)
    expect((await scene.send('GET', undefined, { 'mcp-session-id': 'invented' })).status).toBe(404)
    expect((await scene.send('GET', undefined, { ...headers, accept: 'application/json' })).status).toBe(406)
    expect(scene.asked.filter(({ method }) => method === 'GET')).toEqual([])
  })

  it('ends the stream and the sessions with its own', async () => {
    const scene = play()
    const headers = { 'mcp-session-id': await scene.begin() }
    const stream = await scene.send('GET', undefined, headers)
    await scene.send('DELETE', undefined, headers)
    expect(await stream.text()).toBe(':\n\n')
    expect(scene.asked.filter(({ method }) => method === 'DELETE').map(({ upstream }) => upstream)).toEqual([
      'orders',
      'mail',
    ])
    expect((await scene.send('POST', toRequest('ping', {}), headers)).status).toBe(404)
  })

  it('goes on without a server that does not start', async () => {
    const scene = play((upstream, method) => (upstream === 'mail' && method === 'initialize' ? [] : undefined))
    const headers = { 'mcp-session-id': await scene.begin() }
    const call = toRequest('tools/call', { name: 'orders__query', arguments: {} })
    expect(await (await scene.send('POST', call, headers)).json()).toMatchObject({ result: { from: 'orders' } })
    const missing = toRequest('tools/call', { name: 'mail__send', arguments: {} })
    expect((await scene.send('POST', missing, headers)).status).toBe(404)
  })
})

describe('mergeCapabilities', () => {
  it.each([
    [[{ resources: { subscribe: true } }, { resources: {} }], { resources: { subscribe: true } }],
    [[{ tools: { listChanged: true } }, { tools: { listChanged: false } }], { tools: { listChanged: true } }],
    [[{ tools: {} }, { prompts: {} }, {}], { tools: {}, prompts: {} }],
    [[], {}],
  ])('of %j is %j', (several, merged) => {
    expect(mergeCapabilities(several)).toEqual(merged)
  })
})

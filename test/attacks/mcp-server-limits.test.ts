/**
 * @module
 * A tool server that does not end: answers that do not come, lines and streams without an end, more than anybody takes. It may make
 * its own calls fail. It may not hold them for ever, fill memory or the operator's log, or keep another call from being answered.
 *
 * | broken on purpose                                  | fell                                                   |
 * | -------------------------------------------------- | ------------------------------------------------------ |
 * | no time for an answer (`callInTime` left out)      | every stream without an end; the silent server         |
 * | an over-long line is told at its end               | no end of a line                                       |
 * | what a server does not read is kept                | asks without end and reads nothing                     |
 * | problems are told without a bound                  | forged answers                                         |
 */
import { createServer, type ServerResponse } from 'node:http'
import { fileURLToPath } from 'node:url'

import { afterEach, describe, expect, it, vi } from 'vitest'

import type { UpstreamConfig } from '../../src/adapters/mcp/gateway.ts'
import { startHarness, toCall, type Answer, type FakePepOptions, type Harness } from '../fixtures/mcp-harness.ts'

vi.setConfig({ testTimeout: 60_000 })

const closers: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close()
})

/** Long enough for what is answered at all on a busy machine; a stream without an end has it to the full. */
const ANSWER_MS = 2_000

interface Prey {
  readonly harness: Harness
  readonly send: (body: string) => Promise<Answer>
}

async function prey(upstream: UpstreamConfig, options: FakePepOptions = {}): Promise<Prey> {
  const harness = await startHarness([upstream], { ...options, answerMs: ANSWER_MS })
  closers.push(() => harness.close())
  const id = await harness.begin('evil')
  return { harness, send: async (body) => harness.post('evil', body, { 'mcp-session-id': id }) }
}

function stdio(evil: string): UpstreamConfig {
  const file = fileURLToPath(new URL('../fixtures/mcp-evil.ts', import.meta.url))
  return { name: 'evil', kind: 'mcp', command: [process.execPath, file, evil] }
}

function reasonOf({ message }: Answer): unknown {
  return JSON.stringify(message).match(/system\.[a-z-]+/u)?.[0]
}

/** A call that asks for progress. */
function toEvilCall(id: string): string {
  return toCall(id, 'evil').replace('"params":{', '"params":{"_meta":{"progressToken":"p"},')
}

const MIB = 2 ** 20

describe('over stdio, a server', () => {
  it.each([
    'silent',
    'no end of a line',
    'no end of progress',
    'no end of log messages',
    'asks without end and reads nothing',
  ])('with %s has its call given up', async (evil) => {
    const { send } = await prey(stdio(evil))
    const before = process.memoryUsage.rss()
    expect(reasonOf(await send(toEvilCall('a')))).toBe('system.upstream')
    // Far more than noise, and far less than what such a server writes.
    expect(process.memoryUsage.rss() - before).toBeLessThan(400 * MIB)
  })

  it('that is silent is told that the call was given up, and answers others meanwhile', async () => {
    const { send } = await prey(stdio('silent'))
    const silent = send(toCall('a', 'evil'))
    expect((await send(toCall('b', 'good'))).text).toContain('"good"')
    expect(reasonOf(await silent)).toBe('system.upstream')
    expect((await send(toCall('c', 'good'))).text).toContain('"good"')
  })

  it('that sends a line without an end is ended', async () => {
    const { harness, send } = await prey(stdio('no end of a line'))
    await send(toCall('a', 'evil'))
    await expect
      .poll(() => harness.problems.map(({ message }) => message))
      .toContain('the tool server sent a line without an end')
    expect((await send(toCall('b', 'good'))).status).toBe(404)
  })

  it.each(['no end of changes', 'forged answers', 'no end of stderr'])(
    'with %s is answered, and tells little',
    async (evil) => {
      const { harness, send } = await prey(stdio(evil))
      const answer = await send(toCall('a', 'evil'))
      expect(answer.text).toMatch(/"(?:done|real)"/u)
      expect(answer.text).not.toContain('forged')
      expect(harness.problems.length).toBeLessThanOrEqual(100)
      expect(harness.gateway.stderr('evil').length).toBeLessThanOrEqual(8192)
    },
  )
})

type Turn = (response: ServerResponse, message: { readonly id?: unknown }) => void

async function startHttp(turn: Turn): Promise<UpstreamConfig> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const text = Buffer.concat(chunks).toString()
      const message: { id?: unknown; method?: string } = text === '' ? {} : JSON.parse(text)
      const send = (result: object): void =>
        void response
          .writeHead(200, { 'content-type': 'application/json' })
          .end(JSON.stringify({ jsonrpc: '2.0', id: message.id, result }))
      const capabilities = { tools: {} }
      if (message.method === 'initialize')
        return send({ protocolVersion: '2025-06-18', capabilities, serverInfo: { name: 'e', version: '1' } })
      if (message.id === undefined) return response.writeHead(202).end()
      if (message.method === 'tools/list')
        return send({ tools: ['evil', 'good'].map((name) => ({ name, inputSchema: { type: 'object' } })) })
      if (text.includes('"name":"good"')) return send({ content: [{ type: 'text', text: 'good' }] })
      turn(response, message)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closers.push(
    async () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  )
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return { name: 'evil', kind: 'mcp', url: `http://127.0.0.1:${port}/mcp` }
}

/** Writes until the other side has gone. */
function pour(response: ServerResponse, text: string): void {
  const next = (): void => {
    while (!response.destroyed && response.write(text));
    if (!response.destroyed) response.once('drain', next)
  }
  next()
}

const events = { 'content-type': 'text/event-stream' }
const TURNS: Readonly<Record<string, Turn>> = {
  'no answer at all': () => undefined,
  'headers and nothing behind them': (response) => response.writeHead(200, events).flushHeaders(),
  'comments without an end': (response) => pour(response.writeHead(200, events), ': hello\n\n'.repeat(1_000)),
  'an event without an end': (response) => pour(response.writeHead(200, events), 'data: x'.repeat(1_000)),
  'an event of lines without an end': (response) => pour(response.writeHead(200, events), 'data: x\n'.repeat(1_000)),
  'events of other types without an end': (response) =>
    pour(response.writeHead(200, events), 'event: x\ndata: {}\n\n'.repeat(1_000)),
  'requests without an end': (response) =>
    pour(response.writeHead(200, events), 'data: {"jsonrpc":"2.0","id":1,"method":"ping"}\n\n'.repeat(100)),
  'log messages without an end': (response) =>
    pour(
      response.writeHead(200, events),
      'data: {"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"x"}}\n\n'.repeat(100),
    ),
  'answers to others without an end': (response) =>
    pour(response.writeHead(200, events), 'data: {"jsonrpc":"2.0","id":999,"result":{}}\n\n'.repeat(100)),
  'a document without an end': (response) =>
    pour(response.writeHead(200, { 'content-type': 'application/json' }), ' '.repeat(10_000)),
  'another type without an end': (response) =>
    pour(response.writeHead(200, { 'content-type': 'text/html' }), 'x'.repeat(10_000)),
  'an error without an end': (response) => pour(response.writeHead(500), 'x'.repeat(10_000)),
  'a document of great depth': (response, { id }) =>
    void response
      .writeHead(200, { 'content-type': 'application/json' })
      .end(`{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":{"x":${'['.repeat(20_000)}${']'.repeat(20_000)}}}`),
  'a member twice': (response, { id }) =>
    void response
      .writeHead(200, { 'content-type': 'application/json' })
      .end(`{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":{"content":[]},"result":{"content":[{}]}}`),
}

describe('over HTTP, a server', () => {
  it.each(Object.keys(TURNS))('that answers with %s has its call given up', async (name) => {
    const { harness, send } = await prey(await startHttp(TURNS[name] ?? (() => undefined)))
    const before = process.memoryUsage.rss()
    const evil = send(toEvilCall('a'))
    expect((await send(toCall('b', 'good'))).text).toContain('"good"')
    expect(reasonOf(await evil)).toBe('system.upstream')
    expect(process.memoryUsage.rss() - before).toBeLessThan(400 * MIB)
    expect(harness.problems.length).toBeLessThanOrEqual(101)
    expect((await send(toCall('c', 'good'))).text).toContain('"good"')
  })
})

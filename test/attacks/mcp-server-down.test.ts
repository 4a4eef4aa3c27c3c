/**
 * @module
 * A tool server that keeps ending, or is not there. It is started again, but not at every request; what cannot reach it is refused
 * with `system.upstream-down` before anything is redeemed, so that nobody wonders whether it was done.
 *
 * Seen to fail: with `waitMs` always 0 (started ten times); with `isReady` not asked (redeemed, outcome unknown); with one health for
 * all owners (who crashes their own keeps others out).
 */
import { createServer, type Server } from 'node:http'
import { fileURLToPath } from 'node:url'

import { afterEach, describe, expect, it } from 'vitest'

import type { UpstreamConfig } from '../../src/adapters/mcp/gateway.ts'
import { INITIALIZE, startHarness, toCall, type Answer, type Harness } from '../fixtures/mcp-harness.ts'

const closers: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close()
})

function stdio(evil: string): UpstreamConfig {
  const file = fileURLToPath(new URL('../fixtures/mcp-evil.ts', import.meta.url))
  return { name: 'evil', kind: 'mcp', command: [process.execPath, file, evil] }
}

async function start(upstream: UpstreamConfig): Promise<{ harness: Harness; clock: { time: number } }> {
  const clock = { time: 1_000_000 }
  const harness = await startHarness([upstream], { clock: { now: () => clock.time } })
  closers.push(() => harness.close())
  return { harness, clock }
}

function reasonOf({ message }: Answer): unknown {
  return JSON.stringify(message).match(/system\.[a-z-]+/u)?.[0]
}

const starts = ({ problems }: Harness): number =>
  problems.filter(({ message }) => message === 'the tool server ended with code 3').length

describe('a stdio server that ends at once', () => {
  it('is started twice, then after a second, then later and later; each refusal says that nothing was done', async () => {
    const { harness, clock } = await start(stdio('dies at once'))
    const open = async (jkt = 'k1'): Promise<unknown> => reasonOf(await harness.post('evil', INITIALIZE, {}, jkt))
    for (let count = 0; count < 10; count += 1) await open()
    expect(starts(harness)).toBe(2)
    expect(await open()).toBe('system.upstream-down')
    clock.time += 1_000
    expect(await open()).toBe('system.upstream')
    expect(await open()).toBe('system.upstream-down')
    expect(starts(harness)).toBe(3)
    // It is another agent's server that ends, as far as this one knows.
    expect(await open('k2')).toBe('system.upstream')
  })
})

describe('a stdio server that ends in a call', () => {
  it('leaves the outcome unknown, and is started again by the next session', async () => {
    const { harness } = await start(stdio('dies'))
    const id = await harness.begin('evil')
    const send = async (body: string): Promise<Answer> => harness.post('evil', body, { 'mcp-session-id': id })
    const [died, beside] = await Promise.all([send(toCall('a', 'evil')), send(toCall('b', 'evil'))])
    expect([reasonOf(died), reasonOf(beside)]).toEqual(['system.upstream', 'system.upstream'])
    expect((await send(toCall('c', 'good'))).status).toBe(404)
    const next = await harness.begin('evil')
    expect((await harness.post('evil', toCall('d', 'good'), { 'mcp-session-id': next })).text).toContain('"good"')
  })
})

describe('an HTTP server that goes away', () => {
  it('is not asked at every call, what is refused was not redeemed, and it is found again', async () => {
    const port = await listen()
    const { harness, clock } = await start({ name: 'evil', kind: 'mcp', url: `http://127.0.0.1:${port.number}/mcp` })
    const id = await harness.begin('evil')
    const call = async (name: string): Promise<Answer> =>
      harness.post('evil', toCall(name, 'good'), { 'mcp-session-id': id })
    expect((await call('a')).text).toContain('"good"')
    await port.close()
    expect(reasonOf(await call('b'))).toBe('system.upstream')
    expect(reasonOf(await call('c'))).toBe('system.upstream')
    const redeemed = harness.pep.redeemed.length
    for (let count = 0; count < 5; count += 1) expect(reasonOf(await call(`d${count}`))).toBe('system.upstream-down')
    expect(harness.pep.redeemed).toHaveLength(redeemed)
    await port.open()
    expect(reasonOf(await call('e'))).toBe('system.upstream-down')
    clock.time += 1_000
    expect((await call('f')).text).toContain('"good"')
    expect((await call('g')).text).toContain('"good"')
  })
})

interface Port {
  readonly number: number
  open(): Promise<void>
  close(): Promise<void>
}

/** A server on one port that can go and come back. */
async function listen(): Promise<Port> {
  let server: Server | undefined
  let number = 0
  const open = async (): Promise<void> => {
    const made = createServer((request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        const text = Buffer.concat(chunks).toString()
        const message: { id?: unknown; method?: string } = text === '' ? {} : JSON.parse(text)
        if (message.id === undefined) {
          response.writeHead(202).end()
          return
        }
        const result =
          message.method === 'initialize'
            ? { protocolVersion: '2025-06-18', capabilities: { tools: {} }, serverInfo: { name: 'e', version: '1' } }
            : message.method === 'tools/list'
              ? { tools: [{ name: 'good', inputSchema: { type: 'object' } }] }
              : { content: [{ type: 'text', text: 'good' }] }
        response.writeHead(200, { 'content-type': 'application/json' })
        response.end(JSON.stringify({ jsonrpc: '2.0', id: message.id, result }))
      })
    })
    await new Promise<void>((resolve) => made.listen(number, '127.0.0.1', resolve))
    const address = made.address()
    number = typeof address === 'object' && address !== null ? address.port : 0
    server = made
  }
  const close = async (): Promise<void> =>
    new Promise((resolve) => {
      if (server === undefined) return resolve()
      server.close(() => resolve())
      server.closeAllConnections()
      server = undefined
    })
  closers.push(close)
  await open()
  return { number, open, close }
}

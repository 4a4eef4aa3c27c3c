/**
 * @module
 * A client that asks for more than there is: a hundred megabytes, bodies that do not end or unfold, calls and sessions without
 * end. It is told so in words of the table, pays for it alone, and everybody else is answered meanwhile.
 *
 * Seen to fail: with the size of a body compared at its end only (a hundred megabytes are taken); with `CONCURRENT` at 1,000 (the
 * 65th call waits); with the bound on lines of `message-lines.ts` left out (a line without an end fills the memory).
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, request as httpRequest } from 'node:http'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'

import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'

import type { UpstreamConfig } from '../../src/adapters/mcp/gateway.ts'
import { startHarness, stdioUpstream, toCall, type Answer } from '../fixtures/mcp-harness.ts'
import { connectAgent, INITIALIZE } from '../support/agent.ts'
import { createInstallation, type Installation } from '../support/installation.ts'
import { startRecordingUpstream, type RecordingUpstream } from '../support/recording-upstream.ts'
import { createHome } from '../support/wrapped-client.ts'

vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 })

const MIB = 2 ** 20
const closers: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close()
})

describe('at the listener, a body', () => {
  let upstream: RecordingUpstream
  let installation: Installation

  beforeAll(async () => {
    upstream = await startRecordingUpstream()
    installation = await createInstallation({ upstream: { url: upstream.url } })
  })
  afterAll(async () => {
    await installation.close()
    await upstream.close()
  })

  const works = async (): Promise<boolean> => {
    const { txn } = await installation.openTask('Look at record r1')
    const agent = await connectAgent({ origin: installation.origin, key: installation.keys.agent, txn })
    const { ok } = await agent.call('read_record', { id: 'r1' })
    await agent.close()
    return ok
  }

  /** Writes chunks until `total` or until nobody reads any more; answers the status, if there was one, and what was taken. */
  const pour = async (total: number): Promise<{ readonly status: number | undefined; readonly taken: number }> => {
    const sent = httpRequest(`${installation.origin}/mcp/desk`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
    })
    const ended: { status?: number | undefined; gone: boolean } = { gone: false }
    sent.on('response', (response) => {
      ended.status = response.statusCode
      ended.gone = true
      response.resume()
    })
    sent.on('error', () => (ended.gone = true)).on('close', () => (ended.gone = true))
    const chunk = Buffer.alloc(MIB, ' ')
    let taken = 0
    for (; taken < total && !ended.gone; taken += chunk.byteLength) {
      if (!sent.write(chunk)) await Promise.race([once(sent, 'drain'), once(sent, 'close')]).catch(() => undefined)
    }
    if (!ended.gone) {
      sent.end()
      await Promise.race([once(sent, 'response'), once(sent, 'close')]).catch(() => undefined)
    }
    sent.destroy()
    return { status: ended.status, taken }
  }

  it('of a hundred megabytes is cut off, whatever length it announces', async () => {
    const before = process.memoryUsage.rss()
    const { status, taken } = await pour(100 * MIB)
    expect([413, undefined]).toContain(status)
    // What was on its way in buffers counts as taken too.
    expect(taken).toBeLessThan(64 * MIB)
    expect(process.memoryUsage.rss() - before).toBeLessThan(200 * MIB)
    expect(await works()).toBe(true)
  })

  it('of four at once is cut off in each, and others are answered', async () => {
    const poured = Promise.all(Array.from({ length: 4 }, async () => pour(100 * MIB)))
    expect(await works()).toBe(true)
    for (const { taken } of await poured) expect(taken).toBeLessThan(64 * MIB)
  })

  it('that was compressed is not unfolded', async () => {
    const bomb = gzipSync(Buffer.alloc(50 * MIB, ' '))
    const response = await fetch(`${installation.origin}/mcp/desk`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'content-encoding': 'gzip', accept: 'application/json' },
      body: bomb,
    })
    expect(response.status).toBeGreaterThanOrEqual(400)
    expect(await works()).toBe(true)
  })

  it.each([
    ['a hundred thousand lists within each other', `${'['.repeat(100_000)}${']'.repeat(100_000)}`],
    ['a hundred thousand objects within each other', `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`],
    ['a million members', `{${Array.from({ length: 200_000 }, (_, index) => `"${index}":0`).join(',')}}`],
    ['a member a hundred thousand times', `{${'"a":0,'.repeat(100_000)}"a":0}`],
  ])('of %s is refused without a proof, and costs nothing else', async (_what, body) => {
    const response = await fetch(`${installation.origin}/mcp/desk`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      body,
    })
    expect(response.status).toBeGreaterThanOrEqual(400)
    expect(upstream.bodies.filter((one) => one.length > 50_000)).toEqual([])
    expect(await works()).toBe(true)
  })
})

function reasonOf({ message }: Answer): unknown {
  return JSON.stringify(message).match(/system\.[a-z-]+/u)?.[0]
}

describe('a client with too many calls under way', () => {
  it('is told with the 65th, as a tool result, and goes on when one has ended', async () => {
    const harness = await startHarness([stdioUpstream('fixture')])
    closers.push(() => harness.close())
    const id = await harness.begin('fixture')
    const send = async (body: string): Promise<Answer> => harness.post('fixture', body, { 'mcp-session-id': id })
    const hanging = Array.from({ length: 64 }, async (_, index) => send(toCall(index, 'hang')))
    await expect.poll(() => harness.pep.redeemed.length).toBe(64)
    const refused = await send(toCall('late', 'echo', { text: 'x' }))
    expect(refused).toMatchObject({ status: 200, message: { id: 'late', result: { isError: true } } })
    expect(reasonOf(refused)).toBe('system.quota')
    await send('{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":0}}')
    await hanging[0]
    expect((await send(toCall('again', 'echo', { text: 'x' }))).text).toContain('"x"')
    for (let index = 1; index < 64; index += 1) {
      await send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":${index}}}`)
    }
    await Promise.all(hanging)
  })
})

/** A server of a thousand tools, which counts its sessions. */
async function startWide(): Promise<UpstreamConfig & { readonly sessions: () => number }> {
  const tools = Array.from({ length: 1_000 }, (_, index) => ({
    name: `tool_${index}`,
    description: `Does what number ${index} does. `,
    inputSchema: { type: 'object', properties: { text: { type: 'string' } } },
  }))
  let sessions = 0
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const text = Buffer.concat(chunks).toString()
      const message: { id?: unknown; method?: string; params?: { name?: string } } = text === '' ? {} : JSON.parse(text)
      if (message.id === undefined) {
        response.writeHead(202).end()
        return
      }
      if (message.method === 'initialize') sessions += 1
      const result =
        message.method === 'initialize'
          ? { protocolVersion: '2025-06-18', capabilities: { tools: {} }, serverInfo: { name: 'w', version: '1' } }
          : message.method === 'tools/list'
            ? { tools }
            : { content: [{ type: 'text', text: `did ${message.params?.name ?? ''}` }] }
      response.writeHead(200, { 'content-type': 'application/json', 'mcp-session-id': String(sessions) })
      response.end(JSON.stringify({ jsonrpc: '2.0', id: message.id, result }))
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
  return { name: 'wide', kind: 'mcp', url: `http://127.0.0.1:${port}/mcp`, sessions: () => sessions }
}

describe('two hundred sessions at once', () => {
  it('each find a thousand tools and call their own, and the next is refused as a quota', async () => {
    const wide = await startWide()
    const harness = await startHarness([wide])
    closers.push(() => harness.close())
    const owners = Array.from({ length: 200 }, (_, index) => `k${index % 4}`)
    const ids = await Promise.all(owners.map(async (owner) => harness.begin('wide', owner)))
    expect(new Set(ids).size).toBe(200)
    const over = await harness.post('wide', INITIALIZE, {}, 'k9')
    expect([over.status, reasonOf(over)]).toEqual([429, 'system.quota'])
    const answers = await Promise.all(
      ids.map(async (id, index) => {
        const [headers, owner] = [{ 'mcp-session-id': id }, owners[index]]
        return harness.post('wide', toCall(index, `tool_${index * 5}`), headers, owner)
      }),
    )
    answers.forEach(({ text }, index) => expect(text).toContain(`did tool_${index * 5}"`))
    const list = '{"jsonrpc":"2.0","id":"l","method":"tools/list"}'
    const listed = await harness.post('wide', list, { 'mcp-session-id': ids[7] ?? '' }, owners[7])
    expect(listed.text.match(/"name":"tool_/gu)).toHaveLength(1_000)
    expect(wide.sessions()).toBe(200)
  })
})

describe('over stdio, a client of `unbearer mcp`', () => {
  it('is answered for what cannot be taken, line by line, and goes on', async () => {
    const home = createHome()
    home.show([{ name: 'read_note', description: 'Reads one note.', inputSchema: { type: 'object' } }])
    const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
    const server = fileURLToPath(new URL('../fixtures/listed-tools.ts', import.meta.url))
    const command = [main, 'mcp', '--name', 'notes', '--', process.execPath, server, `${home.dir}/tools.json`]
    const env = { PATH: process.env['PATH'] ?? '', HOME: home.dir, XDG_STATE_HOME: `${home.dir}/state` }
    const child = spawn(process.execPath, command, { env, stdio: ['pipe', 'pipe', 'ignore'] })
    let said = ''
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => (said += chunk))
    const lines = (): readonly string[] => said.split('\n').filter((line) => line !== '')
    const call = toCall('c', 'read_note')
    const asked = [
      INITIALIZE,
      '{"jsonrpc":"2.0","method":"notifications/initialized"}',
      `[${call}]`,
      call.replace('"name"', '"name":"delete_note","name"'),
      call.replace('"arguments"', `"extra":${'['.repeat(5_000)}${']'.repeat(5_000)},"arguments"`),
      `{"a":"${'x'.repeat(70 * MIB)}"}`,
      `{"a":"${'x'.repeat(5 * MIB)}","jsonrpc":"2.0","id":"large","method":"ping"}`,
      toCall('good', 'read_note'),
    ]
    for (const line of asked) if (!child.stdin.write(`${line}\n`)) await once(child.stdin, 'drain')
    await expect.poll(() => lines().some((line) => line.includes('"good"')), { timeout: 60_000 }).toBe(true)
    child.stdin.end()
    await once(child, 'exit')
    home.remove()
    const reasons = lines().flatMap(
      (line) => line.match(/system\.[a-z-]+/u)?.[0] ?? (line.includes('-32700') ? '-32700' : []),
    )
    expect(reasons.toSorted()).toEqual(['-32700', '-32700', 'system.malformed', 'system.too-large', 'system.too-large'])
    expect(lines().find((line) => line.includes('"good"'))).toContain('did read_note')
  })
})

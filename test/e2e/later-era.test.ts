/**
 * The era without sessions (MCP 2026-07-28): the official client and the official server of SDK v2, over HTTP and stdio, through
 * `unbearer serve`.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { isJsonObject, type Json, type JsonObject } from '../../src/index.ts'
import { startLaterHttp, type LaterHttp } from '../fixtures/later-server.ts'
import { connectAgent, toFetch } from '../support/agent.ts'
import { createInstallation, type Installation, type InstallationOptions } from '../support/installation.ts'
import { startRecordingUpstream } from '../support/recording-upstream.ts'
import { SERVER } from '../support/tools.ts'

const READ = 'read: the user asked about record r1'
const WRITE = 'write: the user asked to note on record r1'

interface Later {
  readonly client: Client
  call(name: string, given: JsonObject, intent?: string): Promise<JsonObject>
}

const asked: JsonObject[] = []

async function connect(installation: Installation, txn: string): Promise<Later> {
  const client = new Client(
    { name: 'later', version: '1' },
    { capabilities: { elicitation: { form: {}, url: {} } }, versionNegotiation: { mode: { pin: '2026-07-28' } } },
  )
  client.setRequestHandler('elicitation/create', (request) => {
    asked.push(JSON.parse(JSON.stringify(request.params)))
    return { action: 'accept', content: { note: 'urgent' } }
  })
  const { origin, keys } = installation
  const fetch = toFetch({ origin, key: keys.agent, txn })
  await client.connect(new StreamableHTTPClientTransport(new URL(`/mcp/${SERVER}`, origin), { fetch }))
  return {
    client,
    async call(name, given, intent = READ) {
      const result: Json = JSON.parse(
        JSON.stringify(await client.callTool({ name, arguments: { unbearer_intent: intent, ...given } })),
      )
      return isJsonObject(result) ? result : {}
    },
  }
}

const textOf = (result: JsonObject): string => JSON.stringify(result['content'])

function toRefusal(result: JsonObject): JsonObject {
  const meta = result['_meta']
  const refusal = isJsonObject(meta) ? meta['unbearer/refusal'] : undefined
  return isJsonObject(refusal) ? refusal : {}
}

const stdio = [process.execPath, fileURLToPath(new URL('../fixtures/later-server.ts', import.meta.url))]

describe.each(['HTTP', 'stdio'] as const)('a server of the later era over %s', (transport) => {
  let server: LaterHttp | undefined
  let installation: Installation
  let later: Later
  const open = async (upstream: InstallationOptions['upstream']): Promise<void> => {
    installation = await createInstallation({ upstream })
    const { txn } = await installation.openTask('Look at record r1 and note on it that it is urgent')
    later = await connect(installation, txn)
  }
  beforeAll(async () => {
    if (transport === 'HTTP') server = await startLaterHttp()
    await open(server === undefined ? { command: stdio } : { url: server.url })
  }, 60_000)
  afterAll(async () => {
    await later.client.close()
    await installation.close()
    await server?.close()
  })

  it('says which versions it serves', async () => {
    expect(later.client.getNegotiatedProtocolVersion()).toBe('2026-07-28')
    expect(later.client.getServerCapabilities()).toMatchObject({ tools: { listChanged: true } })
  })

  it('lists its tools with the intent argument, and calls what is permitted', async () => {
    const { tools } = await later.client.listTools()
    expect(tools.map(({ name }) => name)).toContain('read_record')
    expect(tools.find(({ name }) => name === 'read_record')?.inputSchema.required).toContain('unbearer_intent')
    const read = await later.call('read_record', { id: 'r1' })
    expect(textOf(read)).toContain('did read_record')
  })

  it('asks the person what the server asks, and takes the answer back', async () => {
    const held = await later.call('write_record', { id: 'r1', text: 'x' }, WRITE)
    // Where an answer goes and what it decides nobody wrote down.
    const { ticket } = toRefusal(held)
    if (typeof ticket !== 'string') throw new Error('nothing is held')
    await installation.answer(ticket, 'approved')
    const wrote = await later.call('write_record', { id: 'r1', text: 'x' }, WRITE)
    expect(textOf(wrote)).toContain('urgent')
    expect(textOf(wrote)).toContain('state-of-the-server')
    expect(asked.at(-1)).toMatchObject({ message: 'Which note should stand on the record?' })
  })

  it('reads resources and prompts as actions', async () => {
    const { resources } = await later.client.listResources()
    const { prompts } = await later.client.listPrompts()
    expect([resources, prompts]).toEqual([[], []])
  })

  it('refuses what is not permitted with a result that says why', async () => {
    const read = await later.call('write_record', { id: 'r1', text: 'x' }, READ)
    expect(read['isError']).toBe(true)
    expect(textOf(read)).toContain('intent.effect-mismatch')
  })
})

describe('subscriptions of the later era', () => {
  it('tell that lists and the resources that were decided changed, and nothing after the task was revoked', async () => {
    const server = await startLaterHttp()
    // Observed, because the manifest of the tests accepts no resources.
    const installation = await createInstallation({ upstream: { url: server.url }, mode: 'observe' })
    const { txn } = await installation.openTask('Look at record r1')
    const { client } = await connect(installation, txn)
    const told: string[] = []
    client.setNotificationHandler('notifications/tools/list_changed', () => void told.push('tools'))
    client.setNotificationHandler('notifications/resources/updated', ({ params }) => void told.push(params.uri))
    const filter = { toolsListChanged: true, promptsListChanged: true, resourceSubscriptions: ['desk://r1'] }
    const subscription = await client.listen(filter)
    // The server offers no change of its prompts.
    expect(subscription.honoredFilter).toEqual({ toolsListChanged: true, resourceSubscriptions: ['desk://r1'] })
    server.handler.notify.toolsChanged()
    server.handler.notify.resourceUpdated('desk://r2')
    server.handler.notify.promptsChanged()
    server.handler.notify.resourceUpdated('desk://r1')
    await expect.poll(() => told).toEqual(['tools', 'desk://r1'])
    await installation.control('operator', 'revoke', { dimension: 'task', id: txn })
    server.handler.notify.resourceUpdated('desk://r1')
    await subscription.closed
    expect(told).toEqual(['tools', 'desk://r1'])
    const decided = (await installation.entries()).filter(({ kind }) => kind === 'decision')
    expect(decided.length).toBeGreaterThan(0)
    await client.close()
    await installation.close()
    await server.close()
  }, 30_000)

  it('are refused where what they name is', async () => {
    const server = await startLaterHttp()
    const installation = await createInstallation({ upstream: { url: server.url } })
    const { txn } = await installation.openTask('Look at record r1')
    const { client } = await connect(installation, txn)
    await expect(client.listen({ resourceSubscriptions: ['desk://r1'] })).rejects.toThrow(/scope\./)
    expect((await client.listen({ toolsListChanged: true })).honoredFilter).toEqual({ toolsListChanged: true })
    await client.close()
    await installation.close()
    await server.close()
  }, 30_000)
})

describe('eras that do not match', () => {
  it('are told with the versions that are served', async () => {
    const server = await startLaterHttp()
    const upstream = await startRecordingUpstream()
    const earlier = await createInstallation({ upstream: { url: upstream.url } })
    const later = await createInstallation({ upstream: { url: server.url } })
    const { txn } = await earlier.openTask('Look at record r1')
    await expect(connect(earlier, txn)).rejects.toMatchObject({ message: expect.stringMatching(/version|era/i) })
    await expect(connectAgent({ origin: later.origin, key: later.keys.agent })).rejects.toMatchObject({ code: -32_022 })
    await Promise.all([earlier.close(), later.close(), server.close(), upstream.close()])
  })
})

describe.each(['both', 'later'] as const)('`unbearer mcp` before a server that speaks %s', (eras) => {
  it('is a server of the later era to a client of it: reads pass, what changes something is held', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'unbearer-later-'))
    const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
    const client = new Client(
      { name: 'later', version: '1' },
      { capabilities: {}, versionNegotiation: { mode: { pin: '2026-07-28' } } },
    )
    const transport = new StdioClientTransport({
      command: process.execPath,
      args: [main, 'mcp', '--name', 'later', '--', ...stdio, eras],
      env: { PATH: process.env['PATH'] ?? '', HOME: dir, XDG_STATE_HOME: join(dir, 'state') },
      stderr: 'ignore',
    })
    await client.connect(transport)
    const call = async (name: string, intent: string): Promise<string> => {
      const given = { unbearer_intent: intent, id: 'r1' }
      return JSON.stringify(await client.callTool({ name, arguments: given }))
    }
    expect((await client.listTools()).tools.map(({ name }) => name)).toContain('read_record')
    expect(await call('read_record', READ)).toContain('did read_record')
    expect(await call('delete_record', 'delete: the user asked to delete record r1')).toContain('"ticket"')
    await client.close()
    rmSync(dir, { recursive: true, force: true })
  }, 60_000)
})

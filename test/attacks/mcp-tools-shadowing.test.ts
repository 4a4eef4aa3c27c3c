/**
 * Several servers under one endpoint: one of them cannot take the place of another, by the name of a tool, by its own name, by an
 * address, or by being slow. Each action is decided as the server's own, in one task for all. Seen to fail: with `isSole` always
 * true, with a task for each server, with the owner of a session not compared.
 */
import { afterEach, describe, expect, it } from 'vitest'

import { createMcpGateway } from '../../src/adapters/mcp/gateway.ts'
import { findPlace, mergeLists } from '../../src/adapters/mcp/merged-lists.ts'
import { ALL, createMultiplexer } from '../../src/adapters/mcp/multiplex.ts'
import type { GatewayInput, Problem } from '../../src/adapters/mcp/types.ts'
import { isJsonObject, type Caller, type JsonObject, type Task } from '../../src/index.ts'
import { createFakePep } from '../fixtures/mcp-harness.ts'
import { CALLER, connectRaw, startListServer, type ListServer, type Talk } from '../support/raw-mcp.ts'

const open: { close(): unknown }[] = []

afterEach(() => {
  for (const each of open.splice(0)) each.close()
})

const toTool = (name: string): JsonObject => ({ name, description: `Does ${name}.`, inputSchema: { type: 'object' } })
const INTENT = { unbearer_intent: 'read: the user asked for this' }

interface Scene {
  readonly pep: ReturnType<typeof createFakePep>
  readonly problems: Problem[]
  readonly tasks: () => number
  handle(input: GatewayInput): Promise<Response>
  connect(caller?: Caller): Promise<Talk>
}

/** `undefined` is a server that does not answer. */
function play(servers: Readonly<Record<string, ListServer | undefined>>): Scene {
  let tasks = 0
  const problems: Problem[] = []
  const task = (): Task => ({
    txn: `task-${tasks}`,
    principal: { type: 'user', id: 'alice' },
    openedBy: { role: 'connection' },
    openedAt: 0,
    expires: 3_600_000,
  })
  const pep: Scene['pep'] = {
    ...createFakePep(),
    openConnectionTask: async () => {
      tasks += 1
      return Promise.resolve(task())
    },
  }
  const clock = { now: () => 0 }
  const gateways = new Map(
    Object.entries(servers).map(([name, server]) => [
      name,
      createMcpGateway({
        pep,
        upstreams: [{ name, kind: 'mcp', url: server?.url ?? 'http://127.0.0.1:9/mcp' }],
        clock,
        limits: { messageBytes: 65_536 },
      }),
    ]),
  )
  open.push(...gateways.values(), ...Object.values(servers).filter((server) => server !== undefined))
  const handle = createMultiplexer({
    upstreams: [...gateways.keys()],
    handle: async (input) => gateways.get(input.upstream)?.handle(input) ?? new Response(null, { status: 404 }),
    pep,
    clock,
    onProblem: (problem) => problems.push(problem),
  })
  return {
    pep,
    problems,
    tasks: () => tasks,
    handle,
    connect: async (caller = CALLER) => connectRaw(handle, { upstream: ALL, caller }),
  }
}

function toResources(...uris: readonly string[]): Readonly<Record<string, unknown>> {
  return { 'resources/list': { resources: uris.map((uri) => ({ uri, name: uri })) } }
}

function namesOf(answer: JsonObject, member: string, key = 'name'): readonly unknown[] {
  const { result } = answer
  const items = isJsonObject(result) ? result[member] : []
  return Array.isArray(items) ? items.map((item) => (isJsonObject(item) ? item[key] : undefined)) : []
}

describe('several servers under one endpoint', () => {
  it('have qualified names, and each action is decided as the server knows it, in one task', async () => {
    const [orders, mail] = [
      await startListServer(() => ({ tools: [toTool('query'), toTool('send')] })),
      await startListServer(() => ({ tools: [toTool('send')] })),
    ]
    const scene = play({ orders, mail })
    const talk = await scene.connect()
    const listed = await talk.request('tools/list', {})
    expect(namesOf(listed, 'tools')).toEqual(['orders__query', 'orders__send', 'mail__send'])
    await talk.request('tools/call', { name: 'mail__send', arguments: INTENT })
    await talk.request('tools/call', { name: 'orders__send', arguments: INTENT })
    expect(scene.pep.requests.map(({ context: { upstream, tool, txn } }) => [upstream, tool, txn])).toEqual([
      ['mail', 'send', 'task-1'],
      ['orders', 'send', 'task-1'],
    ])
    expect(scene.tasks()).toBe(1)
    expect(mail.seen.filter(([method]) => method === 'tools/call')).toEqual([
      ['tools/call', { name: 'send', arguments: {} }],
    ])
  })

  it('do not hear of each other: a name without a server leads nowhere', async () => {
    const orders = await startListServer(() => ({ tools: [toTool('query'), toTool('mail__send')] }))
    const mail = await startListServer(() => ({ tools: [toTool('send')] }))
    const scene = play({ orders, mail })
    const talk = await scene.connect()
    for (const name of ['query', 'send', '__send', 'mail__', 'other__query', 'MAIL__send', 'mail_send', '']) {
      const answer = await talk.request('tools/call', { name, arguments: INTENT })
      expect([name, JSON.stringify(answer)]).toEqual([
        name,
        expect.stringMatching(/scope\.unknown-tool|system\.malformed/u),
      ])
    }
    expect(mail.seen.filter(([method]) => method === 'tools/call')).toEqual([])
    // What looks like a tool of another server is a tool of the one that shows it.
    expect(namesOf(await talk.request('tools/list', {}), 'tools')).toEqual([
      'orders__query',
      'orders__mail__send',
      'mail__send',
    ])
  })

  it('cannot shadow each other by their own names', async () => {
    const one = await startListServer(() => ({ tools: [toTool('b__send'), toTool('plain')] }))
    const two = await startListServer(() => ({ tools: [toTool('send')] }))
    const scene = play({ a: one, a__b: two })
    const talk = await scene.connect()
    expect(namesOf(await talk.request('tools/list', {}), 'tools')).toEqual(['a__plain'])
    expect(scene.problems.map(({ message }) => message).join()).toContain('called alike')
    const answer = await talk.request('tools/call', { name: 'a__b__send', arguments: INTENT })
    expect(JSON.stringify(answer)).toContain('scope.unknown-tool')
    expect(scene.pep.requests).toEqual([])
  })

  it('are left out when they do not start, and the others work', async () => {
    const orders = await startListServer(() => ({ tools: [toTool('query')] }))
    const scene = play({ orders, gone: undefined })
    const talk = await scene.connect()
    expect(namesOf(await talk.request('tools/list', {}), 'tools')).toEqual(['orders__query'])
    expect(scene.problems).toMatchObject([{ upstream: 'gone' }])
    expect(JSON.stringify(await talk.request('tools/call', { name: 'gone__x', arguments: INTENT }))).toContain('error')
    const none = await play({ gone: undefined }).connect()
    expect([none.session, JSON.stringify(none.opened)]).toEqual([undefined, expect.stringContaining('system.upstream')])
  })

  it('answer for addresses that only they listed', async () => {
    const one = await startListServer(() => ({ tools: [] }), toResources('file:///a', 'file:///both'))
    const two = await startListServer(() => ({ tools: [] }), toResources('file:///b', 'file:///both'))
    const scene = play({ one, two })
    const talk = await scene.connect()
    expect(namesOf(await talk.request('resources/list', {}), 'resources', 'uri')).toEqual(['file:///a', 'file:///b'])
    const read = async (uri: string): Promise<string> =>
      JSON.stringify(await talk.request('resources/read', { uri, _meta: INTENT }))
    await read('file:///b')
    for (const uri of ['file:///both', 'file:///nowhere']) expect(await read(uri)).toContain('scope.unknown-tool')
    expect(scene.pep.requests.map(({ context }) => context.upstream)).toEqual(['two'])
  })

  it('know no session of another key', async () => {
    const orders = await startListServer(() => ({ tools: [toTool('query')] }))
    const scene = play({ orders, mail: orders })
    const { session = '' } = await scene.connect()
    const body = Buffer.from(JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list', params: {} }))
    const ask = async (caller: Caller): Promise<number> => {
      const headers = { 'mcp-session-id': session, 'content-type': 'application/json', accept: 'application/json' }
      const request = new Request('http://127.0.0.1/mcp', { method: 'POST', headers })
      return (await scene.handle({ upstream: ALL, request, body, caller })).status
    }
    expect(await ask(CALLER)).toBe(200)
    const thief = {
      ...CALLER,
      proof: { ...CALLER.proof, jkt: 'thief' },
      actor: { type: 'agent', id: 't', jkt: 'thief' },
    } as const
    expect(await ask(thief)).toBe(404)
    expect(await ask({ proof: { grade: 'none', bodyBound: false }, actor: { type: 'agent', id: 'unproved' } })).toBe(
      404,
    )
  })
})

describe('qualified names', () => {
  it('lead to one place or to none', () => {
    expect(findPlace(['a', 'b'], 'a__x__y')).toEqual({ upstream: 'a', name: 'x__y' })
    expect(findPlace(['a', 'a__x'], 'a__x__y')).toBeUndefined()
    expect(findPlace(['a'], 'a__')).toBeUndefined()
  })

  it('are nothing that a list can forge', () => {
    const list = { member: 'tools', key: 'name', isQualified: true }
    const answers = [
      { upstream: 'a', result: { tools: [{ name: 'x' }, { name: 'x' }, { name: 1 }, 'y', null] } },
      { upstream: 'b', result: { tools: 'none' } },
    ]
    expect(mergeLists(answers, list, ['a', 'b'])).toEqual({ items: [], collided: ['a__x'] })
  })
})

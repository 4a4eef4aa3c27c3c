/**
 * Attacks on the era without sessions (MCP 2026-07-28): headers that say something else than the body, what a server gave with a
 * question forged, moved and used twice, answers that nobody asked for, and a server that asks for what it must not have.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { isJsonObject, type Json, type JsonObject } from '../../src/index.ts'
import { startLaterHttp, type LaterHttp } from '../fixtures/later-server.ts'
import { toFetch } from '../support/agent.ts'
import { createInstallation, type Installation, type Name } from '../support/installation.ts'
import { SERVER } from '../support/tools.ts'

const VERSION = 'io.modelcontextprotocol/protocolVersion'
const CAPABILITIES = 'io.modelcontextprotocol/clientCapabilities'
const CAN_ASK = { elicitation: { form: {}, url: {} } }
const WRITE = 'write: the user asked to note on record r1'

let server: LaterHttp
let installation: Installation
let txn = ''

beforeAll(async () => {
  server = await startLaterHttp()
  // Observed: what is refused here is refused by the relay, whatever policy says.
  installation = await createInstallation({ upstream: { url: server.url }, mode: 'observe' })
  txn = (await installation.openTask('Look at record r1')).txn
})
afterAll(async () => {
  await installation.close()
  await server.close()
})

interface Sent {
  readonly params?: JsonObject
  readonly headers?: Readonly<Record<string, string | null>>
  readonly as?: Name
  readonly txn?: string
  readonly method?: string
  readonly meta?: JsonObject
}

interface Got {
  readonly status: number
  readonly code: Json | undefined
  readonly result: JsonObject
  readonly text: string
}

async function send({ params = {}, headers = {}, as = 'agent', method = 'tools/call', ...more }: Sent): Promise<Got> {
  const fetch = toFetch({ origin: installation.origin, key: installation.keys[as], txn: more.txn ?? txn })
  const meta = { [VERSION]: '2026-07-28', [CAPABILITIES]: CAN_ASK, ...more.meta }
  const { name } = params
  const sent = new Headers({
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
    'mcp-protocol-version': '2026-07-28',
    'mcp-method': method,
    ...(typeof name === 'string' ? { 'mcp-name': name } : {}),
  })
  for (const [key, value] of Object.entries(headers)) {
    if (value === null) sent.delete(key)
    else sent.set(key, value)
  }
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: { _meta: meta, ...params } })
  const url = new URL(`/mcp/${SERVER}`, installation.origin)
  const response = await fetch(url, { method: 'POST', headers: sent, body })
  const text = await response.text()
  const message: Json = JSON.parse(text.startsWith('{') ? text : (/^data: (.*)$/m.exec(text)?.[1] ?? '{}'))
  const { error, result } = isJsonObject(message) ? message : {}
  return {
    status: response.status,
    code: isJsonObject(error) ? error['code'] : undefined,
    result: isJsonObject(result) ? result : {},
    text,
  }
}

const call = (name: string, given: JsonObject = { id: 'r1' }, more: JsonObject = {}): JsonObject => ({
  name,
  arguments: { unbearer_intent: WRITE, ...given },
  ...more,
})

/** A call that the server answers with a question; what came with it. */
async function ask(given: JsonObject = { id: 'r1', text: 'x' }): Promise<string> {
  const { result } = await send({ params: call('write_record', given) })
  expect(result['resultType']).toBe('input_required')
  const { requestState } = result
  if (typeof requestState !== 'string') throw new Error('nothing came with the question')
  return requestState
}

const ANSWER = { note: { action: 'accept', content: { note: 'urgent' } } }
const MISMATCH = [400, -32_020]

describe('headers of the later era', () => {
  const cases: readonly (readonly [string, Sent])[] = [
    ['name another tool', { headers: { 'mcp-name': 'delete_record' } }],
    ['name another method', { headers: { 'mcp-method': 'tools/list' } }],
    ['name no method', { headers: { 'mcp-method': null } }],
    ['name no tool', { headers: { 'mcp-name': null } }],
    ['name another tool in base64', { headers: { 'mcp-name': `=?base64?${btoa('delete_record')}?=` } }],
    ['name the tool in broken base64', { headers: { 'mcp-name': '=?base64?cmVhZF9yZWNvcmQ*?=' } }],
    ['name another version', { headers: { 'mcp-protocol-version': '2025-11-25' } }],
    ['name no version', { headers: { 'mcp-protocol-version': null } }],
  ]
  it.each(cases)('that %s are refused, and nothing reaches the server', async (_name, sent) => {
    const before = server.calls.length
    const { status, code } = await send({ params: call('read_record'), ...sent })
    expect([status, code]).toEqual(MISMATCH)
    expect(server.calls).toHaveLength(before)
  })

  it('that the client made never go on: the server is told what was decided', async () => {
    await send({
      params: call('read_record'),
      headers: { 'mcp-param-id': 'r9', 'mcp-forged': 'x', authorization: null },
    })
    expect(server.headers.at(-1)).toMatchObject({ 'mcp-method': 'tools/call', 'mcp-name': 'read_record' })
    expect(JSON.stringify(server.headers)).not.toContain('mcp-forged')
    expect(JSON.stringify(server.headers)).not.toContain('mcp-param-id')
  })
})

describe('the envelope of a request', () => {
  it('that lacks what it must have is refused', async () => {
    const { status, code } = await send({ params: call('read_record'), meta: { [CAPABILITIES]: null } })
    expect([status, code]).toEqual([400, -32_602])
  })

  it('of a version that is not served is told those that are', async () => {
    const future = { meta: { [VERSION]: '2099-01-01' }, headers: { 'mcp-protocol-version': '2099-01-01' } }
    const { status, code, text } = await send({ params: call('read_record'), ...future })
    expect([status, code]).toEqual([400, -32_022])
    expect(text).toContain('2026-07-28')
  })

  it.each(['initialize', 'ping', 'logging/setLevel', 'tasks/get', 'tasks/cancel', 'x/y', 'Tools/call'])(
    'does not make `%s` a method of this era',
    async (method) => {
      expect((await send({ method })).status).toBe(404)
    },
  )
})

describe('what a server gave with a question', () => {
  it('cannot be read by the agent, and comes back to the server as it was', async () => {
    const state = await ask()
    expect(Buffer.from(state, 'base64url').toString('latin1')).not.toContain('state-of')
    const { result } = await send({
      params: call('write_record', { id: 'r1', text: 'x' }, { requestState: state, inputResponses: ANSWER }),
    })
    expect(JSON.stringify(result)).toContain('state-of-the-server')
  })

  it('counts once', async () => {
    const requestState = await ask()
    const again = { params: call('write_record', { id: 'r1', text: 'x' }, { requestState, inputResponses: ANSWER }) }
    await send(again)
    const before = server.calls.length
    expect((await send(again)).text).toContain('system.malformed')
    expect(server.calls).toHaveLength(before)
  })

  it('counts once, however many race', async () => {
    const requestState = await ask()
    const params = call('write_record', { id: 'r1', text: 'x' }, { requestState, inputResponses: ANSWER })
    const raced = await Promise.all(Array.from({ length: 16 }, async () => send({ params })))
    expect(raced.filter(({ text }) => text.includes('state-of-the-server'))).toHaveLength(1)
  })

  const moved: readonly (readonly [string, (state: string) => Promise<Sent>])[] = [
    [
      'other arguments',
      async (requestState) => ({ params: call('write_record', { id: 'r2', text: 'x' }, { requestState }) }),
    ],
    [
      'another tool',
      async (requestState) => ({ params: call('slow_read', { id: 'r1', text: 'x' }, { requestState }) }),
    ],
    [
      'another task',
      async (requestState) => ({
        txn: (await installation.openTask('Look at record r1')).txn,
        params: call('write_record', { id: 'r1', text: 'x' }, { requestState }),
      }),
    ],
    [
      'another agent',
      async (requestState) => ({
        as: 'other',
        txn: (await installation.openTask('Look at record r1', { actor: 'other' })).txn,
        params: call('write_record', { id: 'r1', text: 'x' }, { requestState }),
      }),
    ],
  ]
  it.each(moved)('does not count for %s', async (_name, make) => {
    const sent = await make(await ask())
    const before = server.calls.length
    expect((await send(sent)).text).toMatch(/system\.malformed|scope\./)
    expect(server.calls).toHaveLength(before)
  })

  it('that was changed, cut or invented does not count', async () => {
    const state = await ask()
    const bytes = Buffer.from(state, 'base64url')
    const flipped = Buffer.from(bytes)
    flipped[14] = (flipped[14] ?? 0) ^ 1
    const forged = [
      flipped.toString('base64url'),
      state.slice(0, -4),
      `${state}=`,
      '',
      'state-of-the-server',
      'A'.repeat(80),
    ]
    for (const requestState of forged) {
      const { text } = await send({ params: call('write_record', { id: 'r1', text: 'x' }, { requestState }) })
      expect(text).toContain('system.malformed')
    }
  })
})

describe('answers', () => {
  const answers: readonly (readonly [string, JsonObject])[] = [
    ['to what was not asked', { other: { action: 'accept', content: {} } }],
    ['with a field that was not asked for', { note: { action: 'accept', content: { note: 'x', more: 'secret' } } }],
    ['with more than an answer', { note: { action: 'accept', content: { note: 'x' }, _meta: { secret: 1 } } }],
    ['of no known kind', { note: { action: 'sign' } }],
    ['that decline and say something all the same', { note: { action: 'decline', content: { note: 'secret' } } }],
    ['in an envelope', { note: { method: 'elicitation/create', result: { action: 'accept' } } }],
  ]
  it.each(answers)('%s do not reach the server', async (_name, inputResponses) => {
    const requestState = await ask()
    const before = server.calls.length
    const params = call('write_record', { id: 'r1', text: 'x' }, { requestState, inputResponses })
    expect((await send({ params })).text).toContain('system.malformed')
    expect(server.calls).toHaveLength(before)
  })

  it('without a question, or in the place of an argument, do not reach the server', async () => {
    const before = server.calls.length
    const alone = { params: call('write_record', { id: 'r1', text: 'x' }, { inputResponses: ANSWER }) }
    const hidden = { params: call('write_record', { id: 'r1', text: 'x', unbearer_answers: ANSWER }) }
    for (const sent of [alone, hidden]) expect((await send(sent)).text).toContain('system.malformed')
    expect(server.calls).toHaveLength(before)
  })
})

describe('a server', () => {
  it('that asks a person for a credential in hidden letters is refused', async () => {
    const { result, text } = await send({ params: call('delete_record') })
    expect([result['isError'], result['inputRequests']]).toEqual([true, undefined])
    expect(text).toContain('policy.denied')
  })

  it('is not told of a client that would give it its model or its folders', async () => {
    const able = { ...CAN_ASK, roots: {}, sampling: {}, extensions: { 'io.modelcontextprotocol/tasks': {} } }
    const { code } = await send({ params: call('slow_write'), meta: { [CAPABILITIES]: able } })
    expect(code).toBe(-32_021)
  })

  it('that has a person open a link shows first where it leads', async () => {
    const { result } = await send({ params: call('send', { to: 'a@example.com', body: 'x' }) })
    expect(JSON.stringify(result['inputRequests'])).toContain(
      'This link leads to https://phish.example. unbearer.example asks',
    )
  })
})

/**
 * @module
 * Attacks on the MCP gateway, from the side of the agent and from the side of the tool server. Each test says what the
 * attacker wants; nothing of it may happen, and what was asked properly beside it still works.
 */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { afterEach, describe, expect, it } from 'vitest'

import { isJsonObject, type JsonObject } from '../../src/index.ts'
import type { BehaviourOptions } from '../fixtures/mcp-behaviour.ts'
import {
  INITIALIZE,
  INTENT,
  startHarness,
  stdioUpstream,
  toCall,
  type Answer,
  type FakePepOptions,
  type Harness,
} from '../fixtures/mcp-harness.ts'
import { startHttpFixture } from '../fixtures/mcp-http.ts'

const closers: (() => Promise<void>)[] = []

afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close()
})

interface Prey {
  readonly harness: Harness
  readonly id: string
  readonly send: (body: string) => Promise<Answer>
}

async function prey(behaviour: BehaviourOptions = {}, options: FakePepOptions = {}): Promise<Prey> {
  const harness = await startHarness([stdioUpstream('fixture', behaviour), stdioUpstream('other')], options)
  closers.push(() => harness.close())
  const id = await harness.begin('fixture')
  return { harness, id, send: async (body) => harness.post('fixture', body, { 'mcp-session-id': id }) }
}

function reasonOf({ message }: Answer): unknown {
  return JSON.stringify(message).match(/(?:identity|intent|scope|policy|system|credential)\.[a-z-]+/u)?.[0]
}

/** Reads a stream that does not end up to what is waited for, and leaves it. */
async function readUntil({ body }: Response, wanted: string): Promise<string> {
  const reader = (body ?? new ReadableStream<Uint8Array>()).getReader()
  let text = ''
  for (let reads = 0; reads < 10 && !text.includes(wanted); reads += 1) {
    text += Buffer.from((await reader.read()).value ?? []).toString('utf8')
  }
  await reader.cancel()
  return text
}

async function logOf({ send }: Prey): Promise<string> {
  return (await send(toCall('log', 'log'))).text
}

describe('an agent that moves a session', () => {
  const ways: readonly (readonly [string, string, string, string])[] = [
    ['to another route', 'other', 'k1', 't1'],
    ['to another key', 'fixture', 'k2', 't1'],
    ['to another task', 'fixture', 'k1', 't2'],
    ['to no task', 'fixture', 'k1', 'none'],
  ]
  it.each(ways)('%s finds nothing there', async (_what, route, jkt, txn) => {
    const { harness, id } = await prey()
    const headers = { 'mcp-session-id': id }
    const moved = await harness.post(route, toCall(1, 'echo', { text: 'x' }), headers, jkt, txn)
    const invented = await harness.post(route, toCall(1, 'echo'), { 'mcp-session-id': 'A'.repeat(22) }, jkt, txn)
    expect(moved.status).toBe(404)
    expect(moved.text).toBe(invented.text)
    const ended = await fetch(harness.url(route, jkt, txn), { method: 'DELETE', headers })
    expect(ended.status).toBe(404)
    expect(harness.pep.requests).toEqual([])
    expect((await harness.post('fixture', toCall(1, 'echo', { text: 'x' }), headers)).status).toBe(200)
  })

  it('or has none is told to begin', async () => {
    const { harness } = await prey()
    expect((await harness.post('fixture', toCall(1, 'echo'))).status).toBe(400)
    expect((await harness.post('nowhere', INITIALIZE)).status).toBe(404)
  })

  it('gives a connection without a task one task of its own', async () => {
    const { harness } = await prey()
    const id = await harness.begin('fixture', 'k1', 'none')
    await harness.post('fixture', toCall(1, 'echo', { text: 'x' }), { 'mcp-session-id': id }, 'k1', 'none')
    expect(harness.pep.requests[0]?.context.txn).toBe('connection-task')
  })
})

describe('an agent that sends what two parsers read differently', () => {
  const call = toCall(1, 'echo', { text: 'x' })
  const bodies: readonly (readonly [string, string])[] = [
    ['a batch', `[${call}]`],
    ['two messages', `${call}\n${call}`],
    ['a duplicate key in the envelope', call.replace('"method"', '"method":"ping","method"')],
    ['a duplicate key in the arguments', call.replace('"text":"x"', '"text":"x","text":"y"')],
    ['a duplicate key by escape', call.replace('"text":"x"', '"text":"x","te\\u0078t":"y"')],
    ['a duplicate tool name', call.replace('"name":"echo"', '"name":"echo","name":"poison"')],
    ['`Params`', call.replace('"params"', '"Params"')],
    ['`METHOD`', call.replace('"method"', '"METHOD"')],
    ['both `params` and `Params`', call.replace('"params"', '"Params":{},"params"')],
    ['`Arguments`', call.replace('"arguments"', '"Arguments"')],
    ['`Name` beside `name`', call.replace('"name"', '"Name":"poison","name"')],
    ['`Tools/Call`', call.replace('tools/call', 'Tools/Call')],
    ['`tools/call` with a space', call.replace('tools/call', 'tools/call ')],
    ['an unknown method', call.replace('tools/call', 'tools/execute')],
    ['a method of a task', call.replace('tools/call', 'tasks/result')],
    ['an unknown member of the envelope', call.replace('"jsonrpc"', '"extra":1,"jsonrpc"')],
    ['a smuggled task', call.replace('"name"', '"task":{"ttl":1},"name"')],
    ['an id of null', call.replace('"id":1', '"id":null')],
    ['a fraction as id', call.replace('"id":1', '"id":1.5')],
    ['an action without an id', call.replace('"id":1,', '')],
    ['a notification with an id', '{"jsonrpc":"2.0","id":1,"method":"notifications/initialized"}'],
    ['the wrong version', call.replace('2.0', '1.0')],
    ['a number that does not round-trip', call.replace('"x"', '9007199254740993')],
    ['a lone surrogate', call.replace('"x"', '"\\ud800"')],
    ['`__proto__`', call.replace('"text":"x"', '"__proto__":{"text":"x"}')],
    ['deep nesting', call.replace('"x"', `${'['.repeat(5000)}${']'.repeat(5000)}`)],
    ['arguments that are a list', call.replace(/"arguments":\{.*?\}/u, '"arguments":[1]')],
    ['a tool name that is no string', call.replace('"name":"echo"', '"name":["echo"]')],
    ['an answer to nobody', '{"jsonrpc":"2.0","id":"server-1","result":{}}'],
    ['a cursor of its own', '{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"cursor":"secret"}}'],
    ['nothing', ''],
  ]
  it.each(bodies)('%s is refused and nothing goes on', async (_what, body) => {
    const target = await prey()
    const answer = await target.send(body)
    expect(['system.malformed', 'system.unknown-method']).toContain(reasonOf(answer))
    expect(target.harness.pep.requests).toEqual([])
    const log = await logOf(target)
    expect(log).not.toContain('echo')
    expect(log).not.toContain('secret')
  })

  it('or bytes that are not UTF-8', async () => {
    const { harness, id } = await prey()
    const body = Buffer.concat([
      Buffer.from('{"jsonrpc":"2.0","id":1,"method":"'),
      Buffer.from([0xff]),
      Buffer.from('"}'),
    ])
    const response = await fetch(harness.url('fixture'), {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/json', 'mcp-session-id': id },
    })
    expect(response.status).toBe(400)
  })
})

describe('an agent that bends the transport', () => {
  it('with a large body is refused before it is parsed', async () => {
    const { send } = await prey()
    const answer = await send(toCall(1, 'echo', { text: 'x'.repeat(300_000) }))
    expect(answer.status).toBe(413)
    expect(reasonOf(answer)).toBe('system.too-large')
  })

  it('with PUT or another type of body is refused', async () => {
    const { harness, id } = await prey()
    const got = await fetch(harness.url('fixture'), { method: 'PUT', headers: { 'mcp-session-id': id } })
    expect([got.status, got.headers.get('allow')]).toEqual([405, 'GET, POST, DELETE'])
    const plain = { 'mcp-session-id': id, 'content-type': 'text/plain' }
    expect((await harness.post('fixture', toCall(1, 'echo'), plain)).status).toBe(415)
    expect(
      (await harness.post('fixture', toCall(1, 'echo'), { 'mcp-session-id': id, accept: 'text/html' })).status,
    ).toBe(406)
    const version = { 'mcp-session-id': id, 'mcp-protocol-version': '2024-11-05' }
    expect((await harness.post('fixture', toCall(1, 'echo'), version)).status).toBe(400)
  })

  it('with headers that say something else than the body is refused, and so is the other era', async () => {
    const { harness, id } = await prey()
    const send = async (headers: Record<string, string>, body = toCall(1, 'echo', { text: 'x' })): Promise<unknown> => {
      const { status, message } = await harness.post('fixture', body, { 'mcp-session-id': id, ...headers })
      const { error } = message
      return [status, isJsonObject(error) ? error['code'] : undefined]
    }
    expect(await send({ 'mcp-method': 'tools/list' })).toEqual([400, -32_020])
    expect(await send({ 'mcp-name': 'log' })).toEqual([400, -32_020])
    expect(await send({ 'mcp-name': `=?base64?${Buffer.from('log').toString('base64')}?=` })).toEqual([400, -32_020])
    expect(await send({ 'mcp-protocol-version': '2026-07-28' })).toEqual([400, -32_020])
    const envelope =
      '{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}'
    const later = toCall(1, 'echo').replace('"params":{', `"params":{"_meta":${envelope},`)
    expect(await send({}, later)).toEqual([400, -32_020])
    const repeated = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': 'echo' }
    expect(await send({ ...repeated, 'mcp-name': 'log' }, later)).toEqual([400, -32_020])
    expect(await send(repeated, later)).toEqual([400, -32_022])
    expect(harness.pep.requests).toEqual([])
    expect(await send({ 'mcp-method': 'tools/call', 'mcp-name': 'echo' })).toEqual([200, undefined])
  })

  it('by listening to the session of another hears nothing; its own is told of a change, again after a break', async () => {
    const { harness, id, send } = await prey({ rug: 'announced' })
    const listen = async (jkt: string, headers: Record<string, string> = {}): Promise<Response> =>
      fetch(harness.url('fixture', jkt), {
        headers: { accept: 'text/event-stream', 'mcp-session-id': id, ...headers },
      })
    expect((await listen('k2')).status).toBe(404)
    const heard = await listen('k1')
    const answer = await send(toCall(1, 'echo', { text: 'x' }))
    expect(answer.text).not.toContain('list_changed')
    expect(await readUntil(heard, 'list_changed')).toContain('id: 1\n')
    const resumed = await listen('k1', { 'last-event-id': '0' })
    expect(await readUntil(resumed, 'list_changed')).toContain('id: 1\n')
  })

  it('by reusing an id that is under way is refused', async () => {
    const { harness, send } = await prey()
    const hanging = send(toCall(1, 'hang'))
    await expect.poll(() => harness.pep.redeemed.length).toBe(1)
    expect(reasonOf(await send(toCall(1, 'echo', { text: 'x' })))).toBe('system.malformed')
    // The same digits as a string are another id.
    expect((await send(toCall('1', 'echo', { text: 'x' }))).message).toMatchObject({ id: '1' })
    await send('{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}')
    await hanging
  })

  it('by opening sessions without end is stopped at 100, and all together at 200', async () => {
    const fixture = await startHttpFixture()
    closers.push(() => fixture.close())
    const harness = await startHarness([{ name: 'fixture', kind: 'mcp', url: fixture.url }])
    closers.push(() => harness.close())
    const openAll = async (jkt: string): Promise<number> => {
      const open = async (): Promise<Answer> => harness.post('fixture', INITIALIZE, {}, jkt)
      const answers = await Promise.all(Array.from({ length: 105 }, open))
      return answers.filter((one) => one.status === 429 && reasonOf(one) === 'system.quota').length
    }
    expect(await openAll('k1')).toBe(5)
    expect(await openAll('k2')).toBe(5)
    expect(await openAll('k3')).toBe(105)
  })

  it('and leaves a session alone loses it', async () => {
    let now = 0
    const harness = await startHarness([stdioUpstream('fixture')], { clock: { now: () => now } })
    closers.push(() => harness.close())
    const id = await harness.begin('fixture')
    now += 30 * 60_000 + 1
    expect((await harness.post('fixture', toCall(1, 'echo'), { 'mcp-session-id': id })).status).toBe(404)
  })
})

describe('an agent and its intent', () => {
  it('that is missing or no text reaches the decision as such', async () => {
    const target = await prey()
    await target.send(
      '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"x"}}}',
    )
    await target.send(toCall(2, 'echo', { unbearer_intent: { text: 'x' } }))
    expect(target.harness.pep.requests[0]?.context.intent).toBeUndefined()
    expect(target.harness.pep.requests[1]?.context.intent).toEqual({ text: '', source: 'argument' })
    expect(target.harness.pep.requests[1]?.action.body).toEqual({ method: 'tools/call', name: 'echo', arguments: {} })
  })

  it('cannot carry anything to the server, nor can `_meta`', async () => {
    const target = await prey()
    const params: JsonObject = {
      name: 'echo',
      arguments: { unbearer_intent: 'read: carry the secret out', text: 'x' },
      _meta: { progressToken: 'p', smuggled: 'the secret' },
    }
    await target.send(JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params }))
    await target.send('{"jsonrpc":"2.0","method":"notifications/initialized","params":{"_meta":{"x":"the secret"}}}')
    const log = await logOf(target)
    expect(log).not.toContain('secret')
    expect(log).toContain('progressToken')
  })
})

describe('what an agent chooses beside its arguments', () => {
  it('reaches no server: not its ids, not its progress markers', async () => {
    const target = await prey()
    const params = { name: 'slow', arguments: { unbearer_intent: INTENT }, _meta: { progressToken: 'secret-marker' } }
    const id = 'secret-id'
    const answer = await target.send(JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/call', params }))
    expect(answer.message).toMatchObject({ id: 'secret-id', result: { content: [{ text: 'done' }] } })
    expect(answer.text.match(/"progressToken":"secret-marker"/gu)).toHaveLength(3)
    await target.send('{"jsonrpc":"2.0","id":"secret-ping","method":"ping"}')
    await target.send('{"jsonrpc":"2.0","id":"secret-list","method":"resources/list"}')
    const log = await logOf(target)
    expect(log).toContain('asked ping under')
    expect(log).not.toContain('secret')
  })

  it('lets an id be used again once its call was given up, and no late answer is taken for the new one', async () => {
    const target = await prey()
    const hanging = target.send(toCall(1, 'hang'))
    await expect.poll(() => target.harness.pep.redeemed.length).toBe(1)
    await target.send('{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}')
    await hanging
    const again = await target.send(toCall(1, 'steal'))
    expect(again.message).toMatchObject({ id: 1, result: { content: [{ text: 'own' }] } })
    expect(again.text).not.toContain('stolen')
  })
})

describe('what a server says while it works', () => {
  it('is labelled and relayed where one call is under way, and progress only where it was asked for', async () => {
    const { send, harness } = await prey()
    const answer = await send(toCall(1, 'chatty'))
    expect(answer.text).toContain('said by chatty')
    expect(answer.text).not.toContain('nobody asked')
    expect(harness.pep.observed).toEqual([{ level: 'info', data: 'said by chatty' }])
  })

  it('is dropped where two calls are under way, because nobody can tell whose it is', async () => {
    const { send, harness } = await prey()
    const hanging = send(toCall(1, 'hang'))
    await expect.poll(() => harness.pep.redeemed.length).toBe(1)
    expect((await send(toCall(2, 'chatty'))).text).not.toContain('said by chatty')
    await send('{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}')
    await hanging
    expect(harness.pep.observed).toEqual([])
  })
})

describe('a server that turns bad', () => {
  it('with two tools of one name has neither listed nor called', async () => {
    const { send, harness } = await prey({ duplicate: true })
    expect(reasonOf(await send('{"jsonrpc":"2.0","id":1,"method":"tools/list"}'))).toBe('system.upstream')
    expect(reasonOf(await send(toCall(2, 'echo', { text: 'x' })))).toBe('system.upstream')
    expect(harness.pep.requests).toEqual([])
  })

  it('with a tool that takes the name of the intent argument has it refused', async () => {
    const { send, harness } = await prey({ clash: true }, { mode: 'observe' })
    const listed = await send('{"jsonrpc":"2.0","id":1,"method":"tools/list"}')
    expect(listed.text).toContain('"name":"clash","description":"This tool was not accepted')
    expect(reasonOf(await send(toCall(2, 'clash')))).toBe('scope.unknown-tool')
    expect(harness.pep.requests).toEqual([])
  })

  it('and announces another description is compared anew', async () => {
    const { send, harness } = await prey({ rug: 'announced' })
    await send(toCall(1, 'echo', { text: 'x' }))
    await expect
      .poll(async () => {
        await send(toCall('again', 'echo', { text: 'x' }))
        return new Set(harness.pep.requests.map(({ context }) => context.descriptorHash)).size
      })
      .toBe(2)
  })

  it('and changes a description in silence is found out when it is listed, or after five minutes', async () => {
    let now = 0
    const harness = await startHarness([stdioUpstream('fixture', { rug: 'silent' })], { clock: { now: () => now } })
    closers.push(() => harness.close())
    const headers = { 'mcp-session-id': await harness.begin('fixture') }
    await harness.post('fixture', toCall(1, 'echo', { text: 'x' }), headers)
    await harness.post('fixture', toCall(2, 'echo', { text: 'x' }), headers)
    now += 5 * 60_000
    await harness.post('fixture', toCall(3, 'echo', { text: 'x' }), headers)
    const [first, second, third] = harness.pep.requests.map(({ context }) => context.descriptorHash)
    expect(second).toBe(first)
    expect(third).not.toBe(first)
  })

  it('has its change told with the next answer, once', async () => {
    const { send } = await prey({ rug: 'announced' })
    const first = await send(toCall(1, 'echo', { text: 'x' }))
    const texts = [first.text, (await send(toCall(2, 'log'))).text, (await send(toCall(3, 'log'))).text]
    const told = texts.join('').split('data: {"jsonrpc":"2.0","method":"notifications/tools/list_changed"}\n')
    expect(told).toHaveLength(2)
  })

  it('and answers ids that nobody asked, or of another type, is not heard', async () => {
    const { send, harness } = await prey()
    const answer = await send(toCall(1, 'forge'))
    expect(answer.message).toMatchObject({ id: 1, result: { content: [{ type: 'text', text: 'real' }] } })
    expect(answer.text).not.toContain('forged')
    expect(harness.problems.filter(({ reason }) => reason === 'system.upstream')).toHaveLength(2)
  })

  it('and answers twice is heard once', async () => {
    const { send } = await prey()
    const answer = await send(toCall(1, 'twice'))
    expect(answer.text).toContain('first')
    expect(answer.text).not.toContain('second')
  })

  it('over http cannot answer a call on the stream of another', async () => {
    const fixture = await startHttpFixture()
    closers.push(() => fixture.close())
    const harness = await startHarness([{ name: 'fixture', kind: 'mcp', url: fixture.url }])
    closers.push(() => harness.close())
    const headers = { 'mcp-session-id': await harness.begin('fixture') }
    const hanging = harness.post('fixture', toCall(1, 'hang'), headers)
    await expect.poll(() => harness.pep.redeemed.length).toBe(1)
    const own = await harness.post('fixture', toCall(2, 'steal'), headers)
    expect(own.message).toMatchObject({ id: 2, result: { content: [{ text: 'own' }] } })
    expect(own.text).not.toContain('stolen')
    await harness.post(
      'fixture',
      '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}',
      headers,
    )
    expect((await hanging).text).not.toContain('stolen')
  })

  it.each(['big', 'garbage', 'batch'])('and sends what is not taken (%s) fails the call and no more', async (tool) => {
    const { send } = await prey()
    expect(reasonOf(await send(toCall(1, tool)))).toBe('system.upstream')
    expect((await send(toCall(2, 'echo', { text: 'still here' }))).text).toContain('still here')
  })

  it('and sends a request never reaches the agent', async () => {
    const target = await prey()
    const answer = await target.send(toCall(1, 'sample'))
    expect(answer.text).not.toContain('createMessage')
    expect(answer.text).toContain('refused')
    expect(await logOf(target)).toContain('requests of a server are not relayed')
  })

  it('and heeds no signal is ended with its session', async () => {
    const { harness, id } = await prey({ stubborn: true })
    const headers = { 'mcp-session-id': id }
    const pid = pidIn((await harness.post('fixture', toCall(1, 'pid'), headers)).text)
    expect(isAlive(pid)).toBe(true)
    await fetch(harness.url('fixture'), { method: 'DELETE', headers })
    await expect.poll(() => isAlive(pid), { timeout: 10_000 }).toBe(false)
  })

  it('and heeds no signal is ended with a gateway that just leaves', async () => {
    const script = fileURLToPath(new URL('../fixtures/mcp-exit.ts', import.meta.url))
    const { stdout } = await promisify(execFile)(process.execPath, [script])
    const pid = pidIn(stdout)
    await expect.poll(() => isAlive(pid), { timeout: 10_000 }).toBe(false)
  })
})

describe('a call that was cancelled', () => {
  it.each(['onDecide', 'onRedeem'] as const)('at %s is not begun any more', async (moment) => {
    const { promise, resolve } = Promise.withResolvers<undefined>()
    let waits = 0
    const hold = async (): Promise<void> => {
      waits += 1
      if (waits === 1) await promise
    }
    const target = await prey({}, { [moment]: hold })
    const held = target.send(toCall(1, 'echo', { text: 'too late' }))
    await expect.poll(() => waits).toBe(1)
    await target.send('{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}')
    resolve(undefined)
    expect((await held).message).toEqual({})
    expect(target.harness.pep.redeemed).toHaveLength(moment === 'onDecide' ? 0 : 1)
    expect(await logOf(target)).not.toContain('too late')
  })
})

function pidIn(text: string): number {
  const pid = Number(/"pid":(\d+)/u.exec(text)?.[1])
  expect(pid).toBeGreaterThan(0)
  return pid
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

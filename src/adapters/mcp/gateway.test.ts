import type { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { afterEach, describe, expect, it } from 'vitest'

import {
  startHarness,
  stdioUpstream,
  toCall,
  INTENT,
  type FakePepOptions,
  type Harness,
} from '../../../test/fixtures/mcp-harness.ts'
import { startHttpFixture, type HttpFixture } from '../../../test/fixtures/mcp-http.ts'
import type { UpstreamConfig } from './types.ts'

const closers: (() => Promise<void>)[] = []

afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close()
})

async function httpUpstream(name: string): Promise<{ upstream: UpstreamConfig; fixture: HttpFixture }> {
  const fixture = await startHttpFixture()
  closers.push(() => fixture.close())
  return { upstream: { name, kind: 'mcp', url: fixture.url, headers: { authorization: 'Bearer ours' } }, fixture }
}

async function start(upstream: UpstreamConfig, options: FakePepOptions = {}): Promise<Harness> {
  const harness = await startHarness([upstream], options)
  closers.push(() => harness.close())
  return harness
}

async function textOf(client: Client, name: string, given: Record<string, unknown> = {}): Promise<string> {
  const result = await client.callTool({ name, arguments: { unbearer_intent: INTENT, ...given } })
  return JSON.stringify(result.content)
}

const TRANSPORTS = [
  { transport: 'stdio', make: async () => Promise.resolve(stdioUpstream('fixture')) },
  { transport: 'http', make: async () => (await httpUpstream('fixture')).upstream },
] as const

describe.each(TRANSPORTS)('the official client through the gateway to a $transport server', ({ make }) => {
  it('lists every page as one, with the intent first in each schema', async () => {
    const harness = await start(await make())
    const client = await harness.connect('fixture')
    const { tools, nextCursor } = await client.listTools()
    expect(nextCursor).toBeUndefined()
    expect(tools.map(({ name }) => name)).toContain('poison')
    for (const { inputSchema } of tools) {
      expect(Object.keys(inputSchema.properties ?? {})[0]).toBe('unbearer_intent')
      expect(inputSchema.required?.[0]).toBe('unbearer_intent')
    }
  })

  it('decides, redeems for what it forwards, and takes the intent off', async () => {
    const harness = await start(await make())
    const client = await harness.connect('fixture')
    const result = await client.callTool({ name: 'echo', arguments: { text: 'hi', unbearer_intent: INTENT } })
    expect(result.structuredContent).toEqual({ params: { name: 'echo', arguments: { text: 'hi' } } })
    const [request] = harness.pep.requests
    expect(request).toMatchObject({
      plane: 'mcp',
      subject: { type: 'user', id: 'alice' },
      actor: { id: 'agent-k1', jkt: 'k1' },
      action: { name: 'tools/call', body: { method: 'tools/call', name: 'echo', arguments: { text: 'hi' } } },
      resource: { type: 'tool', id: 'fixture/echo' },
      context: {
        aud: 'urn:unbearer:upstream:fixture',
        upstream: 'fixture',
        tool: 'echo',
        txn: 't1',
        intent: { text: INTENT, source: 'argument' },
      },
    })
    expect(request?.context.descriptorHash).toMatch(/^sha-256:[\w-]{43}$/u)
    expect(harness.pep.redeemed).toEqual([request?.action.body])
  })

  it('knows the descriptors of a session that never listed tools', async () => {
    const harness = await start(await make())
    const client = await harness.connect('fixture')
    await textOf(client, 'echo', { text: 'x' })
    expect(harness.pep.requests[0]?.context.descriptorHash).toBeDefined()
  })

  it('tells a refusal as a tool result, and forwards nothing', async () => {
    const harness = await start(await make(), {
      refuse: ({ context }) => (context.tool === 'echo' ? 'policy.denied' : undefined),
    })
    const client = await harness.connect('fixture')
    const result = await client.callTool({ name: 'echo', arguments: { text: 'x', unbearer_intent: INTENT } })
    expect(result.isError).toBe(true)
    expect(JSON.stringify(result.content)).toContain('policy.denied')
    const { _meta: meta } = result
    expect(meta?.['unbearer/refusal']).toMatchObject({
      reason: 'policy.denied',
      decision: 'deny',
      retry: false,
    })
    expect(await textOf(client, 'log')).not.toContain('"name":"echo"')
  })

  it('forwards nothing when the credential does not redeem', async () => {
    const harness = await start(await make(), { redeemable: false })
    const client = await harness.connect('fixture')
    const result = await client.callTool({ name: 'echo', arguments: { text: 'x', unbearer_intent: INTENT } })
    expect(result.isError).toBe(true)
    expect(harness.pep.redeemed).toHaveLength(1)
    expect(harness.pep.outputs).toEqual([])
  })

  it('relays progress only after it was labelled, and only that of the call', async () => {
    const order: string[] = []
    const harness = await start(await make(), {
      onObserve: () => {
        order.push('labelled')
        return Promise.resolve()
      },
    })
    const client = await harness.connect('fixture')
    await client.callTool({ name: 'slow', arguments: { unbearer_intent: INTENT } }, undefined, {
      onprogress: ({ progress }) => order.push(`relayed ${progress}`),
    })
    expect(order.filter((entry) => entry === 'labelled')).toHaveLength(3)
    expect(order.indexOf('labelled')).toBeLessThan(order.indexOf('relayed 1'))
    expect(order.filter((entry) => entry.startsWith('relayed'))).toEqual(['relayed 1', 'relayed 2', 'relayed 3'])
  })

  it('relays no progress that could not be labelled', async () => {
    const harness = await start(await make(), { onObserve: () => Promise.reject(new Error('down')) })
    const client = await harness.connect('fixture')
    let relayed = 0
    const result = await client.callTool({ name: 'slow', arguments: { unbearer_intent: INTENT } }, undefined, {
      onprogress: () => (relayed += 1),
    })
    expect(relayed).toBe(0)
    expect(JSON.stringify(result.content)).toContain('done')
  })

  it('forwards the text of an answer as it came, unless it was rewritten', async () => {
    const upstream = await make()
    const harness = await start(upstream)
    const id = await harness.begin('fixture')
    const raw = await harness.post('fixture', toCall(7, 'exact'), { 'mcp-session-id': id })
    expect(raw.text).toContain('"n":9007199254740993,"futureField":[1.0]')
    const rewriting = await start({ ...upstream, name: 'again' }, { rewrite: () => ({ content: [] }) })
    const second = await rewriting.begin('again')
    const answer = await rewriting.post('again', toCall(7, 'exact'), { 'mcp-session-id': second })
    expect(answer.message).toEqual({ jsonrpc: '2.0', id: 7, result: { content: [] } })
  })

  it('labels an error of the server before passing it on', async () => {
    const harness = await start(await make())
    const client = await harness.connect('fixture')
    await expect(textOf(client, 'fail')).rejects.toThrow('the server says no')
    expect(harness.pep.outputs).toEqual([{ code: -32050, message: 'the server says no', data: { row: 7 } }])
  })

  it('sends a cancelled call no further, and tells the server', async () => {
    const harness = await start(await make())
    const client = await harness.connect('fixture')
    const stop = new AbortController()
    const call = client.callTool({ name: 'hang', arguments: { unbearer_intent: INTENT } }, undefined, {
      signal: stop.signal,
    })
    await expect.poll(() => harness.pep.redeemed.length).toBe(1)
    stop.abort()
    await expect(call).rejects.toThrow('AbortError')
    await expect.poll(() => textOf(client, 'log')).toContain('notified notifications/cancelled')
  })

  it('aborts what is under way when it is revoked', async () => {
    const harness = await start(await make())
    const client = await harness.connect('fixture')
    const call = client.callTool({ name: 'hang', arguments: { unbearer_intent: INTENT } })
    await expect.poll(() => harness.pep.redeemed.length).toBe(1)
    harness.pep.revoke()
    expect((await call).isError).toBe(true)
    expect(await textOf(client, 'log')).toContain('notified notifications/cancelled')
  })

  it('answers the requests of a server itself', async () => {
    const harness = await start(await make())
    const client = await harness.connect('fixture')
    expect(await textOf(client, 'sample')).toContain('refused')
    expect(await textOf(client, 'log')).toContain('capabilities {}')
  })

  it('decides methods other than tools/call under their own name', async () => {
    const harness = await start(await make(), {
      refuse: ({ action }) => (JSON.stringify(action.body).includes('fixture:///b') ? 'scope.operation' : undefined),
    })
    const client = await harness.connect('fixture')
    const read = await client.readResource({ uri: 'fixture:///a', _meta: { unbearer_intent: INTENT } })
    expect(JSON.stringify(read)).toContain('content of a')
    expect(harness.pep.requests[0]).toMatchObject({
      action: { name: 'resources/read', body: { method: 'resources/read', arguments: { uri: 'fixture:///a' } } },
      context: { tool: 'resources/read', intent: { text: INTENT } },
    })
    await expect(client.readResource({ uri: 'fixture:///b' })).rejects.toMatchObject({ code: -32041 })
  })

  it('relays nothing of a ping but that it came back', async () => {
    const harness = await start(await make())
    const client = await harness.connect('fixture')
    expect(await client.ping()).toEqual({})
    expect(await client.setLoggingLevel('info')).toEqual({})
  })

  it('ends with the session', async () => {
    const harness = await start(await make())
    const id = await harness.begin('fixture')
    const ended = await fetch(harness.url('fixture'), { method: 'DELETE', headers: { 'mcp-session-id': id } })
    expect(ended.status).toBe(204)
    expect((await harness.post('fixture', toCall(1, 'echo'), { 'mcp-session-id': id })).status).toBe(404)
  })
})

describe('what a server says before anybody accepted it', () => {
  it('does not reach the model in enforce', async () => {
    const harness = await start(stdioUpstream('fixture'), {
      tool: (tool) => (tool === 'poison' ? 'unaccepted' : tool === 'resources/read' ? 'unknown' : 'accepted'),
    })
    const client = await harness.connect('fixture')
    const seen = JSON.stringify([
      await client.listTools(),
      await client.listResources(),
      client.getInstructions() ?? '',
    ])
    expect(seen).not.toContain('IGNORE')
    expect(seen).toContain('"name":"poison","description":"This tool was not accepted')
    expect(seen).toContain('"resources":[]')
  })

  it('is shown as it is in observe', async () => {
    const harness = await start(stdioUpstream('fixture'), { mode: 'observe', tool: () => 'unknown' })
    const client = await harness.connect('fixture')
    const seen = JSON.stringify([
      await client.listTools(),
      await client.listResources(),
      client.getInstructions() ?? '',
    ])
    expect(seen.match(/IGNORE/gu)).toHaveLength(3)
    // The official client drops what it does not know; the relay does not.
    const id = await harness.begin('fixture')
    const raw = await harness.post('fixture', '{"jsonrpc":"2.0","id":1,"method":"tools/list"}', {
      'mcp-session-id': id,
    })
    expect(raw.text).toContain('"futureHint":{"kept":true}')
  })

  it('lists accepted resources without their descriptions', async () => {
    const harness = await start(stdioUpstream('fixture'))
    const client = await harness.connect('fixture')
    expect((await client.listResources()).resources).toEqual([{ uri: 'fixture:///a', name: 'a' }])
  })
})

describe('the process of a stdio server', () => {
  it('gets a minimal environment', async () => {
    const harness = await start(stdioUpstream('fixture'))
    const names = await textOf(await harness.connect('fixture'), 'env')
    expect(JSON.parse(names)).toEqual([{ type: 'text', text: 'FIXTURE,HOME,PATH,SECRET_OF_UPSTREAM,UNBEARER_SPAWNED' }])
  })

  it('fails its calls when it crashes, and is not started again within the session', async () => {
    const harness = await start(stdioUpstream('fixture'))
    const id = await harness.begin('fixture')
    const crashed = await harness.post('fixture', toCall(1, 'crash'), { 'mcp-session-id': id })
    expect(crashed.text).toContain('system.upstream')
    expect((await harness.post('fixture', toCall(2, 'echo'), { 'mcp-session-id': id })).status).toBe(404)
    expect(await harness.begin('fixture')).not.toBe('')
  })

  it('keeps stderr for the operator', async () => {
    const harness = await start(stdioUpstream('fixture'))
    await harness.begin('fixture')
    await expect.poll(() => harness.gateway.stderr('fixture')).toContain('for the operator only')
  })

  it('that cannot be started refuses the session', async () => {
    const harness = await start({ name: 'none', kind: 'mcp', command: ['./there-is-no-such-command'] })
    const id = await harness.begin('none')
    expect(id).toBe('')
    expect(harness.problems.some(({ reason }) => reason === 'system.upstream')).toBe(true)
  })
})

describe('what an http server gets', () => {
  it('is the secret of the gateway and never the proof of the agent', async () => {
    const { upstream, fixture } = await httpUpstream('fixture')
    const harness = await start(upstream)
    const id = await harness.begin('fixture')
    await harness.post('fixture', toCall(1, 'echo'), {
      'mcp-session-id': id,
      authorization: 'Bearer of-the-agent',
      cookie: 'a=b',
      signature: 'x',
    })
    expect(fixture.seen.length).toBeGreaterThan(2)
    for (const headers of fixture.seen) {
      expect(headers.authorization).toBe('Bearer ours')
      expect(headers.cookie).toBeUndefined()
      expect(headers['signature']).toBeUndefined()
      expect(headers['mcp-session-id']).not.toBe(id)
    }
    await fetch(harness.url('fixture'), { method: 'DELETE', headers: { 'mcp-session-id': id } })
    expect(fixture.methods).toContain('DELETE')
  })

  it('does not follow a redirect', async () => {
    const { upstream, fixture } = await httpUpstream('fixture')
    const other = await httpUpstream('other')
    const harness = await start(upstream)
    const id = await harness.begin('fixture')
    fixture.redirectTo = other.fixture.url
    const answer = await harness.post('fixture', toCall(1, 'echo'), { 'mcp-session-id': id })
    expect(answer.text).toContain('system.upstream')
    expect(other.fixture.seen).toEqual([])
  })
})

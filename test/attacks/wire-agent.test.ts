/**
 * @module
 * A malicious agent with an enrolled key of its own, a local process without any, and what a revocation leaves either of them.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'

import { INITIALIZE, toCall } from '../support/agent.ts'
import { createInstallation, type Installation } from '../support/installation.ts'
import { startRecordingUpstream, type RecordingUpstream } from '../support/recording-upstream.ts'
import { startHarness, stdioUpstream, toCall as toFixtureCall } from '../fixtures/mcp-harness.ts'
import {
  documentOf,
  openCredential,
  openWire,
  ROUTE,
  sendBytes,
  sendWire,
  signAgent,
  type AgentWire,
  type WireAnswer,
} from './wire.ts'

let upstream: RecordingUpstream
let installation: Installation
let agent: AgentWire

beforeAll(async () => {
  upstream = await startRecordingUpstream()
  installation = await createInstallation({ upstream, store: 'sqlite' })
  const { txn } = await installation.openTask('Read record r1 and update record r1')
  agent = await openWire(installation.origin, installation.keys.agent, txn)
})

afterAll(async () => {
  await installation.close()
  await upstream.close()
})

let bodies = 0
beforeEach(() => {
  bodies = upstream.bodies.length
})

const rpc = (method: string, params: object = {}): string => JSON.stringify({ jsonrpc: '2.0', id: 7, method, params })
const ask = async (body: string): Promise<WireAnswer> => sendWire(agent.origin, signAgent(agent, body))

describe('an agent with ids of its own making', () => {
  it.each([
    ['null', 'null'],
    ['a fraction', '1.5'],
    ['a huge number', '9007199254740993'],
    ['beyond every number', '1e400'],
    ['an object', '{}'],
    ['a list', '[1]'],
    ['true', 'true'],
    ['an empty text', '""'],
    ['a long text', `"${'x'.repeat(257)}"`],
  ])('%s is refused', async (_what, id) => {
    const answer = await ask(toCall(1, 'read_record', { id: 'r1' }).replace('"id":1', `"id":${id}`))
    expect(answer.reason).toBe('system.malformed')
    expect(upstream.bodies).toHaveLength(bodies)
  })

  it('gets its own answer under 1 and "1" at once', async () => {
    const [one, two] = await Promise.all([
      ask(toCall(1, 'read_record', { id: 'first' })),
      ask(toCall('1', 'read_record', { id: 'second' })),
    ])
    expect(documentOf(one)).toMatchObject({ id: 1 })
    expect(one.text).toContain('record first')
    expect(documentOf(two)).toMatchObject({ id: '1' })
    expect(two.text).toContain('record second')
  })

  it('is not given a late answer as that of another call under the same id', async () => {
    const harness = await startHarness([stdioUpstream('fixture')])
    try {
      const id = await harness.begin('fixture')
      const send = async (body: string): ReturnType<typeof harness.post> =>
        harness.post('fixture', body, { 'mcp-session-id': id, accept: 'application/json' })
      const cancel = JSON.stringify({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 5 } })
      const given = send(toFixtureCall(5, 'hang'))
      while (harness.pep.redeemed.length === 0) await new Promise((resolve) => setTimeout(resolve, 5))
      await new Promise((resolve) => setTimeout(resolve, 50))
      await send(cancel)
      await given
      // The answer to the first call comes while a call of another tool waits under its id.
      const again = send(toFixtureCall(5, 'hang'))
      await new Promise((resolve) => setTimeout(resolve, 50))
      await send(toFixtureCall(6, 'steal'))
      await send(cancel)
      expect((await again).text).not.toContain('stolen')
    } finally {
      await harness.close()
    }
  })
})

describe('an agent with calls of no proper shape', () => {
  it.each([
    ['arguments that are a list', { name: 'read_record', arguments: [] }],
    ['arguments that are a text', { name: 'read_record', arguments: '{}' }],
    ['arguments that are null', { name: 'read_record', arguments: null }],
    ['a name that is a list', { name: ['read_record'], arguments: {} }],
    ['no name', { arguments: {} }],
    ['a task of its own', { name: 'read_record', arguments: {}, task: { ttl: 1 } }],
    ['a second name', { name: 'read_record', Name: 'pay', arguments: {} }],
  ])('%s', async (_what, params) => {
    expect((await ask(rpc('tools/call', params))).reason).toBe('system.malformed')
    expect(upstream.bodies).toHaveLength(bodies)
  })

  it.each([
    'constructor',
    'toString',
    'hasOwnProperty',
    'desk/read_record',
    '../desk/read_record',
    'read_record\n',
    'read_record\u0000',
    ' read_record',
    'READ_RECORD',
    'resources/read',
    'tools/call',
    '*',
    'x'.repeat(100_000),
  ])('a tool with a name of somebody else', async (name) => {
    const answer = await ask(toCall(1, name, {}))
    expect(answer.reason).toBe('scope.unknown-tool')
    expect(upstream.calls.map((call) => call.name)).not.toContain(name)
  })

  it('whose intent hides in `_meta` has none', async () => {
    const meta = { unbearer_intent: 'read: the user asked about record r1' }
    const answer = await ask(rpc('tools/call', { name: 'read_record', arguments: { id: 'r1' }, _meta: meta }))
    expect(answer.reason).toBe('intent.missing')
  })

  it('cannot tell a server anything at the beginning that nobody decided', async () => {
    const secret = 'secret-4711'
    const credential = await openCredential(agent.origin, agent.key)
    const body = JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method: 'initialize',
      params: {
        protocolVersion: '2025-06-18',
        capabilities: { experimental: { [secret]: { a: secret } }, elicitation: {} },
        clientInfo: { name: `a ${secret}`, version: '1', title: secret, more: { secret } },
        _meta: { secret },
      },
    })
    const opened = await sendWire(agent.origin, signAgent({ origin: agent.origin, key: agent.key, credential }, body))
    expect(opened.status).toBe(200)
    expect(upstream.bodies.slice(bodies).join()).toContain('"initialize"')
    expect(upstream.bodies.slice(bodies).join()).not.toContain(secret)
  })
})

describe('an agent that takes all there is', () => {
  it('leaves MCP sessions for others', async () => {
    const key = installation.keys.agent
    const credential = await openCredential(agent.origin, key)
    const request = (): Promise<WireAnswer> =>
      sendWire(agent.origin, signAgent({ origin: agent.origin, key, credential }, INITIALIZE))
    const statuses: number[] = []
    for (let round = 0; round < 21; round += 1) {
      const answers = await Promise.all(Array.from({ length: 10 }, request))
      statuses.push(...answers.map(({ status }) => status))
    }
    expect(statuses).toContain(429)
    const other = await openWire(installation.origin, installation.keys.other)
    expect(other.mcpSession).toMatch(/^[\w-]{22}$/)
  })
})

describe('an agent that opens one connection after another', () => {
  it('does not drown the approver in questions', async () => {
    const key = installation.keys.other
    await installation.serving.composed.services.grants.create(
      {
        principal: 'alice',
        actor: 'other',
        expires: '1h',
        operations: [{ tool: 'desk/*', effects: ['read', 'delete'] }],
      },
      installation.enrolled.operator,
    )
    const pending = async (): Promise<number> => (await installation.serving.composed.services.approvals.list()).length
    const before = await pending()
    const reasons: (string | undefined)[] = []
    for (let round = 0; round < 4; round += 1) {
      const wire = await openWire(installation.origin, key)
      for (const id of ['a1', 'a2', 'a3']) {
        const call = toCall(1, 'delete_record', { id: `${id}${round}` }, `delete: delete record ${id}${round}`)
        reasons.push((await sendWire(wire.origin, signAgent(wire, call))).reason)
      }
    }
    expect((await pending()) - before).toBe(3)
    expect(reasons.slice(3)).toEqual(reasons.slice(3).map(() => 'policy.approval-limit'))
  })
})

describe('a local process without a key', () => {
  it.each([
    ['a list', ROUTE, rpc('tools/list')],
    ['a beginning', ROUTE, INITIALIZE],
    ['a call', ROUTE, toCall(1, 'read_record', { id: 'r1' })],
    ['an approval', '/control', '{"method":"approval.list"}'],
    ['a session', '/session', '{}'],
  ])('gets nothing by %s', async (_what, target, body) => {
    const head = ['Host: 127.0.0.1', 'Connection: close', 'Content-Type: application/json']
    const bytes = `POST ${target} HTTP/1.1\r\n${head.join('\r\n')}\r\nContent-Length: ${body.length}\r\n\r\n${body}`
    expect(await sendBytes(agent.origin, bytes)).toMatchObject({ status: 401, reason: 'identity.missing' })
    expect(upstream.bodies).toHaveLength(bodies)
  })

  it.each([
    ['a rebound name', 'Host: rebound.example'],
    ['a page of another origin', 'Host: 127.0.0.1\r\nOrigin: https://attacker.example'],
    ['a sandboxed page', 'Host: 127.0.0.1\r\nOrigin: null'],
    ['a page of another port', 'Host: 127.0.0.1:8700\r\nOrigin: http://127.0.0.1:8701'],
  ])('in a browser under %s sees nothing', async (_what, head) => {
    const answer = await sendBytes(agent.origin, `GET /metrics HTTP/1.1\r\n${head}\r\nConnection: close\r\n\r\n`)
    expect(answer.status).toBe(403)
    expect(answer.text).not.toContain('unbearer_')
  })

  it('cannot fill the log of the operator', async () => {
    const before = installation.reports.length
    const big = 'POST /session HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: 99999999\r\n\r\n'
    const torn = 'POST /session HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n'
    const wild = 'POST /session HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: 1\r\n\r\n{'
    for (const bytes of [big, torn, wild]) await sendBytes(agent.origin, bytes)
    expect(installation.reports.slice(before)).toEqual([])
  })

  it('cannot make the disk write by asking whether it is ready', async () => {
    const ready = 'GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n'
    const versions = new Set<number | undefined>()
    for (let round = 0; round < 20; round += 1) {
      expect((await sendBytes(agent.origin, ready)).status).toBe(200)
      const [record] = await installation.serving.composed.store.get(['ready'])
      versions.add(record?.version)
    }
    expect(versions.size).toBeLessThan(20)
  })

  it('finds no key and no credential in what was written', async () => {
    await ask(toCall(1, 'read_record', { id: 'r1' }))
    const files = readdirSync(installation.dir, { recursive: true, encoding: 'utf8' })
      .map((name) => join(installation.dir, name))
      .filter((path) => statSync(path).isFile())
    const secrets = [agent.credential, ...Object.values(installation.jwks).map(({ d }) => d)]
    for (const path of files) {
      const text = readFileSync(path, 'latin1')
      expect(secrets.filter((secret) => text.includes(secret))).toEqual([])
    }
    expect(installation.reports.join()).not.toContain(agent.credential)
  })
})

describe('a revoked agent', () => {
  it('opens nothing, lists nothing and notifies nobody, with what it has', async () => {
    await installation.control('operator', 'revoke', { dimension: 'actor', id: 'agent' })
    bodies = upstream.bodies.length
    const started = { origin: agent.origin, key: agent.key, credential: agent.credential }
    const answers = [
      await ask(rpc('tools/list')),
      await ask(rpc('ping')),
      await ask('{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}'),
      await sendWire(agent.origin, signAgent(started, INITIALIZE)),
      await ask(toCall(1, 'read_record', { id: 'r1' })),
    ]
    expect(answers.map(({ reason }) => reason)).toEqual(answers.map(() => 'identity.revoked'))
    expect(upstream.bodies).toHaveLength(bodies)
  })

  it('does not come back by being enrolled again', async () => {
    const jwk = { ...installation.keys.agent.jwk }
    await installation.control('operator', 'key.enrol', { role: 'agent', name: 'agent', jwk })
    await expect(openCredential(agent.origin, agent.key)).rejects.toMatchObject({ reason: 'identity.revoked' })
  })
})

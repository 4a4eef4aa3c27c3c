/**
 * @module
 * Invariants 3 (no bearer) and 6 (agents hold no upstream secrets): everything that an agent's wire ever carried is in the
 * hands of somebody else, and nothing that they send with it is performed.
 *
 * Broken once on purpose, and the test that fell:
 *
 * | broken on purpose                                         | fell                                                                           |
 * | --------------------------------------------------------- | ------------------------------------------------------------------------------ |
 * | `crypto/session-credential.ts` `cnf.jkt` is not compared  | the session credential with the signature of another enrolled agent            |
 * | `pdp/authenticate.ts` the nonce of an agent is not burned | every captured request, sent again as it was                                   |
 * | `pdp/authenticate.ts` any role may be an agent            | the session credential with the signature of the operator, approver, host, pep |
 * | `config/compose.ts` a session for the task of another     | the task of an agent, under the key of another                                 |
 * | `pdp/enforcer.ts` grade `none` mints                      | `e2e/observe.test.ts`: … records why, and mints nothing                        |
 * | `server/app.ts` `none` in `enforce`                       | `e2e/observe.test.ts`: refuses a request without proof                         |
 * | `mcp/http-upstream.ts` without the configured headers     | carries the secret of the upstream to it, and nothing of the agent             |
 * | `adapters/intent.ts` the intent stays among the arguments | `e2e/chain.test.ts`: never sees the intent argument …                          |
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { generateKey, importKey } from '../../src/crypto/keys.ts'
import { signRequest } from '../../src/crypto/http-signature.ts'
import type { DecisionEntry } from '../../src/core/entry.ts'
import {
  connectAgent,
  INITIALIZE,
  openRaw,
  toAnswer,
  toCall,
  type Agent,
  type Answer,
  type Sent,
} from '../support/agent.ts'
import { createInstallation, UPSTREAM_SECRET, type Installation } from '../support/installation.ts'
import { startRecordingUpstream, type RecordingUpstream } from '../support/recording-upstream.ts'
import { SERVER } from '../support/tools.ts'

let upstream: RecordingUpstream
let installation: Installation
let agent: Agent
const wire: Sent[] = []
let txn: string

beforeAll(async () => {
  upstream = await startRecordingUpstream()
  installation = await createInstallation({ upstream })
  txn = (await installation.openTask('Update record r1, delete record r2')).txn
  agent = await connectAgent({ origin: installation.origin, key: installation.keys.agent, txn, wire })
  await agent.call('write_record', { id: 'r1' }, 'write: update record r1')
})

afterAll(async () => {
  await agent.close()
  await installation.close()
  await upstream.close()
})

/** The captured call: what a thief on the wire has. */
function loot(): Sent {
  const found = wire.findLast(({ body }) => body.includes('"tools/call"'))
  if (found === undefined) throw new Error('nothing was captured')
  return found
}

const PROOF = ['signature', 'signature-input', 'content-digest']

function without(headers: Sent['headers'], names: readonly string[]): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !names.includes(name)))
}

interface Attempt extends Pick<Answer, 'status' | 'reason'> {
  readonly reached: number
}

/** Sends and says what came of it, at the gateway and at the upstream. */
async function steal({ url, method, headers, body }: Sent): Promise<Attempt> {
  const before = upstream.calls.length
  const response = await fetch(url, { method, headers, ...(method === 'GET' ? {} : { body }) })
  const { status, reason } = await toAnswer(response)
  return { status, reached: upstream.calls.length - before, ...(reason === undefined ? {} : { reason }) }
}

/** The captured call with a proof of another key over it. */
function resign(sent: Sent, key: Parameters<typeof signRequest>[0]['key']): Sent {
  const headers = without(sent.headers, PROOF)
  const { pathname } = new URL(sent.url)
  const body = Buffer.from(sent.body)
  const proof = signRequest({ key, method: sent.method, target: pathname, headers, body, now: Date.now() })
  return { ...sent, headers: { ...headers, ...proof } }
}

describe('invariant 3: nothing that is issued performs by possession', () => {
  it('had a call that ran, so that there is something to steal', () => {
    expect(upstream.calls).toHaveLength(1)
    expect(loot().headers['authorization']).toMatch(/^Unbearer ey/)
  })

  it('every captured request, sent again as it was', async () => {
    for (const sent of wire.slice()) {
      const { status, reached, reason } = await steal(sent)
      expect({ status, reached, reason }).toEqual({
        status: 401,
        reached: 0,
        reason: expect.stringMatching(/^identity\./),
      })
    }
  })

  it('the session credential without a signature', async () => {
    const { url, method, headers } = loot()
    const body = toCall(77, 'write_record', { id: 'r1' }, 'write: update record r1')
    const attempt = await steal({ url, method, body, headers: without(headers, PROOF) })
    expect(attempt).toEqual({ status: 401, reached: 0, reason: 'identity.missing' })
  })

  it('the session credential as a bearer token', async () => {
    const sent = loot()
    const bearer = (sent.headers['authorization'] ?? '').replace(/^Unbearer/, 'Bearer')
    const attempt = await steal({ ...sent, headers: { ...without(sent.headers, PROOF), authorization: bearer } })
    expect(attempt).toEqual({ status: 401, reached: 0, reason: 'identity.missing' })
  })

  it('the captured proof over another body', async () => {
    const sent = loot()
    const body = sent.body.replace('r1', 'r9')
    expect(await steal({ ...sent, body })).toMatchObject({ status: 401, reached: 0, reason: 'identity.bad-proof' })
  })

  it('the session credential with the signature of another enrolled agent', async () => {
    const attempt = await steal(resign(loot(), installation.keys.other))
    expect(attempt).toEqual({ status: 401, reached: 0, reason: 'identity.bad-proof' })
  })

  it.each(['operator', 'approver', 'host', 'pep'] as const)(
    'the session credential with the signature of the %s',
    async (name) => {
      const attempt = await steal(resign(loot(), installation.keys[name]))
      expect(attempt).toEqual({ status: 401, reached: 0, reason: 'identity.key-role' })
    },
  )

  it('the session credential with the signature of a key that nobody enrolled', async () => {
    const attempt = await steal(resign(loot(), importKey({ ...generateKey('Ed25519') })))
    expect(attempt).toEqual({ status: 401, reached: 0, reason: 'identity.unknown-key' })
  })

  it('the MCP session of an agent, under the key of another', async () => {
    const other = await openRaw({ origin: installation.origin, key: installation.keys.other })
    const before = upstream.calls.length
    const session = loot().headers['mcp-session-id'] ?? ''
    const answer = await other.post(toCall(1, 'write_record', { id: 'r1' }, 'write: update record r1'), {
      'mcp-session-id': session,
    })
    expect(answer.status).toBe(404)
    expect(upstream.calls).toHaveLength(before)
  })

  it('the task of an agent, under the key of another', async () => {
    await expect(
      connectAgent({ origin: installation.origin, key: installation.keys.other, txn }),
    ).rejects.toMatchObject({ reason: 'identity.task-mismatch' })
  })

  it('a ticket, wherever a credential could stand', async () => {
    const { ticket = '' } = await agent.call('delete_record', { id: 'r2' }, 'delete: delete record r2')
    expect(ticket).toMatch(/^[\w-]{22}$/)
    const sent = loot()
    const body = toCall(78, 'delete_record', { id: 'r2' }, 'delete: delete record r2')
    for (const authorization of [`Unbearer ${ticket}`, `Bearer ${ticket}`, `Unbearer ${ticket}.${ticket}.${ticket}`]) {
      const attempt = await steal({ ...sent, body, headers: { ...without(sent.headers, PROOF), authorization } })
      expect(attempt).toEqual({ status: 401, reached: 0, reason: 'identity.missing' })
    }
    expect(upstream.calls.filter(({ name }) => name === 'delete_record')).toEqual([])
  })

  it('a proof for `/session`, at `/control` and at the gateway', async () => {
    const opened = wire.find(({ url, headers }) => url.endsWith('/session') && headers['signature'] !== undefined)
    if (opened === undefined) throw new Error('no session was opened')
    const { origin } = installation
    for (const path of ['/control', `/mcp/${SERVER}`, '/session?x=1']) {
      expect(await steal({ ...opened, url: `${origin}${path}` })).toMatchObject({ status: 401, reached: 0 })
    }
  })

  it('no proof at all', async () => {
    const url = `${installation.origin}/mcp/${SERVER}`
    const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' }
    expect(await steal({ url, method: 'POST', headers, body: INITIALIZE })).toMatchObject({
      status: 401,
      reason: 'identity.missing',
    })
  })

  it('redeems each credential once: every permit has a `jti` of its own', async () => {
    const entries = (await installation.entries()).filter((entry): entry is DecisionEntry => entry.kind === 'decision')
    const permits = entries.filter(({ decision }) => decision === 'permit')
    expect(permits.length).toBeGreaterThan(0)
    expect(new Set(permits.map(({ jti }) => jti)).size).toBe(permits.length)
    expect(entries.filter(({ decision, jti }) => decision !== 'permit' && jti !== undefined)).toEqual([])
  })
})

describe('invariant 6: agents hold no upstream secrets', () => {
  it('carries the secret of the upstream to it, and nothing of the agent', () => {
    const headers = upstream.headers.flatMap((each) => Object.entries(each))
    const names = new Set(headers.map(([name]) => name))
    expect(headers.filter(([name, value]) => name === 'x_secret' && value === UPSTREAM_SECRET).length).toBeGreaterThan(
      0,
    )
    for (const name of ['authorization', ...PROOF, 'cookie', 'x-agent']) expect(names).not.toContain(name)
    const session = loot().headers['mcp-session-id'] ?? 'none'
    expect(JSON.stringify([headers, upstream.bodies])).not.toContain(session)
  })

  it('does not pass on what an agent puts beside its proof', async () => {
    const raw = await openRaw({ origin: installation.origin, key: installation.keys.agent, txn })
    const answer = await raw.post(toCall(1, 'read_record', { id: 'r1' }), {
      cookie: 'a=b',
      'x-agent': 'canary',
      'x-secret': 'mine',
    })
    expect(answer.status).toBe(200)
    expect(JSON.stringify(upstream.headers)).not.toMatch(/canary|"mine"|a=b/)
  })

  it.each([
    ['an error with the secret in it', { status: 500, body: `bad X_SECRET ${UPSTREAM_SECRET}` }],
    ['a redirect', { status: 307, body: '' }],
    ['an answer that is no message', { status: 200, body: `{"secret":"${UPSTREAM_SECRET}"}` }],
  ])('says nothing of the secret when the upstream breaks: %s', async (_what, broken) => {
    upstream.breakWith = broken
    const saw = await agent.call('read_record', { id: 'r1' })
    upstream.breakWith = undefined
    expect(saw).toMatchObject({ ok: false, reason: 'system.upstream' })
    expect(JSON.stringify([saw.whole, installation.reports])).not.toContain(UPSTREAM_SECRET)
  })

  it('is not told to the agent by any page of the listener', async () => {
    const pages = ['/', '/healthz', '/readyz', '/metrics', '/mcp', '/mcp/nothing', '/session', '/control']
    const texts = await Promise.all(pages.map(async (page) => (await fetch(`${installation.origin}${page}`)).text()))
    expect(texts.join('\n')).not.toContain(UPSTREAM_SECRET)
  })
})

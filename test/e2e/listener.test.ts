/**
 * @module
 * The listener itself: health, metrics, who may address it, and what it says to those who may not.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { connectAgent, INITIALIZE, type Agent } from '../support/agent.ts'
import { createInstallation, ISSUER, type Installation } from '../support/installation.ts'
import { startRecordingUpstream, type RecordingUpstream } from '../support/recording-upstream.ts'
import { unbearer } from '../support/run-cli.ts'

let upstream: RecordingUpstream
let installation: Installation
let agent: Agent

beforeAll(async () => {
  upstream = await startRecordingUpstream()
  installation = await createInstallation({ upstream })
  const { txn } = await installation.openTask('Update record r1, delete record r2')
  agent = await connectAgent({ origin: installation.origin, key: installation.keys.agent, txn })
  await agent.call('write_record', { id: 'r1' }, 'write: update record r1')
  await agent.call('write_record', { id: 'r1' }, 'read: look at record r1')
  await agent.call('delete_record', { id: 'r2' }, 'delete: delete record r2')
})

afterAll(async () => {
  await agent.close()
  await installation.close()
  await upstream.close()
})

function series(decision: string, reason: string): string {
  return `unbearer_decisions_total{decision="${decision}",reason="${reason}",plane="mcp",mode="enforce"} 1`
}

const get = async (path: string): Promise<Response> => fetch(`${installation.origin}${path}`)

describe('an MCP client that is not let in', () => {
  it('is told where the resource says what it takes, and no bearer token is', async () => {
    const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' }
    for (const authorization of [undefined, 'Bearer a-token-of-the-upstream']) {
      const headers = { ...init.headers, ...(authorization === undefined ? {} : { authorization }) }
      const response = await fetch(`${installation.origin}/mcp/desk`, { ...init, headers })
      expect(response.status).toBe(401)
      const challenge = response.headers.get('www-authenticate') ?? ''
      const [, metadata = ''] = /resource_metadata="([^"]+)"/.exec(challenge) ?? []
      expect(await (await fetch(metadata)).json()).toMatchObject({
        resource: `${installation.origin}/mcp/desk`,
        authorization_servers: [ISSUER],
        bearer_methods_supported: [],
      })
    }
  })
})

describe('health and metrics', () => {
  it('is healthy and ready', async () => {
    expect(await (await get('/healthz')).json()).toEqual({ ok: true, version: 'test' })
    const ready = await get('/readyz')
    expect([ready.status, await ready.json()]).toEqual([200, { ok: true, problems: [], issuer: ISSUER }])
  })

  it('is not taken for another installation that should be on its port', async () => {
    const { dir, origin } = installation
    const text = readFileSync(join(dir, 'unbearer.yaml'), 'utf8').replace('127.0.0.1:0', new URL(origin).host)
    const [ours, other] = ['ours.yaml', 'other.yaml'].map((name) => join(dir, name))
    writeFileSync(ours ?? '', text, { mode: 0o600 })
    writeFileSync(other ?? '', text.replace(ISSUER, 'https://other.invalid'), { mode: 0o600 })
    expect(await unbearer('ready', '--config', ours ?? '')).toMatchObject({ exit: 0, out: 'ready\n' })
    expect(await unbearer('ready', '--config', other ?? '')).toMatchObject({
      exit: 2,
      err: expect.stringContaining('another installation answers'),
    })
  })

  it('counts decisions by decision, reason, plane and mode', async () => {
    const text = await (await get('/metrics')).text()
    expect(text.split('\n')).toEqual(
      expect.arrayContaining([
        '# TYPE unbearer_decisions_total counter',
        series('permit', 'none'),
        series('deny', 'intent.effect-mismatch'),
        series('challenge', 'policy.approval-required'),
      ]),
    )
  })

  it('has the stages, the pending approvals and the age of the feed', async () => {
    const text = await (await get('/metrics')).text()
    for (const stage of ['gather', 'verify', 'evaluate', 'commit', 'perform']) {
      expect(text).toMatch(new RegExp(`unbearer_stage_milliseconds_count\\{stage="${stage}"\\} \\d+`))
    }
    expect(text).toMatch(/^unbearer_pending_approvals 1$/m)
    expect(text).toMatch(/^unbearer_revocation_feed_age_seconds \d+$/m)
    expect(text).toMatch(/^unbearer_actions_in_flight 0$/m)
  })

  it('has no id and no name of an agent in it', async () => {
    const text = await (await get('/metrics')).text()
    const { agent: key, other } = installation.keys
    for (const secret of [key.jkt, other.jkt, 'alice', 'r1', 'write_record']) expect(text).not.toContain(secret)
  })
})

interface Heard {
  readonly status: number
  readonly body: string
}

/** Sends these headers as they are, `Host` too. */
async function ask(path: string, headers: Record<string, string>, method = 'GET', body = ''): Promise<Heard> {
  const { hostname, port } = new URL(installation.origin)
  return new Promise((resolve, reject) => {
    const sending = request({ hostname, port, path, method, headers, agent: false }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => void chunks.push(chunk))
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString() }))
    })
    sending.on('error', reject).end(body)
  })
}

describe('who may address it', () => {
  const { host: issuerHost } = new URL(ISSUER)

  it.each(['127.0.0.1', 'localhost:1234', '[::1]', issuerHost])('answers as %s', async (host) => {
    expect(await ask('/healthz', { host })).toMatchObject({ status: 200 })
  })

  it.each(['evil.example', '127.0.0.1.evil.example', '127.0.0.1@evil.example', 'localhost.', '0.0.0.0', '127.1.1.1'])(
    'does not answer as `%s`, not even that it is there',
    async (host) => {
      const { status } = await ask('/healthz', { host })
      expect(status).toBeGreaterThanOrEqual(400)
    },
  )

  it.each(['https://evil.example', 'null', 'http://localhost:1', 'http://127.0.0.1.evil.example'])(
    'does not answer a page of %s',
    async (origin) => {
      const host = new URL(installation.origin).host
      for (const path of ['/healthz', '/metrics', '/mcp/desk', '/control', '/session']) {
        expect(
          await ask(path, { host, origin }, path === '/healthz' || path === '/metrics' ? 'GET' : 'POST'),
        ).toMatchObject({
          status: 403,
        })
      }
    },
  )

  it('knows no other route and no other method', async () => {
    const host = new URL(installation.origin).host
    for (const path of ['/', '/mcp/nothing', '/admin', '/session/', '/.well-known/x', '/mcp/desk/x']) {
      expect((await ask(path, { host })).status).toBe(404)
    }
    expect((await ask('/mcp/desk', { host }, 'PUT', INITIALIZE)).status).toBeGreaterThanOrEqual(400)
    expect((await ask('/control', { host }, 'GET')).status).toBe(404)
  })

  it('does not read more than it was told to', async () => {
    const host = new URL(installation.origin).host
    const headers = { host, 'content-type': 'application/json', 'content-length': '99999999999' }
    expect(await ask('/session', headers, 'POST', '{')).toMatchObject({ status: 413 })
    const long = 'x'.repeat(4_194_305)
    expect(await ask('/mcp/desk', { host, 'content-type': 'application/json' }, 'POST', long)).toMatchObject({
      status: 413,
    })
  })

  it('goes on answering', async () => {
    expect(await agent.call('write_record', { id: 'r1' }, 'write: update record r1')).toMatchObject({ ok: true })
  })
})

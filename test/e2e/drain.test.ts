/**
 * The signals of a service: SIGTERM drains, SIGHUP reads everything again or nothing, certificates too; and the log that it
 * writes meanwhile. Seen to fail: with `draining` never set, and with `setSecureContext` left out.
 */
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from 'node:tls'

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'

import { callControl, openTask } from '../../src/client/index.ts'
import { openForReading } from '../../src/config/reading.ts'
import type { LogEntry } from '../../src/core/entry.ts'
import { connectAgent, type Agent } from '../support/agent.ts'
import { hasOpenssl, makeAuthority, makeCertificate } from '../support/certificates.ts'
import { prepareInstallation, toEntries, UPSTREAM_SECRET, type Prepared } from '../support/installation.ts'
import { startRecordingUpstream, type RecordingUpstream } from '../support/recording-upstream.ts'
import { unbearer } from '../support/run-cli.ts'
import { startServe, type ServeChild } from '../support/serve-child.ts'

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 })

let upstream: RecordingUpstream
let prepared: Prepared
const servers: ServeChild[] = []
const READ = { id: 'r1' }
const configFile = (): string => join(prepared.dir, 'unbearer.yaml')
const edit = (change: (text: string) => string): void =>
  writeFileSync(configFile(), change(readFileSync(configFile(), 'utf8')))

async function serve(...options: readonly string[]): Promise<ServeChild> {
  const server = await startServe(prepared.dir, ...options)
  servers.push(server)
  return server
}

async function connectTo(origin: string): Promise<Agent> {
  const { keys } = prepared
  const opening = { purpose: 'Update record r1', principal: 'alice', actor: 'agent' }
  const { txn } = await openTask({ url: origin, key: keys.host, ...opening })
  return connectAgent({ origin, key: keys.agent, txn })
}

async function entries(): Promise<readonly LogEntry[]> {
  const reading = await openForReading(prepared.config)
  try {
    const { log } = reading.store
    return toEntries(await log.entries(0, await log.size()))
  } finally {
    await reading.close()
  }
}

beforeEach(async () => {
  upstream = await startRecordingUpstream()
  prepared = await prepareInstallation({ upstream: { url: upstream.url } })
})
afterEach(async () => {
  for (const server of servers.splice(0)) await server.kill()
  await upstream.close()
  prepared.remove()
})

describe('SIGTERM', () => {
  it('begins nothing new, lets what is under way end, and records it', async () => {
    const server = await serve('--drain', '60s')
    const agent = await connectTo(server.origin)
    const slow = agent.call('slow_write', READ, 'write: update record r1')
    await vi.waitFor(() => expect(upstream.calls).toHaveLength(1), { timeout: 20_000 })
    server.signal('SIGTERM')
    await vi.waitFor(async () => expect((await fetch(`${server.origin}/readyz`)).status).toBe(503), { timeout: 20_000 })
    expect((await fetch(`${server.origin}/healthz`)).status).toBe(200)
    const at = server.origin.replace('http://', '')
    edit((text) => text.replace('127.0.0.1:0', at))
    expect(await unbearer('ready', '--config', configFile())).toMatchObject({
      exit: 1,
      out: 'not ready: this server is stopping\n',
    })
    expect(await agent.call('read_record', READ)).toMatchObject({ ok: false })
    const { operator } = prepared.keys
    await expect(callControl({ url: server.origin, key: operator, method: 'status' })).rejects.toThrow('503')
    expect(upstream.calls).toHaveLength(1)
    upstream.release()
    expect(await slow).toMatchObject({ ok: true })
    expect(await server.exit).toBe(0)
    expect((await entries()).flatMap((entry) => (entry.kind === 'outcome' ? [entry.outcome] : []))).toEqual(['done'])
    await agent.close().catch(() => undefined)
  })

  it('waits for nobody who only listens', async () => {
    const server = await serve('--drain', '10m')
    const agent = await connectTo(server.origin)
    expect(await agent.call('read_record', READ)).toMatchObject({ ok: true })
    server.signal('SIGTERM')
    expect(await server.exit).toBe(0)
    await agent.close().catch(() => undefined)
  })

  it('aborts what does not end in time, and records that too', async () => {
    const server = await serve('--drain', '1s')
    const agent = await connectTo(server.origin)
    const slow = agent.call('slow_write', READ, 'write: update record r1')
    await vi.waitFor(() => expect(upstream.calls).toHaveLength(1), { timeout: 20_000 })
    server.signal('SIGTERM')
    expect(await server.exit).toBe(0)
    await agent.close().catch(() => undefined)
    expect(await slow).toMatchObject({ ok: false })
    const outcomes = (await entries()).flatMap((entry) => (entry.kind === 'outcome' ? [entry.outcome] : []))
    expect(outcomes).toHaveLength(1)
    expect(outcomes).not.toContain('done')
  })
})

describe('SIGHUP', () => {
  it('takes another configuration, or says why not and goes on', async () => {
    const server = await serve()
    const agent = await connectTo(server.origin)
    const secret = 'hunter2-in-the-file'
    edit((text) => `${text}nonsense: ${secret}\n`)
    server.signal('SIGHUP')
    await vi.waitFor(() => expect(server.said()).toContain('reload-refused'), { timeout: 20_000 })
    expect(server.said()).toContain('unknown key `nonsense`')
    expect(await agent.call('read_record', READ)).toMatchObject({ ok: true })
    edit((text) => text.replace(/nonsense.*\n/, ''))
    const forbid = '@id("none") forbid (principal, action, resource);'
    writeFileSync(join(prepared.dir, 'policies', '90-mine.cedar'), forbid, { mode: 0o600 })
    server.signal('SIGHUP')
    await vi.waitFor(() => expect(server.said()).toContain('"reloaded"'), { timeout: 20_000 })
    expect(await agent.call('read_record', READ)).toMatchObject({ ok: false, reason: 'policy.denied' })
    await agent.close()
    await server.stop()
    const lines = server
      .said()
      .split('\n')
      .filter((line) => line.startsWith('{"time"'))
    const events = lines.map((line): Record<string, unknown> => JSON.parse(line))
    expect(events.map(({ event }) => event)).toEqual(['started', 'reload-refused', 'reloaded', 'draining', 'stopped'])
    for (const event of events) {
      expect(Object.keys(event).filter((key) => !LOGGED.includes(key))).toEqual([])
      expect(['info', 'warn', 'error']).toContain(event['level'])
    }
    for (const hidden of [secret, UPSTREAM_SECRET, 'Update record', 'row-canary', prepared.jwks.agent.d]) {
      expect(server.said()).not.toContain(hidden)
    }
  })

  it.skipIf(!hasOpenssl)(
    'takes a new certificate for new connections, and keeps the old one when it is broken',
    async () => {
      const certificates = mkdtempSync(join(tmpdir(), 'unbearer-tls-'))
      makeAuthority(certificates, 'ours')
      for (const name of ['first', 'second']) makeCertificate(certificates, name, 'ours')
      const put = (certificate: string, key: string): void => {
        copyFileSync(join(certificates, `${certificate}.pem`), join(prepared.dir, 'keys', 'tls.pem'))
        copyFileSync(join(certificates, `${key}.key`), join(prepared.dir, 'keys', 'tls.key'))
      }
      put('first', 'first')
      const port = await freePort()
      edit(
        (text) => `${text.replace('127.0.0.1:0', `127.0.0.1:${port}`)}origin: https://localhost:${port}
tls: { cert: { file: ./keys/tls.pem }, key: { file: ./keys/tls.key } }\n`,
      )
      const server = await serve()
      const ca = readFileSync(join(certificates, 'ours.pem'), 'utf8')
      expect(await subjectAt(port, ca)).toBe('first')
      put('second', 'first')
      server.signal('SIGHUP')
      await vi.waitFor(() => expect(server.said()).toContain('cannot be used together'), { timeout: 20_000 })
      expect(await subjectAt(port, ca)).toBe('first')
      put('second', 'second')
      server.signal('SIGHUP')
      await vi.waitFor(() => expect(server.said()).toContain('"reloaded"'), { timeout: 20_000 })
      expect(await subjectAt(port, ca)).toBe('second')
      expect(await unbearer('ready', '--config', configFile())).toMatchObject({ exit: 0 })
      await server.stop()
      rmSync(certificates, { recursive: true })
    },
  )
})

/** Everything that a line of the log may have. */
const LOGGED = [
  'time',
  'level',
  'event',
  'name',
  'code',
  'message',
  'origin',
  'version',
  'entries',
  'upstreams',
  'inFlight',
]

async function freePort(): Promise<number> {
  const probe = createServer()
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve))
  const address: AddressInfo | string | null = probe.address()
  await new Promise<void>((resolve) => probe.close(() => resolve()))
  return typeof address === 'object' && address !== null ? address.port : 0
}

/** The name in the certificate that a new connection is shown. */
async function subjectAt(port: number, ca: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, ca, servername: 'localhost' }, () => {
      resolve(String(socket.getPeerCertificate().subject.CN))
      socket.end()
    })
    socket.on('error', reject)
  })
}

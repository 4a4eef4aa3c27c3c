/**
 * @module
 * Observe: what intent, scope, context, anomaly and policy say is recorded and suspended; identity, parsing and revocation
 * are not. Requests without proof are let through on the loopback, and never given a credential.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { signRequest } from '../../src/crypto/http-signature.ts'
import { generateKey, importKey } from '../../src/crypto/keys.ts'
import type { DecisionEntry, LogEntry } from '../../src/core/entry.ts'
import { connectAgent, INITIALIZE, openRaw, toAnswer, toCall, type Agent } from '../support/agent.ts'
import { createInstallation, type Installation } from '../support/installation.ts'
import { startRecordingUpstream, type RecordingUpstream } from '../support/recording-upstream.ts'
import { SERVER } from '../support/tools.ts'

let upstream: RecordingUpstream
let installation: Installation
let unproved: Agent
let proved: Agent

beforeAll(async () => {
  upstream = await startRecordingUpstream()
  installation = await createInstallation({ upstream, mode: 'observe' })
  unproved = await connectAgent({ origin: installation.origin })
  const { txn } = await installation.openTask('Look at record r1')
  proved = await connectAgent({ origin: installation.origin, key: installation.keys.agent, txn })
})

afterAll(async () => {
  await unproved.close()
  await proved.close()
  await installation.close()
  await upstream.close()
})

async function lastDecision(): Promise<DecisionEntry> {
  const entries = await installation.entries()
  const found = entries.findLast((entry: LogEntry): entry is DecisionEntry => entry.kind === 'decision')
  if (found === undefined) throw new Error('nothing was decided')
  return found
}

describe('without any proof, on the loopback', () => {
  it('runs what would have been blocked, records why, and mints nothing', async () => {
    const saw = await unproved.call('delete_record', { id: 'r1' }, 'read: just looking at record r1')
    expect(saw).toMatchObject({ ok: true })
    const entry = await lastDecision()
    expect(entry).toMatchObject({ decision: 'permit', mode: 'observe', proof: 'none' })
    expect(entry.suspended).toEqual(expect.arrayContaining(['intent.effect-mismatch', 'scope.no-grant']))
    expect(entry).not.toHaveProperty('jti')
  })

  it('runs a tool that nobody accepted, and records that', async () => {
    await unproved.client.callTool({ name: 'format_disk', arguments: {} })
    expect((await lastDecision()).suspended).toEqual(expect.arrayContaining(['scope.unknown-tool', 'intent.missing']))
  })

  it('is not let through to the task of an agent', async () => {
    const entry = await lastDecision()
    const { values } = await installation.evidence(entry.id)
    expect(values['request']).toMatchObject({ subject: { type: 'connection' }, actor: { id: 'unproved' } })
    expect(values['evidence']).not.toHaveProperty('grant')
  })
})

describe('with a proof', () => {
  it('gets a credential, with the mode in the entry', async () => {
    expect(await proved.call('delete_record', { id: 'r1' }, 'delete: delete record r1')).toMatchObject({ ok: true })
    const entry = await lastDecision()
    expect(entry).toMatchObject({ decision: 'permit', mode: 'observe', proof: 'signature' })
    expect(entry.jti).toMatch(/^[\w-]{22}$/)
    expect(entry.suspended).toContain('policy.approval-required')
  })

  it('that is wrong is refused, not taken for none', async () => {
    const before = upstream.calls.length
    const body = Buffer.from(INITIALIZE)
    const url = `${installation.origin}/mcp/${SERVER}`
    const headers = {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      authorization: 'Unbearer a.b.c',
    }
    const key = importKey({ ...generateKey('Ed25519') })
    const proof = signRequest({ key, method: 'POST', target: `/mcp/${SERVER}`, headers, body, now: Date.now() })
    const answer = await toAnswer(await fetch(url, { method: 'POST', headers: { ...headers, ...proof }, body }))
    expect(answer).toMatchObject({ status: 401, reason: 'identity.unknown-key' })
    const bare = await toAnswer(await fetch(url, { method: 'POST', headers, body }))
    expect(bare).toMatchObject({ status: 401, reason: 'identity.missing' })
    expect(upstream.calls).toHaveLength(before)
  })
})

describe('what observe does not suspend', () => {
  it('input that cannot be parsed', async () => {
    const before = upstream.calls.length
    const raw = await openRaw({ origin: installation.origin })
    const answer = await raw.post(toCall(1, 'read_record', { id: 'r1' }).replace('"id":"r1"', '"id":"r1","id":"r2"'))
    expect(answer.reason).toBe('system.malformed')
    expect(upstream.calls).toHaveLength(before)
  })

  it('the control plane and session credentials', async () => {
    const bodies = [
      ['/control', '{"method":"status"}'],
      ['/session', '{}'],
    ] as const
    for (const [path, body] of bodies) {
      const answer = await toAnswer(await fetch(`${installation.origin}${path}`, { method: 'POST', body }))
      expect(answer).toMatchObject({ status: 401, reason: 'identity.missing' })
    }
  })

  // The last one: it stops the tool for good.
  it('revocation, for proved and unproved', async () => {
    const before = upstream.calls.length
    await installation.control('operator', 'revoke', { dimension: 'tool', id: `${SERVER}/read_record` })
    expect(await unproved.call('read_record', { id: 'r1' })).toMatchObject({ ok: false, reason: 'identity.revoked' })
    expect(await proved.call('read_record', { id: 'r1' })).toMatchObject({ ok: false, reason: 'identity.revoked' })
    await installation.control('operator', 'revoke', { dimension: 'all' })
    expect(await unproved.call('read_inbox', {})).toMatchObject({ ok: false })
    expect(upstream.calls).toHaveLength(before)
  })
})

describe('the same listener in enforce', () => {
  it('refuses a request without proof', async () => {
    const enforcing = await createInstallation({ upstream })
    const answer = await toAnswer(
      await fetch(`${enforcing.origin}/mcp/${SERVER}`, { method: 'POST', body: INITIALIZE }),
    )
    await enforcing.close()
    expect(answer).toMatchObject({ status: 401, reason: 'identity.missing' })
  })
})

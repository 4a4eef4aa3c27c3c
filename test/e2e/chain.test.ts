/**
 * @module
 * The whole chain as an agent meets it: the official client, the real gateway, every effect.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { connectAgent, type Agent } from '../support/agent.ts'
import { createInstallation, UPSTREAM_SECRET, type Installation } from '../support/installation.ts'
import { startRecordingUpstream, type RecordingUpstream } from '../support/recording-upstream.ts'
import { ROW_CANARY } from '../support/tools.ts'

let upstream: RecordingUpstream
let installation: Installation
let agent: Agent

beforeAll(async () => {
  upstream = await startRecordingUpstream()
  installation = await createInstallation({ upstream })
  const { txn } = await installation.openTask('Update record r1, pay 20 to bob@example.org and write to him')
  agent = await connectAgent({ origin: installation.origin, key: installation.keys.agent, txn })
})

afterAll(async () => {
  await agent.close()
  await installation.close()
  await upstream.close()
})

describe('an agent within its grant, its purpose and its word', () => {
  it('writes', async () => {
    expect(await agent.call('write_record', { id: 'r1', text: 'x' }, 'write: update record r1')).toMatchObject({
      ok: true,
    })
    expect(upstream.calls.at(-1)).toEqual({ name: 'write_record', arguments: { id: 'r1', text: 'x' } })
  })

  it('pays', async () => {
    const saw = await agent.call('pay', { to: 'bob@example.org', amount: 20 }, 'spend: pay 20 to bob@example.org')
    expect(saw).toMatchObject({ ok: true })
  })

  it('sends', async () => {
    const saw = await agent.call('send', { to: 'bob@example.org', body: 'hello' }, 'send: write to bob@example.org')
    expect(saw).toMatchObject({ ok: true })
  })

  it('reads', async () => {
    const saw = await agent.call('read_record', { id: 'r1' })
    expect(saw.ok).toBe(true)
    expect(saw.text).toContain(ROW_CANARY)
  })

  it('gets a large number as the server wrote it', async () => {
    expect(await agent.call('big_number', {})).toMatchObject({ ok: true })
    const outcomes = (await installation.entries()).filter((entry) => entry.kind === 'outcome')
    expect(outcomes.map(({ outcome }) => outcome)).toEqual(outcomes.map(() => 'done'))
  })

  it('never sees the intent argument or its own proof at the upstream, where the secret of the upstream is', () => {
    const seen = JSON.stringify([upstream.headers, upstream.bodies])
    expect(seen).toContain(UPSTREAM_SECRET)
    expect(seen).not.toMatch(/unbearer_intent|signature-input|content-digest|Unbearer ey/)
  })
})

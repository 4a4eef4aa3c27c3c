/**
 * @module
 * A staged roll-out on a real installation in `observe`: what enforcing more would have changed, by upstream, tool, agent and
 * reason; what one such action would have needed; and that a person can say that it would have been wrong.
 *
 * Broken once on purpose, and the test that fell:
 *
 * | broken on purpose                                            | fell                                    |
 * | ------------------------------------------------------------ | --------------------------------------- |
 * | `server/report.ts` decides in the mode that was recorded     | counts what `enforce` would have stopped |
 * | `explain/explain.ts` decides again in the recorded mode      | explains what was suspended             |
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { isJsonObject, type Json, type JsonObject } from '../../src/index.ts'
import { connectAgent, type Agent } from '../support/agent.ts'
import { createInstallation, type Installation } from '../support/installation.ts'
import { startRecordingUpstream, type RecordingUpstream } from '../support/recording-upstream.ts'
import { unbearer } from '../support/run-cli.ts'

let upstream: RecordingUpstream
let installation: Installation
let agent: Agent

beforeAll(async () => {
  upstream = await startRecordingUpstream()
  installation = await createInstallation({ upstream, store: 'sqlite', mode: 'observe' })
  const file = join(installation.dir, 'keys', 'operator.jwk')
  writeFileSync(file, JSON.stringify(installation.jwks.operator), { mode: 0o600 })
  const { txn } = await installation.openTask('Update record r1, delete record r2')
  agent = await connectAgent({ origin: installation.origin, key: installation.keys.agent, txn })
  await agent.call('read_record', { id: 'r1' })
  await agent.call('write_record', { id: 'r1', text: 'x' }, 'write: update record r1')
  await agent.call('write_record', { id: 'r1', text: 'x' }, 'read: look at record r1')
  await agent.call('write_record', { id: 'r1', text: 'y' }, 'read: look at record r1')
  await agent.call('delete_record', { id: 'r2' }, 'delete: delete record r2')
})

afterAll(async () => {
  await agent.close()
  await installation.close()
  await upstream.close()
})

function toObject(value: Json | undefined): JsonObject {
  return isJsonObject(value) ? value : {}
}

async function report(): Promise<JsonObject> {
  return toObject(await installation.control('operator', 'report', { since: 0 }))
}

describe('a staged roll-out', () => {
  it('counts what `enforce` would have stopped', async () => {
    const { enforce, decisions, refusals, autonomy } = await report()
    expect(decisions).toMatchObject({ permit: 5, deny: 0, challenge: 0 })
    expect(refusals).toMatchObject({ total: 0, groups: [] })
    expect(autonomy).toMatchObject({ consequential: 4, withoutPerson: 4, share: 1 })
    const write = { upstream: 'desk', tool: 'desk/write_record', actor: 'agent', effect: 'write' }
    expect(enforce).toEqual({
      upstreams: [{ upstream: 'desk', observed: 5, denied: 2, held: 1 }],
      groups: [
        { ...write, reason: 'intent.effect-mismatch', decision: 'deny', count: 2, right: 0, wrong: 0 },
        expect.objectContaining({ tool: 'desk/delete_record', effect: 'delete', decision: 'challenge', count: 1 }),
      ],
      other: 0,
    })
  })

  it('explains what was suspended', async () => {
    const entries = await installation.entries()
    const entry = entries.findLast((each) => each.kind === 'decision' && each.suspended !== undefined)
    const explained = toObject(await installation.control('operator', 'entry.why', { id: entry?.id ?? '' }))
    expect(explained['sentence']).toContain('`observe` suspended policy.approval-required')
    expect(explained['mode']).toMatchObject({ mode: 'observe' })
    expect(explained['enforce']).toEqual({ decision: 'challenge', reason: 'policy.approval-required' })
    expect(explained['remedies']).toContainEqual(expect.objectContaining({ kind: 'approval' }))
  })

  it('lets a person say that stopping it would have been wrong', async () => {
    const entries = await installation.entries()
    const entry = entries.find((each) => each.kind === 'decision' && each.suspended !== undefined)?.id ?? ''
    const config = ['--config', join(installation.dir, 'unbearer.yaml'), '--server', installation.origin]
    const ran = await unbearer(
      'wrong',
      entry,
      '--note',
      'the agent only forgot to say so',
      '--expect',
      'permit',
      ...config,
    )
    expect([ran.exit, ran.err]).toEqual([0, ''])
    const right = await unbearer('wrong', entry, '--right', '--note', 'no, it was right', ...config)
    expect(right.out).toContain('recorded as right, expected deny')
    const { groups } = toObject((await report())['enforce'])
    expect(groups).toContainEqual(
      expect.objectContaining({ reason: 'intent.effect-mismatch', count: 2, right: 1, wrong: 0 }),
    )
  })
})

/**
 * @module
 * What a captured agent cannot do to the log, the disk and the people: quotas, questions, suspension, the reserve. Broken
 * once on purpose: without the count of questions, without the count over all tasks of an agent, and with suspensions that
 * are not read back at the start: each time a test below fell.
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'

import type { Config } from '../../src/config/load.ts'
import { signRequest } from '../../src/crypto/http-signature.ts'
import { generateKey, importKey } from '../../src/crypto/keys.ts'
import { connectAgent, INITIALIZE, toAnswer, type Agent } from '../support/agent.ts'
import { createInstallation, type Installation } from '../support/installation.ts'
import { startRecordingUpstream, type RecordingUpstream } from '../support/recording-upstream.ts'
import { SERVER } from '../support/tools.ts'

let upstream: RecordingUpstream
const opened: Installation[] = []
const agents: Agent[] = []

beforeAll(async () => {
  upstream = await startRecordingUpstream()
})
afterEach(async () => {
  for (const agent of agents.splice(0)) await agent.close().catch(() => undefined)
  for (const installation of opened.splice(0)) await installation.close()
})
afterAll(async () => upstream.close())

async function install(limits: string, store: 'memory' | 'sqlite' = 'memory'): Promise<Installation> {
  const installation = await createInstallation({ upstream, store, limits })
  opened.push(installation)
  return installation
}

async function connect(installation: Installation, name: 'agent' | 'other' = 'agent'): Promise<Agent> {
  const { txn } = await installation.openTask('Delete records r1 to r9', { actor: name })
  const agent = await connectAgent({ origin: installation.origin, key: installation.keys[name], txn })
  agents.push(agent)
  return agent
}

const reserving =
  (reserveBytes: number) =>
  (config: Config): Config => ({ ...config, limits: { ...config.limits, reserveBytes } })

async function actsOf(installation: Installation): Promise<readonly string[]> {
  return (await installation.entries()).map((entry) => (entry.kind === 'control' ? entry.act : entry.kind))
}

const remove = async (agent: Agent, id: string) => agent.call('delete_record', { id }, 'delete: the user asked for it')
const read = async (agent: Agent) => agent.call('read_record', { id: 'r1' })
/** A change that was said to be a look: denied. */
const drift = async (agent: Agent) => agent.call('write_record', { id: 'r1', text: 'x' }, 'read: looking at record r1')

describe('the quota of decisions', () => {
  it('refuses what is over it without an entry for each, and says so once', async () => {
    const installation = await install('decisionsPerMinute: 4')
    const agent = await connect(installation)
    const seen = []
    for (let calls = 0; calls < 12; calls += 1) seen.push((await read(agent)).reason ?? 'done')
    expect(seen.filter((each) => each === 'done')).toHaveLength(4)
    expect(seen.slice(4)).toEqual(Array.from({ length: 8 }, () => 'system.quota'))
    expect((await actsOf(installation)).filter((act) => act === 'decision')).toHaveLength(4)
    expect(await installation.serving.composed.telemetry.text()).toContain(
      'unbearer_turned_away_total{reason="system.quota"} 8',
    )
    const other = await connect(installation, 'other')
    expect(await read(other)).toMatchObject({ ok: true })
    expect(await actsOf(installation)).not.toContain('refusals.summary')
  })
})

describe('questions to people', () => {
  it('that were refused count when they are asked again with a letter changed', async () => {
    const installation = await install('asksPerTask: 3, approvalsPerTask: 3')
    const agent = await connect(installation)
    for (const id of ['r1', 'r2', 'r3']) {
      const { ticket = '' } = await remove(agent, id)
      await installation.answer(ticket, 'denied')
    }
    expect(await remove(agent, 'r4')).toMatchObject({ decision: 'deny', reason: 'policy.approval-limit' })
    const elsewhere = await connect(installation)
    expect(await remove(elsewhere, 'r4')).toMatchObject({ decision: 'challenge' })
  })

  it('are bounded for one agent over all of its tasks, and not for another', async () => {
    const installation = await install('approvalsPerActor: 2')
    const tasks = [await connect(installation), await connect(installation), await connect(installation)]
    const decisions = []
    for (const [index, agent] of tasks.entries()) decisions.push((await remove(agent, `r${index}`)).reason)
    expect(decisions[2]).toBe('policy.approval-limit')
    expect(decisions.slice(0, 2)).not.toContain('policy.approval-limit')
    const operations = [{ tool: `${SERVER}/*`, effects: ['delete'] }]
    await installation.control('operator', 'grant.create', {
      grant: { principal: 'alice', actor: 'other', operations },
    })
    expect(await remove(await connect(installation, 'other'), 'r1')).toMatchObject({ decision: 'challenge' })
  })
})

describe('an agent that is refused again and again', () => {
  const SUSPEND = 'suspend: { after: 3, within: 10m, reasons: [intent, scope, context] }'

  it('is suspended, once, in everything it does, over a restart; a person restores it', async () => {
    const installation = await install(SUSPEND, 'sqlite')
    const agent = await connect(installation)
    for (let calls = 0; calls < 3; calls += 1) expect((await drift(agent)).reason).toBe('intent.effect-mismatch')
    expect((await read(agent)).reason).toBe('identity.suspended')
    expect((await drift(agent)).reason).toBe('identity.suspended')
    await expect(agent.client.listTools()).rejects.toThrow('suspended')
    const acts = await actsOf(installation)
    expect(acts.filter((act) => act === 'agent.suspend')).toHaveLength(1)
    expect(acts.filter((act) => act === 'decision')).toHaveLength(3)
    expect(await installation.control('operator', 'status')).toMatchObject({ suspended: [{ name: 'agent' }] })
    expect(await read(await connect(installation, 'other'))).toMatchObject({ ok: true })

    await installation.restart()
    await expect(connect(installation)).rejects.toThrow('suspended')
    await expect(installation.control('approver', 'agent.restore', { name: 'agent' })).rejects.toThrow('role')
    await expect(installation.control('operator', 'agent.restore', { name: 'other' })).rejects.toThrow('not suspended')
    await installation.control('operator', 'agent.restore', { name: 'agent' })
    expect(await read(await connect(installation))).toMatchObject({ ok: true })
    expect((await actsOf(installation)).filter((act) => act === 'agent.restore')).toHaveLength(1)
    await installation.restart()
    expect(await read(await connect(installation))).toMatchObject({ ok: true })
  })

  it('is not whoever others merely claim to be', async () => {
    const installation = await install(SUSPEND.replace('intent', 'identity'))
    const agent = await connect(installation)
    const url = `${installation.origin}/mcp/${SERVER}`
    const body = Buffer.from(INITIALIZE)
    const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' }
    const forger = importKey({ ...generateKey('Ed25519') })
    // The key id of the victim on a signature of somebody else.
    const claimed = { ...forger, jkt: installation.keys.agent.jkt }
    for (let calls = 0; calls < 20; calls += 1) {
      const auth = { ...headers, authorization: 'Unbearer a.b.c' }
      const proof = signRequest({
        key: claimed,
        method: 'POST',
        target: `/mcp/${SERVER}`,
        headers: auth,
        body,
        now: Date.now(),
      })
      const answer = await toAnswer(await fetch(url, { method: 'POST', headers: { ...auth, ...proof }, body }))
      expect(answer.status).toBe(401)
    }
    expect(await read(agent)).toMatchObject({ ok: true })
    expect(installation.serving.composed.suspensions.list()).toEqual([])
    // In the other agent's task under its own key: that counts for whoever does it.
    const { txn } = await installation.openTask('Delete records', { actor: 'other' })
    expect(txn).not.toBe('')
  })

  it('is not one that waits for approvals, or that was never suspended for its reasons', async () => {
    const installation = await install('suspend: { after: 3, reasons: [] }')
    const agent = await connect(installation)
    for (let calls = 0; calls < 6; calls += 1) expect((await drift(agent)).reason).toBe('intent.effect-mismatch')
    expect(await read(agent)).toMatchObject({ ok: true })
  })
})

describe('while less than the reserve is left', () => {
  it('defers decisions without an entry, and records revocations, answers and restores', async () => {
    const installation = await install('approvalsPerTask: 3', 'sqlite')
    const agent = await connect(installation)
    const { ticket = '' } = await remove(agent, 'r1')
    const before = (await installation.entries()).length
    // The real look at the real disk, with a reserve that no disk has.
    await installation.restart(undefined, reserving(Number.MAX_SAFE_INTEGER))
    await expect(connect(installation)).rejects.toThrow('system.space')
    const problems = await (await fetch(`${installation.origin}/readyz`)).json()
    expect(problems).toMatchObject({ ok: false, problems: ['the disk is nearly full'] })
    await installation.answer(ticket, 'denied')
    expect(await installation.control('operator', 'revoke', { dimension: 'actor', id: 'other' })).toMatchObject({
      recorded: true,
    })
    const acts = (await actsOf(installation)).slice(before)
    expect(acts).toEqual(expect.arrayContaining(['approval.denied', 'revoke']))
    expect(acts).not.toContain('decision')
    expect(await installation.control('operator', 'status')).toMatchObject({ space: { low: true } })
    await installation.restart(undefined, reserving(0))
    expect(await read(await connect(installation))).toMatchObject({ ok: true })
  })
})

/**
 * @module
 * Modes on a real installation: leaving `enforce` takes a signature of an operator who may still act, for a time; what the
 * file alone says of observing is enforced. Broken once on purpose: with acts that are not verified at use, with acts of
 * revoked operators left standing, and with the door opened by the mode of one effect: each time a test below fell.
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'

import { parseConfig } from '../../src/config/load.ts'
import type { DecisionEntry, LogEntry } from '../../src/core/entry.ts'
import { asJson } from '../../src/core/json.ts'
import type { ModeAct } from '../../src/core/mode.ts'
import { MODE_ACTS_RECORD } from '../../src/core/records.ts'
import { newId } from '../../src/pdp/log-entries.ts'
import { signObserve, type ModeOverview } from '../../src/server/modes.ts'
import { connectAgent, INITIALIZE, toAnswer, type Agent } from '../support/agent.ts'
import { createInstallation, ISSUER, type Installation } from '../support/installation.ts'
import { startRecordingUpstream, type RecordingUpstream } from '../support/recording-upstream.ts'
import { SERVER } from '../support/tools.ts'

let upstream: RecordingUpstream
let installation: Installation
let agent: Agent
let other: Agent

beforeAll(async () => {
  upstream = await startRecordingUpstream()
  installation = await createInstallation({
    upstream,
    yaml: 'modes: [{ upstream: desk, tool: write_record, mode: observe }]',
  })
  agent = await connect('agent')
  other = await connect('other')
})

afterEach(async () => {
  await write([])
  await installation.serving.composed.modes.load()
})

afterAll(async () => {
  await agent.close()
  await other.close()
  await installation.close()
  await upstream.close()
})

async function connect(name: 'agent' | 'other'): Promise<Agent> {
  const { txn } = await installation.openTask('Look at record r1', { actor: name })
  return connectAgent({ origin: installation.origin, key: installation.keys[name], txn })
}

type Said = Partial<Parameters<typeof signObserve>[2]>

function sign(said: Said = {}, issuer = ISSUER): ModeAct {
  const at = Date.now()
  return signObserve(installation.keys.operator, issuer, {
    id: newId(),
    at,
    expires: at + 3_600_000,
    note: 'trial',
    ...said,
  })
}

async function observe(said: Said = {}): Promise<ModeAct> {
  const act = sign(said)
  await installation.control('operator', 'mode.observe', { act: asJson(act) })
  return act
}

/** As somebody would who can write the store and has no key. */
async function write(acts: readonly ModeAct[]): Promise<void> {
  const { store } = installation.serving.composed
  const result = await store.commit({ writes: [{ key: MODE_ACTS_RECORD, value: acts.map(asJson) }] })
  if (result.status === 'applied') await result.durable
}

async function last(): Promise<DecisionEntry> {
  const entries = await installation.entries()
  const found = entries.findLast((entry: LogEntry): entry is DecisionEntry => entry.kind === 'decision')
  if (found === undefined) throw new Error('nothing was decided')
  return found
}

/** Something that `enforce` refuses: a change that was said to be a look. */
const drift = async (by: Agent = agent) =>
  by.call('write_record', { id: 'r1', text: 'x' }, 'read: looking at record r1')
/** A read that `enforce` refuses, because it says that it sends. */
const oddRead = async (by: Agent = agent) => by.call('read_record', { id: 'r2' })

async function knock(): Promise<string | undefined> {
  const url = `${installation.origin}/mcp/${SERVER}`
  const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' }
  return (await toAnswer(await fetch(url, { method: 'POST', headers, body: INITIALIZE }))).reason
}

describe('without an act', () => {
  it('enforces what the file observes, and says so in the entry, the status and the list', async () => {
    expect(await drift()).toMatchObject({ ok: false, reason: 'intent.effect-mismatch' })
    expect(await last()).toMatchObject({ mode: 'enforce' })
    await write([])
    expect(await drift()).toMatchObject({ ok: false })
    expect(await last()).toMatchObject({ mode: 'enforce', modeFrom: 'modes[0] unsigned' })
    const status = await installation.control('operator', 'status')
    expect(status).toMatchObject({ modes: { unsigned: ['modes[0]'] }, upstreams: [{ name: SERVER, mode: 'enforce' }] })
  })
})

describe('with an act', () => {
  it('observes what it names; entry, evidence, read set and credential say by which act', async () => {
    const act = await observe({ upstream: SERVER, tool: 'write_record', configured: true })
    expect(await drift()).toMatchObject({ ok: true })
    const entry = await last()
    expect(entry).toMatchObject({ decision: 'permit', mode: 'observe', modeFrom: `act ${act.id}` })
    expect(entry.suspended).toContain('intent.effect-mismatch')
    const { values } = await installation.evidence(entry.id)
    expect(values['evidence']).toMatchObject({ mode: 'observe', modeFrom: `act ${act.id}` })
    expect(JSON.stringify(values['evidence'])).toContain(`"${MODE_ACTS_RECORD}"`)
    expect(await agent.call('delete_record', { id: 'r1' }, 'read: looking at r1')).toMatchObject({ ok: false })
    expect(await installation.control('operator', 'status')).toMatchObject({ modes: { unsigned: [] } })
  })

  it('of one agent observes no other', async () => {
    await observe({ actor: installation.keys.agent.jkt })
    expect(await drift()).toMatchObject({ ok: true })
    expect(await drift(other)).toMatchObject({ ok: false })
    expect(await knock()).toBe('identity.missing')
  })

  it('of one effect observes no graver one, and lets nobody in without a proof', async () => {
    await observe({ effect: 'read' })
    expect(await knock()).toBe('identity.missing')
    expect(await oddRead()).toMatchObject({ ok: true })
    expect(await last()).toMatchObject({ mode: 'observe' })
    expect(await drift()).toMatchObject({ ok: false })
    expect(await last()).toMatchObject({ mode: 'enforce', reason: 'intent.effect-mismatch' })
  })

  it('of a whole upstream lets requests without a proof in, and a tool that is enforced refuses them', async () => {
    await observe({ upstream: SERVER })
    await installation.control('operator', 'mode.enforce', { act: { upstream: SERVER, tool: 'delete_record' } })
    const unproved = await connectAgent({ origin: installation.origin })
    expect(await unproved.call('write_record', { id: 'r1', text: 'x' }, 'read: looking at r1')).toMatchObject({
      ok: true,
    })
    expect(await last()).toMatchObject({ mode: 'observe', proof: 'none' })
    expect(await last()).not.toHaveProperty('jti')
    expect(await unproved.call('delete_record', { id: 'r1' }, 'delete: record r1')).toMatchObject({
      ok: false,
      reason: 'identity.missing',
    })
    await installation.control('operator', 'mode.enforce', { act: {} })
    expect(await unproved.call('read_record', { id: 'r1' })).toMatchObject({ ok: false })
    await unproved.close().catch(() => undefined)
  })

  it('ends by itself', async () => {
    await observe({ expires: Date.now() + 400 })
    expect(await drift()).toMatchObject({ ok: true })
    await new Promise((resolve) => {
      setTimeout(resolve, 450)
    })
    expect(await drift()).toMatchObject({ ok: false })
  })

  it('ends when an operator enforces, and both stand in the log', async () => {
    await observe()
    expect(await installation.control('operator', 'mode.enforce', { act: {} })).toMatchObject({
      ended: [expect.any(String)],
    })
    expect(await drift()).toMatchObject({ ok: false })
    const acts = (await installation.entries()).flatMap((entry) => (entry.kind === 'control' ? [entry.act] : []))
    expect(acts).toEqual(expect.arrayContaining(['mode.observe', 'mode.enforce']))
  })
})

describe('who cannot leave enforce', () => {
  it.each(['approver', 'host', 'pep'] as const)('a key of the role %s', async (role) => {
    await expect(installation.control(role, 'mode.observe', { act: asJson(sign()) })).rejects.toThrow('role')
  })

  it.each<[string, () => ModeAct, RegExp]>([
    ['without its signature', () => ({ ...sign(), signature: 'AAAA' }), /signed/],
    [
      'widened after it was signed',
      () => ({ ...sign({ upstream: SERVER, tool: 'read_record' }), tool: 'pay' }),
      /signed/,
    ],
    ['signed for another installation', () => sign({}, 'https://elsewhere.example'), /signed/],
    ['for more than 30 days', () => sign({ expires: Date.now() + 31 * 86_400_000 }), /30 days/],
    ['that is over', () => sign({ at: Date.now() - 2_000, expires: Date.now() - 1_000 }), /days/],
    ['from the future', () => sign({ at: Date.now() + 3_600_000, expires: Date.now() + 7_200_000 }), /days/],
    ['of a tool of any upstream', () => sign({ tool: 'pay' }), /upstream/],
  ])('an act %s', async (_what, make, message) => {
    await expect(installation.control('operator', 'mode.observe', { act: asJson(make()) })).rejects.toThrow(message)
    expect(await drift()).toMatchObject({ ok: false })
  })

  it('an act that was recorded before', async () => {
    const act = await observe()
    await expect(installation.control('operator', 'mode.observe', { act: asJson(act) })).rejects.toThrow(
      'recorded before',
    )
  })

  it('whoever writes into the store without a key of an operator', async () => {
    const forged: readonly ModeAct[] = [
      { ...sign(), expires: Date.now() + 86_400_000 },
      { ...sign(), by: installation.keys.approver.jkt },
      signObserve(installation.keys.approver, ISSUER, { id: newId(), at: Date.now(), expires: Date.now() + 3_600_000 }),
      { id: newId(), mode: 'observe', by: 'nobody', at: Date.now(), expires: Date.now() + 3_600_000 },
    ]
    await write(forged)
    expect(await drift()).toMatchObject({ ok: false, reason: 'intent.effect-mismatch' })
    const { acts } = await installation.serving.composed.services.modes.list()
    expect(acts.map(({ inForce }) => inForce)).toEqual(forged.map(() => false))
  })

  it('an operator whom the file does not let', async () => {
    const file = parseConfig(
      `issuer: ${ISSUER}\ndeployment: same-user\nmode: observe\nmodes: [{ effect: write, mode: enforce }]`,
      {
        dir: '/',
      },
    )
    expect(file.modes.rules).toEqual([{ effect: 'write', mode: 'enforce', place: 'modes[0]' }])
    const strict = await createInstallation({
      upstream,
      yaml: 'modes: [{ tool: write_record, upstream: desk, mode: enforce }]',
    })
    const at = Date.now()
    const act = signObserve(strict.keys.operator, ISSUER, {
      id: newId(),
      at,
      expires: at + 9_000,
      upstream: SERVER,
      tool: 'write_record',
      note: 'n',
    })
    const asked = strict.control('operator', 'mode.observe', { act: asJson(act) })
    await expect(asked).rejects.toThrow('modes[0]')
    await strict.close()
  })

  // The last one: it stops the operator for good.
  it('an operator whose key was revoked, from the revocation on; who is left can still enforce', async () => {
    const services = installation.serving.composed.services
    const { enrolled } = installation
    await observe()
    expect(await drift()).toMatchObject({ ok: true })
    await services.revocations.revoke('actor', enrolled.operator.jkt, enrolled.host)
    expect(await drift()).toMatchObject({ ok: false })
    const overview: ModeOverview = await services.modes.list()
    expect(overview.acts.filter(({ mode }) => mode === 'observe')).toMatchObject([{ inForce: false }])
  })
})

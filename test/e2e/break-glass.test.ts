/**
 * @module
 * Break-glass: several people, for minutes, a grant and nothing more. Broken once on purpose: with signatures that are
 * counted and not verified at the opening, with signatures that stay for the next opening, with a grant that connections
 * take by themselves, and with a plan whose author was revoked: each time a test below fell.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import { toBreakGlassMessage, type BreakGlass } from '../../src/core/break-glass.ts'
import type { Grant, JsonObject } from '../../src/index.ts'
import { asJson } from '../../src/core/json.ts'
import { breakGlassRecord, fromRecord } from '../../src/core/records.ts'
import { importKey, generateKey, signBytes, type KeyPair } from '../../src/crypto/keys.ts'
import { createControlPlane, type ControlPlane } from '../fixtures/control-plane.ts'

const ISSUER = 'https://unbearer-test.invalid'
const MINUTE = 60_000

let plane: ControlPlane
let second: KeyPair
let third: KeyPair

beforeEach(async () => {
  plane = await createControlPlane('memory')
  second = await enrol('approver-2')
  third = await enrol('approver-3')
})
afterEach(async () => plane.close())

async function enrol(name: string): Promise<KeyPair> {
  const key = importKey(generateKey('Ed25519'))
  await plane.services.keys.enrol({ role: 'approver', name, jwk: key.jwk, by: 'system' })
  return key
}

const PLAN: JsonObject = {
  note: 'refunds by hand',
  keys: ['approver-1', 'approver-2', 'approver-3'],
  need: 2,
  minutes: 10,
  grant: { principal: 'alice', actor: 'agent-1', operations: [{ tool: 'orders/refund', effects: ['spend'] }] },
}

async function prepare(more: JsonObject = {}): Promise<BreakGlass> {
  const made = fromRecord<BreakGlass>({
    value: await plane.as('operator', 'break-glass.prepare', { plan: { ...PLAN, ...more } }),
  })
  if (made === undefined) throw new Error('nothing was prepared')
  return made
}

/** Calls as a key of the role approver. */
async function call(key: KeyPair, method: string, params: JsonObject): Promise<unknown> {
  const by = await plane.services.keys.find(key.jkt)
  if (by === undefined) throw new Error('not enrolled')
  return plane.control.call(method, params, by)
}

async function sign(key: KeyPair, plan: BreakGlass, at = plane.clock.time, issuer = ISSUER): Promise<unknown> {
  const signature = signBytes(key, toBreakGlassMessage(plan, at, issuer)).toString('base64url')
  return call(key, 'break-glass.sign', { id: plan.id, at, signature })
}

async function open(
  key: KeyPair,
  { id }: BreakGlass,
): Promise<{ readonly breakGlass: BreakGlass; readonly grant: Grant }> {
  const by = await plane.services.keys.find(key.jkt)
  if (by === undefined) throw new Error('not enrolled')
  return plane.services.breakGlasses.open(id, by)
}

describe('two of three', () => {
  it('open a grant for the minutes of the plan, and everything stands in the log', async () => {
    const plan = await prepare()
    await sign(plane.pairs.approver, plan)
    await expect(open(plane.pairs.approver, plan)).rejects.toThrow('1 of the 2')
    await sign(second, plan)
    const { grant } = await open(third, plan)
    expect(grant).toMatchObject({
      breakGlass: true,
      actor: plane.pairs.agent.jkt,
      expires: plane.clock.time + 10 * MINUTE,
    })
    const acts = await plane.acts()
    expect(acts.slice(-4)).toEqual(['break-glass.prepare', 'break-glass.sign', 'break-glass.sign', 'break-glass.open'])
    expect(await plane.services.grants.show(grant.id)).toEqual(grant)
    await expect(open(second, plan)).rejects.toThrow('open already')
  })

  it('sign for one opening, and for 15 minutes', async () => {
    const plan = await prepare()
    await sign(plane.pairs.approver, plan)
    plane.clock.time += 15 * MINUTE
    await sign(second, plan)
    await expect(open(second, plan)).rejects.toThrow('1 of the 2')
    await sign(plane.pairs.approver, plan)
    await open(second, plan)
    plane.clock.time += 11 * MINUTE
    await expect(open(second, plan)).rejects.toThrow('0 of the 2')
    // The same signatures again are for a round that is over.
    await expect(sign(second, plan)).rejects.toThrow('not of this key')
  })

  it('are two people: one who signs twice is one', async () => {
    const plan = await prepare()
    await sign(second, plan)
    plane.clock.time += 1_000
    await sign(second, plan)
    await expect(open(second, plan)).rejects.toThrow('1 of the 2')
  })
})

describe('the grant', () => {
  it('is had by a task that names it, and by no other', async () => {
    const plan = await prepare()
    const actor = plane.pairs.agent.jkt
    await plane.services.grants.create(
      { principal: 'alice', actor, operations: [{ tool: 'orders/query' }] },
      plane.enrolled.operator,
    )
    await sign(second, plan)
    await sign(third, plan)
    const { grant } = await open(third, plan)
    const opening = { purpose: 'p', principal: 'alice', actor: 'agent-1', openedBy: plane.enrolled.host }
    const [plain, named] = [
      await plane.services.tasks.open(opening),
      await plane.services.tasks.open({ ...opening, grant: grant.id }),
    ]
    const own = await plane.services.tasks.openForConnection({ jkt: actor })
    expect([plain.grant === grant.id, named.grant, own.grant === grant.id]).toEqual([false, grant.id, false])
    expect(plain.grant).toBe(own.grant)
    plane.clock.time += 11 * MINUTE
    await expect(plane.services.tasks.open({ ...opening, grant: grant.id })).rejects.toThrow('not a valid grant')
  })
})

describe('what opens nothing', () => {
  it.each<[string, JsonObject, string]>([
    ['one key', { keys: ['approver-1'] }, 'keys'],
    ['the same key twice', { keys: ['approver-1', 'approver-1'] }, 'distinct'],
    ['one signature', { need: 1 }, 'at least 2'],
    ['more signatures than keys', { need: 4 }, 'need'],
    ['more than 15 minutes', { minutes: 16 }, 'minutes'],
    ['no minutes', { minutes: 0 }, 'minutes'],
    ['an operator who does not approve', { keys: ['approver-1', 'operator-1'] }, 'approver'],
    ['an agent among the keys', { keys: ['approver-1', 'agent-1'] }, 'approver'],
    ['times of its own', { grant: { principal: 'a', actor: 'agent-1', expires: '90d', operations: [] } }, 'expires'],
    ['a grant below another', { grant: { principal: 'a', actor: 'agent-1', parent: 'x', operations: [] } }, 'parent'],
    ['a grant of nothing', { grant: { principal: 'a', actor: 'agent-1', operations: [] } }, 'operations'],
  ])('a plan with %s', async (_what, more, message) => {
    await expect(prepare(more)).rejects.toThrow(message)
  })

  it('a signature of somebody else, for another plan, for another installation, or of another time', async () => {
    const [plan, other] = [await prepare(), await prepare({ minutes: 15 })]
    const stranger = await enrol('approver-4')
    await expect(sign(stranger, plan)).rejects.toThrow('not among')
    await expect(sign(second, { ...other, id: plan.id })).rejects.toThrow('not of this key')
    await expect(sign(second, plan, plane.clock.time, 'https://elsewhere.example')).rejects.toThrow('not of this key')
    await expect(sign(second, plan, plane.clock.time - 16 * MINUTE)).rejects.toThrow('not of this key')
    await expect(sign(second, plan, plane.clock.time + 6 * MINUTE)).rejects.toThrow('not of this key')
    await expect(open(stranger, plan)).rejects.toThrow('not among')
  })

  it('a role that may not', async () => {
    const { id } = await prepare()
    for (const role of ['agent', 'host', 'pep', 'operator'] as const)
      await expect(plane.as(role, 'break-glass.open', { id })).rejects.toThrow(/role/)
    await expect(plane.as('approver', 'break-glass.prepare', { plan: PLAN })).rejects.toThrow('role')
  })

  it('what was written into the store without a key', async () => {
    const plan = await prepare()
    await sign(second, plan)
    const forged = { by: third.jkt, at: plane.clock.time, signature: 'AAAA' }
    const stored = await plane.services.breakGlasses.show(plan.id)
    await plane.store.commit({
      writes: [
        { key: breakGlassRecord(plan.id), value: asJson({ ...stored, signatures: [...stored.signatures, forged] }) },
      ],
    })
    await expect(open(second, plan)).rejects.toThrow('1 of the 2')
    // A plan that was widened after it was signed.
    await sign(third, plan)
    const signed = await plane.services.breakGlasses.show(plan.id)
    await plane.store.commit({
      writes: [{ key: breakGlassRecord(plan.id), value: asJson({ ...signed, minutes: 15 }) }],
    })
    await expect(open(second, plan)).rejects.toThrow('0 of the 2')
  })

  it('whoever was revoked: a signer, or the operator who prepared it', async () => {
    const plan = await prepare()
    await sign(second, plan)
    await sign(third, plan)
    await plane.services.revocations.revoke('actor', third.jkt, plane.enrolled.operator)
    await expect(open(second, plan)).rejects.toThrow('1 of the 2')
    await sign(plane.pairs.approver, plan)
    await plane.services.revocations.revoke('actor', plane.pairs.operator.jkt, plane.enrolled.host)
    await expect(open(second, plan)).rejects.toThrow('who prepared this')
  })
})

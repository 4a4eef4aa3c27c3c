/**
 * @module
 * A store that was put back, cut or swapped under a head that says otherwise: the start refuses, a person may accept, and
 * then nothing that was issued before lives on.
 *
 * Broken once on purpose, and the test that fell:
 *
 * | broken on purpose                                     | fell                                                   |
 * | ----------------------------------------------------- | ------------------------------------------------------ |
 * | `pdp/authenticate.ts` sessions of before are accepted | voids what was issued; …                               |
 * | `server/continuity.ts` no approval is voided          | voids what was issued; …                               |
 * | `server/continuity.ts` no task is ended               | voids what was issued; …                               |
 * | `server/continuity.ts` no budget is closed            | voids what was issued; …                               |
 * | `server/revocations.ts` the journal is not merged     | brings back a revocation that the older store …        |
 * | `server/continuity.ts` the number is not the time     | raises the number each time, …                         |
 * | `config/void-issued.ts` the key is not looked at      | is not for anybody but an operator                     |
 * | `config/void-issued.ts` the log is not verified       | does not accept a log that does not fit its checkpoint |
 */
import { copyFileSync, existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

import { afterEach, describe, expect, it } from 'vitest'

import { createSigningFetch } from '../../src/client/index.ts'
import { acceptHead } from '../../src/config/recover.ts'
import type { Serving } from '../../src/config/listen.ts'
import { generateKey, importKey, verifyBytes } from '../../src/crypto/keys.ts'
import { isJsonObject, type JsonObject } from '../../src/index.ts'
import { verifyStore } from '../../src/server/audit.ts'
import { toContinuityMessage } from '../../src/server/continuity.ts'
import { toCall, openRaw } from '../support/agent.ts'
import { approve, control, createStage, openTask, readActs, type Stage } from '../support/places.ts'

let stage: Stage

afterEach(async () => stage.close())

const BUDGET = { budgets: [{ id: 'writes', limit: 5, effects: ['write'] }] }
const PURPOSE = 'Delete the records r1 r2, update r3 and r4'

const storeOf = (): string => join(stage.prepared.dir, 'state', 'unbearer.db')
const headOf = (): string => join(stage.prepared.dir, 'head', 'unbearer.head')

const recover = async (name: 'operator' | 'agent' | 'approver' = 'operator', keepBudgets = false) =>
  acceptHead(stage.prepared.config, {
    operator: stage.prepared.keys[name],
    keepBudgets,
    notice: () => undefined,
  })

/** Serves, acts, and keeps a copy of the store as it was before the last of it. */
async function loseSomething(): Promise<{ txn: string; ticket: string }> {
  const serving = await stage.serve()
  const txn = await openTask(stage, serving, PURPOSE)
  const agent = await stage.agent(serving, txn)
  const { ticket = '' } = await agent.call('delete_record', { id: 'r1' }, 'delete: delete record r1')
  await approve(stage, serving, ticket)
  await serving.close()
  copyFileSync(storeOf(), `${storeOf()}.older`)
  const later = await stage.serve()
  const again = await stage.agent(later, txn)
  expect(await again.call('delete_record', { id: 'r1' }, 'delete: delete record r1')).toMatchObject({ ok: true })
  expect(await again.call('write_record', { id: 'r3', text: 'x' }, 'write: update record r3')).toMatchObject({
    ok: true,
  })
  await control(stage, later, 'operator', 'revoke', { dimension: 'actor', id: stage.prepared.keys.other.jkt })
  await later.close()
  return { txn, ticket }
}

function putBack(): void {
  copyFileSync(`${storeOf()}.older`, storeOf())
}

describe('a store that is older than the head outside', () => {
  it('is refused by every start, which names the way', async () => {
    stage = await createStage(BUDGET)
    await loseSomething()
    putBack()
    await expect(stage.serve()).rejects.toMatchObject({
      code: 'ERR_UNBEARER_INTEGRITY',
      message: expect.stringMatching(
        /has `\d+` entries and the head outside it `\d+`; .*`unbearer recover --accept-head`/,
      ),
    })
  })

  it('is accepted under an entry with both heads that the operator signed, and the old head is kept', async () => {
    stage = await createStage(BUDGET)
    await loseSomething()
    putBack()
    const recovered = await recover()
    expect(recovered?.outside?.size).toBeGreaterThan(recovered?.found?.size ?? Infinity)
    expect(existsSync(recovered?.aside ?? '')).toBe(true)
    const serving = await stage.serve()
    const [{ by, signature, ...detail } = {}] = await readActs(serving, 'continuity.recover')
    const { operator } = stage.prepared.keys
    expect(by).toBe(operator.jkt)
    expect(detail).toMatchObject({ why: 'recover', outside: recovered?.outside, found: recovered?.found })
    const bytes = Buffer.from(typeof signature === 'string' ? signature : '', 'base64url')
    expect(verifyBytes(operator, toContinuityMessage(detail), bytes)).toBe(true)
    const { store, vkey } = serving.composed
    expect(await verifyStore(store, { vkey })).toMatchObject({ ok: true })
    await serving.close()
    expect(await recover()).toBeUndefined()
  })

  it('voids what was issued; approvals, open tasks and budgets of grants with it', async () => {
    stage = await createStage(BUDGET)
    const { txn, ticket } = await loseSomething()
    const before = await stage.serve()
    const session = await openSession(before, txn)
    expect(await session.ask()).toBe('accepted')
    await before.close()
    putBack()
    const recovered = await recover()
    expect(recovered?.voided).toMatchObject({ approvals: 1, budgets: [expect.stringContaining('/writes')] })

    const serving = await stage.serve()
    // The very credential of before; a client renews it, and then its task is over.
    expect(await session.ask(serving.origin)).toBe('identity.expired')
    await expect(stage.agent(serving, txn)).rejects.toThrow(/over/)
    const shown = await serving.composed.services.approvals.show(ticket)
    expect(shown.status).toBe('expired')
    const agent = await stage.agent(serving, await openTask(stage, serving, PURPOSE))
    expect(await agent.call('write_record', { id: 'r4', text: 'x' }, 'write: update record r4')).toMatchObject({
      reason: 'scope.budget',
    })
    expect(await agent.call('read_record', { id: 'r1' })).toMatchObject({ ok: true })
    // The approval was consumed in what was lost: it must not run the action a second time.
    expect(stage.upstream.calls.filter(({ name }) => name === 'delete_record')).toHaveLength(1)
  })

  it('brings back a revocation that the older store does not know, from the journal outside', async () => {
    stage = await createStage()
    await loseSomething()
    putBack()
    const recovered = await recover()
    const serving = await stage.serve()
    const { other } = stage.prepared.keys
    const found = serving.composed.services.revocations.find('actor', other.jkt)
    expect(found?.rev).toBeGreaterThan(recovered?.voided.rev ?? Infinity)
    await expect(
      openTask(stage, serving, PURPOSE, 'other').then(async (txn) => stage.agent(serving, txn, 'other')),
    ).rejects.toThrow(/revoked/)
    expect(await readActs(serving, 'revoke')).toHaveLength(1)
  })

  it('keeps budgets as stored when that is wanted, and says so', async () => {
    stage = await createStage(BUDGET)
    await loseSomething()
    putBack()
    expect((await recover('operator', true))?.voided.budgets).toEqual([])
    const serving = await stage.serve()
    const agent = await stage.agent(serving, await openTask(stage, serving, PURPOSE))
    expect(await agent.call('write_record', { id: 'r4', text: 'x' }, 'write: update record r4')).toMatchObject({
      ok: true,
    })
  })

  it('raises the number each time, also when the same store is put back and what is outside is gone', async () => {
    stage = await createStage()
    await loseSomething()
    const revs: number[] = []
    for (let turn = 0; turn < 3; turn += 1) {
      putBack()
      if (turn === 2) for (const path of [headOf(), `${headOf()}.journal`]) rmSync(path)
      revs.push((await recover())?.voided.rev ?? 0)
      await (await stage.serve()).close()
    }
    expect(revs.toSorted((a, b) => a - b)).toEqual(revs)
    expect(new Set(revs).size).toBe(3)
  })
})

describe('to recover', () => {
  it.each(['agent', 'approver'] as const)('is not for anybody but an operator: %s', async (name) => {
    stage = await createStage()
    await loseSomething()
    putBack()
    await expect(recover(name)).rejects.toMatchObject({ code: 'ERR_UNBEARER_REFUSED' })
    await expect(stage.serve()).rejects.toMatchObject({ code: 'ERR_UNBEARER_INTEGRITY' })
  })

  it('is not for an operator who is no admin', async () => {
    stage = await createStage()
    const { d, ...jwk } = generateKey('Ed25519')
    const serving = await stage.serve()
    const viewer = { role: 'operator', name: 'viewer', jwk, roles: ['viewer', 'revoker', 'policy-author'] }
    await control(stage, serving, 'operator', 'key.enrol', viewer)
    await serving.close()
    rmSync(headOf())
    const operator = importKey({ ...jwk, d })
    const asked = acceptHead(stage.prepared.config, { operator, keepBudgets: false, notice: () => undefined })
    await expect(asked).rejects.toMatchObject({ reason: 'identity.key-role' })
  })

  it('is not for an operator whose revocation only the journal knows', async () => {
    stage = await createStage()
    await loseSomething()
    const serving = await stage.serve()
    const { d: _d, ...jwk } = generateKey('Ed25519')
    const second = { role: 'operator', name: 'second', jwk, roles: ['admin'] }
    await control(stage, serving, 'operator', 'key.enrol', second)
    await control(stage, serving, 'operator', 'revoke', { dimension: 'actor', id: stage.prepared.keys.operator.jkt })
    await serving.close()
    putBack()
    await expect(recover()).rejects.toMatchObject({ reason: 'identity.revoked' })
  })

  it('is refused while a server has the store', async () => {
    stage = await createStage()
    await stage.serve()
    await expect(recover()).rejects.toMatchObject({ code: 'ERR_UNBEARER_UNAVAILABLE' })
  })

  it('does not accept a log that does not fit its checkpoint', async () => {
    stage = await createStage()
    await loseSomething()
    putBack()
    const db = new DatabaseSync(storeOf())
    db.exec("UPDATE entry SET bytes = x'7b7d' WHERE idx = 2")
    db.close()
    await expect(recover()).rejects.toThrow(/does not verify, restore a backup/)
  })

  it.each([
    ['is gone', (): void => rmSync(headOf())],
    ['is garbage', (): void => writeFileSync(headOf(), 'garbage')],
    ['is empty', (): void => writeFileSync(headOf(), '')],
  ])('works where the head %s', async (_what, damage) => {
    stage = await createStage()
    await loseSomething()
    damage()
    await expect(stage.serve()).rejects.toThrow(/recover --accept-head/)
    expect(await recover()).toMatchObject({ outside: null })
    await (await stage.serve()).close()
    expect(readdirSync(join(stage.prepared.dir, 'head')).toSorted()[0]).toBe('unbearer.head')
  })
})

/** Asks again with the same session credential, as a thief or a client that does not renew would. */
async function openSession(serving: Serving, txn: string) {
  const seen: { credential?: string } = {}
  const key = stage.prepared.keys.agent
  const recording: typeof fetch = async (input, init) => {
    const response = await fetch(input, init)
    const text = await response.clone().text()
    const parsed: unknown = text.startsWith('{') ? JSON.parse(text) : {}
    const answer: JsonObject = isObject(parsed) ? parsed : {}
    if (typeof answer['credential'] === 'string') seen.credential = answer['credential']
    return response
  }
  const session = await openRaw({ origin: serving.origin, key, txn })
  await session.post(toCall(1, 'read_record', { id: 'r1' }))
  const first = createSigningFetch({ url: serving.origin, key, txn, fetch: recording, now: () => Date.now() })
  await ask(first, serving.origin)
  return {
    ask: async (origin: string = serving.origin): Promise<string> => {
      const stubborn = createSigningFetch({
        url: origin,
        key,
        txn,
        now: () => Date.now(),
        fetch: async (input, init) =>
          toUrl(input).endsWith('/session')
            ? Response.json({ credential: seen.credential, expires_in: 600 })
            : fetch(input, init),
      })
      return ask(stubborn, origin)
    },
  }
}

function toUrl(input: Parameters<typeof fetch>[0]): string {
  return input instanceof Request ? input.url : input.toString()
}

async function ask(send: typeof fetch, origin: string): Promise<string> {
  const body = JSON.stringify({ jsonrpc: '2.0', id: 'i', method: 'ping' })
  const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' }
  const answer = await send(new URL('/mcp/desk', origin), { method: 'POST', body, headers })
  return /identity\.[a-z-]+/.exec(await answer.text())?.[0] ?? 'accepted'
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && isJsonObject(JSON.parse(JSON.stringify(value)))
}

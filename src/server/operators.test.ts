/**
 * Operators against each other: who could make more of what was given to them. Seen to fail: without `assertMayEnrol` under a
 * permissive file, without `leaving` when two admins demote each other, without the look at revocations in `admins.ts`.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'

import { createControlPlane, STORES, type ControlPlane } from '../../test/fixtures/control-plane.ts'
import { createAdmins } from './admins.ts'
import { assertNotLockedOut, loadOperatorPolicy } from '../config/operator-policy.ts'
import { OPERATOR_ROLES, type EnrolledKey, type OperatorRole } from '../core/evidence.ts'
import type { Json, JsonObject } from '../core/json.ts'
import { keyRecord } from '../core/records.ts'
import { generateKey, importKey } from '../crypto/keys.ts'

let plane: ControlPlane
let anything = ''

beforeAll(async () => {
  anything = await mkdtemp(join(tmpdir(), 'unbearer-anything-'))
  await writeFile(join(anything, 'all.cedar'), '@id("all") permit (principal, action, resource);')
})
afterAll(async () => rm(anything, { recursive: true }))
afterEach(async () => plane.close())

const jwk = (): JsonObject => ({ ...importKey(generateKey('Ed25519')).jwk })

async function operator(name: string, ...roles: readonly OperatorRole[]): Promise<EnrolledKey> {
  await plane.as('operator', 'key.enrol', { role: 'operator', name, roles: [...roles], jwk: jwk() })
  return find(name)
}

async function find(name: string): Promise<EnrolledKey> {
  const key = await plane.services.keys.findByName('operator', name)
  if (key === undefined) throw new Error('not enrolled')
  return key
}

/** As whoever holds this key: what it may now, not when it was looked up. */
async function as(key: EnrolledKey, method: string, params: Json = {}): Promise<Json> {
  return plane.control.call(method, params, (await plane.services.keys.find(key.jkt)) ?? key)
}

const REFUSED = { reason: 'identity.key-role' }

describe.each(STORES)('operators on %s', (kind) => {
  it('give no more than an admin may, whatever the policies say', async () => {
    plane = await createControlPlane(kind, { policies: anything })
    for (const role of OPERATOR_ROLES.filter((each) => each !== 'admin')) {
      const key = await operator(`a-${role}`, role)
      for (const params of [
        { role: 'operator', name: 'friend', roles: ['admin'], jwk: jwk() },
        { role: 'operator', name: 'friend', roles: [role], jwk: jwk() },
        { role: 'approver', name: 'friend', jwk: jwk() },
        { role: 'principal', name: 'friend', principal: 'alice', jwk: jwk() },
      ]) {
        await expect(as(key, 'key.enrol', params)).rejects.toMatchObject(REFUSED)
      }
      await expect(as(key, 'key.roles', { name: key.name, roles: ['admin'] })).rejects.toMatchObject(REFUSED)
      await expect(as(key, 'key.roles', { name: 'operator-1', roles: ['viewer'] })).rejects.toMatchObject(REFUSED)
    }
    expect(await plane.services.keys.findByName('operator', 'friend')).toBeUndefined()
  })

  it('need roles to be enrolled, and nobody else has any', async () => {
    plane = await createControlPlane(kind)
    const refused = async (params: JsonObject, message: string): Promise<void> =>
      expect(plane.as('operator', 'key.enrol', { name: 'x', jwk: jwk(), ...params })).rejects.toThrow(message)
    await refused({ role: 'operator' }, 'needs a role')
    await refused({ role: 'operator', roles: [] }, 'must not be empty')
    await refused({ role: 'operator', roles: ['root'] }, 'must be one of')
    await refused({ role: 'agent', roles: ['admin'] }, 'only operators have roles')
    await refused({ role: 'approver', roles: ['admin'] }, 'only operators have roles')
    const one = jwk()
    const params = { role: 'operator', name: 'y', roles: ['viewer'], jwk: one }
    const first = await plane.as('operator', 'key.enrol', params)
    expect(await plane.as('operator', 'key.enrol', params)).toEqual(first)
    await expect(plane.as('operator', 'key.enrol', { ...params, roles: ['admin'] })).rejects.toThrow('other roles')
  })

  it('change the roles of others, never their own, and it counts at once', async () => {
    plane = await createControlPlane(kind)
    const second = await operator('second', 'viewer')
    await expect(as(second, 'revoke', { dimension: 'all' })).rejects.toMatchObject(REFUSED)
    await plane.as('operator', 'key.roles', { name: 'second', roles: ['revoker', 'viewer', 'viewer'] })
    expect((await find('second')).roles).toEqual(['viewer', 'revoker'])
    expect(await as(second, 'revoke', { dimension: 'subject', id: 'eve' })).toMatchObject({ recorded: true })
    await expect(
      plane.as('operator', 'key.roles', { name: 'operator-1', roles: ['admin', 'approver'] }),
    ).rejects.toThrow('nobody changes their own')
    await expect(plane.as('operator', 'key.roles', { name: 'agent-1', roles: ['admin'] })).rejects.toThrow(
      'no operator',
    )
    expect((await plane.acts()).filter((act) => act === 'key.roles')).toHaveLength(1)
  })

  it('keep the last admin, also when two take each other away at the same time', async () => {
    plane = await createControlPlane(kind)
    const first = plane.enrolled.operator
    const revoker = await operator('on-call', 'revoker')
    await expect(as(revoker, 'revoke', { dimension: 'actor', id: first.jkt })).rejects.toThrow('last admin')
    const second = await operator('second', 'admin')
    await Promise.allSettled([
      as(first, 'key.roles', { name: 'second', roles: ['viewer'] }),
      as(second, 'key.roles', { name: 'operator-1', roles: ['viewer'] }),
      as(revoker, 'revoke', { dimension: 'actor', id: first.jkt }),
      as(revoker, 'revoke', { dimension: 'actor', id: second.jkt }),
    ])
    const left = (await plane.services.keys.list('operator')).filter(
      (key) =>
        (key.roles?.includes('admin') ?? true) && plane.services.revocations.find('actor', key.jkt) === undefined,
    )
    expect(left).toHaveLength(1)
  })

  it.each([false, true])(
    'keep the last admin when one is demoted and the other revoked (turned round: %s)',
    async (turned) => {
      plane = await createControlPlane(kind)
      const revoker = await operator('on-call', 'revoker')
      const second = await operator('second', 'admin')
      const acts = [
        async () => as(second, 'key.roles', { name: 'operator-1', roles: ['viewer'] }),
        async () => as(revoker, 'revoke', { dimension: 'actor', id: second.jkt }),
      ]
      const settled = await Promise.allSettled((turned ? acts.toReversed() : acts).map(async (act) => act()))
      expect(settled.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    },
  )

  it('do not count an admin whose demotion is still on its way to the disk', async () => {
    plane = await createControlPlane(kind)
    const second = await operator('second', 'admin')
    const admins = createAdmins(plane.services)
    const written = Promise.withResolvers<string>()
    const begun = Promise.withResolvers<undefined>()
    const first = admins.removing(plane.enrolled.operator.jkt, async () => {
      begun.resolve(undefined)
      return written.promise
    })
    await begun.promise
    await expect(admins.removing(second.jkt, async () => Promise.resolve('gone'))).rejects.toThrow('last admin')
    written.resolve('gone')
    expect(await first).toBe('gone')
  })

  it('can revoke one of two admins, and then not the other', async () => {
    plane = await createControlPlane(kind)
    const second = await operator('second', 'admin')
    expect(await as(second, 'revoke', { dimension: 'actor', id: plane.enrolled.operator.jkt })).toMatchObject({
      recorded: true,
    })
    await expect(as(second, 'revoke', { dimension: 'actor', id: 'second' })).rejects.toThrow('last admin')
  })

  it('count as admins when they were enrolled before there were roles', async () => {
    plane = await createControlPlane(kind)
    const { roles: _none, ...before } = plane.enrolled.operator
    await plane.store.commit({ writes: [{ key: keyRecord(before.jkt), value: { ...before } }] })
    expect(
      await as(before, 'key.enrol', { role: 'operator', name: 'new', roles: ['viewer'], jwk: jwk() }),
    ).toMatchObject({
      roles: ['viewer'],
    })
    await plane.as('operator', 'key.roles', { name: 'new', roles: ['approver'] })
    await expect(as(await find('new'), 'status')).rejects.toMatchObject(REFUSED)
    expect(await as(await find('new'), 'approval.list')).toEqual([])
  })

  it('are recorded when they look at evidence, and do not see it when that fails', async () => {
    plane = await createControlPlane(kind)
    const viewer = await operator('auditor', 'viewer')
    const before = (await plane.acts()).length
    const [bytes] = await plane.store.log.entries(0, 1)
    const { id }: { id: string } = JSON.parse(new TextDecoder().decode(bytes))
    await as(viewer, 'entry.show', { id })
    await as(viewer, 'status')
    await as(viewer, 'key.list')
    expect((await plane.acts()).slice(before)).toEqual(['entry.show'])
    await expect(as(await operator('on-call', 'revoker'), 'entry.show', { id })).rejects.toMatchObject(REFUSED)
  })

  it('are not locked out in silence', async () => {
    plane = await createControlPlane(kind)
    const operators = await plane.services.keys.list('operator')
    const policies = await loadOperatorPolicy(undefined)
    expect(() => assertNotLockedOut(policies, operators, 1)).not.toThrow()
    const viewers = operators.map((key): EnrolledKey => ({ ...key, roles: ['viewer'] }))
    expect(() => assertNotLockedOut(policies, viewers, 1)).toThrow('`key.enrol`')
    const admins = viewers.map((key): EnrolledKey => ({ ...key, roles: ['admin'] }))
    expect(() => assertNotLockedOut(policies, admins, 1)).not.toThrow()
    policies.close()
  })
})

import { afterEach, describe, expect, it } from 'vitest'

import { createControlPlane, STORES, type ControlPlane } from '../../test/fixtures/control-plane.ts'
import { CONTROL_ACTIONS } from '../core/control-actions.ts'
import { isJsonObject, type Json } from '../core/json.ts'
import { generateKey, importKey } from '../crypto/keys.ts'

const METHODS = Object.keys(CONTROL_ACTIONS)

const QUEUES: readonly string[] = ['approval.list', 'approval.show', 'break-glass.list', 'break-glass.show']
const ANSWERS: readonly string[] = ['approval.answer', 'break-glass.sign', 'break-glass.open']

const GRANT = {
  principal: 'alice',
  actor: 'agent-1',
  operations: [{ tool: 'orders/query', effects: ['read'] }],
  depth: 1,
}

let plane: ControlPlane
afterEach(async () => {
  await plane.close()
})

const idOf = (value: Json): string => (isJsonObject(value) && typeof value['id'] === 'string' ? value['id'] : '')
const publicJwk = (): Json => ({ ...importKey(generateKey('Ed25519')).jwk })

describe.each(STORES)('control plane on %s', (kind) => {
  it('lets each role call only what is its own', async () => {
    plane = await createControlPlane(kind)
    const mayCall: Record<string, readonly string[]> = {
      agent: [],
      pep: [],
      host: ['grant.open', 'grant.take', 'task.open'],
      principal: ['grant.take', 'task.open'],
      approver: METHODS.filter((method) => QUEUES.includes(method) || ANSWERS.includes(method)),
      operator: METHODS.filter((method) => !ANSWERS.includes(method) && method !== 'grant.open'),
    }
    for (const role of ['agent', 'pep', 'host', 'principal', 'approver', 'operator'] as const) {
      for (const method of METHODS) {
        const outcome = await plane.as(role, method, { nonsense: 1 }).then(
          () => 'done',
          (fault: unknown) => (fault instanceof Error && 'reason' in fault ? String(fault.reason) : String(fault)),
        )
        // A caller of the right role gets as far as its parameters.
        expect(`${role} ${method} ${outcome}`).toBe(
          `${role} ${method} ${mayCall[role]?.includes(method) === true ? 'system.malformed' : 'identity.key-role'}`,
        )
      }
    }
  })

  it('has a method for each row of the table of actions', async () => {
    plane = await createControlPlane(kind)
    for (const method of METHODS) {
      const fault: unknown = await plane.as('agent', method).catch((cause: unknown) => cause)
      expect(fault).toMatchObject({ reason: 'identity.key-role' })
    }
  })

  it('knows no other method', async () => {
    plane = await createControlPlane(kind)
    await expect(plane.as('operator', 'constructor')).rejects.toMatchObject({ reason: 'system.unknown-method' })
    await expect(plane.as('operator', 'key.delete')).rejects.toMatchObject({ reason: 'system.unknown-method' })
  })

  it('refuses a revoked operator', async () => {
    plane = await createControlPlane(kind)
    await plane.services.revocations.revoke('actor', plane.enrolled.operator.jkt, plane.enrolled.operator)
    await expect(plane.as('operator', 'status')).rejects.toMatchObject({ reason: 'identity.revoked' })
  })

  it('enrols a key once, under one name and one role', async () => {
    plane = await createControlPlane(kind)
    const jwk = publicJwk()
    const first = await plane.as('operator', 'key.enrol', { role: 'agent', name: 'bot', jwk })
    expect(await plane.as('operator', 'key.enrol', { role: 'agent', name: 'bot', jwk })).toEqual(first)
    await expect(plane.as('operator', 'key.enrol', { role: 'host', name: 'bot', jwk })).rejects.toThrow('one role')
    await expect(plane.as('operator', 'key.enrol', { role: 'agent', name: 'bot2', jwk })).rejects.toThrow('one role')
    const other = { role: 'agent', name: 'bot', jwk: publicJwk() }
    await expect(plane.as('operator', 'key.enrol', other)).rejects.toThrow('another agent key')
    expect((await plane.acts()).filter((act) => act === 'key.enrol')).toHaveLength(7)
  })

  it('stores no private part', async () => {
    plane = await createControlPlane(kind)
    const jwk = { ...generateKey('Ed25519') }
    await plane.as('operator', 'key.enrol', { role: 'agent', name: 'bot', jwk })
    const stored = await plane.store.list('')
    expect(JSON.stringify(stored)).not.toContain(jwk.d)
  })

  it('does not let agents enrol through the service either', async () => {
    plane = await createControlPlane(kind)
    const enrolment = { role: 'agent', name: 'friend', jwk: publicJwk() } as const
    for (const by of [plane.enrolled.agent.jkt, plane.enrolled.host.jkt, 'nobody']) {
      await expect(plane.services.keys.enrol({ ...enrolment, by })).rejects.toMatchObject({
        reason: 'identity.key-role',
      })
    }
  })

  it('gives one of two racing enrolments of a name', async () => {
    plane = await createControlPlane(kind)
    const race = [publicJwk(), publicJwk()].map(async (jwk) =>
      plane.as('operator', 'key.enrol', { role: 'agent', name: 'racer', jwk }),
    )
    const settled = await Promise.allSettled(race)
    expect(settled.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  })

  it('issues grants, and children only within their parent', async () => {
    plane = await createControlPlane(kind)
    const parent = idOf(await plane.as('operator', 'grant.create', { grant: GRANT }))
    const child = { ...GRANT, parent, depth: 0, expires: '1h' }
    const inside = idOf(await plane.as('operator', 'grant.create', { grant: child }))
    const wider = { ...child, operations: [{ tool: 'orders/query', effects: ['read', 'delete'] }] }
    await expect(plane.as('operator', 'grant.create', { grant: wider })).rejects.toMatchObject({
      reason: 'scope.operation',
    })
    await expect(plane.as('operator', 'grant.create', { grant: { ...child, parent: 'none' } })).rejects.toThrow(
      'no grant',
    )
    expect((await plane.services.grants.chain(inside)).map(({ id }) => id)).toEqual([inside, parent])
    expect(await plane.services.grants.findFor(plane.enrolled.agent.jkt, { type: 'user', id: 'alice' })).toHaveLength(2)
    expect(await plane.services.grants.findFor(plane.enrolled.agent.jkt, { type: 'user', id: 'bob' })).toEqual([])
  })

  it('takes what is not revoked, and opens nothing under what is', async () => {
    plane = await createControlPlane(kind)
    const old = idOf(await plane.as('operator', 'grant.create', { grant: GRANT }))
    const grant = idOf(await plane.as('operator', 'grant.create', { grant: GRANT }))
    const opening = { purpose: 'refund order 7', principal: 'alice', actor: 'agent-1' }
    await plane.as('operator', 'revoke', { dimension: 'grant', id: old })
    expect(await plane.as('host', 'task.open', opening)).toMatchObject({ grant })
    const connection = { jkt: plane.enrolled.agent.jkt }
    expect(await plane.services.tasks.openForConnection(connection)).toMatchObject({ grant })
    await expect(plane.as('host', 'task.open', { ...opening, grant: old })).rejects.toThrow('is revoked')
    await plane.as('operator', 'grant.create', { grant: { ...GRANT, principal: 'bob' } })
    await plane.as('operator', 'revoke', { dimension: 'grant', id: grant })
    await expect(plane.as('host', 'task.open', { ...opening, grant })).rejects.toThrow('is revoked')
  })

  it('opens no task for an agent that is revoked', async () => {
    plane = await createControlPlane(kind)
    const opening = { purpose: 'refund order 7', principal: 'alice', actor: 'agent-1' }
    await plane.as('operator', 'revoke', { dimension: 'actor', id: 'agent-1' })
    await expect(plane.as('host', 'task.open', opening)).rejects.toThrow('is revoked')
  })

  it('never opens a task without a grant because the only one is revoked', async () => {
    plane = await createControlPlane(kind)
    const grant = idOf(await plane.as('operator', 'grant.create', { grant: GRANT }))
    await plane.as('operator', 'revoke', { dimension: 'grant', id: grant })
    const opening = { purpose: 'refund order 7', principal: 'alice', actor: 'agent-1' }
    await expect(plane.as('host', 'task.open', opening)).rejects.toThrow('is revoked')
    // A connection keeps the revoked one, so that what it asks is refused as revoked also while this is observed.
    const connection = { jkt: plane.enrolled.agent.jkt }
    expect(await plane.services.tasks.openForConnection(connection)).toMatchObject({ grant })
  })

  it('opens a task under the only valid grant, and asks when there are several', async () => {
    plane = await createControlPlane(kind)
    const grant = idOf(await plane.as('operator', 'grant.create', { grant: GRANT }))
    const opening = { purpose: 'refund order 7', principal: 'alice', actor: 'agent-1' }
    const task = await plane.as('host', 'task.open', opening)
    expect(task).toMatchObject({ grant, principal: { type: 'user', id: 'alice' }, openedBy: { role: 'host' } })
    const txn = isJsonObject(task) && typeof task['txn'] === 'string' ? task['txn'] : ''
    expect(Buffer.from(txn, 'base64url')).toHaveLength(16)
    const second = idOf(await plane.as('operator', 'grant.create', { grant: GRANT }))
    await expect(plane.as('host', 'task.open', opening)).rejects.toThrow(second)
    expect(await plane.as('host', 'task.open', { ...opening, grant: second })).toMatchObject({ grant: second })
    await expect(plane.as('host', 'task.open', { ...opening, principal: 'bob', grant: second })).rejects.toThrow(
      'not a valid grant',
    )
  })

  it('opens no task for an agent, for nobody, or for nothing', async () => {
    plane = await createControlPlane(kind)
    const opening = { purpose: 'a purpose', principal: 'alice', actor: 'agent-1' }
    await expect(plane.services.tasks.open({ ...opening, openedBy: plane.enrolled.agent })).rejects.toThrow('host')
    await expect(plane.as('host', 'task.open', { ...opening, actor: 'host-1' })).rejects.toThrow('no agent key')
    await expect(plane.as('host', 'task.open', { ...opening, purpose: ' ' })).rejects.toThrow('purpose')
  })

  it('leaves an expired grant out of new tasks', async () => {
    plane = await createControlPlane(kind)
    await plane.as('operator', 'grant.create', { grant: { ...GRANT, expires: '1h' } })
    plane.clock.time += 3_600_000
    const opening = { purpose: 'a purpose', principal: 'alice', actor: 'agent-1' }
    expect(await plane.as('host', 'task.open', opening)).not.toHaveProperty('grant')
  })

  it('opens a task without purpose for a connection', async () => {
    plane = await createControlPlane(kind)
    const { jkt } = plane.enrolled.agent
    const bare = await plane.services.tasks.openForConnection({})
    expect(bare).toMatchObject({ principal: { type: 'connection', id: bare.txn }, openedBy: { role: 'connection' } })
    const grant = idOf(await plane.as('operator', 'grant.create', { grant: GRANT }))
    const proved = await plane.services.tasks.openForConnection({ jkt })
    expect(proved).toMatchObject({ actor: jkt, grant, principal: { type: 'user', id: 'alice' } })
    expect(proved.purpose).toBeUndefined()
  })

  it('revokes by name, waits for the canary, and refuses ids that name nothing', async () => {
    plane = await createControlPlane(kind, { canary: { peps: ['a', 'b'], silent: ['b'] } })
    const { jkt } = plane.enrolled.agent
    expect(await plane.as('operator', 'revoke', { dimension: 'actor', id: 'agent-1' })).toMatchObject({
      id: jkt,
      recorded: true,
      silent: ['b'],
    })
    expect(plane.services.revocations.find('actor', jkt)).toBeDefined()
    await expect(plane.as('operator', 'revoke', { dimension: 'actor', id: 'agnet-1' })).rejects.toThrow('no key')
    await expect(plane.as('operator', 'revoke', { dimension: 'grant', id: 'nope' })).rejects.toThrow('no grant')
    await expect(plane.as('operator', 'revoke', { dimension: 'task', id: 'nope' })).rejects.toThrow('no task')
    await expect(plane.as('operator', 'revoke', { dimension: 'tool', id: 'query' })).rejects.toThrow('UPSTREAM/TOOL')
    await expect(plane.as('operator', 'revoke', { dimension: 'actor' })).rejects.toThrow('which actor')
    await plane.as('operator', 'revoke', { dimension: 'subject', id: 'alice' })
    expect(plane.services.revocations.find('subject', 'user/alice')).toBeDefined()
  })

  it('shows an entry with its evidence', async () => {
    plane = await createControlPlane(kind)
    await plane.as('operator', 'manifest.reload')
    const size = await plane.store.log.size()
    const [bytes] = await plane.store.log.entries(size - 1, size)
    const entry: { id: string } = JSON.parse(new TextDecoder().decode(bytes))
    expect(await plane.as('operator', 'entry.show', { id: entry.id })).toMatchObject({
      index: size - 1,
      entry: { act: 'manifest.reload' },
    })
    await expect(plane.as('operator', 'entry.show', { id: 'nope' })).rejects.toThrow('no entry')
    expect(await plane.as('operator', 'status')).toMatchObject({ fresh: true, entries: size + 2, pendingApprovals: 0 })
  })
})

/**
 * @module
 * A key of a person was stolen, used, and then revoked: what it did before must not go on working for the thief.
 */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'

import { generateKey, importKey } from '../../src/crypto/keys.ts'
import { connectAgent, type Agent, type Saw } from '../support/agent.ts'
import { createInstallation, type Installation, type Name } from '../support/installation.ts'
import { startRecordingUpstream, type RecordingUpstream } from '../support/recording-upstream.ts'

let upstream: RecordingUpstream
let installation: Installation
let agent: Agent

beforeEach(async () => {
  upstream = await startRecordingUpstream()
  installation = await createInstallation({ upstream })
  const { txn } = await installation.openTask('Delete record r1 and read record r1')
  agent = await connectAgent({ origin: installation.origin, key: installation.keys.agent, txn })
})

afterEach(async () => {
  await agent.close()
  await installation.close()
  await upstream.close()
})

const remove = async (): Promise<Saw> => agent.call('delete_record', { id: 'r1' }, 'delete: delete record r1')
const revoke = async (name: Name): Promise<unknown> =>
  installation.control('operator', 'revoke', { dimension: 'actor', id: installation.keys[name].jkt })

describe('the key of an approver', () => {
  it('approves nothing any more, also what was not done yet', async () => {
    const { ticket = '' } = await remove()
    await installation.answer(ticket, 'approved')
    await revoke('approver')
    const saw = await remove()
    expect(saw).toMatchObject({ ok: false, decision: 'challenge' })
    expect(saw.ticket).not.toBe(ticket)
    expect(upstream.calls).toEqual([])
  })

  it('keeps what it refused refused', async () => {
    const { ticket = '' } = await remove()
    await installation.answer(ticket, 'denied')
    await revoke('approver')
    expect(await remove()).toMatchObject({ reason: 'policy.approval-denied' })
  })
})

describe('the key of an operator', () => {
  it('vouches for no manifest any more', async () => {
    expect(await agent.call('read_record', { id: 'r1' })).toMatchObject({ ok: true })
    // The last admin cannot be revoked.
    const jwk = { ...importKey(generateKey('Ed25519')).jwk }
    await installation.control('operator', 'key.enrol', { role: 'operator', name: 'second', jwk, roles: ['admin'] })
    await revoke('operator')
    await vi.waitFor(async () =>
      expect(await agent.call('read_record', { id: 'r1' })).toMatchObject({ reason: 'scope.unknown-tool' }),
    )
  })
})

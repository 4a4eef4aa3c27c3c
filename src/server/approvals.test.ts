import { afterEach, describe, expect, it } from 'vitest'

import { createControlPlane, STORES, type ControlPlane } from '../../test/fixtures/control-plane.ts'
import type { Approval } from '../core/evidence.ts'
import { asJson, type Json } from '../core/json.ts'
import { approvalRecord, openApprovalsRecord } from '../core/records.ts'
import { generateKey, importKey, signBytes, type KeyPair } from '../crypto/keys.ts'
import { toApprovalMessage, type Verdict } from './approvals.ts'

let plane: ControlPlane
afterEach(async () => {
  await plane.close()
})

const HOUR = 3_600_000

/** As the enforcer does it. */
async function openApproval(id: string): Promise<Approval> {
  const now = plane.clock.now()
  const approval: Approval = {
    id,
    bind: `sha-256:${id}`,
    txn: 't',
    status: 'pending',
    createdAt: now,
    expires: now + HOUR,
  }
  await plane.store.commit({
    writes: [
      {
        key: approvalRecord(id),
        value: { ...asJson(approval), presented: { principal: 'user/alice', tool: 'a/b' } },
        subject: 'user/alice',
      },
      { key: openApprovalsRecord('t'), value: [id] },
    ],
  })
  return approval
}

function sign(approval: Pick<Approval, 'id' | 'bind'>, verdict: Verdict, pair: KeyPair = plane.pairs.approver): string {
  return signBytes(pair, toApprovalMessage(approval, verdict)).toString('base64url')
}

const answer = async (id: string, verdict: Verdict, signature: string): Promise<Json> =>
  plane.as('approver', 'approval.answer', { id, verdict, signature })

describe.each(STORES)('approvals on %s', (kind) => {
  it('takes the signed answer of an approver, once', async () => {
    plane = await createControlPlane(kind)
    const approval = await openApproval('one')
    expect(await plane.as('approver', 'approval.list')).toHaveLength(1)
    const answered = await answer('one', 'approved', sign(approval, 'approved'))
    expect(answered).toMatchObject({ status: 'approved', answered: { by: plane.enrolled.approver.jkt } })
    expect(await plane.as('approver', 'approval.list')).toEqual([])
    expect(await plane.as('approver', 'approval.list', { all: true })).toHaveLength(1)
    const [open] = await plane.store.get([openApprovalsRecord('t')])
    expect(open?.value).toEqual([])
    await expect(answer('one', 'denied', sign(approval, 'denied'))).rejects.toThrow('approved already')
    expect(await plane.acts()).toContain('approval.approved')
  })

  it('refuses a signature for another approval, action or verdict, or by another key', async () => {
    plane = await createControlPlane(kind)
    const approval = await openApproval('one')
    const stranger = importKey(generateKey('Ed25519'))
    const forged = [
      sign({ ...approval, id: 'two' }, 'approved'),
      sign({ ...approval, bind: 'sha-256:else' }, 'approved'),
      sign(approval, 'denied'),
      sign(approval, 'approved', stranger),
      sign(approval, 'approved', plane.pairs.operator),
      'AAAA',
    ]
    for (const signature of forged) {
      await expect(answer('one', 'approved', signature)).rejects.toMatchObject({ reason: 'identity.bad-proof' })
    }
    expect(await plane.as('approver', 'approval.show', { id: 'one' })).toMatchObject({ status: 'pending' })
  })

  it('refuses an operator or an agent who holds a good signature of their own', async () => {
    plane = await createControlPlane(kind)
    const approval = await openApproval('one')
    for (const role of ['operator', 'agent', 'host'] as const) {
      const signature = sign(approval, 'approved', plane.pairs[role])
      const input = { id: 'one', verdict: 'approved', signature, by: plane.enrolled[role] } as const
      await expect(plane.services.approvals.answer(input)).rejects.toMatchObject({ reason: 'identity.key-role' })
    }
  })

  it('refuses what has expired', async () => {
    plane = await createControlPlane(kind)
    const approval = await openApproval('one')
    plane.clock.time += HOUR
    await expect(answer('one', 'approved', sign(approval, 'approved'))).rejects.toThrow('expired already')
    expect(await plane.as('approver', 'approval.show', { id: 'one' })).toMatchObject({ status: 'expired' })
    expect(await plane.as('approver', 'approval.list')).toEqual([])
  })

  it('lets one of many racing answers count', async () => {
    plane = await createControlPlane(kind)
    const approval = await openApproval('one')
    const race = Array.from({ length: 16 }, async (_, n) => {
      const verdict = n % 2 === 0 ? 'approved' : 'denied'
      return answer('one', verdict, sign(approval, verdict))
    })
    const settled = await Promise.allSettled(race)
    expect(settled.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    expect((await plane.acts()).filter((act) => act.startsWith('approval.'))).toHaveLength(1)
  })
})

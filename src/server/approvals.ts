/**
 * @module
 * Approvals: the enforcer opens them, people answer them here. An answer is signed by an enrolled approver key over the one
 * action (`bind`), counts once, and never grants: the action is decided again with it (invariant 5).
 */
import { canonicalBytes } from '../core/canonical.ts'
import type { Approval, EnrolledKey } from '../core/evidence.ts'
import { InputError, RefusedError } from '../core/errors.ts'
import { asJson, type Json } from '../core/json.ts'
import { rolesOf } from '../core/operator-roles.ts'
import { APPROVAL_PREFIX, approvalRecord, fromRecord, openApprovalsRecord } from '../core/records.ts'
import { importKey, verifyBytes } from '../crypto/keys.ts'
import { listAll, perform, type ServiceOptions } from './acts.ts'

/** An approval as stored. `presented` is what a person is shown; render it with `toDisplay`. */
export type ApprovalRecord = Approval & { readonly presented: Json }

export const VERDICTS = ['approved', 'denied'] as const
export type Verdict = (typeof VERDICTS)[number]

interface ApprovalAnswer {
  readonly id: string
  readonly verdict: Verdict
  /** base64url, over `toApprovalMessage`. */
  readonly signature: string
  readonly by: EnrolledKey
}

export interface Approvals {
  /** Those that can still be answered, oldest first; with `all` every one that is kept. */
  list(options?: { readonly all?: boolean }): Promise<readonly ApprovalRecord[]>
  /** Throws `InputError` when there is none. */
  show(id: string): Promise<ApprovalRecord>
  /**
   * Answers once. Throws `RefusedError` when the signature is not that of an approver over this very action, `InputError`
   * when it was answered, consumed or has expired. Does not promise that the action will be permitted when it is retried.
   */
  answer(answer: ApprovalAnswer): Promise<ApprovalRecord>
}

const DOMAIN = new TextEncoder().encode('unbearer-approval-v1\0')

/** What an approver signs: `unbearer-approval-v1`, a zero byte, RFC 8785 of `{bind, id, verdict}`. */
export function toApprovalMessage(approval: Pick<Approval, 'id' | 'bind'>, verdict: Verdict): Uint8Array {
  const said = canonicalBytes({ id: approval.id, bind: approval.bind, verdict })
  const message = new Uint8Array(DOMAIN.length + said.length)
  message.set(DOMAIN)
  message.set(said, DOMAIN.length)
  return message
}

export function createApprovals(options: ServiceOptions): Approvals {
  const { store, clock } = options
  const seen = (approval: ApprovalRecord): ApprovalRecord => withStatus(approval, clock.now())
  return {
    async list({ all = false } = {}) {
      const found = (await listAll<ApprovalRecord>(store, APPROVAL_PREFIX)).map(seen)
      return found.filter(({ status }) => all || status === 'pending').toSorted((a, b) => a.createdAt - b.createdAt)
    },
    async show(id) {
      const [record] = await store.get([approvalRecord(id)])
      return seen(known(fromRecord<ApprovalRecord>(record), id))
    },
    answer: async (answer) => answerOnce(options, answer),
  }
}

async function answerOnce(
  options: ServiceOptions,
  { id, verdict, signature, by }: ApprovalAnswer,
): Promise<ApprovalRecord> {
  return perform(options, async (read) => {
    const now = options.clock.now()
    const approval = withStatus(known(await read<ApprovalRecord>(approvalRecord(id)), id), now)
    assertProved(approval, verdict, signature, by)
    if (approval.status !== 'pending') throw new InputError(`approval \`${id}\` is ${approval.status} already`)
    const openKey = openApprovalsRecord(approval.txn)
    const open = (await read<readonly string[]>(openKey)) ?? []
    const answered: ApprovalRecord = { ...approval, status: verdict, answered: { by: by.jkt, at: now } }
    const { presented: _presented, ...said } = answered
    const subject = toSubject(approval.presented)
    return {
      result: answered,
      writes: [
        { key: approvalRecord(id), value: asJson(answered), subject },
        { key: openKey, value: open.filter((other) => other !== id) },
      ],
      act: `approval.${verdict}`,
      by: by.jkt,
      subject,
      detail: { ...asJson(said), signature },
    }
  })
}

function assertProved(approval: ApprovalRecord, verdict: Verdict, signature: string, by: EnrolledKey): void {
  if (!rolesOf(by).includes('approver'))
    throw new RefusedError('identity.key-role', 'only an approver answers approvals')
  const message = toApprovalMessage(approval, verdict)
  const isTheirs = verifyBytes(importKey({ ...by.jwk }), message, Buffer.from(signature, 'base64url'))
  if (!isTheirs)
    throw new RefusedError('identity.bad-proof', 'the answer is not signed by this approver for this action')
}

function known(approval: ApprovalRecord | undefined, id: string): ApprovalRecord {
  if (approval === undefined) throw new InputError(`there is no approval \`${id}\``)
  return approval
}

/** Time passes without anybody writing: what was not consumed by its end has expired. */
function withStatus(approval: ApprovalRecord, now: number): ApprovalRecord {
  const isOver = approval.expires <= now && (approval.status === 'pending' || approval.status === 'approved')
  return isOver ? { ...approval, status: 'expired' } : approval
}

/** Whose data an approval is, for erasure. */
export function toSubject(presented: Json): string {
  const principal =
    typeof presented === 'object' && presented !== null && 'principal' in presented ? presented.principal : ''
  return typeof principal === 'string' && principal !== '' ? principal : 'system'
}

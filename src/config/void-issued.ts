/**
 * @module
 * What `recover` and `restore` have in common: the log is verified whole, an enrolled operator signs, and everything that may
 * rest on what was lost is voided.
 */
import type { EnrolledKey } from '../core/evidence.ts'
import { IntegrityError, RefusedError } from '../core/errors.ts'
import type { JsonObject } from '../core/json.ts'
import { isAdmin } from '../core/operator-roles.ts'
import { keyRecord, REVOCATION_PREFIX } from '../core/records.ts'
import { importKey, signBytes, verifyBytes, type KeyPair } from '../crypto/keys.ts'
import { openCheckpoint } from '../crypto/note.ts'
import type { Clock } from '../ports/clock.ts'
import type { Revocation } from '../ports/revocations.ts'
import { listAll, readOne } from '../server/acts.ts'
import { verifyStore } from '../server/audit.ts'
import { breakContinuity, toContinuityMessage, type Loss, type Voided } from '../server/continuity.ts'
import type { Place } from './assert-head.ts'

/** A head as it stands in an entry: base64. */
export interface HeadFacts extends JsonObject {
  readonly size: number
  readonly root: string
}

/** The head in a checkpoint of this log; null where there is none, or none that this log's key signed. */
export function toHeadFacts(checkpoint: string | undefined, vkey: string): HeadFacts | null {
  if (checkpoint === undefined) return null
  try {
    const { size, root } = openCheckpoint(checkpoint, vkey)
    return { size, root: Buffer.from(root).toString('base64') }
  } catch (cause) {
    if (cause instanceof IntegrityError) return null
    throw cause
  }
}

export interface Voiding {
  readonly why: Loss['why']
  readonly operator: KeyPair
  readonly keepBudgets: boolean
  /** What is known of the loss. The head as it stands is added. */
  readonly detail: JsonObject
}

/**
 * Throws `IntegrityError` unless every entry of the log fits its own checkpoint, `RefusedError` unless the key is that of an
 * enrolled admin who was not revoked. `head` is one that the log must begin with.
 */
export async function assertAcceptable(place: Place, operator: KeyPair, head?: string): Promise<void> {
  const { store, vkey } = place
  const report = await verifyStore(store, { vkey, ...(head === undefined ? {} : { head }) })
  if (!report.ok)
    throw new IntegrityError(`the log does not verify, restore a backup: ${report.problems.slice(0, 3).join('; ')}`)
  await assertOperator(place, operator)
}

async function assertOperator({ store, journal }: Place, { jkt, ...key }: KeyPair): Promise<void> {
  const enrolled = await readOne<EnrolledKey>(store, keyRecord(jkt))
  if (enrolled === undefined) throw new RefusedError('identity.unknown-key', 'this key is not enrolled here')
  if (!isAdmin(enrolled))
    throw new RefusedError('identity.key-role', 'only an operator with the role `admin` can do this')
  const revoked = [...(await listAll<Revocation>(store, REVOCATION_PREFIX)), ...(journal?.lines() ?? [])]
  if (revoked.some(({ dimension, id }) => dimension === 'actor' && id === jkt))
    throw new RefusedError('identity.revoked', 'this key is revoked')
  // Its private part is signed with in a moment; what is enrolled must be what verifies that.
  const message = toContinuityMessage({})
  if (!verifyBytes(importKey({ ...enrolled.jwk }), message, signBytes({ jkt, ...key }, message)))
    throw new RefusedError('identity.bad-proof', 'this key does not prove what is enrolled under it')
}

/** Voids what may rest on what was lost; see `breakContinuity`. `assertAcceptable` comes first. */
export async function voidIssued(place: Place, clock: Clock, voiding: Voiding): Promise<Voided> {
  const { store: inner, sealed, journal, vkey } = place
  const { why, operator, keepBudgets } = voiding
  const detail = { ...voiding.detail, found: toHeadFacts(await inner.log.checkpoint(), vkey) }
  const sign = (message: Uint8Array): string => signBytes(operator, message).toString('base64url')
  return breakContinuity(
    { store: await sealed(), clock, journal },
    { why, by: operator.jkt, detail, keepBudgets, sign },
  )
}

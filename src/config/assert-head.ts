/**
 * @module
 * The head outside against the log, before anything is served. What is refused here only a person can accept.
 */
import { IntegrityError } from '../core/errors.ts'
import type { Store } from '../ports/store.ts'
import { checkHead, type HeadKeeper } from '../server/head.ts'
import type { Journal } from '../server/journal.ts'

/** A store that was opened, and what is kept outside it. */
export interface Place {
  /** As it is stored: what is sealed is not opened. */
  readonly store: Store
  /** Opens what is sealed. Nothing may be read or written through it before the head was judged. */
  readonly sealed: () => Promise<Store>
  readonly head: HeadKeeper
  /** Absent for a store in memory. */
  readonly journal?: Journal
  /** The verifier key of the log (C2SP signed-note). */
  readonly vkey: string
}

const ADVICE =
  'restore a backup, or accept what is there with `unbearer recover --accept-head`, which voids all that was issued'

/**
 * Throws `IntegrityError` when the log is shorter than or different from the head outside, or when a log that has entries has
 * no head. A store that has never logged has none yet. O(log n): does not verify the entries, `audit verify` does.
 */
export async function assertHead({ store, head, vkey }: Place): Promise<void> {
  try {
    const before = readHead(head)
    if (before !== undefined) return await checkHead(store.log, before, vkey)
  } catch (cause) {
    if (!(cause instanceof IntegrityError)) throw cause
    throw new IntegrityError(`${cause.message}; ${ADVICE}`, { cause })
  }
  if ((await store.log.size()) === 0) return
  throw new IntegrityError(
    `the log has entries but its head outside the store is gone; put back a copy of it where \`audit.head\` says, or ${ADVICE}`,
  )
}

function readHead(head: HeadKeeper): string | undefined {
  try {
    return head.read()
  } catch (cause) {
    if (!(cause instanceof IntegrityError)) throw cause
    const hint = 'it was changed, or `issuer` or `audit.checkpointKey` is not the one of `unbearer init`'
    throw new IntegrityError(`the head outside the store is not one of this log: ${hint}`, { cause })
  }
}

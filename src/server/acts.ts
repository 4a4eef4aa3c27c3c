/**
 * @module
 * How every act on the control plane is written: what was read is named with its version, the writes and the `control`
 * entry of the log go in one commit unit, and nothing is answered before the disk has it.
 */
import { InvariantError, RefusedError, UnavailableError } from '../core/errors.ts'
import type { Json } from '../core/json.ts'
import { fromRecord } from '../core/records.ts'
import { toControlUnit } from '../pdp/log-entries.ts'
import type { Clock } from '../ports/clock.ts'
import type { Burn, Store, StoredRecord, Write } from '../ports/store.ts'

/** What every service of the control plane is made of. */
export interface ServiceOptions {
  readonly store: Store
  readonly clock: Clock
  /** 128 random bits, base64url. */
  readonly newId: () => string
}

/** Reads one record and remembers its version; absent counts as version 0. */
export type ReadOne = <T>(key: string) => Promise<T | undefined>

/** An act: what it writes, and what the log says of it. */
export interface Act<T> {
  readonly result: T
  /** Empty: nothing changes, and nothing is logged. */
  readonly writes: readonly Write[]
  /** What is used up by it, in the same unit. What is used up already refuses the act as a replay. */
  readonly burns?: readonly Burn[]
  /** Of the entry, where a record has to name it; a new one by default. */
  readonly id?: string
  /** For example `key.enrol`. */
  readonly act: string
  /** Thumbprint of the key that asked, or `system`. */
  readonly by: string
  /** Whose data the detail is, for erasure. */
  readonly subject: string
  readonly detail: Json
}

/** Acts of people seldom collide; an agent that races them must not be able to stop them for long. */
const ATTEMPTS = 8

/**
 * Reads, builds and commits an act; on a conflict it reads again. `work` may throw to refuse. Settles when the act is
 * durable. Throws `UnavailableError` when others keep getting in between or the store is away.
 */
export async function perform<T>(
  { store, clock }: ServiceOptions,
  work: (read: ReadOne) => Promise<Act<T>>,
): Promise<T> {
  for (let tries = 0; tries < ATTEMPTS; tries += 1) {
    const reads: Record<string, number> = {}
    const {
      result,
      writes,
      burns = [],
      ...said
    } = await work(async <R>(key: string) => {
      const [record] = await store.get([key])
      reads[key] = record?.version ?? 0
      return fromRecord<R>(record)
    })
    if (writes.length === 0) return result
    const committed = await store.commit({ reads, writes, burns, ...toControlUnit({ ...said, now: clock.now() }) })
    if (committed.status === 'burned') throw toReplayed(burns)
    if (committed.status === 'conflict') continue
    await committed.durable
    return result
  }
  throw new UnavailableError('other changes keep coming in between, try again')
}

function toReplayed(burns: readonly Burn[]): Error {
  if (burns.length === 0) return new InvariantError('a control act burned something')
  return new RefusedError('identity.replayed', 'this proof was used before')
}

/** Reads one record outside an act. */
export async function readOne<T>(store: Store, key: string): Promise<T | undefined> {
  const [record] = await store.get([key])
  return fromRecord<T>(record)
}

/** Every record under `prefix`, in key order. Not a snapshot: what is written meanwhile may or may not be among them. */
export async function listAll<T>(store: Store, prefix: string): Promise<readonly T[]> {
  const found: T[] = []
  for (let after: string | undefined; ;) {
    const page: readonly StoredRecord[] = await store.list(prefix, after === undefined ? {} : { after })
    for (const record of page) {
      const value = fromRecord<T>(record)
      if (value !== undefined) found.push(value)
    }
    after = page.at(-1)?.key
    if (after === undefined) return found
  }
}

/** Logs an act that changes no record. Settles when it is durable. */
export async function note(
  { store, clock }: ServiceOptions,
  said: Pick<Act<never>, 'act' | 'by' | 'subject' | 'detail'>,
): Promise<void> {
  const committed = await store.commit(toControlUnit({ ...said, now: clock.now() }))
  if (committed.status !== 'applied') throw new InvariantError('a control act without reads was not applied')
  await committed.durable
}

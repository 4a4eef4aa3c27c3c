/**
 * @module
 * A commit unit as every store applies it: refused when malformed, serialised once, before anything is touched.
 */
import { InputError } from '../core/errors.ts'
import type { Clock } from '../ports/clock.ts'
import type { Burn, CommitUnit, NewEntry, NewEvidence } from '../ports/store.ts'

/** C2SP tlog-tiles prefixes an entry with its length in two bytes. */
export const MAX_ENTRY_BYTES = 65_535

export interface PreparedUnit {
  readonly reads: readonly (readonly [key: string, version: number])[]
  /** `json` absent deletes. */
  readonly writes: readonly { readonly key: string; readonly json?: string }[]
  readonly burns: readonly Burn[]
  readonly entries: readonly NewEntry[]
  readonly drops: readonly string[]
  readonly evidence: readonly NewEvidence[]
}

/** Throws `InputError` for what no store can hold. Does not look at any state. */
export function toPreparedUnit(unit: CommitUnit): PreparedUnit {
  const { reads = {}, writes = [], burns = [], entries = [], drops = [], evidence = [] } = unit
  for (const { id, bytes } of entries)
    if (bytes.length > MAX_ENTRY_BYTES) throw new InputError(`entry \`${id}\` is longer than ${MAX_ENTRY_BYTES} bytes`)
  for (const { expires } of burns)
    if (!Number.isSafeInteger(expires)) throw new InputError('a burn expires at a whole number of milliseconds')
  return {
    reads: Object.entries(reads),
    writes: writes.map(({ key, value }) => (value === undefined ? { key } : { key, json: JSON.stringify(value) })),
    burns,
    entries,
    drops,
    evidence,
  }
}

/**
 * A clock that does not run backwards: a burn that was forgotten at 10:00 must not become acceptable again because the
 * system's clock is set to 9:59.
 */
export function toForwardClock(clock: Clock | undefined): () => number {
  let latest = 0
  return () => {
    latest = Math.max(latest, clock === undefined ? Date.now() : clock.now())
    return latest
  }
}

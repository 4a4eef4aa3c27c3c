/**
 * @module
 * What became of each tool call, by its id, so that a framework that replays a step gets the same answer and nothing is done
 * twice. In memory: over restarts `HostTask.claimCall` keeps an id from being executed again.
 */
interface Row<T> {
  readonly digest: string
  readonly result: Promise<T>
  settled: boolean
}

export type Recorded<T> =
  | { readonly kind: 'result'; readonly result: Promise<T> }
  /** The id was used for other arguments. */
  | { readonly kind: 'other' }

export interface CallLedger<T> {
  /**
   * The result under `key`, also one that is still under way; begins `work` when there is none. `isFinal` says whether the
   * result stands: what could still change (a challenge, a deferral) is decided anew the next time.
   */
  once(key: string, digest: string, work: () => Promise<T>, isFinal: (result: T) => boolean): Recorded<T>
}

/** Old results are forgotten beyond this many; their calls are then refused, not repeated. */
const MAX_ROWS = 10_000

/** Creates a ledger. `work` must not reject. Does not outlive the process. */
export function createCallLedger<T>(): CallLedger<T> {
  const rows = new Map<string, Row<T>>()
  return {
    once(key, digest, work, isFinal) {
      const known = rows.get(key)
      if (known !== undefined) {
        return known.digest === digest ? { kind: 'result', result: known.result } : { kind: 'other' }
      }
      const result = work()
      const row: Row<T> = {
        digest,
        result: result.then((value) => settle(rows, key, row, value, isFinal)),
        settled: false,
      }
      rows.set(key, row)
      return { kind: 'result', result: row.result }
    },
  }
}

function settle<T>(rows: Map<string, Row<T>>, key: string, row: Row<T>, value: T, isFinal: (value: T) => boolean): T {
  row.settled = true
  if (!isFinal(value)) rows.delete(key)
  for (const [oldest, { settled }] of rows) {
    if (rows.size <= MAX_ROWS) break
    if (settled) rows.delete(oldest)
  }
  return value
}

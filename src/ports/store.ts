/**
 * @module
 * The store: versioned records, unique burns, the append-only log and the evidence beside it, in one transaction.
 *
 * Contract, in prose (the suite in `unbearer/testing` holds every implementation to it):
 * - **Serialisable.** `commit` checks every version in `reads`, then applies everything or nothing. Two commits that read
 *   the same version of a key and both name it in `reads` cannot both apply if either writes it.
 * - **Applied, then durable.** `commit` settles once the unit is applied and visible to every later `get` of this
 *   process; `durable` settles when it is on the disk, in a group with others, under one signed checkpoint. If the group
 *   cannot be made durable, every unit in it is undone and its `durable` rejects with `UnavailableError`.
 *   Nobody may act on a unit outwardly before `durable`.
 * - **Versions** are taken from one global sequence of the store and never come back, also not after a delete.
 * - **Burns** are unique per `(domain, id)` until `expires` (milliseconds) has passed; then they are forgotten. A burn that
 *   has expired when it arrives is answered `burned`: otherwise the later of two racing redemptions could outlive the row
 *   of the first. The time is `StoreOptions.clock`, and never runs backwards while the store is open.
 * - **Entries and evidence** are written once: an id that exists already is an `InputError` and the unit leaves nothing.
 *   Evidence can be dropped, and in the same unit replaced; an entry cannot.
 * - **One writer.** A second process that opens the same store for writing gets `UnavailableError` while the first lives.
 *   It may open it for reading.
 * - **The log** is RFC 6962-hashed. Index is the order of application. The checkpoint of a group covers every entry of it.
 *
 * Trusted: whoever can write the store's file can forget and reorder state, but not rewrite the log past a head that is
 * kept outside.
 */
import type { ReadSet } from '../core/evidence.ts'
import type { Json } from '../core/json.ts'
import type { Clock } from './clock.ts'

export interface StoredRecord {
  readonly key: string
  readonly value: Json
  readonly version: number
}

export interface Write {
  readonly key: string
  /** Absent deletes the record. */
  readonly value?: Json
  /** Whose data the value is, `type/id`, where it holds some: a store that seals (`pdp/sealed-store.ts`) seals it. */
  readonly subject?: string
}

export interface Burn {
  readonly domain: string
  readonly id: string
  /** Milliseconds since the epoch. */
  readonly expires: number
}

export interface NewEntry {
  readonly id: string
  /** The leaf, at most 65,535 bytes (C2SP tlog-tiles). */
  readonly bytes: Uint8Array
}

export interface NewEvidence {
  /** The id of the entry that it belongs to. */
  readonly id: string
  /** Whose data it is, for erasure: the principal, `type/id`. */
  readonly subject: string
  readonly bytes: Uint8Array
}

/** What is left of the evidence of an entry. What was never there counts as `dropped`. */
export type EvidenceState = 'kept' | 'erased' | 'dropped'

export interface CommitUnit {
  readonly reads?: ReadSet
  readonly writes?: readonly Write[]
  readonly burns?: readonly Burn[]
  readonly entries?: readonly NewEntry[]
  /** Ids of evidence to forget, before `evidence` is added. An id that is not there is no fault. */
  readonly drops?: readonly string[]
  readonly evidence?: readonly NewEvidence[]
}

export type CommitResult =
  | { readonly status: 'applied'; readonly indexes: readonly number[]; readonly durable: Promise<void> }
  | { readonly status: 'conflict'; readonly keys: readonly string[] }
  | { readonly status: 'burned'; readonly burn: Burn }

/** Signs the tree head of a group; synchronous, because it runs inside the transaction. Returns a C2SP checkpoint. */
export type Seal = (size: number, root: Uint8Array) => string

export interface StoreOptions {
  readonly seal: Seal
  /**
   * Called after each group is durable, in order, before its `durable` settles. Keeps the head outside the store. If it
   * throws, the group stands, and further commits are refused (`UnavailableError`) until calling it again succeeds.
   */
  readonly onSealed?: (checkpoint: string) => void
  /** For the expiry of burns; the system's clock by default. Give the same clock as to whoever sets `expires`. */
  readonly clock?: Clock
}

export interface LogReader {
  size(): Promise<number>
  /** The newest checkpoint; undefined for an empty log. Never covers less than what is durable. */
  checkpoint(): Promise<string | undefined>
  /** Entries `start` (inclusive) to `end` (exclusive), in order. */
  entries(start: number, end: number): Promise<readonly Uint8Array[]>
  indexOf(id: string): Promise<number | undefined>
  /** The hash of the complete subtree at `level` (0: leaves) and `index`; undefined when not complete. */
  node(level: number, index: number): Promise<Uint8Array | undefined>
}

export interface Store {
  readonly log: LogReader
  get(keys: readonly string[]): Promise<readonly (StoredRecord | undefined)[]>
  /** Records whose key starts with `prefix`, in key order (code units), after `after`, at most `limit` (default 1,000). */
  list(prefix: string, options?: { readonly after?: string; readonly limit?: number }): Promise<readonly StoredRecord[]>
  commit(unit: CommitUnit): Promise<CommitResult>
  /** Undefined when there is none, or none any more. */
  evidence(id: string): Promise<Uint8Array | undefined>
  /** Evidence as it is stored, in the order of ids (code units), after `after`, at most `limit` (default 100). */
  listEvidence(options?: { readonly after?: string; readonly limit?: number }): Promise<readonly NewEvidence[]>
  /**
   * Makes what was deleted or replaced so far unreadable in the files of the store as well, also in its journal. With
   * `rewrite` also what a version that did not overwrite has left behind; that takes as long as the store is large.
   * False when something still reads an older state; try again later. Does not reach backups, snapshots or the blocks that
   * a disk or a file system keeps.
   */
  scrub(options?: { readonly rewrite?: boolean }): Promise<boolean>
  /** Checks what the engine below can check of itself (SQLite: `PRAGMA integrity_check`); an empty list is healthy. */
  check(): Promise<readonly string[]>
  close(): Promise<void>
}

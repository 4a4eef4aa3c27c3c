/**
 * @module
 * Finds the decision that an operator means: by the id of its entry, of its outcome or of its ticket, or by a unique prefix.
 */
import type { Approval } from '../../core/evidence.ts'
import { InputError } from '../../core/errors.ts'
import { isJsonObject, type Json } from '../../core/json.ts'
import { parseEntry, type ParsedEntry } from '../../core/parse-entry.ts'
import { approvalOfBindRecord, approvalRecord, fromRecord } from '../../core/records.ts'
import type { LogReader, Store } from '../../ports/store.ts'
import { readOne } from '../acts.ts'

/** The shortest prefix that is looked for. */
const MIN_PREFIX = 8
/** Entries that are read at a time; between two pages others get their turn. */
const PAGE = 256
/** How far behind a decision its outcome is looked for. */
const MAX_BEHIND = 20_000

export interface FoundEntry {
  readonly index: number
  readonly entry: ParsedEntry
}

/**
 * The decision entry that `id` names. Throws `InputError` when nothing or more than one thing does, or when it is not a
 * decision. A prefix is looked for in the whole log, so that it takes longer than an id.
 */
export async function findDecision(store: Store, id: string): Promise<FoundEntry> {
  if (!/^[\w-]{8,64}$/u.test(id))
    throw new InputError(`\`${id}\` is not an id, nor at least ${MIN_PREFIX} characters of one`)
  const ticket = await readOne<Ticket>(store, approvalRecord(id))
  if (ticket !== undefined) return findOfTicket(store, ticket)
  const index = await store.log.indexOf(id)
  return index === undefined ? findByPrefix(store, id) : toDecision(store, await entryAt(store.log, index))
}

type Ticket = Approval & { readonly presented?: Json }

async function findOfTicket(store: Store, { id, presented }: Ticket): Promise<FoundEntry> {
  const entry = isJsonObject(presented) ? presented['entry'] : undefined
  if (typeof entry === 'string') return findDecision(store, entry)
  throw new InputError(`approval \`${id}\` does not say which entry opened it, give the id of the entry`)
}

async function findByPrefix(store: Store, prefix: string): Promise<FoundEntry> {
  const tickets = await store.list(approvalRecord(prefix), { limit: 2 })
  const entries = await entriesBy(store.log, prefix)
  const decisions = entries.filter(({ entry }) => entry.kind === 'decision')
  // A decision counts before its outcome and before acts: those have ids of their own that nobody else is shown.
  const chosen = decisions.length > 0 ? decisions : entries
  const [entry, another] = chosen
  const [record] = tickets
  if (another !== undefined || tickets.length + Math.min(chosen.length, 1) > 1) {
    throw new InputError(`more than one id starts with \`${prefix}\`, give more of it`)
  }
  if (entry !== undefined) return toDecision(store, entry)
  const ticket = fromRecord<Ticket>(record)
  if (ticket !== undefined) return findOfTicket(store, ticket)
  throw new InputError(
    `there is no entry and no approval \`${prefix}\`: \`unbearer audit tail --refused\` lists what was refused`,
  )
}

async function entriesBy(log: LogReader, prefix: string): Promise<readonly FoundEntry[]> {
  const found: FoundEntry[] = []
  for await (const { index, bytes } of scan(log, 0)) {
    if (!Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).includes(`"id":"${prefix}`)) continue
    const entry = parseEntry(bytes)
    if (entry?.id.startsWith(prefix) === true) found.push({ index, entry })
    if (found.length > PAGE) break
  }
  return found
}

/** Leaves from `start` on, as of now. Lets others have their turn between pages. */
export async function* scan(
  log: LogReader,
  start: number,
  end?: number,
): AsyncGenerator<{ readonly index: number; readonly bytes: Uint8Array }, void, void> {
  const size = Math.min(await log.size(), end ?? Number.POSITIVE_INFINITY)
  for (let index = start; index < size;) {
    const page = await log.entries(index, Math.min(index + PAGE, size))
    if (page.length === 0) return
    for (const bytes of page) {
      yield { index, bytes }
      index += 1
    }
    await new Promise<void>((resolve) => {
      setImmediate(resolve)
    })
  }
}

async function entryAt(log: LogReader, index: number): Promise<FoundEntry> {
  const [bytes] = await log.entries(index, index + 1)
  const entry = bytes === undefined ? undefined : parseEntry(bytes)
  if (entry === undefined)
    throw new InputError(`entry ${index} of the log cannot be read, see \`unbearer audit verify\``)
  return { index, entry }
}

/** The decision itself, or that of an outcome. */
async function toDecision(store: Store, found: FoundEntry): Promise<FoundEntry> {
  const { kind, id, value } = found.entry
  if (kind === 'decision') return found
  const of = value['of']
  if (kind === 'outcome' && typeof of === 'string') return findDecision(store, of)
  throw new InputError(`\`${id}\` is an act on the control plane and no decision, see \`unbearer audit show\``)
}

/** The outcome of a decision, where there is one among the entries behind it. */
export async function findOutcome(log: LogReader, { index, entry }: FoundEntry): Promise<ParsedEntry | undefined> {
  for await (const { bytes } of scan(log, index + 1, index + 1 + MAX_BEHIND)) {
    if (!Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).includes(`"of":"${entry.id}"`)) continue
    const found = parseEntry(bytes)
    if (found?.kind === 'outcome') return found
  }
  return undefined
}

/** The ticket under which this very action waits, or was refused; undefined where there is none any more. */
export async function findTicket(store: Store, bind: string): Promise<Approval | undefined> {
  const id = await readOne<string>(store, approvalOfBindRecord(bind))
  return id === undefined ? undefined : readOne<Approval>(store, approvalRecord(id))
}

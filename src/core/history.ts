/**
 * @module
 * The history of a task: an index over its observations, from hash to the labels under which it was seen. A lookup costs
 * the same after ten outputs as after a hundred thousand.
 */
import { CONFIDENTIALITIES, joinLabel, TRUSTS, type Confidentiality, type Label, type Trust } from './manifest.ts'
import { CLEAN, HASH_LENGTH, type Observation, type TokenTable } from './observation.ts'

/** The most distinct tokens that the index of one task keeps; about 20 MB. */
export const MAX_INDEXED = 100_000
/** How many sources are named for one token. */
const MAX_SOURCES = 4

/** What is known of one token. */
interface Seen {
  /** The join over every place where it stood. */
  joined: Label
  /** The best label of a place whose word counts for it; absent where none does. */
  vouched?: Label
  /** What the agent itself sent, where that was untrusted and may have been stored. */
  said?: Label
  /** Indexes into `sources`. */
  from: number[]
}

/** Mutable: `addObservation` adds to it. Holds hashes, labels and names of sources, nothing else. */
export interface History {
  readonly index: Map<string, Seen>
  readonly sources: string[]
  taint: Label
  length: number
  truncated: boolean
}

/** What a value was seen as. */
export interface Sighting {
  readonly label: Label
  readonly sources: readonly string[]
  /** True when records that the operator trusts hold it, so that `label` is theirs. */
  readonly vouched: boolean
}

export function createHistory(): History {
  return { index: new Map(), sources: [], taint: CLEAN, length: 0, truncated: false }
}

/** The history of these observations, in the order of their numbers. */
export function historyOf(observations: readonly Observation[]): History {
  const history = createHistory()
  for (const observation of observations.toSorted((a, b) => a.n - b.n)) addObservation(history, observation)
  return history
}

/**
 * Adds one observation; add them in order. Past `MAX_INDEXED` new tokens are left out, `truncated` is set, and what they
 * stood for matches nothing: it takes the join, which keeps rising.
 */
export function addObservation(history: History, observation: Observation): void {
  const source = toSource(history, observation.source)
  const echoed = new Map<string, Label>()
  for (const table of observation.said) {
    for (const hash of hashesOf(table)) {
      echoed.set(hash, join(echoed.get(hash), table))
      if (observation.stored) keepSaid(history, hash, table)
    }
  }
  for (const table of observation.tables) {
    for (const [list, vouches] of listsOf(table)) {
      for (const hash of split(list)) add(history, hash, source, toLabel(table), vouches && !echoed.has(hash))
    }
  }
  history.taint = joinLabel(history.taint, observation.label)
  history.length += 1
  history.truncated ||= observation.truncated
}

/** What the value with this hash was seen as; undefined where it was not seen. */
export function sightingOf(history: History, hash: string): Sighting | undefined {
  const seen = history.index.get(hash)
  if (seen === undefined || seen.from.length === 0) return undefined
  const sources = seen.from.map((index) => history.sources[index] ?? '')
  if (seen.vouched === undefined) return { label: join(seen.said, seen.joined), sources, vouched: false }
  // Records say who it is; how secret it is, is the worst of every place where it stood.
  const label = { trust: seen.vouched.trust, confidentiality: seen.joined.confidentiality }
  return { label, sources, vouched: true }
}

/**
 * Whose word counts: a whole leaf of `own` or `internal` records, an address, number or id within `own` text. A word of a
 * text never does, whoever wrote it.
 */
function listsOf({ trust, whole, typed, loose }: TokenTable): readonly (readonly [string, boolean])[] {
  return [
    [whole, trust === 'own' || trust === 'internal'],
    [typed, trust === 'own'],
    [loose, false],
  ]
}

function hashesOf(table: TokenTable): readonly string[] {
  return [...split(table.whole), ...split(table.typed), ...split(table.loose)]
}

function split(list: string): readonly string[] {
  return Array.from({ length: Math.floor(list.length / HASH_LENGTH) }, (_, index) =>
    list.slice(index * HASH_LENGTH, (index + 1) * HASH_LENGTH),
  )
}

function add(history: History, hash: string, source: number, label: Label, vouches: boolean): void {
  const seen = take(history, hash)
  if (seen === undefined) return
  seen.joined = seen.from.length === 0 ? label : joinLabel(seen.joined, label)
  if (!seen.from.includes(source) && seen.from.length < MAX_SOURCES) seen.from.push(source)
  // What the agent may have put there itself does not become true by being read back.
  if (!vouches || seen.said !== undefined) return
  if (seen.vouched === undefined || isBetter(label, seen.vouched)) seen.vouched = label
}

function keepSaid(history: History, hash: string, table: TokenTable): void {
  const seen = take(history, hash)
  if (seen !== undefined) seen.said = join(seen.said, table)
}

function take(history: History, hash: string): Seen | undefined {
  const found = history.index.get(hash)
  if (found !== undefined) return found
  if (history.index.size >= MAX_INDEXED) {
    history.truncated = true
    return undefined
  }
  const fresh: Seen = { joined: CLEAN, from: [] }
  history.index.set(hash, fresh)
  return fresh
}

function toSource(history: History, source: string): number {
  const known = history.sources.indexOf(source)
  return known >= 0 ? known : history.sources.push(source) - 1
}

function isBetter(a: Label, b: Label): boolean {
  return TRUSTS.indexOf(a.trust) < TRUSTS.indexOf(b.trust)
}

function join(a: Label | undefined, b: Label): Label {
  return a === undefined ? toLabel(b) : joinLabel(a, b)
}

const LABELS = new Map<string, Label>()
for (const trust of TRUSTS) {
  for (const confidentiality of CONFIDENTIALITIES) LABELS.set(`${trust} ${confidentiality}`, { trust, confidentiality })
}

// One object per label, so that a hundred thousand tokens share sixteen of them.
function toLabel({ trust, confidentiality }: { trust: Trust; confidentiality: Confidentiality }): Label {
  return LABELS.get(`${trust} ${confidentiality}`) ?? { trust, confidentiality }
}

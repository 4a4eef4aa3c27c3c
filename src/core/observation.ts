/**
 * @module
 * An observation: what was relayed to the agent, kept as salted hashes of tokens with the label of where each stood.
 * Holds no row, no prompt and no argument; with the salt, a guess at a value can be tested, so it is stored as evidence is.
 */
import { hash } from 'node:crypto'

import type { Json, JsonObject } from './json.ts'
import { joinLabel, UNDETERMINED, type Label, type ToolManifest, type Trust } from './manifest.ts'
import type { ArgumentProvenance, ProvenanceFacts } from './evidence.ts'
import { leavesOf, pointTo, type OutputLeaf } from './leaves.ts'
import { createLabeller, type Labeller } from './output-label.ts'
import { heavy, light, partsOf, toIban, toNumberText, type TextPart } from './tokens.ts'

/** The most tokens that one observation keeps, and the most that it keeps of the call that led to it. */
export const MAX_TOKENS = 20_000
/** The label that joins to nothing: where nothing was observed. */
export const CLEAN: Label = { trust: 'own', confidentiality: 'public' }
/** How many base64url characters stand for one token: 72 bits of its salted hash. */
export const HASH_LENGTH = 12

/**
 * Tokens under one label, each list a concatenation of hashes. `whole`: a leaf in full. `typed`: an address, number or id
 * within a leaf. `loose`: words, phrases, hosts of addresses, and what merely looks alike.
 */
export interface TokenTable extends Label {
  readonly whole: string
  readonly typed: string
  readonly loose: string
}

/** Plain JSON, so that any store keeps it. */
export interface Observation {
  /** Its number within the task, from 0. */
  readonly n: number
  /** `upstream/tool`. */
  readonly source: string
  readonly entry?: string
  /** Milliseconds since the epoch. */
  readonly time: number
  /** The join over all that it holds. */
  readonly label: Label
  readonly tables: readonly TokenTable[]
  /** What the agent itself put into the call, where that was untrusted or made up: getting it back vouches for nothing. */
  readonly said: readonly TokenTable[]
  /** True when the call could have stored what it was given, so that later reads may give it back too. */
  readonly stored: boolean
  /** True when there were more tokens than are kept. */
  readonly truncated: boolean
}

/** The call whose output is observed, as it was decided. */
export interface ObservedCall {
  readonly arguments: JsonObject
  readonly provenance: ProvenanceFacts
  /** True when the call changed something or reached out (`isConsequential`). */
  readonly consequential: boolean
  /** `EffectReport.renamed`. */
  readonly renamed?: Readonly<Record<string, readonly string[]>>
  /** `EffectReport.mentioned`. */
  readonly mentioned?: readonly string[]
}

export interface ObserveInput {
  readonly n: number
  readonly source: string
  readonly entry?: string
  readonly time: number
  readonly value: Json
  readonly output: ToolManifest['output'] | undefined
  readonly salt: string
  /**
   * Without it the output is taken to be independent of what the agent sent. Pass it wherever it is known: a tool that
   * echoes its arguments would otherwise launder them.
   */
  readonly call?: ObservedCall
}

/**
 * Labels every leaf of `value` by the manifest and hashes its tokens. An output that nobody described is `UNDETERMINED`.
 * Where the call carried a command, that chose what stands under which name: `SELECT note AS email`. The label is then that
 * of the column behind the name where `renamed` tells it, and the chosen rows are at best `internal` under an untrusted
 * command; else it is the join of the columns that are `mentioned`, or the worst that the manifest names, in no case better
 * than the command, and vouches for nothing. Bounded by `MAX_TOKENS`; past it `truncated` is set and what was left out matches nothing.
 *
 * Does not promise to find a value that the source split, encoded or spelled out; such a value matches nothing and takes
 * the join of everything observed.
 */
export function observe(input: ObserveInput): Observation {
  const tables = createTables(input.salt)
  const output = input.output ?? UNDETERMINED
  const labeller = chooseLabels(output, input.call)
  const floor = commandFloor(input.call)
  const vouches = !isChosen(input.call)
  let label = joinLabel(toLabel(output), floor)
  for (const leaf of leavesOf(input.value)) {
    const own = leaf.cut || isUnparted(leaf, output) ? labeller.worst : labeller.label(leaf.path)
    const joined = (leaf.floor ?? []).map((path) => labeller.label(path)).reduce(joinLabel, joinLabel(own, floor))
    label = joinLabel(label, joined)
    if (leaf.key) tables.addLoose(joined, leaf.text)
    else if (vouches) tables.addLeaf(joined, leaf.text)
    else tables.addUnvouched(joined, leaf.text)
  }
  const said = toSaid(input)
  return {
    n: input.n,
    source: input.source,
    ...(input.entry === undefined ? {} : { entry: input.entry }),
    time: input.time,
    label,
    tables: tables.toTables(),
    said: said.toTables(),
    stored: input.call?.consequential ?? false,
    truncated: tables.truncated() || said.truncated(),
  }
}

/**
 * True for a text that the manifest expects to have fields and that could not be taken apart (`3 rows: [{…}]`, CSV): what
 * stands in it may be any of them.
 */
function isUnparted({ path, key, text }: OutputLeaf, output: Label | ToolManifest['output']): boolean {
  const hasFields = 'fields' in output && Object.keys(output.fields ?? {}).length > 0
  return hasFields && !key && text !== '' && (path.length === 0 || path.join('/') === 'content/[]/text')
}

function toLabel({ trust, confidentiality }: Label): Label {
  return { trust, confidentiality }
}

function isTrusted(label: Label): boolean {
  return label.trust === 'own' || label.trust === 'internal'
}

function commandsOf(call: ObservedCall | undefined): readonly ArgumentProvenance[] {
  return call?.provenance.arguments.filter((leaf) => leaf.role === 'command') ?? []
}

/** True where a command could have made up what came back, whoever the source is. */
function isChosen(call: ObservedCall | undefined): boolean {
  return commandsOf(call).length > 0 && (call?.renamed === undefined || call.consequential)
}

/** The labels of the manifest, by the names of the columns that a command took; the worst where that cannot be told. */
function chooseLabels(output: ToolManifest['output'] | Label, call: ObservedCall | undefined): Labeller {
  const labeller = createLabeller(output)
  if (call === undefined || commandsOf(call).length === 0) return labeller
  const { renamed, mentioned } = call
  if (renamed === undefined && mentioned === undefined) return { label: () => labeller.worst, worst: labeller.worst }
  const base = renamed === undefined ? toLabel(output) : undefined
  const behind = (segment: string): readonly string[] =>
    renamed === undefined ? (mentioned ?? []) : Object.hasOwn(renamed, segment) ? (renamed[segment] ?? []) : []
  const label: Labeller['label'] = (path) =>
    path
      .flatMap((segment, index) => behind(segment).map((column) => labeller.label(path.with(index, column))))
      .reduce(joinLabel, joinLabel(labeller.label(path), base ?? labeller.label(path)))
  return { label, worst: labeller.worst }
}

// Only the trust of a command reaches its output; what is secret about a source is a matter of the source. A command that
// the agent made up is as trusted as what the agent had read by then. Rows that are as they stand in their tables were not
// written by it, only chosen.
function commandFloor(call: ObservedCall | undefined): Label {
  return commandsOf(call)
    .map((leaf) => (leaf.origin === 'none' ? (call?.provenance.taint ?? leaf) : leaf))
    .filter((label) => !isTrusted(label))
    .map(({ trust }): Trust => (isChosen(call) ? trust : 'internal'))
    .reduce<Label>((joined, trust) => joinLabel(joined, { trust, confidentiality: 'public' }), CLEAN)
}

function toSaid({ salt, call }: ObserveInput): Tables {
  const tables = createTables(salt)
  for (const leaf of call?.provenance.arguments ?? []) {
    // What the agent made up before it had read anything is not known either.
    if (isTrusted(leaf) && leaf.origin !== 'none') continue
    const value = pointTo(call?.arguments ?? {}, leaf.path)
    if (typeof value === 'string' || typeof value === 'number') tables.addLeaf(toLabel(leaf), String(value))
    // A member name can be what was said, too.
    tables.addLeaf(toLabel(leaf), leaf.path.slice(leaf.path.lastIndexOf('/') + 1))
  }
  return tables
}

interface Tables {
  addLeaf(label: Label, text: string): void
  addLoose(label: Label, text: string): void
  /** Like `addLeaf`, so that what is untrusted is known again, but vouches for nothing. */
  addUnvouched(label: Label, text: string): void
  toTables(): readonly TokenTable[]
  truncated(): boolean
}

const LISTS = ['whole', 'typed', 'loose'] as const
type List = (typeof LISTS)[number]

function createTables(salt: string): Tables {
  const found = new Map<string, { readonly label: Label; readonly lists: Readonly<Record<List, Set<string>>> }>()
  let kept = 0
  let truncated = false
  const add = (label: Label, list: List, text: string): boolean => {
    const key = `${label.trust} ${label.confidentiality}`
    const table = found.get(key) ?? { label, lists: { whole: new Set(), typed: new Set(), loose: new Set() } }
    found.set(key, table)
    if (table.lists[list].has(text)) return true
    truncated ||= kept >= MAX_TOKENS
    if (truncated) return false
    kept += 1
    table.lists[list].add(text)
    return true
  }
  const addBoth = (label: Label, list: List, text: string): boolean => {
    const alike = text.length <= MAX_ALIKE ? heavy(text) : text
    return add(label, list, text) && (alike === text || add(label, 'loose', alike))
  }
  const addParts = (label: Label, text: string, listOf: (part: TextPart) => List): void => {
    for (const part of partsOf(text)) if (!addBoth(label, listOf(part), part.text)) return
  }
  return {
    addLeaf(label, text) {
      for (const whole of wholesOf(text)) addBoth(label, 'whole', whole)
      addParts(label, text, ({ kind }) => (kind === 'word' || kind === 'phrase' || kind === 'host' ? 'loose' : 'typed'))
    },
    addUnvouched(label, text) {
      for (const whole of wholesOf(text)) addBoth(label, 'loose', whole)
      addParts(label, text, () => 'loose')
    },
    addLoose: (label, text) => addParts(label, text, () => 'loose'),
    toTables: () => [...found.values()].map(({ label, lists }) => toTable(salt, label, lists)),
    truncated: () => truncated,
  }
}

/** Longer texts are not compared by resemblance as a whole; their parts are. */
const MAX_ALIKE = 4096

/** The forms under which a leaf as a whole is known: itself, and as a number or account number where it is one. */
export function wholesOf(text: string): readonly string[] {
  const whole = light(text)
  if (whole === '') return []
  return [...new Set([whole, toNumberText(whole) ?? whole, toIban(text) ?? whole])]
}

function toTable(salt: string, label: Label, lists: Readonly<Record<List, ReadonlySet<string>>>): TokenTable {
  const join = (list: List): string => [...lists[list]].map((text) => hashToken(salt, text)).join('')
  return { ...label, whole: join('whole'), typed: join('typed'), loose: join('loose') }
}

/** The salted hash of a token, `HASH_LENGTH` characters. */
export function hashToken(salt: string, text: string): string {
  return hash('sha256', `${salt}\0${text}`, 'base64url').slice(0, HASH_LENGTH)
}

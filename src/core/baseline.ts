/**
 * @module
 * The behaviour profile of one actor: a bounded summary of what it did, and how unusual the next action is against it.
 *
 * Every p is the estimated chance of something at least as unusual under the profile:
 * - *tool, transition, resource, destination*: the total weight of everything at most as frequent as what was seen, plus
 *   the chance of something never seen. That chance is the larger of Good-Turing's (weight of what was seen about once)
 *   and of how often something new came up of late, each with half an event added: n events never support a p below
 *   1/(2n + 2).
 * - *rate*: the share of past actions that came in at least as dense a burst (decayed count over a minute). No shape of
 *   distribution is assumed, because agents act in bursts with hours between them.
 *
 * Old events fade (half of the weight after about 350 events), so that a profile follows a change of work, slowly. Names
 * are kept as salted hashes. At most 8 KB of JSON.
 */
import { hash } from 'node:crypto'

import type { EffectKind } from './effect.ts'
import type { BehaviourFacts, BehaviourSignal } from './evidence.ts'

/** With fewer events than this nothing is said. */
export const MIN_EVENTS = 30
const FADE = 0.998
/** How fast news about novelty fades: half after about 70 events. */
const NOVELTY_FADE = 0.99
const FORGOTTEN = 0.05
const LIMITS = { tools: 48, transitions: 96, objects: 128, destinations: 48 } as const
/** Conditional on one tool, fewer events than this say nothing. */
const MIN_AFTER = 10
const RATE_BUCKETS = 24
const BURST_MS = 60_000
/** How many objects or destinations of one action are looked at. */
const MAX_NAMES = 32

export type TableName = keyof typeof LIMITS

/** Weights of names. */
export interface WeightTable {
  readonly weights: Readonly<Record<string, number>>
  /** Decayed count of events, and of those that brought something new. */
  readonly recent: number
  readonly fresh: number
}

/** Plain JSON. */
export interface Profile {
  readonly v: 1
  readonly salt: string
  readonly events: number
  readonly tables: Readonly<Record<TableName, WeightTable>>
  /** Histogram of burst density at each event, by half powers of two. */
  readonly rate: readonly number[]
  readonly burst: number
  readonly last?: { readonly tool: string; readonly at: number }
}

/** One action. */
export interface ProfileEvent {
  /** `upstream/tool`. */
  readonly tool: string
  /** Milliseconds since the epoch. */
  readonly at: number
  readonly objects: readonly string[]
  readonly destinations: readonly string[]
  readonly effects: readonly EffectKind[]
}

/** A profile that knows nothing. A `salt` of an actor's own keeps profiles of different actors from being joined. */
export function emptyProfile(salt = 'unbearer-profile-v1'): Profile {
  const table: WeightTable = { weights: {}, recent: 0, fresh: 0 }
  return {
    v: 1,
    salt,
    events: 0,
    tables: { tools: table, transitions: table, objects: table, destinations: table },
    rate: Array.from({ length: RATE_BUCKETS }, () => 0),
    burst: 0,
  }
}

/** The profile after one more action. Teach it only what was permitted: what was refused is not how the agent behaves. */
export function learnProfile(profile: Profile, event: ProfileEvent): Profile {
  const keys = toKeys(profile, event)
  const burst = burstAt(profile, event.at)
  const bucket = toBucket(burst)
  return {
    ...profile,
    events: profile.events + 1,
    tables: {
      tools: learn(profile.tables.tools, 'tools', keys.tools),
      transitions: learn(profile.tables.transitions, 'transitions', keys.transitions),
      objects: learn(profile.tables.objects, 'objects', keys.objects),
      destinations: learn(profile.tables.destinations, 'destinations', keys.destinations),
    },
    rate: profile.rate.map((weight, index) => round(weight * FADE + (index === bucket ? 1 : 0))),
    burst: round(burst),
    last: { tool: keys.tool, at: event.at },
  }
}

/**
 * Compares one action with the profile. Without signals while the profile is younger than `MIN_EVENTS`.
 * Does not promise that what is usual is harmless, nor that a patient attacker cannot teach it slowly.
 */
export function scoreProfile(
  profile: Profile,
  event: ProfileEvent,
  { threshold }: { readonly threshold: number },
): BehaviourFacts {
  const { events } = profile
  if (events < MIN_EVENTS) return { events, signals: [], threshold }
  const keys = toKeys(profile, event)
  const { tools, objects, destinations } = profile.tables
  const signals = [
    toSignal('tool', tools, keys.tools, 'this tool with this effect'),
    toSignal('transition', after(profile), keys.transitions, 'this tool after the one before'),
    toRateSignal(profile, event),
    toSignal('resource', objects, keys.objects, 'what it touches'),
    toSignal('destination', destinations, keys.destinations, 'where it sends to'),
  ]
  return { events, signals: signals.filter((signal) => signal !== undefined), threshold }
}

/**
 * One p for all signals: the smallest, times how many there are (Bonferroni), at most 1. Holds whatever the dependence
 * between the signals. 1 for no signals: look at `events` first.
 */
export function combineSignals(signals: readonly BehaviourSignal[]): number {
  if (signals.length === 0) return 1
  return Math.min(1, signals.length * Math.min(1, ...signals.map(({ p }) => p)))
}

interface Keys extends Readonly<Record<TableName, readonly string[]>> {
  readonly tool: string
}

function toKeys(profile: Profile, event: ProfileEvent): Keys {
  const short = (text: string, length: number): string =>
    hash('sha256', `${profile.salt}\0${text}`, 'base64url').slice(0, length)
  // The same tool with a graver effect is another behaviour.
  const tool = short(`${event.tool}\0${[...event.effects].toSorted().join(' ')}`, 6)
  const names = (list: readonly string[]): readonly string[] =>
    [...new Set(list.slice(0, MAX_NAMES))].map((name) => short(name, 8))
  return {
    tool,
    tools: [tool],
    transitions: profile.last === undefined ? [] : [profile.last.tool + tool],
    objects: names(event.objects),
    destinations: names(event.destinations),
  }
}

function learn(table: WeightTable, name: TableName, keys: readonly string[]): WeightTable {
  if (keys.length === 0) return table
  const faded = new Map(Object.entries(table.weights).map(([key, weight]) => [key, round(weight * FADE)]))
  const isFresh = keys.some((key) => !faded.has(key))
  // What just came up stays until next time, however full the table is; of the rest the lightest goes.
  const others = [...faded]
    .filter(([key, weight]) => weight >= FORGOTTEN && !keys.includes(key))
    .toSorted((a, b) => b[1] - a[1])
    .slice(0, LIMITS[name] - keys.length)
  const now = keys.map((key): [string, number] => [key, round((faded.get(key) ?? 0) + 1)])
  return {
    weights: Object.fromEntries([...others, ...now]),
    recent: round(table.recent * NOVELTY_FADE + 1),
    fresh: round(table.fresh * NOVELTY_FADE + (isFresh ? 1 : 0)),
  }
}

// Four decimals keep the profile small, and are fine enough that the smallest weight kept still fades.
function round(value: number): number {
  return Math.round(value * 10_000) / 10_000
}

/** The transitions out of the tool that was used last, as a table of their own. */
function after(profile: Profile): WeightTable {
  const { transitions } = profile.tables
  const from = profile.last?.tool ?? ''
  const weights = Object.entries(transitions.weights).filter(([key]) => from !== '' && key.startsWith(from))
  return { ...transitions, weights: Object.fromEntries(weights) }
}

function toSignal(
  name: 'tool' | 'transition' | 'resource' | 'destination',
  table: WeightTable,
  keys: readonly string[],
  what: string,
): BehaviourSignal | undefined {
  const total = sum(Object.values(table.weights))
  if (keys.length === 0 || total < MIN_AFTER) return undefined
  const each = keys.map((key) => tailOf(table, total, key))
  // Several names in one action are several tries at being unusual.
  const p = Math.min(1, keys.length * Math.min(...each))
  const unseen = keys.filter((key) => table.weights[key] === undefined).length
  const seen = `${keys.length - unseen} of ${keys.length} seen before`
  const news = `something new came up in ${percent(noveltyOf(table, total))} of past actions`
  return {
    name,
    p,
    why: `${what}: ${seen}; ${unseen > 0 ? news : `as rare as ${percent(Math.min(...each))} of past actions`}`,
  }
}

function tailOf(table: WeightTable, total: number, key: string): number {
  const novelty = noveltyOf(table, total)
  const weight = table.weights[key]
  if (weight === undefined) return novelty
  const rarer = sum(Object.values(table.weights).filter((other) => other <= weight))
  return Math.min(1, novelty + ((1 - novelty) * rarer) / total)
}

function noveltyOf(table: WeightTable, total: number): number {
  const once = sum(Object.values(table.weights).filter((weight) => weight <= 1))
  return Math.min(1, Math.max((once + 0.5) / (total + 1), (table.fresh + 0.5) / (table.recent + 1)))
}

function toRateSignal(profile: Profile, event: ProfileEvent): BehaviourSignal {
  const bucket = toBucket(burstAt(profile, event.at))
  const denser = sum(profile.rate.slice(bucket))
  const p = Math.min(1, (denser + 0.5) / (sum(profile.rate) + 1))
  return { name: 'rate', p, why: `actions in quick succession: as dense as in ${percent(p)} of past actions` }
}

// A clock that stepped back counts as no time passed: the burst can only look denser.
function burstAt(profile: Profile, at: number): number {
  const gap = Math.max(0, at - (profile.last?.at ?? at))
  return profile.burst * Math.exp(-gap / BURST_MS) + 1
}

function toBucket(burst: number): number {
  return Math.min(RATE_BUCKETS - 1, Math.max(0, Math.floor(2 * Math.log2(burst))))
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}

function percent(share: number): string {
  return share < 0.01 ? 'under 1 %' : `${Math.round(share * 100)} %`
}

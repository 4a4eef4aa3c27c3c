/**
 * @module
 * Where each leaf of each argument comes from (design §4): the principal's purpose, what was relayed to the agent, or
 * neither. What is made up by the model is no better than everything that the model has read.
 */
import type { ArgumentProvenance, ProvenanceFacts } from './evidence.ts'
import { sightingOf, type History, type Sighting } from './history.ts'
import type { JsonObject } from './json.ts'
import { argumentLeavesOf, type ArgumentLeaf } from './leaves.ts'
import { joinLabel, UNDETERMINED, type ArgumentRole, type Label, type ToolFacts } from './manifest.ts'
import { hashToken, wholesOf } from './observation.ts'
import { isVouched, tracePurpose, type PurposeTokens } from './purpose.ts'
import { heavy, partsOf, typesOf } from './tokens.ts'

export { addObservation, createHistory, historyOf, type History } from './history.ts'
export { observe, type Observation, type ObservedCall } from './observation.ts'

/** The most leaves that are traced one by one; the rest count as one leaf about which nothing is known. */
export const MAX_LEAVES = 1000
/** How much of a leaf is searched for addresses of others, in characters. */
const MAX_SEARCHED = 16 * 1024
const MAX_SEARCHED_PARTS = 256

export interface TraceInput {
  readonly arguments: JsonObject
  readonly tool: ToolFacts
  readonly purpose?: string
  readonly history: History
  readonly salt: string
}

interface Trace {
  readonly input: TraceInput
  readonly tokens: PurposeTokens | undefined
}

type Origin = Pick<ArgumentProvenance, 'origin' | 'trust' | 'confidentiality' | 'sources'>

/**
 * Traces every leaf of the arguments. Its cost does not depend on the length of the history.
 *
 * | a leaf, as a whole, …                                            | origin     | label                               |
 * | ---------------------------------------------------------------- | ---------- | ----------------------------------- |
 * | is a token of the purpose that fits its role                     | `purpose`  | own, internal                       |
 * | stands in records whose word counts (`history.ts`)               | `observed` | trust of the records                |
 * | stands in untrusted content, or resembles what does, or (unless it is a selector or content) holds an address that does | `observed` | the join of all those places |
 * | matches nothing, purpose attested                                | `none`     | the join of everything observed     |
 * | matches nothing, no purpose attested                             | `none`     | attacker-writable, as secret as the join |
 *
 * A word of trusted text, and what the agent itself sent before it came back, match nothing: neither is a record.
 *
 * A list in one string (`a@x, b@y`) is as good as its worst part, where its role is to say where something goes. A command
 * is never `observed` for its words: text that is not vouched for as a whole takes the join.
 *
 * Does not promise to see through every encoding: what it cannot see matches nothing and takes the join.
 */
export function traceArguments(input: TraceInput): ProvenanceFacts {
  const trace: Trace = { input, tokens: input.purpose === undefined ? undefined : tracePurpose(input.purpose) }
  const found: ArgumentProvenance[] = []
  for (const leaf of argumentLeavesOf(input.arguments, MAX_LEAVES, (name) =>
    typesOf(name).some(({ kind }) => kind !== 'id'),
  )) {
    found.push(leaf === undefined ? REST : traceLeaf(trace, leaf))
  }
  const { taint, length } = input.history
  return { attested: input.purpose !== undefined, arguments: found, taint, length }
}

const REST: ArgumentProvenance = { path: '', role: 'destination', origin: 'none', ...UNDETERMINED, sources: [] }

function traceLeaf(trace: Trace, { pointer, segments, value }: ArgumentLeaf): ArgumentProvenance {
  const role = roleOf(trace.input.tool, segments)
  return { path: pointer, role, ...originOf(trace, role, String(value)) }
}

/** The role of the longest prefix that the manifest names, by name (`to`) or pointer (`order/id`, `items/*` for any element). */
export function roleOf(tool: ToolFacts, segments: readonly string[]): ArgumentRole {
  // Only what a person accepted says what an argument is for.
  if (tool.status !== 'accepted') return 'destination'
  const named = tool.tool.arguments
  for (let length = segments.length; length > 0; length -= 1) {
    const prefix = segments.slice(0, length)
    const any = prefix.map((segment) => (/^\d+$/.test(segment) ? '*' : segment)).join('/')
    for (const name of [prefix.join('/'), any, `/${prefix.join('/')}`, `/${any}`]) {
      if (Object.hasOwn(named, name)) return named[name]?.role ?? 'destination'
    }
  }
  return 'destination'
}

function originOf(trace: Trace, role: ArgumentRole, value: string): Origin {
  const whole = knownOrigin(trace, role, value)
  if (whole !== undefined) return whole
  const parts = isTarget(role) ? value.split(/[,;\s]+/u).filter((piece) => piece !== '') : []
  const listed =
    parts.length > 1 && parts.length <= MAX_SEARCHED_PARTS ? parts.map((piece) => knownOrigin(trace, role, piece)) : []
  const known = listed.filter((origin) => origin !== undefined)
  if (known.length > 0 && known.length === listed.length) return known.reduce(worse)
  return heldOrigin(trace, role, value) ?? unmatched(trace)
}

/** The origin of a value that is vouched for, or that was seen, as a whole. */
function knownOrigin({ input, tokens }: Trace, role: ArgumentRole, value: string): Origin | undefined {
  if (tokens !== undefined && isVouched(tokens, role, value)) return PURPOSE
  const sightings = wholesOf(value).flatMap((text) => sightingOf(input.history, hashToken(input.salt, text)) ?? [])
  const vouched = sightings.find((sighting) => sighting.vouched)
  if (vouched !== undefined) return toOrigin(vouched)
  const alike = sightingOf(input.history, hashToken(input.salt, heavy(value)))
  const seen = [...sightings, ...(alike === undefined ? [] : [alike])].filter(({ label }) => isUntrusted(label))
  return seen
    .map(toOrigin)
    .reduce<Origin | undefined>((joined, origin) => (joined === undefined ? origin : worse(joined, origin)), undefined)
}

const PURPOSE: Origin = { origin: 'purpose', trust: 'own', confidentiality: 'internal', sources: ['purpose'] }

function toOrigin({ label, sources }: Sighting): Origin {
  return { origin: 'observed', ...label, sources }
}

function isUntrusted({ trust }: Label): boolean {
  return trust === 'external' || trust === 'attacker-writable'
}

function isTarget(role: ArgumentRole): boolean {
  return role === 'recipient' || role === 'destination'
}

/**
 * The origin of a value that holds an address, number or id that untrusted content holds too: `Evil <evil@x>`,
 * `https://evil.example/?q=…`, also percent-encoded. Only ever names what speaks against the value.
 */
function heldOrigin({ input }: Trace, role: ArgumentRole, value: string): Origin | undefined {
  if (role === 'selector' || role === 'content' || role === 'command') return undefined
  const text = value.slice(0, MAX_SEARCHED)
  const texts = [...new Set([text, decoded(text), heavy(text)])]
  const hashes = new Set<string>()
  for (const part of texts.flatMap((form) => [
    ...partsOf(form)
      .filter(({ kind }) => kind !== 'word')
      .take(MAX_SEARCHED_PARTS),
  ])) {
    hashes.add(hashToken(input.salt, part.text)).add(hashToken(input.salt, heavy(part.text)))
  }
  const held = [...hashes]
    .flatMap((hash) => sightingOf(input.history, hash) ?? [])
    .filter(({ label }) => isUntrusted(label))
  const label = held
    .map((sighting) => sighting.label)
    .reduce<Label | undefined>((joined, next) => (joined === undefined ? next : joinLabel(joined, next)), undefined)
  if (label === undefined) return undefined
  // The rest of the value is made up, so that it is no better than the join either.
  return {
    origin: 'observed',
    ...joinLabel(label, input.history.taint),
    sources: [...new Set(held.flatMap(({ sources }) => sources))].slice(0, 4),
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

function unmatched({ input }: Trace): Origin {
  const { taint } = input.history
  const trust = input.purpose === undefined ? 'attacker-writable' : taint.trust
  return { origin: 'none', trust, confidentiality: taint.confidentiality, sources: [] }
}

const RANK: readonly ArgumentProvenance['origin'][] = ['purpose', 'observed', 'none']

function worse(a: Origin, b: Origin): Origin {
  const label = joinLabel(a, b)
  const origin = RANK.indexOf(a.origin) >= RANK.indexOf(b.origin) ? a.origin : b.origin
  return { origin, ...label, sources: [...new Set([...a.sources, ...b.sources])].slice(0, 4) }
}

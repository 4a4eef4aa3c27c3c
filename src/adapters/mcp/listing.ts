/**
 * @module
 * Lists as the agent sees them. In `enforce` nothing that a server wrote reaches the model unless an operator accepted
 * it: a poisoned description works by being read, not by being called.
 */
import {
  isJsonObject,
  type Caller,
  type EffectRule,
  type Json,
  type JsonObject,
  type Mode,
  type Pep,
} from '../../index.ts'
import { toMethodHash, type ListedTool, type ToolList } from './catalogue.ts'
import { addIntent } from './intent.ts'
import type { Listing } from './pages.ts'

const PLAIN_NAME = /^[\w./:-]{1,128}$/u
const NOT_ACCEPTED = 'This tool was not accepted by an operator, or has changed since; calls are refused.'

export interface View {
  readonly pep: Pick<Pep, 'mode' | 'tool'>
  readonly upstream: string
  /** For whom the list is. */
  readonly actor: Caller['actor']
}

/** The result of `tools/list`: one page, with the intent argument in every schema. */
export function toToolListResult(view: View, { frame, tools }: ToolList): JsonObject {
  const shown = [...tools.values()].flatMap((tool) => toShownTool(view, tool))
  return { ...toFrame(view.pep.mode(view.upstream, { actor: view.actor }), frame), tools: shown }
}

function toShownTool(view: View, tool: ListedTool): readonly JsonObject[] {
  const { inputSchema } = tool.descriptor
  const facts = view.pep.tool(view.upstream, tool.name, tool.hash)
  const isAccepted = facts.status === 'accepted'
  const mode = view.pep.mode(view.upstream, { tool: tool.name, actor: view.actor })
  if (tool.usable && isJsonObject(inputSchema) && (isAccepted || mode === 'observe')) {
    return [
      { ...tool.descriptor, inputSchema: addIntent(inputSchema, isAccepted ? toEffectWords(facts.tool.effect) : []) },
    ]
  }
  if (!PLAIN_NAME.test(tool.name)) return []
  return [{ name: tool.name, description: NOT_ACCEPTED, inputSchema: addIntent({ type: 'object' }) }]
}

/** What the operator wrote down; what is computed at each call is known to nobody before. */
function toEffectWords(effect: EffectRule): readonly string[] {
  if (typeof effect === 'string') return [effect]
  return 'from' in effect ? [] : effect
}

/** Beside the list itself, only what a client needs for caching survives in `enforce`. */
function toFrame(mode: Mode, frame: JsonObject): JsonObject {
  if (mode === 'observe') return frame
  const { ttlMs } = frame
  return typeof ttlMs === 'number' ? { ttlMs } : {}
}

interface Sieve {
  /** The decided method that makes use of what is listed. */
  readonly method: string
  readonly keep: readonly string[]
}

const SIEVES: ReadonlyMap<string, Sieve> = new Map([
  ['resources', { method: 'resources/read', keep: ['uri', 'name', 'mimeType', 'size'] }],
  ['resourceTemplates', { method: 'resources/read', keep: ['uriTemplate', 'name', 'mimeType'] }],
  ['prompts', { method: 'prompts/get', keep: ['name', 'arguments'] }],
])

/**
 * The result of any other list. In `enforce` it is empty until the method that uses it was accepted, and then holds
 * names and addresses without descriptions. Does not promise that a name or address is harmless to read.
 */
export function toListResult(view: View, member: string, { frame, items }: Listing): JsonObject {
  const mode = view.pep.mode(view.upstream, { actor: view.actor })
  if (mode === 'observe') return { ...frame, [member]: items }
  const sieve = SIEVES.get(member)
  const isAccepted =
    sieve !== undefined && view.pep.tool(view.upstream, sieve.method, toMethodHash(sieve.method)).status === 'accepted'
  return { ...toFrame(mode, frame), [member]: isAccepted ? items.map((item) => pick(item, sieve.keep)) : [] }
}

function pick(item: JsonObject, keep: readonly string[]): JsonObject {
  const kept = keep
    .filter((key) => item[key] !== undefined)
    .map((key): [string, Json] => [key, plain(item[key] ?? null)])
  return Object.fromEntries(kept)
}

/** Arguments of a prompt, reduced to their names. */
function plain(value: Json): Json {
  if (!Array.isArray(value)) return value
  return value.filter((each) => isJsonObject(each)).map((each) => pick(each, ['name', 'required']))
}

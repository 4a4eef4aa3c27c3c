/**
 * @module
 * `subscriptions/listen` (MCP 2026-07-28, "Subscriptions"): a stream on which a client is told that lists or resources changed. Each
 * resource is decided when it is asked for; of what the server says only that something changed goes on.
 */
import { isJsonObject, REASONS, RefusedError, UnavailableError, type Json, type JsonObject } from '../../index.ts'
import { enforceMethod, toRefusedText, type DecidedInput } from './decided.ts'
import { SUBSCRIPTION_KEY, toEnvelope } from './envelope.ts'
import { refuse, toErrorText, toResultText } from './message.ts'
import { toSignalText } from './session-events.ts'
import type { ServerNotification } from './upstream.ts'

export const ACKNOWLEDGED = 'notifications/subscriptions/acknowledged'
/** So many resources one subscription may name. */
const MOST = 256

const FLAGS: ReadonlyMap<string, string> = new Map([
  ['toolsListChanged', 'notifications/tools/list_changed'],
  ['promptsListChanged', 'notifications/prompts/list_changed'],
  ['resourcesListChanged', 'notifications/resources/list_changed'],
])
const RESOURCES = 'resourceSubscriptions'

interface Filter {
  readonly flags: readonly string[]
  readonly uris: readonly string[]
}

/** Listens until the client, the server or a revocation ends it. Throws only for our own bugs. */
export async function answerListen(input: DecidedInput): Promise<void> {
  const { message, reply, signal } = input
  const filter = parseFilter(message.params['notifications'])
  if (filter === undefined) return reply.finish(toErrorText(message.id, refuse('system.malformed')))
  for (const uri of filter.uris) {
    const refusal = await enforceMethod(input, 'resources/subscribe', { uri })
    if (refusal !== undefined) return reply.finish(toRefusedText(message, refusal))
  }
  try {
    await relay(input, filter)
  } catch (fault) {
    if (signal.aborted) return reply.abandon()
    const reason = fault instanceof RefusedError ? fault.reason : 'system.upstream'
    reply.finish(toErrorText(message.id, refuse(reason)))
  }
}

function parseFilter(value: Json | undefined): Filter | undefined {
  if (!isJsonObject(value)) return undefined
  const { [RESOURCES]: uris = [], ...rest } = value
  const isKnown = Object.entries(rest).every(([name, on]) => FLAGS.has(name) && typeof on === 'boolean')
  if (!isKnown || !Array.isArray(uris) || uris.length > MOST) return undefined
  const named = uris.filter((uri) => typeof uri === 'string')
  if (named.length !== uris.length) return undefined
  return { flags: Object.keys(rest).filter((name) => rest[name] === true), uris: [...new Set(named)] }
}

function toFilterJson({ flags, uris }: Filter): JsonObject {
  const on = Object.fromEntries(flags.map((name) => [name, true]))
  return uris.length === 0 ? on : { ...on, [RESOURCES]: [...uris] }
}

async function relay(input: DecidedInput, filter: Filter): Promise<void> {
  const { options, held, message, reply, signal } = input
  const ended = new AbortController()
  let upstreamId: number | undefined
  const hear = (heard: ServerNotification): void => {
    if (findSubscription(heard) !== upstreamId) return
    // Whoever was stopped is told nothing more.
    if (options.pep.isStopped?.(held.task) === true) return ended.abort()
    const text = toTold(heard, filter, message.id)
    if (text !== undefined) reply.notify(text)
  }
  held.listeners.add(hear)
  try {
    const params = { notifications: toFilterJson(filter), _meta: toEnvelope(message.params) }
    const until = AbortSignal.any([signal, ended.signal])
    const onNumbered = (id: number): void => void (upstreamId = id)
    const answer = await held.connection.call({ method: message.method, params }, { signal: until, onNumbered })
    if (answer.member === 'error') throw new UnavailableError('the tool server offers no subscription')
    const meta = { [SUBSCRIPTION_KEY]: message.id }
    reply.finish(toResultText(message.id, { resultType: 'complete', _meta: meta }))
  } catch (fault) {
    if (ended.signal.aborted) throw new RefusedError('identity.revoked', REASONS['identity.revoked'].help)
    throw fault
  } finally {
    held.listeners.delete(hear)
  }
}

function findSubscription({ params }: ServerNotification): Json | undefined {
  const { _meta: meta } = params
  return isJsonObject(meta) ? meta[SUBSCRIPTION_KEY] : undefined
}

/** What the client is told, under its own id and without a word of the server; undefined for what it did not ask for. */
function toTold(heard: ServerNotification, filter: Filter, id: Json): string | undefined {
  const meta = { [SUBSCRIPTION_KEY]: id }
  if (heard.method === ACKNOWLEDGED) {
    const honored = parseFilter(heard.params['notifications']) ?? { flags: [], uris: [] }
    const both: Filter = {
      flags: filter.flags.filter((name) => honored.flags.includes(name)),
      uris: filter.uris.filter((uri) => honored.uris.includes(uri)),
    }
    return toText(ACKNOWLEDGED, { notifications: toFilterJson(both), _meta: meta })
  }
  const isAsked = filter.flags.some((name) => FLAGS.get(name) === heard.method)
  const isResource = heard.method === 'notifications/resources/updated'
  if (!isAsked && !isResource) return undefined
  const plain = toSignalText(heard, new Set(filter.uris))
  const told: Json = plain === undefined ? null : JSON.parse(plain)
  if (!isJsonObject(told)) return undefined
  return toText(heard.method, { ...(isJsonObject(told['params']) ? told['params'] : {}), _meta: meta })
}

function toText(method: string, params: JsonObject): string {
  return JSON.stringify({ jsonrpc: '2.0', method, params })
}

/**
 * @module
 * Answers one request within an MCP session: decided, listed or passed.
 */
import { randomUUID } from 'node:crypto'

import { REASONS } from '../../index.ts'
import { answerDecided, toRefusedText } from './decided.ts'
import { toListResult, toToolListResult, type View } from './listing.ts'
import type { McpSession } from './mcp-sessions.ts'
import { refuse, toErrorText, toIdKey, toResultText, type ClientMessage, type JsonRpcId } from './message.ts'
import { readAllPages } from './pages.ts'
import type { RequestStates } from './request-state.ts'
import { createReply, parseAccept, toJsonResponse, type Reply } from './reply.ts'
import { answerDiscover, toCacheable } from './stateless.ts'
import { answerListen } from './subscription.ts'
import type { GatewayInput, GatewayOptions } from './types.ts'

/** Requests of one session that may be under way at once. */
const CONCURRENT = 64
const LOG_LEVELS = ['debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert', 'emergency']

export interface RequestInput {
  readonly options: GatewayOptions
  readonly states: RequestStates
  readonly held: McpSession
  readonly input: GatewayInput
  readonly message: ClientMessage & { readonly id: JsonRpcId }
}

/** Settles with the response as soon as there is something to send; the rest follows on its stream. */
export function answerRequest(given: RequestInput): Promise<Response> {
  const { options, held, input, message } = given
  const key = toKey(held, message.id)
  // Two requests under one id could be answered with each other's results.
  if (held.inFlight.has(key)) {
    return Promise.resolve(toJsonResponse(toErrorText(message.id, refuse('system.malformed')), 200))
  }
  if (held.inFlight.size >= CONCURRENT) {
    return Promise.resolve(toJsonResponse(toRefusedText(message, refuse('system.quota')), 200))
  }
  const running = new AbortController()
  held.inFlight.set(key, running)
  const signal = AbortSignal.any([running.signal, input.request.signal])
  const accept = parseAccept(input.request.headers.get('accept'))
  const reply = withSignals(
    held,
    accept.stream,
    createReply({ accept, limit: options.limits.messageBytes, onGone: () => running.abort() }),
  )
  const fail = (): void => {
    options.onProblem?.({ upstream: held.upstream.name, reason: 'system.indeterminate', message: 'a request failed' })
    reply.finish(toErrorText(message.id, refuse('system.indeterminate')))
  }
  answer(given, reply, signal)
    .catch(fail)
    .finally(() => {
      held.inFlight.delete(key)
      held.lastUsed = options.clock.now()
    })
    // `fail` and what follows it cannot throw; the linter cannot know.
    .catch(() => undefined)
  return reply.response
}

/** Without a session one agent may be many clients, which know nothing of each other's ids. */
function toKey({ era, inFlight }: McpSession, id: JsonRpcId): string {
  const key = toIdKey(id)
  return era === 'stateless' && inFlight.has(key) ? `${key} ${randomUUID()}` : key
}

/** Tells the agent what it could not be told on a stream before the next answer that can carry it. */
function withSignals(held: McpSession, canCarry: boolean, reply: Reply): Reply {
  return {
    ...reply,
    finish: (message) => {
      for (const text of canCarry && held.era === 'sessions' ? held.events.takeUntold() : []) reply.notify(text)
      reply.finish(message)
    },
  }
}

async function answer(given: RequestInput, reply: Reply, signal: AbortSignal): Promise<void> {
  const { options, states, held, input, message } = given
  const { caller, request } = input
  const decided = { options, states, held, caller, headers: request.headers, message, reply, signal }
  if (message.row.disposition === 'decide') return answerDecided(decided)
  if (message.row.disposition === 'listen') return answerListen(decided)
  try {
    reply.finish(message.row.disposition === 'list' ? await list(given) : await pass(given, signal))
  } catch {
    options.onProblem?.({
      upstream: held.upstream.name,
      reason: 'system.upstream',
      message: `\`${message.method}\` failed`,
    })
    reply.finish(toErrorText(message.id, refuse('system.upstream')))
  }
}

/** A whole list on one page. No cursor is ever handed out, so that none is taken back. */
async function list({ options, held, input, message }: RequestInput): Promise<string> {
  const { id, method, params, row } = message
  const view: View = { pep: options.pep, upstream: held.upstream.name, actor: input.caller.actor }
  if (params['cursor'] !== undefined || row.member === undefined) return toErrorText(id, refuse('system.malformed'))
  const result =
    method === 'tools/list'
      ? toToolListResult(view, await held.catalogue.refresh())
      : toListResult(view, row.member, await readAllPages(held.connection, { method, member: row.member }))
  return toResultText(id, held.era === 'stateless' ? toCacheable(result) : result)
}

/** A request that carries no action; of its answer only that it succeeded is told, because nothing labels the rest. */
async function pass({ options, held, input, message }: RequestInput, signal: AbortSignal): Promise<string> {
  const { id, method, params } = message
  const { level } = params
  if (method === 'server/discover') {
    const mode = options.pep.mode(held.upstream.name, { actor: input.caller.actor })
    return answerDiscover(held, message, mode, signal)
  }
  if (method === 'resources/unsubscribe') return unsubscribe(held, message, signal)
  if (method === 'logging/setLevel' && !(typeof level === 'string' && LOG_LEVELS.includes(level))) {
    return toErrorText(id, refuse('system.malformed'))
  }
  const sent = method === 'logging/setLevel' ? { level } : {}
  const answered = await held.connection.call({ method, params: sent }, { signal })
  return answered.member === 'result' ? toResultText(id, {}) : toFailedText(id)
}

function toFailedText(id: JsonRpcId): string {
  const { mcp: code, help: text } = REASONS['system.upstream']
  return JSON.stringify({ jsonrpc: '2.0', id, error: { code, message: text } })
}

/** Only an address that was decided when it was subscribed to is sent: any other could carry something to the server. */
async function unsubscribe(
  { connection, subscriptions }: McpSession,
  { id, method, params: { uri } }: RequestInput['message'],
  signal: AbortSignal,
): Promise<string> {
  if (typeof uri !== 'string') return toErrorText(id, refuse('system.malformed'))
  // Where nothing is subscribed to, that is how it stays.
  if (!subscriptions.has(uri)) return toResultText(id, {})
  const answered = await connection.call({ method, params: { uri } }, { signal })
  if (answered.member === 'error') return toFailedText(id)
  subscriptions.delete(uri)
  return toResultText(id, {})
}

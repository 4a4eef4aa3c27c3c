/**
 * @module
 * The beginning of an MCP session: a connection to the upstream, the `initialize` exchange, the task.
 */
import { isJsonObject, RefusedError, UnavailableError, type JsonObject, type Mode, type Task } from '../../index.ts'
import { createCatalogue, type Catalogue } from './catalogue.ts'
import { createConnection } from './connect.ts'
import { findServed, toVersionText } from './era.ts'
import { toBinding, toOwner, type McpSession } from './mcp-sessions.ts'
import { SERVER_CAPABILITIES, toFlags, toImplementation, toPlain } from './plain-words.ts'
import { refuse, toErrorText, toResultText, type ClientMessage, type JsonRpcId } from './message.ts'
import { createSessionEvents, toSignalText, type SessionEvents } from './session-events.ts'
import type { GatewayInput, GatewayOptions, UpstreamConfig } from './types.ts'
import type { Healths } from './upstream-health.ts'
import type { UpstreamAnswer, UpstreamConnection } from './upstream.ts'

/** Milliseconds for a server to start and answer. */
const PATIENCE = 60_000

export interface ConnectionInput {
  readonly options: GatewayOptions
  readonly upstream: UpstreamConfig
  readonly input: GatewayInput
  readonly healths: Healths
}

export interface InitializeInput extends ConnectionInput {
  readonly message: ClientMessage & { readonly id: JsonRpcId }
}

export type Initialized =
  | { readonly ok: true; readonly text: string; readonly made: Omit<McpSession, 'id' | 'inFlight' | 'lastUsed'> }
  | { readonly ok: false; readonly text: string }

/** Opens a connection and a task. Never throws; a connection that came to nothing is closed. */
export async function initialize(given: InitializeInput): Promise<Initialized> {
  const opened = openConnection(given)
  try {
    return await exchange(given, opened)
  } catch (fault) {
    if (fault instanceof RefusedError) {
      await opened.connection.close()
      return { ok: false, text: toErrorText(given.message.id, refuse(fault.reason)) }
    }
    given.options.onProblem?.({
      upstream: given.upstream.name,
      reason: 'system.upstream',
      message: `the tool server did not initialise${fault instanceof UnavailableError ? `: ${fault.message}` : ''}`,
    })
    await opened.connection.close()
    return { ok: false, text: toErrorText(given.message.id, refuse('system.upstream')) }
  }
}

interface Opened {
  readonly connection: UpstreamConnection
  readonly catalogue: Catalogue
  readonly subscriptions: Set<string>
  readonly events: SessionEvents
  readonly listeners: McpSession['listeners']
}

/** A connection that nothing was sent on yet, with what belongs to it. `adapt` makes it one of another era. */
export function openConnection(
  { options, upstream, input, healths }: ConnectionInput,
  adapt: (connection: UpstreamConnection) => UpstreamConnection = (connection) => connection,
): Opened {
  const subscriptions = new Set<string>()
  const events = createSessionEvents()
  const listeners: McpSession['listeners'] = new Set()
  let catalogue: Catalogue | undefined
  const made = createConnection(upstream, {
    limit: options.limits.messageBytes,
    health: healths(upstream.name, toOwner(input.caller)),
    ...(options.limits.answerMs === undefined ? {} : { answerMs: options.limits.answerMs }),
    onSignal: (message) => {
      for (const hear of listeners) hear(message)
      if (message.method === 'notifications/subscriptions/acknowledged') return
      const text = toSignalText(message, subscriptions)
      if (text !== undefined) events.tell(text)
      if (message.method === 'notifications/tools/list_changed') catalogue?.forget()
    },
    onProblem: (reason, message) => options.onProblem?.({ upstream: upstream.name, reason, message }),
  })
  const connection = adapt(made)
  catalogue = createCatalogue({
    connection,
    clock: options.clock,
    onList: (tools) => options.onTools?.(upstream.name, tools),
  })
  return { connection, catalogue, subscriptions, events, listeners }
}

async function exchange({ options, upstream, input, message }: InitializeInput, opened: Opened): Promise<Initialized> {
  const { connection } = opened
  const signal = AbortSignal.any([input.request.signal, AbortSignal.timeout(PATIENCE)])
  const params = toInitializeParams(message.params)
  const answer = await connection.call({ method: message.method, params }, { signal })
  const version = answer.value['protocolVersion']
  const served = answer.member === 'error' ? findServed(answer.value) : undefined
  if (served !== undefined) {
    await connection.close()
    return { ok: false, text: toVersionText(message, params['protocolVersion'], served) }
  }
  if (answer.member === 'error' || toPlain(version) === undefined || typeof version !== 'string') {
    await connection.close()
    return { ok: false, text: toErrorText(message.id, refuse('system.upstream')) }
  }
  connection.agree(version)
  const task: Task = input.caller.task ?? (await options.pep.openConnectionTask(input.caller))
  const text = toInitializeText(message.id, answer, options.pep.mode(upstream.name, { actor: input.caller.actor }))
  return {
    ok: true,
    text,
    made: {
      ...opened,
      upstream,
      binding: toBinding(upstream.name, input.caller),
      owner: toOwner(input.caller),
      task,
      version,
      era: 'sessions',
    },
  }
}

/**
 * What goes to the server is written anew: nobody decided about it, so that an agent could tell a server anything in it.
 * Besides the version only plain names of the client go on, and no capability: they invite a server to ask.
 */
function toInitializeParams(params: JsonObject): JsonObject {
  const { protocolVersion, clientInfo } = params
  const version = toPlain(protocolVersion)
  return {
    ...(version === undefined ? {} : { protocolVersion: version }),
    capabilities: {},
    clientInfo: toImplementation(clientInfo),
  }
}

/**
 * The result as the client sees it: without `tasks`, whose methods are not served, and in `enforce` only what cannot be a
 * text. `instructions`, titles and whatever comes later go straight into a model's prompt and were accepted by nobody.
 */
function toInitializeText(id: JsonRpcId, answer: UpstreamAnswer, mode: Mode): string {
  const { protocolVersion, capabilities, serverInfo } = answer.value
  if (mode === 'observe') return toResultText(id, { ...answer.value, capabilities: without(capabilities, ['tasks']) })
  return toResultText(id, {
    ...(protocolVersion === undefined ? {} : { protocolVersion }),
    capabilities: toFlags(capabilities, SERVER_CAPABILITIES),
    serverInfo: toImplementation(serverInfo),
  })
}

function without(value: JsonObject[string], keys: readonly string[]): JsonObject {
  if (!isJsonObject(value)) return {}
  return Object.fromEntries(Object.entries(value).filter(([key]) => !keys.includes(key)))
}

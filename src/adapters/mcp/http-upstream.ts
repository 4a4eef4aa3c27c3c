/**
 * @module
 * A tool server behind streamable HTTP. Requests carry the gateway's own headers only; redirects are errors, so that
 * no secret follows one; each stream answers only the request that opened it.
 */
import { setTimeout as wait } from 'node:timers/promises'
import { InvariantError, UnavailableError, type JsonObject } from '../../index.ts'
import { STATELESS_VERSION } from './envelope.ts'
import { findProgressId, parseServerMessage, toIdKey, toServerAnswer, type ServerMessage } from './message.ts'
import { toServerDisposition } from './methods.ts'
import { listenToServer, readAnswerStream, type StreamOptions } from './server-stream.ts'
import { readText } from './sse.ts'
import type { UpstreamConfig } from './types.ts'
import {
  createNumbering,
  toAborted,
  type CallOptions,
  type ConnectionOptions,
  type NumberedRequest,
  type OutgoingRequest,
  type ServerNotification,
  type UpstreamAnswer,
  type UpstreamConnection,
} from './upstream.ts'

/** Milliseconds for a message whose answer nobody waits for. */
const COURTESY = 2000

type HttpConfig = UpstreamConfig & { readonly url: string }

interface Link {
  readonly config: HttpConfig
  readonly options: ConnectionOptions
  /** The upstream's own MCP session id. */
  mcpSessionId?: string
  version?: string
  open: boolean
  /** Aborted when it closes. */
  readonly ending: AbortController
}

/** Creates the connection; nothing is sent before the first call. */
export function createHttpConnection(config: HttpConfig, options: ConnectionOptions): UpstreamConnection {
  const link: Link = { config, options, open: true, ending: new AbortController() }
  const number = createNumbering()
  return {
    call: (request, callOptions) => {
      const numbered = number(request)
      callOptions.onNumbered?.(numbered.id)
      return call(link, numbered, callOptions)
    },
    notify: async (method, params) => {
      const message = { jsonrpc: '2.0', method, ...(params === undefined ? {} : { params }) }
      const response = await post(link, message, AbortSignal.timeout(30_000))
      await response.body?.cancel()
      if (method === 'notifications/initialized') listen(link)
    },
    agree: (version) => {
      link.version = version
    },
    isOpen: () => link.open,
    isReady: () => link.open && (options.health?.waitMs() ?? 0) === 0,
    stderr: () => '',
    close: () => close(link),
  }
}

async function close(link: Link): Promise<void> {
  const wasOpen = link.open
  link.open = false
  link.ending.abort()
  if (!wasOpen || link.mcpSessionId === undefined) return
  const signal = AbortSignal.timeout(COURTESY)
  const asked = async (): Promise<void> => {
    const headers = await toHeaders(link)
    const response = await fetch(link.config.url, { method: 'DELETE', headers, redirect: 'error', signal })
    await response.body?.cancel()
  }
  await asked().catch(() => undefined)
}

async function toHeaders(link: Link, own: OutgoingRequest['headers'] = {}): Promise<Headers> {
  const headers = new Headers(link.config.headers)
  for (const [name, value] of Object.entries(own)) headers.set(name, value)
  headers.set('content-type', 'application/json')
  headers.set('accept', 'application/json, text/event-stream')
  if (link.mcpSessionId !== undefined) headers.set('mcp-session-id', link.mcpSessionId)
  if (link.version !== undefined) headers.set('mcp-protocol-version', link.version)
  const { authorizer } = link.config
  if (authorizer !== undefined) headers.set('authorization', await authorizer.header())
  return headers
}

/** Posts one message. Rejects for every status outside 2xx, whose body is not read. */
async function post(link: Link, message: JsonObject, signal: AbortSignal): Promise<Response> {
  const response = await postAuthorized(link, { body: JSON.stringify(message), signal })
  return response.ok ? response : leave(link, response)
}

async function leave(link: Link, response: Response): Promise<never> {
  if (!response.bodyUsed) await response.body?.cancel()
  if (response.status === 404 && link.mcpSessionId !== undefined) link.open = false
  throw new UnavailableError(`the tool server answered with status ${response.status}`)
}

/** A request that was refused with a status and said why in the words of JSON-RPC (MCP 2026-07-28, "Error Handling"). */
async function readRefusal(link: Link, response: Response, request: NumberedRequest): Promise<UpstreamAnswer> {
  const isText = (response.status === 400 || response.status === 404) && toType(response) === 'application/json'
  const message = isText ? parseServerMessage(await readText(response.body, link.options.limit)) : undefined
  if (isAnswerTo(message, request) && message.member === 'error') return message
  // A server of the earlier era has many words for what comes without a session.
  if (request.method === 'server/discover' && UNKNOWN.has(response.status)) return toUnknown(response, request)
  return leave(link, response)
}

const UNKNOWN: ReadonlySet<number> = new Set([400, 404, 405, 406, 415])

async function toUnknown(response: Response, { id }: NumberedRequest): Promise<UpstreamAnswer> {
  if (!response.bodyUsed) await response.body?.cancel()
  return { kind: 'response', id, member: 'error', value: { code: -32_601, message: 'unknown' }, text: '' }
}

function toType(response: Response): string | undefined {
  return response.headers.get('content-type')?.split(';')[0]?.trim().toLowerCase()
}

interface Outgoing {
  readonly body: string
  readonly signal: AbortSignal
  readonly own?: OutgoingRequest['headers']
}

/** One that was not let in did nothing: it is sent once more under another token, where there can be another one. */
async function postAuthorized(link: Link, { body, signal, own }: Outgoing): Promise<Response> {
  if (!link.open) throw new UnavailableError('the session with the tool server has ended')
  const { authorizer } = link.config
  const send = async (headers: Headers): Promise<Response> => reach(link, { headers, body, signal })
  const headers = await toHeaders(link, own)
  const response = await send(headers)
  if (response.status !== 401 || authorizer === undefined) return response
  await response.body?.cancel()
  authorizer.reject(headers.get('authorization') ?? '')
  return send(await toHeaders(link, own))
}

/** What a server says outside of any call. Sessions that are not listened to are as good, but for what is not said to them. */
function listen(link: Link): void {
  const onData = async (data: string): Promise<void> => {
    const message = data === '' ? undefined : parseServerMessage(data)
    if (message !== undefined && message.kind !== 'response') return receive(link, message)
    if (data !== '') link.options.onProblem('system.upstream', 'the tool server sent what nobody asked for')
  }
  listenToServer({ ...toStreamOptions(link, link.ending.signal), onData }).catch(() => undefined)
}

function toStreamOptions(link: Link, signal: AbortSignal): StreamOptions {
  const open: StreamOptions['open'] = async (lastEventId, until) => {
    const headers = await toHeaders(link)
    headers.delete('content-type')
    headers.set('accept', 'text/event-stream')
    if (lastEventId !== undefined) headers.set('last-event-id', lastEventId)
    return fetch(link.config.url, { headers, redirect: 'error', signal: until })
  }
  return { open, limit: link.options.limit, signal }
}

/** Learns from it whether the server can be reached. */
async function reach({ config, options }: Link, init: RequestInit): Promise<Response> {
  try {
    const response = await fetch(config.url, { ...init, method: 'POST', redirect: 'error' })
    options.health?.worked()
    return response
  } catch (fault) {
    if (init.signal?.aborted !== true) options.health?.failed()
    throw fault
  }
}

async function call(link: Link, request: NumberedRequest, options: CallOptions): Promise<UpstreamAnswer> {
  const { id, method, params } = request
  try {
    const body = JSON.stringify({ jsonrpc: '2.0', id, method, params })
    const own = request.headers === undefined ? {} : { own: request.headers }
    const response = await postAuthorized(link, { body, signal: options.signal, ...own })
    if (!response.ok) return await readRefusal(link, response, request)
    if (method === 'initialize') keepSessionId(link, response.headers.get('mcp-session-id'))
    return await readAnswer(link, response, request, options)
  } catch (error) {
    if (!options.signal.aborted) throw toFault(error)
    // The agent is told at once; the server is told beside it, and may never take it.
    cancel(link, request).catch(() => undefined)
    throw toAborted()
  }
}

function keepSessionId(link: Link, id: string | null): void {
  if (id !== null) link.mcpSessionId = id
}

function toFault(error: unknown): UnavailableError {
  if (error instanceof UnavailableError) return error
  return new UnavailableError('the tool server could not be reached', { cause: error })
}

async function cancel(link: Link, { id, method }: NumberedRequest): Promise<void> {
  // MCP: a client must not cancel `initialize`; in the later era the end of the connection says it.
  if (method === 'initialize' || link.version === STATELESS_VERSION) return
  const message = { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: id } }
  const asked = post(link, message, AbortSignal.timeout(COURTESY)).then((response) => response.body?.cancel())
  await Promise.race([asked.catch(() => undefined), wait(COURTESY, undefined, { ref: false })])
}

async function readAnswer(
  link: Link,
  response: Response,
  request: NumberedRequest,
  options: CallOptions,
): Promise<UpstreamAnswer> {
  const type = toType(response)
  if (type === 'text/event-stream') return readStream(link, response, request, options)
  if (type === 'application/json') {
    const message = parseServerMessage(await readText(response.body, link.options.limit))
    if (isAnswerTo(message, request)) return message
  } else {
    await response.body?.cancel()
  }
  throw new UnavailableError('the tool server did not answer this call')
}

async function readStream(
  link: Link,
  response: Response,
  request: NumberedRequest,
  options: CallOptions,
): Promise<UpstreamAnswer> {
  for await (const data of readAnswerStream(response, toStreamOptions(link, options.signal))) {
    // An event without data primes a stream for resumption.
    if (data === '') continue
    const message = parseServerMessage(data)
    if (message === undefined) throw new UnavailableError('the tool server sent a message that cannot be read')
    if (isAnswerTo(message, request)) return message
    await receive(link, message, request, options)
  }
  throw new InvariantError('a stream of a server that ended without a fault')
}

function isAnswerTo(message: ServerMessage | undefined, request: NumberedRequest): message is UpstreamAnswer {
  return message?.kind === 'response' && toIdKey(message.id) === toIdKey(request.id)
}

async function receive(
  link: Link,
  message: ServerMessage,
  request?: NumberedRequest,
  options?: CallOptions,
): Promise<void> {
  const { onProblem, onSignal } = link.options
  if (message.kind === 'response') {
    return onProblem('system.upstream', 'the tool server answered a call that was not made on this stream')
  }
  const disposition = toServerDisposition(message.method)
  if (message.kind === 'request') return answerServer(link, message.id, disposition === 'answer')
  if (disposition === 'signal') onSignal(message)
  if (disposition !== 'label' || request === undefined || !belongsTo(message, request)) return
  await options?.onNotification?.(message).catch(() => {
    onProblem('system.indeterminate', 'a notification could not be labelled and was dropped')
  })
}

function belongsTo({ method, params }: ServerNotification, request: NumberedRequest): boolean {
  if (method !== 'notifications/progress') return true
  const wanted = findProgressId(request.params)
  return wanted !== undefined && findProgressId({ _meta: params }) === wanted
}

async function answerServer(link: Link, id: string | number, isPing: boolean): Promise<void> {
  const answered = post(link, toServerAnswer(id, isPing), AbortSignal.timeout(COURTESY))
  await answered.then((response) => response.body?.cancel()).catch(() => undefined)
}

/**
 * @module
 * The stdio side of `unbearer connect`: a client that speaks MCP over stdin and stdout reaches a gateway over streamable HTTP,
 * signed, without knowing of either. Messages pass as they are.
 */
import type { Readable, Writable } from 'node:stream'

import { InputError, RefusedError, UnbearerError } from '../core/errors.ts'
import { isJsonObject, type Json, type JsonObject } from '../core/json.ts'
import { parseJson } from '../core/parse-json.ts'
import { REASONS, type Reason } from '../core/reasons.ts'
import { readEventData } from './event-stream.ts'
import { readMessageLines } from './message-lines.ts'
import { toAnsweredReason, type Fetch } from './send.ts'

/** Bytes of a message that go on at all: the most that any gateway can be configured to take (`limits.messageBytes`). */
const LARGEST = 67_108_864

export interface StdioBridgeOptions {
  /** The MCP endpoint of the gateway. */
  readonly url: string | URL
  /** From `createSigningFetch`. */
  readonly fetch: Fetch
  /** Newline-delimited JSON-RPC, in and out. Nothing else is written to `output`. */
  readonly input: Readable
  readonly output: Writable
}

interface Bridge {
  readonly url: URL
  readonly fetch: Fetch
  readonly output: Writable
  /** Ends the stream on which the gateway speaks unasked. */
  readonly ended: AbortController
  sessionId: string | undefined
  protocolVersion: string | undefined
  listening: Promise<void> | undefined
  /** The line with which the client opened its session, to open another one when the gateway has forgotten it. */
  opening: string | undefined
  /** Under way, so that many requests at once open one session. */
  reopening: Promise<boolean> | undefined
}

/**
 * Runs until `input` ends and every request was answered; then ends the MCP session. A request that cannot be delivered is
 * answered with a JSON-RPC error. Does not decide, change or repeat anything, and does not resume a broken stream: the client
 * sees an error and asks again.
 */
export async function runStdioBridge(options: StdioBridgeOptions): Promise<void> {
  const bridge: Bridge = {
    url: new URL(options.url),
    fetch: options.fetch,
    output: options.output,
    ended: new AbortController(),
    sessionId: undefined,
    protocolVersion: undefined,
    listening: undefined,
    opening: undefined,
    reopening: undefined,
  }
  const pending = new Set<Promise<void>>()
  for await (const read of readMessageLines(options.input, LARGEST)) {
    if (!read.ok) {
      writeError(bridge, null, toRefusal(read.reason))
      continue
    }
    const { line } = read
    if (line.trim() === '') continue
    const done = relay(bridge, line)
    pending.add(done)
    const forget = done.finally(() => pending.delete(done))
    // Requests run side by side. Everything else, and the request that opens the session, keeps its place.
    if (!isConcurrent(line)) await forget
    else forget.catch(() => undefined)
  }
  await Promise.allSettled(pending)
  await close(bridge)
}

/** Only a guess at what the line is, for order; it is parsed where it counts. */
function isConcurrent(line: string): boolean {
  const message = parse(line)
  return toRequestIds(message).length > 0 && !isInitialize(message)
}

async function relay(bridge: Bridge, line: string): Promise<void> {
  const message = parse(line)
  if (message === undefined) {
    writeError(bridge, null, { code: -32700, message: 'the message is not strict JSON' })
    return
  }
  try {
    if (isInitialize(message)) bridge.opening = line
    await deliver(bridge, message, await postInSession(bridge, message, line))
    if (isMethod(message, 'notifications/initialized')) bridge.listening = listen(bridge)
  } catch (fault) {
    answerFault(bridge, message, toRpcFault(bridge, fault))
  }
}

/**
 * A gateway ends sessions that say nothing for long, and forgets all of them when it is started again; it answers 404 then, which
 * means that nothing was done. A client over stdio cannot begin anew, so that this does: with its own first message, once.
 */
async function postInSession(bridge: Bridge, message: Json, line: string): Promise<Response> {
  const { sessionId } = bridge
  const response = await post(bridge, line, message)
  if (response.status !== 404 || sessionId === undefined || isInitialize(message)) return response
  if (bridge.sessionId === sessionId) bridge.reopening ??= reopen(bridge).finally(() => (bridge.reopening = undefined))
  const isOpen = (await bridge.reopening) ?? bridge.sessionId !== sessionId
  if (!isOpen) return response
  await response.body?.cancel()
  return post(bridge, line, message)
}

/** False when the gateway does not open a session, or one in another version than the client speaks. */
async function reopen(bridge: Bridge): Promise<boolean> {
  const { opening, protocolVersion } = bridge
  if (opening === undefined) return false
  bridge.sessionId = undefined
  bridge.protocolVersion = undefined
  const response = await post(bridge, opening)
  const sessionId = response.headers.get('mcp-session-id') ?? undefined
  const answer = parse(await readOnly(response))
  bridge.protocolVersion = protocolVersion
  const result = isJsonObject(answer) ? answer['result'] : undefined
  if (!isJsonObject(result) || result['protocolVersion'] !== protocolVersion) return false
  bridge.sessionId = sessionId
  const told = await post(bridge, JSON.stringify({ jsonrpc: '2.0', method: 'notifications/initialized' }))
  await told.body?.cancel()
  return true
}

/** The one message of an answer, as text. */
async function readOnly(response: Response): Promise<string> {
  if (!isEventStream(response)) return response.text()
  let last = ''
  for await (const data of readEventData(response.body ?? [])) last = data
  return last
}

/** The bytes go out as they came in: it is the gateway that decides about them. */
async function post(bridge: Bridge, line: string, message?: Json): Promise<Response> {
  const headers = {
    ...(toStandardHeaders(message) ?? toHeaders(bridge)),
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
  }
  return bridge.fetch(bridge.url, { method: 'POST', headers, body: line })
}

/** What a request of the era without sessions repeats of its body (MCP 2026-07-28, "Standard Headers"); undefined for others. */
function toStandardHeaders(message: Json | undefined): Record<string, string> | undefined {
  const { method, params } = isJsonObject(message) ? message : {}
  const { _meta: meta, name, uri } = isJsonObject(params) ? params : {}
  const version = isJsonObject(meta) ? meta['io.modelcontextprotocol/protocolVersion'] : undefined
  if (typeof method !== 'string' || typeof version !== 'string') return undefined
  const named = method === 'resources/read' ? uri : name
  const headers = { 'mcp-protocol-version': version, 'mcp-method': method }
  const values = Object.entries(typeof named === 'string' ? { ...headers, 'mcp-name': named } : headers)
  return Object.fromEntries(values.map(([header, value]) => [header, toHeaderValue(value)]))
}

function toHeaderValue(value: string): string {
  const isPlain = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(value) && !value.startsWith('=?base64?')
  return isPlain ? value : `=?base64?${Buffer.from(value).toString('base64')}?=`
}

function toHeaders({ sessionId, protocolVersion }: Bridge): Record<string, string> {
  return {
    ...(sessionId === undefined ? {} : { 'mcp-session-id': sessionId }),
    ...(protocolVersion === undefined ? {} : { 'mcp-protocol-version': protocolVersion }),
  }
}

async function deliver(bridge: Bridge, message: Json, response: Response): Promise<void> {
  if (!response.ok) {
    answerFault(bridge, message, await readFault(response))
    return
  }
  const opening = isInitialize(message)
  if (opening) bridge.sessionId = response.headers.get('mcp-session-id') ?? undefined
  if (isEventStream(response)) {
    for await (const data of readEventData(response.body ?? [])) pass(bridge, data, opening)
  } else {
    pass(bridge, await response.text(), opening)
  }
}

function isEventStream(response: Response): boolean {
  return (response.headers.get('content-type') ?? '').toLowerCase().startsWith('text/event-stream')
}

/** What the gateway says on its own account, on a stream of its own. Most answer 405 and have none. */
async function listen(bridge: Bridge): Promise<void> {
  try {
    const headers = { ...toHeaders(bridge), accept: 'text/event-stream' }
    const { signal } = bridge.ended
    const response = await bridge.fetch(bridge.url, { method: 'GET', headers, signal })
    if (response.ok && isEventStream(response)) {
      // Not every fetch ends the body with its request: the one that calls a gateway in this process has no socket to close.
      const body = response.body?.pipeThrough(new TransformStream<Uint8Array, Uint8Array>(), { signal })
      for await (const data of readEventData(body ?? [])) pass(bridge, data, false)
    } else {
      await response.body?.cancel()
    }
  } catch {
    // Aborted at the end, or broken: answers to requests do not depend on it.
  }
}

/**
 * Passes a message of the gateway on, unchanged but on one line: within strict JSON a line break can only be white space.
 * Learns the protocol version from the answer to `initialize`.
 */
function pass(bridge: Bridge, text: string, opening: boolean): void {
  const message = parse(text)
  if (message === undefined) return
  const result = isJsonObject(message) ? message['result'] : undefined
  const version = opening && isJsonObject(result) ? result['protocolVersion'] : undefined
  if (typeof version === 'string' && /^[\w.-]{1,64}$/.test(version)) bridge.protocolVersion = version
  bridge.output.write(`${text.replaceAll(/[\r\n]/g, ' ')}\n`)
}

interface RpcFault {
  readonly code: number
  readonly message: string
  readonly data?: JsonObject
}

/** What an answer with a status says to the client itself: it knows what to do about it. */
const SPOKEN: ReadonlySet<number> = new Set([-32_601, -32_602, -32_020, -32_021, -32_022])

async function readFault(response: Response): Promise<RpcFault> {
  const answer = parse(await response.text())
  const object = isJsonObject(answer) ? answer : undefined
  const reason = toAnsweredReason(object)
  if (reason !== undefined) return toRefusal(reason)
  const error = object?.['error']
  const said = isJsonObject(error) ? error['message'] : undefined
  const { code, data } = isJsonObject(error) ? error : {}
  if (typeof code === 'number' && typeof said === 'string' && SPOKEN.has(code))
    return { code, message: said, ...(isJsonObject(data) ? { data } : {}) }
  return {
    code: -32603,
    message: typeof said === 'string' ? said : `the gateway answered with status ${response.status}`,
  }
}

/** The same words and the same data, whether the gateway refused the request or the session before it. */
function toRefusal(reason: Reason, message: string = REASONS[reason].help): RpcFault {
  return { code: REASONS[reason].mcp, message, data: { reason } }
}

/** What came of a request that got no answer: refused before it was sent, or not delivered. */
function toRpcFault({ url }: Bridge, fault: unknown): RpcFault {
  if (fault instanceof RefusedError) return toRefusal(fault.reason)
  if (fault instanceof InputError) return toRefusal(fault.reason, fault.message)
  if (fault instanceof UnbearerError) return { code: -32603, message: fault.message }
  return { code: -32603, message: `no whole answer came from \`${url.origin}\`; is the gateway running` }
}

/** Answers every request in the message, so that no client waits for what will not come. */
function answerFault(bridge: Bridge, message: Json, fault: RpcFault): void {
  for (const id of toRequestIds(message)) writeError(bridge, id, fault)
}

function writeError(bridge: Bridge, id: Json, fault: RpcFault): void {
  bridge.output.write(`${JSON.stringify({ jsonrpc: '2.0', id, error: fault })}\n`)
}

/** Ends the MCP session; a gateway may refuse that (405), and it ends by itself. */
async function close(bridge: Bridge): Promise<void> {
  bridge.ended.abort()
  await bridge.listening
  if (bridge.sessionId === undefined) return
  try {
    const response = await bridge.fetch(bridge.url, { method: 'DELETE', headers: toHeaders(bridge) })
    await response.body?.cancel()
  } catch {
    // Nobody is left to tell.
  }
}

function parse(text: string): Json | undefined {
  try {
    return parseJson(text, { numbers: 'any' })
  } catch {
    return undefined
  }
}

function toRequestIds(message: Json | undefined): readonly Json[] {
  const items: readonly (Json | undefined)[] = isBatch(message) ? message : [message]
  return items.flatMap((item) => {
    const id = isJsonObject(item) && typeof item['method'] === 'string' ? item['id'] : undefined
    return id === undefined || id === null ? [] : [id]
  })
}

function isBatch(message: Json | undefined): message is readonly Json[] {
  return Array.isArray(message)
}

function isInitialize(message: Json | undefined): boolean {
  return isMethod(message, 'initialize')
}

function isMethod(message: Json | undefined, method: string): boolean {
  return isJsonObject(message) && message['method'] === method
}

/**
 * @module
 * The agent of an end-to-end test: the official MCP client with the signing `fetch` of `unbearer/client`, and beside it raw
 * requests for what no proper client sends.
 */
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'

import { createSigningFetch, type ClientKey, type Fetch } from '../../src/client/index.ts'
import { isJsonObject, type Json, type JsonObject } from '../../src/index.ts'
import { SERVER } from './tools.ts'

/** What the agent saw of one call. */
export interface Saw {
  readonly ok: boolean
  readonly text: string
  readonly reason?: string
  readonly decision?: string
  readonly ticket?: string
  readonly entry?: string
  readonly whole: Json
}

export interface Agent {
  readonly client: Client
  call(tool: string, args: JsonObject, intent?: string): Promise<Saw>
  close(): Promise<void>
}

/** One request as it went over the wire. */
export interface Sent {
  readonly url: string
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export interface AgentOptions {
  readonly origin: string
  /** Without a key nothing is signed. */
  readonly key?: ClientKey
  readonly txn?: string
  /** Everything that is sent is put here. */
  readonly wire?: Sent[]
}

export const INTENT = 'read: the user asked about record r1'

/** Asked each time, so that a test may move the clock. */
function readClock(): number {
  return Date.now()
}

export function toFetch({ origin, key, txn, wire }: AgentOptions): Fetch {
  const recorded: Fetch = async (input, init) => {
    wire?.push(toSent(input, init))
    return fetch(input, init)
  }
  if (key === undefined) return recorded
  return createSigningFetch({
    url: origin,
    key,
    fetch: recorded,
    now: readClock,
    ...(txn === undefined ? {} : { txn }),
  })
}

function toSent(input: Parameters<Fetch>[0], init: Parameters<Fetch>[1]): Sent {
  const body = init?.body
  const bytes = body instanceof Uint8Array ? body : Buffer.from(typeof body === 'string' ? body : '')
  return {
    url: input instanceof Request ? input.url : String(input),
    method: init?.method ?? 'GET',
    headers: Object.fromEntries(new Headers(init?.headers)),
    body: Buffer.from(bytes).toString('utf8'),
  }
}

export async function connectAgent(options: AgentOptions): Promise<Agent> {
  const client = new Client({ name: 'agent', version: '1' })
  const transport: unknown = new StreamableHTTPClientTransport(new URL(`/mcp/${SERVER}`, options.origin), {
    fetch: toFetch(options),
  })
  if (!isTransport(transport)) throw new Error('no transport')
  await client.connect(transport)
  return {
    client,
    async call(tool, args, intent = INTENT) {
      try {
        return toSaw(await client.callTool({ name: tool, arguments: { unbearer_intent: intent, ...args } }))
      } catch (fault) {
        const text = fault instanceof Error ? fault.message : 'failed'
        const reason = toReason(text)
        return { ok: false, text, whole: text, ...(reason === undefined ? {} : { reason }) }
      }
    },
    close: async () => client.close(),
  }
}

/** The SDK's own class does not satisfy its interface under `exactOptionalPropertyTypes`. */
function isTransport(value: unknown): value is Parameters<Client['connect']>[0] {
  return typeof value === 'object' && value !== null && 'send' in value
}

function toReason(text: string): string | undefined {
  return /\b(?:identity|intent|scope|context|anomaly|policy|credential|system)\.[a-z-]+/.exec(text)?.[0]
}

function toSaw(result: unknown): Saw {
  const whole: Json = JSON.parse(JSON.stringify(result))
  const members = isJsonObject(whole) ? whole : {}
  const content = Array.isArray(members['content']) ? members['content'] : []
  const text = content
    .map((part: Json) => (isJsonObject(part) && typeof part['text'] === 'string' ? part['text'] : ''))
    .join('')
  const meta = isJsonObject(members['_meta']) ? members['_meta'] : {}
  const refusal = isJsonObject(meta['unbearer/refusal']) ? meta['unbearer/refusal'] : {}
  const named = ['reason', 'decision', 'ticket', 'entry'].flatMap((name) => {
    const value = refusal[name]
    return typeof value === 'string' ? [[name, value] as const] : []
  })
  return { ok: members['isError'] !== true, text, whole, ...Object.fromEntries(named) }
}

/** A raw MCP session: one body a request, nothing added to it. */
export interface RawSession {
  post(body: string, headers?: Record<string, string>): Promise<Answer>
}

export interface Answer {
  readonly status: number
  readonly text: string
  readonly reason?: string
}

export const INITIALIZE: string = JSON.stringify({
  jsonrpc: '2.0',
  id: 'i',
  method: 'initialize',
  params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'raw', version: '1' } },
})

export function toCall(id: string | number, name: string, given: JsonObject = {}, intent: string = INTENT): string {
  const params = { name, arguments: { unbearer_intent: intent, ...given } }
  return JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/call', params })
}

export async function openRaw(options: AgentOptions): Promise<RawSession> {
  const send = toFetch(options)
  const post = async (body: string, headers: Record<string, string>): Promise<Response> =>
    send(new URL(`/mcp/${SERVER}`, options.origin), {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...headers },
    })
  const opened = await post(INITIALIZE, {})
  const id = opened.headers.get('mcp-session-id') ?? ''
  await opened.text()
  return {
    post: async (body, headers = {}) => toAnswer(await post(body, { 'mcp-session-id': id, ...headers })),
  }
}

export async function toAnswer(response: Response): Promise<Answer> {
  const text = await response.text()
  const reason = toReason(text)
  return { status: response.status, text, ...(reason === undefined ? {} : { reason }) }
}

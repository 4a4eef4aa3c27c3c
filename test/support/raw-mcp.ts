/**
 * @module
 * A raw MCP server on the loopback whose lists are what a test says, and a raw client of a gateway in this process.
 */
import { createServer, type Server } from 'node:http'

import type { GatewayInput } from '../../src/adapters/mcp/types.ts'
import { isJsonObject, type Caller, type Json, type JsonObject } from '../../src/index.ts'

export interface Page {
  readonly tools: readonly JsonObject[]
  readonly nextCursor?: string
}

export type List = (cursor: string | undefined, session: number) => Page

export interface ListServer {
  readonly url: string
  /** How often the list of tools was asked for. */
  readonly asked: () => number
  /** Every other request, as method and params. */
  readonly seen: [method: string, params: unknown][]
  close(): void
}

/** A server whose list is what the test says, and which counts how often it is asked. */
export async function startListServer(list: List, more: Readonly<Record<string, unknown>> = {}): Promise<ListServer> {
  let [asked, sessions] = [0, 0]
  const seen: [string, unknown][] = []
  const server: Server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const text = Buffer.concat(chunks).toString()
      const message: { id?: unknown; method?: string; params?: { cursor?: string } } =
        text === '' ? {} : JSON.parse(text)
      const send = (result: unknown, headers: Record<string, string> = {}): void => {
        response.writeHead(200, { 'content-type': 'application/json', ...headers })
        response.end(JSON.stringify({ jsonrpc: '2.0', id: message.id, result }))
      }
      if (message.method === 'initialize') {
        sessions += 1
        const result = {
          protocolVersion: '2025-06-18',
          capabilities: { tools: {}, resources: {}, prompts: {} },
          serverInfo: { name: 's', version: '1' },
        }
        return send(result, { 'mcp-session-id': String(sessions) })
      }
      if (message.id === undefined) return response.writeHead(202).end()
      const { method = '' } = message
      if (method !== 'tools/list') {
        seen.push([method, message.params])
        return send(more[method] ?? { content: [{ type: 'text', text: 'done' }] })
      }
      asked += 1
      return send(list(message.params?.cursor, Number(request.headers['mcp-session-id'])))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return {
    url: `http://127.0.0.1:${port}/mcp`,
    asked: () => asked,
    seen,
    close: () => server.close().closeAllConnections(),
  }
}

export const CALLER: Caller = {
  proof: { grade: 'process', jkt: 'k', bodyBound: true },
  actor: { type: 'agent', id: 'a', jkt: 'k' },
}

type Handle = (input: GatewayInput) => Promise<Response>

async function toMessage(response: Response): Promise<JsonObject> {
  const text = await response.text()
  const data = text.startsWith('{') ? text : (/^data: (\{.*\})$/mu.exec(text)?.[1] ?? '{}')
  const value: Json = JSON.parse(data)
  return isJsonObject(value) ? value : {}
}

export interface Talk {
  /** Undefined where no session was opened. */
  readonly session: string | undefined
  readonly opened: JsonObject
  request(method: string, params: JsonObject): Promise<JsonObject>
}

export async function connectRaw(
  handle: Handle,
  options: { readonly upstream?: string; readonly caller?: Caller } = {},
): Promise<Talk> {
  const { upstream = 's', caller = CALLER } = options
  let session: string | undefined
  const post = async (message: Json): Promise<Response> => {
    const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' }
    const body = JSON.stringify(message)
    const request = new Request('http://127.0.0.1/mcp/s', {
      method: 'POST',
      headers: { ...headers, ...(session === undefined ? {} : { 'mcp-session-id': session }) },
      body,
    })
    return handle({ upstream, request, body: Buffer.from(body), caller })
  }
  const params = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'c', version: '1' } }
  const response = await post({ jsonrpc: '2.0', id: 0, method: 'initialize', params })
  session = response.headers.get('mcp-session-id') ?? undefined
  const opened = await toMessage(response)
  let id = 0
  return {
    session,
    opened,
    async request(method, given) {
      id += 1
      return toMessage(await post({ jsonrpc: '2.0', id, method, params: given }))
    },
  }
}

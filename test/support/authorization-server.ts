/**
 * @module
 * An authorization server and an MCP server that takes its tokens, on one loopback port, for what goes wrong between them. What a
 * real one does is shown with `oidc-provider` in `test/oidc`.
 */
import { createServer, type IncomingMessage } from 'node:http'

import type { JsonObject } from '../../src/index.ts'

export interface AuthorizationServer {
  readonly origin: string
  /** The MCP endpoint. */
  readonly resource: string
  /** What the token endpoint was sent: its form, and its `Authorization` header. */
  readonly asked: { readonly form: URLSearchParams; readonly authorization: string | undefined }[]
  /** The `Authorization` headers that the MCP endpoint was sent. */
  readonly presented: string[]
  /** Tokens that the MCP endpoint takes. */
  readonly good: Set<string>
  /** Members that replace those of the metadata of the server. */
  metadata: JsonObject
  /** The protected resource metadata; absent: there is none. */
  protected: JsonObject | undefined
  /** Members that replace those of a token response. */
  answer: JsonObject
  status: number
  close(): Promise<void>
}

export async function startAuthorizationServer(): Promise<AuthorizationServer> {
  let count = 0
  const at: AuthorizationServer = {
    origin: '',
    resource: '',
    asked: [],
    presented: [],
    good: new Set(),
    metadata: {},
    protected: undefined,
    answer: {},
    status: 200,
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      server.closeAllConnections()
      await closed
    },
  }
  const server = createServer((request, response) => {
    const send = (status: number, value: unknown): void => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))
    }
    const path = request.url ?? ''
    if (path.startsWith('/.well-known/oauth-protected-resource'))
      return at.protected === undefined ? send(404, {}) : send(200, at.protected)
    if (path.startsWith('/.well-known/oauth-authorization-server'))
      return send(200, { issuer: at.origin, token_endpoint: `${at.origin}/token`, ...at.metadata })
    readText(request)
      .then((text) => {
        if (path === '/token') {
          at.asked.push({ form: new URLSearchParams(text), authorization: request.headers.authorization })
          count += 1
          const made = `made-${count}-3f9c`
          at.good.add(`Bearer ${made}`)
          return send(at.status, { access_token: made, token_type: 'Bearer', expires_in: 3600, ...at.answer })
        }
        return answerMcp(at, request, text, send)
      })
      .catch(() => response.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const origin = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`
  return Object.assign(at, { origin, resource: `${origin}/mcp` })
}

function answerMcp(
  at: AuthorizationServer,
  request: IncomingMessage,
  text: string,
  send: (status: number, value: unknown) => void,
): void {
  const { authorization = '' } = request.headers
  at.presented.push(authorization)
  if (!at.good.has(authorization)) return send(401, {})
  const { id, method }: { id?: unknown; method?: unknown } = text === '' ? {} : JSON.parse(text)
  const tool = { name: 'read_note', description: 'Reads.', inputSchema: { type: 'object' } }
  const results: Readonly<Record<string, unknown>> = {
    initialize: { protocolVersion: '2025-06-18', capabilities: { tools: {} }, serverInfo: { name: 'x', version: '1' } },
    'tools/list': { tools: [tool] },
    'tools/call': { content: [{ type: 'text', text: 'a note' }] },
  }
  if (id === undefined) return send(202, {})
  send(200, { jsonrpc: '2.0', id, result: results[String(method)] ?? {} })
}

async function readText(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks).toString()
}

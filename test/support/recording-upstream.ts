/**
 * @module
 * The tool server over streamable HTTP, in this process, so that a test sees at once what reached it.
 */
import { randomUUID } from 'node:crypto'
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'

import { isJsonObject, parseJson, type JsonObject } from '../../src/index.ts'
import { createToolServer, type RecordedCall } from './tools.ts'

export interface RecordingUpstream {
  readonly url: string
  /** Every `tools/call`, in order of arrival. */
  readonly calls: RecordedCall[]
  readonly notifications: string[]
  /** Bodies of requests whose connection ended before they were answered. */
  readonly aborted: string[]
  /** The headers of every request. */
  readonly headers: IncomingHttpHeaders[]
  /** Every body as it came. */
  readonly bodies: string[]
  /** Answers `tools/call` with this status and body instead, as a server that breaks would. */
  breakWith?: { readonly status: number; readonly body: string } | undefined
  release(): void
  close(): Promise<void>
}

export async function startRecordingUpstream(): Promise<RecordingUpstream> {
  const calls: RecordedCall[] = []
  const notifications: string[] = []
  const headers: IncomingHttpHeaders[] = []
  const aborted: string[] = []
  const bodies: string[] = []
  const tools = createToolServer({
    onCall: (call) => calls.push(call),
    onNotification: (method) => notifications.push(method),
  })
  const recorded: Pick<RecordingUpstream, 'breakWith'> = {}
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    headers.push(request.headers)
    if (request.method !== 'POST') return void response.writeHead(204).end()
    const body = await readText(request)
    bodies.push(body)
    response.once('close', () => {
      if (!response.writableEnded) aborted.push(body)
    })
    const message = toMessage(body)
    if (recorded.breakWith !== undefined && message['method'] === 'tools/call') {
      return void response.writeHead(recorded.breakWith.status).end(recorded.breakWith.body)
    }
    const session = String(request.headers['mcp-session-id'] ?? randomUUID())
    tools.receive(message, (line) => {
      response.writeHead(200, { 'content-type': 'application/json', 'mcp-session-id': session }).end(line)
    })
    if (message['id'] === undefined) response.writeHead(202).end()
  }
  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy())
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return Object.assign(recorded, {
    url: `http://127.0.0.1:${port}/mcp`,
    calls,
    notifications,
    aborted,
    headers,
    bodies,
    release: () => tools.release(),
    close: async () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  })
}

async function readText(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks).toString('utf8')
}

function toMessage(body: string): JsonObject {
  const parsed = parseJson(body)
  return isJsonObject(parsed) ? parsed : {}
}

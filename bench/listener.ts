/**
 * @module
 * A plain HTTP listener on the loopback for the servers that are not Unbearer's own.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'

export interface Reply {
  readonly status: number
  readonly body: string
  readonly headers?: Readonly<Record<string, string>>
}

export type Handler = (request: IncomingMessage, body: Buffer) => Promise<Reply>

/** Starts on a free port and answers it. A handler that throws is a 500 with its message, which fails the bench. */
export async function listen(handler: Handler): Promise<number> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => void chunks.push(chunk))
    request.on('end', () => {
      handler(request, Buffer.concat(chunks)).then(
        (reply) => send(response, reply),
        (fault: unknown) => send(response, toFault(fault)),
      )
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

function send(response: ServerResponse, { status, body, headers }: Reply): void {
  const length = Buffer.byteLength(body)
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': length, ...headers }).end(body)
}

function toFault(fault: unknown): Reply {
  return { status: 500, body: JSON.stringify({ error: fault instanceof Error ? fault.message : 'failed' }) }
}

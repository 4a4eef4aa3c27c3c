/**
 * @module
 * A server that speaks the protocol of a policy server with answers given here, for what can be shown without the real one.
 */
import { createServer } from 'node:http'
import type { Json } from '../../src/index.ts'
import type { EngineServer } from './engine-servers.ts'

export interface StandInAnswer {
  readonly status?: number
  readonly body: Json
}

export type Respond = (path: string, body: Json | undefined, url: string) => StandInAnswer

/** Serves JSON on the loopback. Whatever `respond` throws is a 500. */
export async function startStandIn(respond: Respond): Promise<EngineServer> {
  let url = ''
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const { status = 200, body } = toAnswer(respond, request.url ?? '', Buffer.concat(chunks), url)
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  url = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`
  const stop = async (): Promise<void> => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
  return { url, stop }
}

function toAnswer(respond: Respond, path: string, bytes: Buffer, url: string): StandInAnswer {
  try {
    return respond(path, bytes.length === 0 ? undefined : JSON.parse(bytes.toString('utf8')), url)
  } catch {
    return { status: 500, body: { message: 'failed' } }
  }
}

/**
 * @module
 * A server on a free port of the loopback, whose handler may know where it listens.
 */
import { createServer, type RequestListener } from 'node:http'

export interface Listening {
  /** `127.0.0.1:PORT` */
  readonly host: string
  close(): Promise<void>
}

const notYet: RequestListener = (_request, response) => void response.writeHead(503).end()

export async function listenOn(make: (host: string) => RequestListener | Promise<RequestListener>): Promise<Listening> {
  let handler = notYet
  const server = createServer((request, response) => handler(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const host = `127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`
  handler = await make(host)
  return {
    host,
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** A port that nobody listened on a moment ago. */
export async function findPort(): Promise<number> {
  const on = await listenOn(() => notYet)
  await on.close()
  return Number(on.host.split(':')[1])
}

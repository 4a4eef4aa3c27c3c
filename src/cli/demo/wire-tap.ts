/**
 * @module
 * A TCP tap between the agent and its gateway: keeps every byte that the agent's process sends, connection by connection.
 */
import { connect, createServer } from 'node:net'

import { toPort } from './bearer-gateway.ts'

export interface WireTap {
  /** Where the agent is told that its gateway is. */
  readonly url: string
  /** The requests as they went over the wire: one HTTP/1.1 request each, in order. */
  captured(): readonly CapturedRequest[]
  close(): Promise<void>
}

export interface CapturedRequest {
  readonly raw: Buffer
  readonly head: string
  readonly body: Buffer
}

/** Starts a tap in front of `target`, the origin of a gateway on the loopback. */
export async function startWireTap(target: string): Promise<WireTap> {
  const { hostname, port } = new URL(target)
  const streams: Buffer[][] = []
  const server = createServer((agent) => {
    const bytes: Buffer[] = []
    streams.push(bytes)
    const gateway = connect(Number(port), hostname)
    agent.on('data', (chunk: Buffer) => void bytes.push(chunk))
    agent.pipe(gateway)
    gateway.pipe(agent)
    agent.on('error', () => gateway.destroy())
    gateway.on('error', () => agent.destroy())
    agent.on('close', () => gateway.destroy())
    gateway.on('close', () => agent.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${toPort(server)}`,
    captured: () => streams.flatMap((bytes) => splitRequests(Buffer.concat(bytes))),
    close: async () => new Promise((resolve) => server.close(() => resolve())),
  }
}

/** Splits what one connection sent into requests. Bodies are delimited by Content-Length or are chunked. */
export function splitRequests(bytes: Buffer): readonly CapturedRequest[] {
  const requests: CapturedRequest[] = []
  let rest = bytes
  for (let end = rest.indexOf('\r\n\r\n'); end >= 0; end = rest.indexOf('\r\n\r\n')) {
    const head = rest.subarray(0, end).toString('latin1')
    const length = toBodyLength(head, rest.subarray(end + 4))
    const raw = rest.subarray(0, end + 4 + length)
    requests.push({ raw, head, body: raw.subarray(end + 4) })
    rest = rest.subarray(raw.length)
  }
  return requests
}

function toBodyLength(head: string, rest: Buffer): number {
  if (/\r\ntransfer-encoding: *chunked/i.test(head)) return rest.indexOf('0\r\n\r\n') + 5
  return Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? '0')
}

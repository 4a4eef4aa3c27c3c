/**
 * @module
 * What is common today: a gateway that compares a static bearer token and relays everything. One stdio child per session.
 * Exists only to be compared with; it does what it promises, which is too little.
 */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createInterface } from 'node:readline'

export interface BearerGateway {
  readonly url: string
  close(): Promise<void>
}

interface Relay {
  readonly child: ChildProcessWithoutNullStreams
  readonly waiting: Map<string | number, (line: string) => void>
}

/** Serves each of `upstreams` under `/mcp/<name>` to whoever sends `Authorization: Bearer <token>`. */
export async function startBearerGateway(
  upstreams: Readonly<Record<string, readonly string[]>>,
  bearer: string,
): Promise<BearerGateway> {
  const relays = new Map<string, Relay>()
  const server = createServer((request, response) => {
    serve(request, response).catch(() => response.destroy())
  })
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    if (request.headers.authorization !== `Bearer ${bearer}`) return void response.writeHead(401).end()
    if (request.method !== 'POST') return void response.writeHead(405).end()
    const text = await readText(request)
    const id = String(request.headers['mcp-session-id'] ?? '')
    const relay = relays.get(id)
    if (relay !== undefined) return forward(relay, text, response)
    const command = upstreams[(request.url ?? '').replace('/mcp/', '')]
    if (command === undefined) return void response.writeHead(404).end()
    const started = startRelay(command)
    const fresh = randomUUID()
    relays.set(fresh, started)
    response.setHeader('mcp-session-id', fresh)
    await forward(started, text, response)
  }
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${toPort(server)}`,
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      await Promise.all([...relays.values()].map(stopRelay))
    },
  }
}

export function toPort(server: Pick<Server, 'address'>): number {
  const address: AddressInfo | string | null = server.address()
  if (address === null || typeof address === 'string') throw new RangeError('the server does not listen on a port')
  return address.port
}

function startRelay([command = '', ...args]: readonly string[]): Relay {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] })
  const waiting: Relay['waiting'] = new Map()
  createInterface({ input: child.stdout }).on('line', (line) => {
    const id = toId(line)
    if (id === undefined) return
    waiting.get(id)?.(line)
    waiting.delete(id)
  })
  child.stderr.resume()
  return { child, waiting }
}

async function stopRelay({ child }: Relay): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = new Promise((resolve) => child.once('exit', resolve))
  child.kill()
  await gone
}

async function forward({ child, waiting }: Relay, text: string, response: ServerResponse): Promise<void> {
  const id = toId(text)
  if (id === undefined) {
    child.stdin.write(`${text}\n`)
    return void response.writeHead(202).end()
  }
  const line = await new Promise<string>((resolve) => {
    waiting.set(id, resolve)
    child.stdin.write(`${text}\n`)
  })
  response.writeHead(200, { 'content-type': 'application/json' }).end(line)
}

function toId(line: string): string | number | undefined {
  const message: unknown = JSON.parse(line)
  if (typeof message !== 'object' || message === null || !('id' in message)) return undefined
  return typeof message.id === 'string' || typeof message.id === 'number' ? message.id : undefined
}

async function readText(request: IncomingMessage): Promise<string> {
  const chunks: Uint8Array[] = []
  for await (const chunk of request) if (chunk instanceof Uint8Array) chunks.push(chunk)
  return Buffer.concat(chunks).toString('utf8')
}

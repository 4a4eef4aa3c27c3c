/**
 * @module
 * The listening side of `unbearer connect`: a loopback server that passes every request on to the gateway, signed. Whoever can
 * reach the port acts as the agent: it is for a machine, or a container, that the agent has to itself.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

import { ConfigError, InputError, RefusedError, UnavailableError } from '../core/errors.ts'
import { REASONS, type Reason } from '../core/reasons.ts'
import type { Fetch } from './send.ts'

export interface ListenBridgeOptions {
  /** The gateway's endpoint: `/` here is this URL there, and paths continue below it. */
  readonly url: string | URL
  /** From `createSigningFetch`. */
  readonly fetch: Fetch
  /** `host:port` of a loopback address; port 0 takes any. */
  readonly listen: string
}

export interface ListenBridge {
  /** Where local clients connect. */
  readonly url: URL
  /** Stops listening and breaks what is under way. */
  close(): Promise<void>
}

/** What is passed on. Not `authorization`, not `cookie`: the client has nothing of its own to prove. */
const REQUEST_HEADERS = ['accept', 'content-type', 'last-event-id']
const RESPONSE_HEADERS = ['content-type', 'cache-control', 'www-authenticate', 'retry-after', 'allow']
const MAX_BODY = 16 * 1024 * 1024
const LOOPBACK: ReadonlySet<string> = new Set(['127.0.0.1', 'localhost', '::1'])

/**
 * Listens. Rejects with `ConfigError` for an address that is not loopback or cannot be taken. Refuses requests under another
 * host name (a rebound DNS name) and requests of pages of other origins. Does not know who on this machine is asking.
 */
export async function runListenBridge(options: ListenBridgeOptions): Promise<ListenBridge> {
  const { host, port } = parseAddress(options.listen)
  const base = new URL(options.url)
  const server = createServer((request, response) => {
    serve(base, options.fetch, request, response).catch((fault: unknown) => answerFault(response, fault))
  })
  await start(server, host, port)
  const address = server.address()
  const taken = typeof address === 'object' && address !== null ? address.port : port
  return {
    url: new URL(`http://${host.includes(':') ? `[${host}]` : host}:${taken}/`),
    async close() {
      server.closeAllConnections()
      await new Promise<void>((resolve) => {
        server.close(() => resolve())
      })
    },
  }
}

function parseAddress(listen: string): { readonly host: string; readonly port: number } {
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:]+)):([0-9]{1,5})$/.exec(listen) ?? []
  const host = bracketed ?? plain ?? ''
  const port = Number(digits)
  if (!LOOPBACK.has(host)) throw new ConfigError(`\`${listen}\` is not a loopback address with a port`)
  if (!(port <= 65_535)) throw new ConfigError(`\`${listen}\` has no valid port`)
  return { host, port }
}

async function start(server: Server, host: string, port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => reject(new ConfigError(`cannot listen on \`${host}:${port}\``, { cause })))
    server.listen(port, host, () => resolve())
  })
}

async function serve(base: URL, fetch: Fetch, request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (isForeign(request)) throw new RefusedError('identity.bad-proof', 'requests from elsewhere are refused')
  const url = toTarget(base, request.url ?? '/')
  const body = await readBody(request)
  const gone = new AbortController()
  response.once('close', () => gone.abort())
  const answer = await fetch(url, {
    method: request.method ?? 'GET',
    headers: toRequestHeaders(request),
    signal: gone.signal,
    ...(body === undefined ? {} : { body }),
  })
  response.writeHead(answer.status, toResponseHeaders(answer))
  response.flushHeaders()
  if (answer.body === null) response.end()
  else await pipeline(Readable.fromWeb(answer.body), response).catch(() => response.destroy())
}

/** A page in a browser can reach loopback; its requests say where they come from. */
function isForeign(request: IncomingMessage): boolean {
  const { host, origin } = request.headers
  const site = request.headers['sec-fetch-site']
  const named = host !== undefined && URL.canParse(`http://${host}`) ? new URL(`http://${host}`) : undefined
  const hostname = named?.hostname.replace(/^\[(.*)\]$/, '$1')
  if (named === undefined || hostname === undefined || !LOOPBACK.has(hostname)) return true
  if (site !== undefined && site !== 'same-origin' && site !== 'none') return true
  return origin !== undefined && origin !== named.origin
}

/** The URL below `base`; dots in a path may not climb above it. */
function toTarget(base: URL, path: string): URL {
  const root = base.pathname.replace(/\/$/, '')
  const local = path === '/' || path.startsWith('/?') ? path.slice(1) : path
  const text = `${base.origin}${root === '' && local === '' ? '/' : root}${local}`
  const url = URL.canParse(text) ? new URL(text) : undefined
  const inside = url !== undefined && (url.pathname === root || url.pathname.startsWith(`${root}/`))
  if (!inside || url.origin !== base.origin) throw new InputError('the path leaves the endpoint')
  return url
}

async function readBody(request: IncomingMessage): Promise<Uint8Array<ArrayBuffer> | undefined> {
  if (request.method === 'GET' || request.method === 'HEAD') return undefined
  const chunks: Uint8Array[] = []
  let size = 0
  const body: AsyncIterable<Uint8Array> = request
  for await (const chunk of body) {
    size += chunk.byteLength
    if (size > MAX_BODY) throw new InputError('the message is too large', 'system.too-large')
    chunks.push(chunk)
  }
  return size === 0 ? undefined : Uint8Array.from(Buffer.concat(chunks))
}

function toRequestHeaders(request: IncomingMessage): Headers {
  const headers = new Headers()
  for (const [name, value] of Object.entries(request.headers)) {
    if (typeof value === 'string' && (REQUEST_HEADERS.includes(name) || name.startsWith('mcp-')))
      headers.set(name, value)
  }
  return headers
}

function toResponseHeaders(answer: Response): Record<string, string> {
  const passed = [...answer.headers].filter(([name]) => RESPONSE_HEADERS.includes(name) || name.startsWith('mcp-'))
  return Object.fromEntries(passed)
}

function answerFault(response: ServerResponse, fault: unknown): void {
  if (response.headersSent || response.destroyed) {
    response.destroy()
    return
  }
  const reason: Reason = fault instanceof RefusedError || fault instanceof InputError ? fault.reason : 'system.upstream'
  const known = fault instanceof RefusedError || fault instanceof InputError || fault instanceof UnavailableError
  const { http, help } = REASONS[reason]
  const status = reason === 'identity.bad-proof' ? 403 : http.status
  response.writeHead(status, { 'content-type': 'application/json', connection: 'close' })
  response.end(JSON.stringify({ error: http.error, reason, message: known ? fault.message : help }))
}

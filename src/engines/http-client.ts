/**
 * @module
 * The one way to an engine in another process: keep-alive, one deadline over the whole exchange, bounded answers, strict
 * JSON, no redirect. Faults are thrown with a fixed phrase: `UnavailableError` where nobody answered, `InputError` where the
 * answer is not one.
 */
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { ConfigError, InputError, UnavailableError } from '../core/errors.ts'
import type { Json } from '../core/json.ts'
import { parseJson } from '../core/parse-json.ts'

export interface EngineConnection {
  /** `https`, or `http` on this machine; a path is kept and stands before that of each call. */
  readonly url: string
  /** Sent with each call, credentials among them. */
  readonly headers?: Readonly<Record<string, string>>
  /** PEM. `ca` replaces the certificates of the system; `cert` and `key` are our own, for an engine that asks. */
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string }
  /** For one question, in milliseconds. */
  readonly timeoutMs: number
}

export interface EngineResponse {
  readonly status: number
  /** Absent when there is no body. */
  readonly body?: Json
}

export interface EngineHttp {
  /** The base without a trailing slash. */
  readonly base: string
  get(path: string): Promise<EngineResponse>
  /** For well-known addresses: `path` comes before that of the base. */
  getAtRoot(path: string): Promise<EngineResponse>
  /** The only call that is held to `timeoutMs`: the others are made while nobody waits for a decision. */
  post(path: string, body: Json): Promise<EngineResponse>
  /** A `post` whose answer does not matter. */
  probe(path: string, body: Json): Promise<EngineResponse>
  close(): void
}

/** Of an answer, in bytes. A verdict is small. */
const MAX_ANSWER = 1_048_576
const SOCKETS = 128
const PATIENT_MS = 5_000
/** Idle connections are given up before most servers and balancers do, so that few are found closed. */
const IDLE_MS = 4_000

/**
 * A client for one engine. Opens nothing yet. Throws `ConfigError` for an address over which verdicts could be forged.
 * Does not follow redirects, does not ask a proxy, and does not retry but for a kept connection that was closed meanwhile.
 */
export function createEngineHttp(connection: EngineConnection): EngineHttp {
  const base = parseEngineUrl(connection.url)
  const shared = { keepAlive: true, maxSockets: SOCKETS, timeout: IDLE_MS, scheduling: 'lifo' } as const
  const isTls = base.protocol === 'https:'
  const agent = isTls ? new HttpsAgent({ ...shared, ...connection.tls }) : new HttpAgent(shared)
  const patient = Math.max(connection.timeoutMs, PATIENT_MS)
  const prefix = base.pathname.replace(/\/$/, '')
  const exchange = async (method: 'GET' | 'POST', path: string, text: string | undefined, ms: number) => {
    const send = isTls ? httpsRequest : httpRequest
    const signal = AbortSignal.timeout(ms)
    const headers = { accept: 'application/json', ...connection.headers, ...toBodyHeaders(text) }
    const call: Call = (on) => {
      const target = { hostname: base.hostname.replace(/^\[|\]$/g, ''), port: base.port, path }
      const request = send({ ...target, method, headers, agent, signal }, on)
      request.end(text)
      return request
    }
    try {
      return await once(call)
    } catch (cause) {
      if (signal.aborted) throw new UnavailableError('time-out', { cause })
      if (isStale(cause)) return once(call).catch((again: unknown) => fail(again, signal))
      return fail(cause, signal)
    }
  }
  return {
    base: `${base.origin}${prefix}`,
    get: async (path) => exchange('GET', `${prefix}${path}`, undefined, patient),
    getAtRoot: async (path) => exchange('GET', `${path}${prefix}`, undefined, patient),
    post: async (path, body) => exchange('POST', `${prefix}${path}`, JSON.stringify(body), connection.timeoutMs),
    probe: async (path, body) => exchange('POST', `${prefix}${path}`, JSON.stringify(body), patient),
    close: () => agent.destroy(),
  }
}

/** Whether a status says that the engine is away, overloaded or behind something that cannot reach it. 500 is an answer. */
export function isAway(status: number): boolean {
  return status === 429 || (status > 501 && status < 600)
}

/** The URL of an engine. Throws `ConfigError` unless it is https, or http to an address of this machine. */
export function parseEngineUrl(text: string): URL {
  if (!URL.canParse(text)) throw new ConfigError(`the engine \`url\`: \`${text}\` is not a URL`)
  const url = new URL(text)
  const isLocal = /^(?:localhost|127(?:\.[0-9]{1,3}){3}|\[::1\])$/.test(url.hostname)
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '')
    throw new ConfigError(
      'the engine `url` takes no user information, query or fragment, use `secrets` for credentials',
    )
  if (url.protocol === 'https:' || (url.protocol === 'http:' && isLocal)) return url
  throw new ConfigError(
    `the engine \`url\`: whoever is on the way to \`${url.host}\` could answer in its place, use https`,
  )
}

type Call = (on: (response: IncomingMessage) => void) => ReturnType<typeof httpRequest>

/** A fault of a connection that was kept, and closed by the other side before it read anything of this call. */
class StaleConnection extends Error {}

function isStale(cause: unknown): boolean {
  return cause instanceof StaleConnection
}

/** One exchange. Rejects with an `InputError`, a `StaleConnection` or an error of the connection. */
async function once(call: Call): Promise<EngineResponse> {
  return new Promise((resolve, reject) => {
    let answered = false
    const request = call((response) => {
      answered = true
      read(response).then(resolve, reject)
    })
    request.on('error', (cause) => {
      reject(
        request.reusedSocket && !answered && 'code' in cause && cause.code === 'ECONNRESET'
          ? new StaleConnection()
          : cause,
      )
    })
  })
}

async function read(response: IncomingMessage): Promise<EngineResponse> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of response) {
    if (!(chunk instanceof Uint8Array)) throw new InputError('answer is not bytes')
    size += chunk.byteLength
    if (size > MAX_ANSWER) throw new InputError('answer is too large')
    chunks.push(chunk)
  }
  const status = response.statusCode ?? 0
  return size === 0 ? { status } : { status, body: parseAnswer(Buffer.concat(chunks), status) }
}

/** Two parsers may read duplicate names differently, so that they are refused; numbers of others need not round-trip. */
function parseAnswer(bytes: Uint8Array, status: number): Json {
  try {
    return parseJson(bytes, { numbers: 'any' })
  } catch (cause) {
    // What goes wrong in between (a balancer, a proxy) speaks HTML; its status says more than that.
    if (status !== 200) return null
    throw new InputError('answer is not JSON', 'system.malformed', { cause })
  }
}

function fail(cause: unknown, signal: AbortSignal): never {
  if (cause instanceof InputError) throw cause
  throw new UnavailableError(signal.aborted ? 'time-out' : toPhrase(cause), { cause })
}

function toPhrase(cause: unknown): string {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
  if (/^(?:ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH)$/.test(code)) return 'cannot be reached'
  if (/CERT|SELF_SIGNED|UNABLE_TO|ALTNAME|^ERR_SSL|^EPROTO/.test(code)) return 'its certificate is not accepted'
  if (code.startsWith('HPE_')) return 'answer is not HTTP'
  return 'connection lost'
}

function toBodyHeaders(text: string | undefined): Readonly<Record<string, string | number>> {
  return text === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }
}

/**
 * @module
 * Bytes on a socket, for attacks on the listener: requests signed as a proper agent would, and then bent before they are sent.
 */
import { connect } from 'node:net'

import { postSigned } from '../../src/client/post-signed.ts'
import { isJsonObject, parseJson, type JsonObject } from '../../src/index.ts'
import { signRequest } from '../../src/crypto/http-signature.ts'
import type { KeyPair } from '../../src/crypto/keys.ts'
import { INITIALIZE } from '../support/agent.ts'
import { SERVER } from '../support/tools.ts'

/** A request as it will stand on the wire: nothing is added when it is sent. */
export interface WireRequest {
  readonly line: string
  /** Header lines without breaks, in order. */
  readonly head: readonly string[]
  readonly body: Buffer
}

export interface WireAnswer {
  /** 0 when the connection ended without an answer. */
  readonly status: number
  readonly text: string
  readonly reason?: string
  readonly mcpSession?: string
}

export interface AgentWire {
  readonly origin: string
  readonly key: KeyPair
  readonly credential: string
  readonly mcpSession: string
}

export const ROUTE: string = `/mcp/${SERVER}`

/** Sends bytes on a connection of their own and reads until it ends. */
export async function sendBytes(origin: string, bytes: Buffer | string): Promise<WireAnswer> {
  const { hostname, port } = new URL(origin)
  const text = await new Promise<string>((resolve, reject) => {
    const chunks: Buffer[] = []
    const socket = connect(Number(port), hostname, () => socket.write(bytes))
    socket.setTimeout(10_000, () => socket.destroy())
    socket.on('data', (chunk: Buffer) => void chunks.push(chunk))
    socket.on('error', (fault: NodeJS.ErrnoException) =>
      fault.code === 'ECONNRESET' || fault.code === 'EPIPE' ? undefined : reject(fault),
    )
    socket.on('close', () => resolve(Buffer.concat(chunks).toString('utf8')))
  })
  return toWireAnswer(text)
}

function toWireAnswer(text: string): WireAnswer {
  const status = Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1] ?? '0')
  const reason = /\b(?:identity|intent|scope|context|anomaly|policy|credential|system)\.[a-z-]+/.exec(text)?.[0]
  const mcpSession = /\r\nmcp-session-id: *([^\r]+)/i.exec(text)?.[1]
  return {
    status,
    text,
    ...(reason === undefined ? {} : { reason }),
    ...(mcpSession === undefined ? {} : { mcpSession }),
  }
}

export function toBytes({ line, head, body }: WireRequest): Buffer {
  return Buffer.concat([Buffer.from([line, ...head, '', ''].join('\r\n'), 'latin1'), body])
}

export async function sendWire(origin: string, request: WireRequest): Promise<WireAnswer> {
  return sendBytes(origin, toBytes(request))
}

interface ToSign {
  readonly key: KeyPair
  readonly method?: string
  readonly target: string
  /** Signed where the profile covers them, and sent. */
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
  readonly nonce?: string
  readonly now?: number
}

/** A request that a proper client would send. */
export function signWire(origin: string, asked: ToSign): WireRequest {
  const { key, method = 'POST', target, headers } = asked
  const body = Buffer.from(asked.body ?? '')
  const proof = signRequest({
    key,
    method,
    target,
    headers,
    body,
    now: asked.now ?? Date.now(),
    ...(asked.nonce === undefined ? {} : { nonce: asked.nonce }),
  })
  const all = {
    Host: new URL(origin).host,
    Connection: 'close',
    ...headers,
    ...proof,
    ...(body.length === 0 ? {} : { 'Content-Length': String(body.length) }),
  }
  const head = Object.entries(all).map(([name, value]) => `${name}: ${value}`)
  return { line: `${method} ${target} HTTP/1.1`, head, body }
}

const ACCEPT = { accept: 'application/json', 'content-type': 'application/json' }

/** A request of an agent under its session credential, in its MCP session where it has one. */
export function signAgent(
  wire: Pick<AgentWire, 'origin' | 'key' | 'credential'> & { readonly mcpSession?: string },
  body: string,
  more: { readonly method?: string; readonly target?: string; readonly now?: number } = {},
): WireRequest {
  const { origin, key, credential, mcpSession } = wire
  const headers = {
    ...(body === '' ? { accept: ACCEPT.accept } : ACCEPT),
    authorization: `Unbearer ${credential}`,
    ...(mcpSession === undefined ? {} : { 'mcp-session-id': mcpSession }),
  }
  return signWire(origin, { key, target: ROUTE, headers, body, ...more })
}

/** A session credential, as `/session` issues it. */
export async function openCredential(origin: string, key: KeyPair, txn?: string): Promise<string> {
  const body: JsonObject = txn === undefined ? {} : { txn }
  const { credential } = await postSigned({ key, url: new URL('/session', origin), body })
  if (typeof credential !== 'string') throw new Error('no credential')
  return credential
}

/** An agent with a session credential and an MCP session. */
export async function openWire(origin: string, key: KeyPair, txn?: string): Promise<AgentWire> {
  const credential = await openCredential(origin, key, txn)
  const { mcpSession } = await sendWire(origin, signAgent({ origin, key, credential }, INITIALIZE))
  if (mcpSession === undefined) throw new Error('no MCP session was opened')
  return { origin, key, credential, mcpSession }
}

/** Replaces the value of a header line, drops it, or keeps the rest as it is. */
export function withHeader(
  request: WireRequest,
  name: string,
  change: (value: string) => string | undefined,
): WireRequest {
  const head = request.head.flatMap((line) => {
    const colon = line.indexOf(':')
    if (line.slice(0, colon).toLowerCase() !== name) return [line]
    const value = change(line.slice(colon + 1).trim())
    return value === undefined ? [] : [`${line.slice(0, colon)}: ${value}`]
  })
  return { ...request, head }
}

export function withLine(request: WireRequest, ...lines: readonly string[]): WireRequest {
  return { ...request, head: [...request.head, ...lines] }
}

/** Another body of its own length under the same head. */
export function withBody(request: WireRequest, text: string): WireRequest {
  const body = Buffer.from(text)
  return { ...withHeader(request, 'content-length', () => String(body.length)), body }
}

/** The JSON document of an answer. */
export function documentOf({ text }: WireAnswer): JsonObject {
  const end = text.indexOf('\r\n\r\n')
  const body = text.slice(end + 4)
  const chunked = /^transfer-encoding: chunked$/im.test(text.slice(0, end))
  const value = parseJson(chunked ? joinChunks(Buffer.from(body)) : body, { numbers: 'any' })
  return isJsonObject(value) ? value : {}
}

/** The content of a chunked body (RFC 9112 section 7.1), which the listener sends where an answer was not ready at once. */
function joinChunks(body: Buffer): string {
  const parts: Buffer[] = []
  for (let at = 0; ;) {
    const line = body.indexOf('\r\n', at)
    const size = Number.parseInt(body.toString('latin1', at, line), 16)
    if (line < 0 || !(size > 0)) return Buffer.concat(parts).toString()
    parts.push(body.subarray(line + 2, line + 2 + size))
    at = line + 2 + size + 2
  }
}

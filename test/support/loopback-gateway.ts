/**
 * @module
 * A gateway of the smallest kind on the loopback, for tests of the client: it verifies as the real one does, decides nothing,
 * and hands proved requests to the test.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'

import { isJsonObject } from '../../src/core/json.ts'
import { parseJson } from '../../src/core/parse-json.ts'
import type { Reason } from '../../src/core/reasons.ts'
import { verifyRequest } from '../../src/crypto/http-signature.ts'
import { generateKey, importKey, type KeyPair } from '../../src/crypto/keys.ts'
import { issueSession, verifySession } from '../../src/crypto/session-credential.ts'

export interface SeenRequest {
  readonly method: string
  readonly target: string
  readonly headers: Readonly<Record<string, readonly string[] | undefined>>
  readonly body: string
  /** The task of the session credential. */
  readonly txn?: string
}

export interface LoopbackGateway {
  readonly url: URL
  /** Requests in order, with the answer that was given: `ok` or a reason. */
  readonly log: (SeenRequest & { readonly answered: string })[]
  /** What a proved request gets. */
  respond: (request: SeenRequest, response: ServerResponse, incoming: IncomingMessage) => void
  /** Milliseconds that this gateway's clock is ahead. */
  ahead: number
  /** What `/session` says of the life of its credential, in seconds. */
  expiresIn: number
  close(): Promise<void>
}

export const SERVER_NONCE = 'server-nonce-0123456789'

interface Inside {
  readonly gateway: LoopbackGateway
  readonly agent: KeyPair
  readonly issuer: KeyPair
  readonly nonces: Set<string>
}

type Verdict = { readonly ok: true; readonly txn?: string } | { readonly ok: false; readonly reason: Reason }

export async function startGateway(agent: KeyPair): Promise<LoopbackGateway> {
  const server = createServer((incoming, response) => {
    receive(inside, incoming, response).catch(() => response.destroy())
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve())
  })
  const gateway: LoopbackGateway = {
    url: new URL(`http://127.0.0.1:${portOf(server)}/mcp/orders`),
    log: [],
    respond: (_request, response) => answer(response, 200, { ok: true }),
    ahead: 0,
    expiresIn: 600,
    async close() {
      server.closeAllConnections()
      await new Promise<void>((resolve) => {
        server.close(() => resolve())
      })
    },
  }
  const inside: Inside = { gateway, agent, issuer: importKey({ ...generateKey('Ed25519') }), nonces: new Set() }
  return gateway
}

function portOf(server: Server): number {
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

async function receive(inside: Inside, incoming: IncomingMessage, response: ServerResponse): Promise<void> {
  const chunks: Uint8Array[] = []
  const stream: AsyncIterable<Uint8Array> = incoming
  for await (const chunk of stream) chunks.push(chunk)
  const body = Buffer.concat(chunks)
  const request: SeenRequest = {
    method: incoming.method ?? '',
    target: incoming.url ?? '',
    headers: incoming.headersDistinct,
    body: body.toString('utf8'),
  }
  const own = request.target === '/session' || request.target === '/control'
  const verdict = verify(inside, incoming, body, own)
  inside.gateway.log.push({ ...request, answered: verdict.ok ? 'ok' : verdict.reason })
  if (!verdict.ok) refuse(response, verdict.reason)
  else if (request.target === '/session') openSession(inside, request, response)
  else inside.gateway.respond({ ...request, ...verdict }, response, incoming)
}

function verify(
  { gateway, agent, issuer, nonces }: Inside,
  incoming: IncomingMessage,
  body: Buffer,
  own: boolean,
): Verdict {
  const now = Date.now() + gateway.ahead
  const proof = verifyRequest({
    method: incoming.method ?? '',
    target: incoming.url ?? '',
    headers: (name) => incoming.headersDistinct[name],
    body,
    resolveKey: (jkt) => (jkt === agent.jkt ? agent : undefined),
    now: Date.now(),
    // Clocks of clients are moved in tests.
    skewSeconds: 3600,
  })
  if (!proof.ok) return proof
  if (own && !proof.nonce.startsWith(`${SERVER_NONCE}.`)) return { ok: false, reason: 'identity.use-nonce' }
  if (nonces.has(proof.nonce)) return { ok: false, reason: 'identity.replayed' }
  nonces.add(proof.nonce)
  if (own) return { ok: true }
  const compact = /^Unbearer (\S+)$/.exec(incoming.headers.authorization ?? '')?.[1] ?? ''
  const session = verifySession({ compact, issuer: 'https://gateway.test', key: issuer, jkt: proof.jkt, now })
  if (!session.ok) return session
  return { ok: true, ...(session.claims.txn === undefined ? {} : { txn: session.claims.txn }) }
}

function openSession({ gateway, agent, issuer }: Inside, request: SeenRequest, response: ServerResponse): void {
  const asked = parseJson(request.body)
  const txn = isJsonObject(asked) && typeof asked['txn'] === 'string' ? asked['txn'] : 'connection-task'
  const now = Date.now() + gateway.ahead
  const credential = issueSession({
    issuer: 'https://gateway.test',
    key: issuer,
    sub: 'user/alice',
    jkt: agent.jkt,
    txn,
    now,
  })
  answer(response, 200, { credential, expires_in: gateway.expiresIn, txn })
}

function refuse(response: ServerResponse, reason: Reason): void {
  if (reason === 'identity.use-nonce') response.setHeader('unbearer-nonce', SERVER_NONCE)
  answer(response, 401, { error: reason === 'identity.use-nonce' ? 'use_dpop_nonce' : 'invalid_token', reason })
}

/** Answers with JSON. */
export function answer(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify(value))
}

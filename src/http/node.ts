/**
 * @module
 * Requests of node:http, as node:http, Express, Connect and Fastify have them. Structural types: no framework is loaded here.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Readable } from 'node:stream'

import { InvariantError } from '../core/errors.ts'
import { peerCertificate } from '../crypto/client-certificate.ts'
import type { HttpRefusal } from './answers.ts'
import type { Guard, IncomingAction, Redeemed } from './guard.ts'
import { readIncoming } from './read-body.ts'

/** Remembers what was redeemed for a request, by the object that the handler has too: nothing that is sent can put it there. */
export type Remember = (request: object, redeemed: Redeemed) => void

export type NodeHandler = (request: IncomingMessage, response: ServerResponse) => unknown

/** For `createServer` and `server.on('request', …)`. */
export type NodeListener = (request: IncomingMessage, response: ServerResponse) => void

/** Runs `handler` for what was redeemed, and answers everything else; also where the handler fails before it has answered. */
export function toNodeHandler(guard: Guard, remember: Remember, handler: NodeHandler): NodeListener {
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    if (await acceptNode(guard, remember, request, response, request.url ?? '')) await handler(request, response)
  }
  return (request, response) => {
    handle(request, response).catch((fault: unknown) => {
      guard.report(fault)
      if (response.headersSent) response.destroy()
      else response.writeHead(500).end()
    })
  }
}

/** True once what was redeemed is remembered; otherwise the refusal is sent. */
async function acceptNode(
  guard: Guard,
  remember: Remember,
  request: IncomingMessage,
  response: ServerResponse,
  target: string,
): Promise<boolean> {
  const accepted = await guard.accept(toIncomingAction(request, target))
  if (!accepted.ok) {
    sendRefusal(request, response, accepted.refusal)
    return false
  }
  for (const [name, value] of Object.entries(accepted.headers)) response.setHeader(name, value)
  response.once('close', accepted.land)
  remember(request, accepted.redeemed)
  return true
}

/** What Express and Connect add to a request when a middleware is mounted under a path. */
export interface ExpressRequest extends IncomingMessage {
  readonly originalUrl?: string
  readonly baseUrl?: string
}

export type ExpressMiddleware = (
  request: ExpressRequest,
  response: ServerResponse,
  next: (fault?: unknown) => void,
) => void

export function toExpress(guard: Guard, remember: Remember): ExpressMiddleware {
  return (request, response, next) => {
    // Outside of the promise: what the next one throws belongs to the framework.
    acceptExpress(guard, remember, request, response).then(
      (isAccepted) => (isAccepted ? process.nextTick(next) : undefined),
      (fault: unknown) => process.nextTick(next, fault),
    )
  }
}

async function acceptExpress(
  guard: Guard,
  remember: Remember,
  request: ExpressRequest,
  response: ServerResponse,
): Promise<boolean> {
  const { originalUrl: target = request.url ?? '', baseUrl = '' } = request
  // What a middleware before has rewritten is not what was signed.
  const rest = target.slice(baseUrl.length)
  const seen = rest.startsWith('/') ? rest : `/${rest}`
  if (!target.startsWith(baseUrl) || seen !== request.url)
    throw new InvariantError('the URL was rewritten; put the guard before what rewrites it')
  return acceptNode(guard, remember, request, response, target)
}

export interface FastifyRequest {
  readonly raw: IncomingMessage
  readonly originalUrl: string
}

export interface FastifyReply {
  readonly raw: ServerResponse
  code(status: number): FastifyReply
  headers(values: Record<string, string>): FastifyReply
  send(body?: unknown): FastifyReply
}

/** A hook for `preParsing`: the last place where the bytes are still there. */
export type FastifyHook = (request: FastifyRequest, reply: FastifyReply, payload: Readable) => Promise<unknown>

export function toFastify(guard: Guard, remember: Remember): FastifyHook {
  return async (request, reply, payload) => {
    const { raw, originalUrl } = request
    if (payload !== raw || originalUrl !== raw.url)
      throw new InvariantError('the request was rewritten; put the guard before what rewrites it')
    const accepted = await guard.accept(toIncomingAction(raw, originalUrl))
    if (!accepted.ok) {
      const { status, headers, body } = accepted.refusal
      return reply.code(status).headers(headers).send(body)
    }
    reply.headers({ ...accepted.headers })
    reply.raw.once('close', accepted.land)
    remember(request, accepted.redeemed)
    return payload
  }
}

function toIncomingAction(request: IncomingMessage, target: string): IncomingAction {
  const lines = request.headersDistinct
  const [host, ...others] = lines['host'] ?? []
  const certificate = peerCertificate(request)
  return {
    ...(certificate === undefined ? {} : { certificate }),
    method: request.method ?? '',
    target,
    host: others.length > 0 ? undefined : host,
    header: (name) => lines[name],
    readBody: async (limit) => readIncoming(request, limit),
  }
}

/** What was not read of the body is not read any more: the connection ends. */
function sendRefusal(request: IncomingMessage, response: ServerResponse, { status, headers, body }: HttpRefusal): void {
  const end = request.complete ? {} : { connection: 'close' }
  response.writeHead(status, { ...headers, ...end }).end(body)
}

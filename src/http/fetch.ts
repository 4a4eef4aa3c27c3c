/**
 * @module
 * Requests as the platform's `fetch` has them (Hono, Deno, Bun, workers). Structural types: no framework is loaded here.
 */
import type { IncomingMessage } from 'node:http'

import { InputError, InvariantError } from '../core/errors.ts'
import type { HttpRefusal } from './answers.ts'
import type { Guard, IncomingAction, Redeemed } from './guard.ts'
import type { Remember } from './node.ts'
import { readStream } from './read-body.ts'

export type FetchHandler = (request: Request, redeemed: Redeemed) => Response | Promise<Response>

/** Runs `handler` with the request that was decided, and answers everything else. */
export function toFetchHandler(
  guard: Guard,
  remember: Remember,
  handler: FetchHandler,
): (request: Request) => Promise<Response> {
  return async (request) => {
    const held = hold(request)
    const accepted = await guard.accept(toIncomingAction(request, held, undefined))
    if (!accepted.ok) return toResponse(accepted.refusal)
    const decided = held.toRequest()
    remember(decided, accepted.redeemed)
    try {
      return withHeaders(await handler(decided, accepted.redeemed), accepted.headers)
    } finally {
      accepted.land()
    }
  }
}

/** As much of Hono's context as is used. */
export interface HonoContext {
  readonly req: { raw: Request }
  readonly env?: unknown
  header(name: string, value: string): void
}

export type HonoMiddleware = (c: HonoContext, next: () => Promise<void>) => Promise<Response | undefined>

export function toHono(guard: Guard, remember: Remember): HonoMiddleware {
  return async (c, next) => {
    const { raw } = c.req
    const held = hold(raw)
    const accepted = await guard.accept(toIncomingAction(raw, held, toIncomingMessage(c.env)))
    if (!accepted.ok) return toResponse(accepted.refusal)
    for (const [name, value] of Object.entries(accepted.headers)) c.header(name, value)
    c.req.raw = held.toRequest()
    remember(c, accepted.redeemed)
    try {
      await next()
    } finally {
      accepted.land()
    }
    return undefined
  }
}

interface Held {
  read(limit: number): Promise<Uint8Array>
  /** The request with the bytes that were read. */
  toRequest(): Request
}

function hold(request: Request): Held {
  let body: Uint8Array<ArrayBuffer> | undefined
  return {
    async read(limit) {
      if (request.bodyUsed)
        throw new InvariantError('the body was read already; put the guard before everything that reads bodies')
      if (request.body === null) return new Uint8Array()
      body = await readStream(request.body, limit)
      return body
    },
    toRequest() {
      const { url, method, headers, signal } = request
      return body === undefined ? request : new Request(url, { method, headers, signal, body })
    },
  }
}

/**
 * Where the platform shows the request line (`@hono/node-server`), that is what counts, and what the handler will see has to
 * be the same: nothing in between may have rewritten it.
 */
function toIncomingAction(request: Request, held: Held, incoming: IncomingMessage | undefined): IncomingAction {
  const url = new URL(request.url)
  const seen = `${url.pathname}${url.search}`
  const target = incoming?.url ?? seen
  return {
    method: request.method,
    target,
    host: request.headers.get('host') ?? url.host,
    header: (name) => incoming?.headersDistinct[name] ?? request.headers.get(name) ?? undefined,
    async readBody(limit) {
      if (target !== seen || (incoming?.method ?? request.method) !== request.method)
        throw new InputError('the request was rewritten on its way; its line is not what the handler would see')
      const length = incoming?.headers['content-length'] ?? '0'
      const isAnnounced = length !== '0' || incoming?.headers['transfer-encoding'] !== undefined
      if (isAnnounced && request.body === null) throw new InputError('a body that the handler would not see')
      const body = await held.read(limit)
      if ((incoming?.rawTrailers.length ?? 0) > 0) throw new InputError('trailers are not part of an action')
      return body
    },
  }
}

function toIncomingMessage(env: unknown): IncomingMessage | undefined {
  const incoming: unknown = isRecord(env) ? env['incoming'] : undefined
  return isMessage(incoming) ? incoming : undefined
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

function isMessage(value: unknown): value is IncomingMessage {
  return isRecord(value) && isRecord(value['headersDistinct']) && typeof value['url'] === 'string'
}

function toResponse({ status, headers, body }: HttpRefusal): Response {
  return new Response(body, { status, headers })
}

/** A response of somebody else may have headers that cannot be changed. */
function withHeaders(response: Response, added: Readonly<Record<string, string>>): Response {
  if (Object.keys(added).length === 0) return response
  const headers = new Headers(response.headers)
  for (const [name, value] of Object.entries(added)) headers.set(name, value)
  const { status, statusText } = response
  return new Response(response.body, { status, statusText, headers })
}

/**
 * @module
 * The endpoints of AuthZEN Authorization API 1.0 over HTTP (§10): `/access/v1/…` and `/.well-known/authzen-configuration`.
 * A denial is 200; what cannot be read is 400 with a message; `X-Request-ID` is given back. A fault is 500, and a PEP
 * that takes anything but a decision for a denial is right.
 */
import { Hono, type Context } from 'hono'
import type { IncomingMessage } from 'node:http'

import { InputError, isJsonObject, parseJson, RefusedError, type JsonObject, type Reason } from '../../index.ts'
import { toReasonResponse } from '../app.ts'
import type { BodyReader } from '../body.ts'
import type { AuthzenPdp } from './pdp.ts'

type Env = { Bindings: { readonly incoming: IncomingMessage } }

/** Who asks, or why they may not. `proof` stands in every entry. */
export type Admitted =
  | { readonly ok: true; readonly proof: string; readonly by: string }
  | { readonly ok: false; readonly reason: Reason; readonly nonce?: string }

/** How a decision was asked for, for its entry. */
export interface Asked {
  readonly proof: string
  /** Thumbprint of the key of the PEP, or `unproved`. */
  readonly by: string
}

export interface AuthzenAppOptions {
  /** A PDP that records what it decides as asked for in this way. */
  readonly pdp: (asked: Asked) => AuthzenPdp
  /** Where clients reach this listener, without a trailing slash: the identifier of the PDP. */
  readonly origin: () => string
  /** Says why a request for another host name or from another origin is refused. */
  readonly foreign: (incoming: IncomingMessage) => string | undefined
  readonly admit: (incoming: IncomingMessage, body: Uint8Array) => Promise<Admitted>
  readonly readBody: BodyReader
  readonly report: (where: string, fault: unknown) => void
}

const ENDPOINTS = {
  access_evaluation_endpoint: '/access/v1/evaluation',
  access_evaluations_endpoint: '/access/v1/evaluations',
  search_subject_endpoint: '/access/v1/search/subject',
  search_resource_endpoint: '/access/v1/search/resource',
  search_action_endpoint: '/access/v1/search/action',
} as const

/** The web application; it needs the raw `incoming` message of `@hono/node-server`. */
export function createAuthzenApp(options: AuthzenAppOptions): Hono<Env> {
  const app = new Hono<Env>()
  app.use(async (c, next) => {
    const foreign = options.foreign(c.env.incoming)
    if (foreign === undefined) await next()
    else c.res = c.text(foreign, 403)
    const id = c.req.header('x-request-id')
    if (id !== undefined) c.header('x-request-id', id)
    return undefined
  })
  app.get('/.well-known/authzen-configuration', (c) => {
    const origin = options.origin()
    const endpoints = Object.entries(ENDPOINTS).map(([name, path]) => [name, `${origin}${path}`])
    return c.json({ policy_decision_point: origin, ...Object.fromEntries(endpoints) })
  })
  const on = (path: string, answer: (pdp: AuthzenPdp, body: JsonObject) => JsonObject | Promise<JsonObject>): void => {
    app.post(path, async (c) => serve(options, c, answer))
    app.all(path, (c) => c.text('requests to this endpoint are made with POST', 405, { allow: 'POST' }))
  }
  on(ENDPOINTS.access_evaluation_endpoint, async (pdp, body) => pdp.evaluation(body))
  on(ENDPOINTS.access_evaluations_endpoint, async (pdp, body) => pdp.evaluations(body))
  on(ENDPOINTS.search_subject_endpoint, (pdp, body) => pdp.search('subject', body))
  on(ENDPOINTS.search_resource_endpoint, (pdp, body) => pdp.search('resource', body))
  on(ENDPOINTS.search_action_endpoint, (pdp, body) => pdp.search('action', body))
  app.onError((fault, c) => toFault(options, fault, c))
  return app
}

async function serve(
  options: AuthzenAppOptions,
  c: Context<Env>,
  answer: (pdp: AuthzenPdp, body: JsonObject) => JsonObject | Promise<JsonObject>,
): Promise<Response> {
  const bytes = await options.readBody(c.req.raw)
  const admitted = await options.admit(c.env.incoming, bytes)
  if (!admitted.ok) return toReasonResponse(admitted.reason, admitted.nonce)
  const [type = ''] = (c.req.header('content-type') ?? '').split(';')
  if (type.trim().toLowerCase() !== 'application/json')
    throw new InputError('the content type must be application/json')
  if (bytes.length === 0) throw new InputError('the body is empty')
  const body = parseJson(bytes)
  if (!isJsonObject(body)) throw new InputError('the body must be an object')
  return c.json(await answer(options.pdp({ proof: admitted.proof, by: admitted.by }), body))
}

/** An error's body is a message (§10.1.2). What the PEP did wrong is told to the PEP, anything else to the operator. */
function toFault(options: AuthzenAppOptions, fault: unknown, c: Context<Env>): Response {
  if (fault instanceof InputError) {
    const isLarge = fault.reason === 'system.too-large'
    return c.text(fault.message, isLarge ? 413 : 400)
  }
  if (fault instanceof RefusedError) return toReasonResponse(fault.reason)
  options.report('authzen', fault)
  return c.text('the decision could not be made', 500)
}

/**
 * @module
 * The listener: `/session`, `/control`, `/mcp/<upstream>`, `/token` and its kin, `/healthz`, `/readyz`, `/metrics`.
 * Authenticates before anything is parsed, reads each body once, and answers refusals in the words of RFC 6750, 9449, 9470.
 */
import type { IncomingMessage } from 'node:http'

import { Hono, type Context } from 'hono'

import {
  InputError,
  isJsonObject,
  parseJson,
  REASONS,
  RefusedError,
  UnavailableError,
  UnbearerError,
  type Caller,
  type EnrolledKey,
  type Json,
  type JsonObject,
  type KeyRole,
  type Mode,
  type Reason,
} from '../index.ts'
import type { Authenticated, Authenticator, ReceivedRequest } from '../pdp/authenticate.ts'
import type { Telemetry } from '../pdp/telemetry.ts'
import { peerCertificate } from '../crypto/client-certificate.ts'
import { createBodyReader, type BodyReader } from './body.ts'
import { addEventRoutes, type EventRoutes } from './events/routes.ts'
import { addFeedRoutes, FEED_PATH, type FeedRoutes } from './feed/routes.ts'
import { addOAuthRoutes, type Counted, type OAuthOptions } from './oauth/routes.ts'

/** What serves one upstream; the MCP gateway is one. */
export interface Gateway {
  handle(input: {
    readonly upstream: string
    readonly request: Request
    readonly body: Uint8Array
    readonly caller: Caller
  }): Promise<Response>
}

export interface AppOptions {
  readonly authenticator: Authenticator
  readonly gateway: Gateway
  readonly upstreams: readonly string[]
  readonly mode: (upstream: string) => Mode
  /** Proof `none` is accepted here, where the upstream only observes. True only for loopback listeners. */
  readonly unprovedObserve: boolean
  readonly control: { call(method: string, params: Json, by: EnrolledKey): Promise<Json> }
  /** Issues a session credential for an agent, bound to its key, and to a certificate of it where one is named. */
  readonly issueSession: (agent: EnrolledKey, txn: string | undefined, x5t?: string) => Promise<JsonObject>
  readonly telemetry: Telemetry
  /** True once it is asked to stop: nothing new is begun, what is under way may end. */
  readonly draining?: () => boolean
  /** Names what is not ready; empty means ready. */
  readonly problems: () => Promise<readonly string[]>
  /** Host names, besides those of the loopback, under which this listener may be addressed. */
  readonly hosts: readonly string[]
  readonly limits: { readonly messageBytes: number }
  /** Issues for resource servers of others. */
  readonly oauth?: Omit<OAuthOptions, 'authenticator' | 'upstreams' | 'counted'>
  /** Publishes revocations to PEPs elsewhere. */
  readonly revocations?: Pick<FeedRoutes, 'publisher' | 'feed' | 'newId'>
  /** Receives security events, and says that some are sent. */
  readonly securityEvents?: EventRoutes
  readonly version: string
  /** The name of the installation, so that `/readyz` of another one on the same port is not taken for this. */
  readonly issuer?: string
  readonly report: (where: string, fault: unknown) => void
}

type Inside = AppOptions & { readonly readBody: BodyReader }

type Env = { Bindings: { readonly incoming: IncomingMessage } }

/** Every role may speak to the control plane; its table says who may call what. */
const CONTROL_ROLES: readonly KeyRole[] = ['operator', 'approver', 'host', 'pep', 'principal']

/** The web application. Give it to `@hono/node-server`; it needs the raw `incoming` message for the request target. */
export function createApp(given: AppOptions): Hono<Env> {
  const options: Inside = { ...given, readBody: createBodyReader(given.limits.messageBytes) }
  const app = new Hono<Env>()
  app.use(async (c, next) => {
    const foreign = toForeign(c.env.incoming, options.hosts)
    if (foreign !== undefined) return c.json({ error: 'invalid_request', message: foreign }, 403)
    return next()
  })
  app.use(async (c, next) => {
    if (options.draining?.() !== true || LOOKED_AT.includes(c.req.path)) return next()
    const headers = { 'retry-after': '5', connection: 'close' }
    return c.json({ error: 'temporarily_unavailable', message: 'this server is stopping' }, 503, headers)
  })
  app.get('/healthz', (c) => c.json({ ok: true, version: options.version }))
  app.get('/readyz', async (c) => {
    const problems = options.draining?.() === true ? ['this server is stopping'] : await options.problems()
    const issuer = options.issuer === undefined ? {} : { issuer: options.issuer }
    return c.json({ ok: problems.length === 0, problems, ...issuer }, problems.length === 0 ? 200 : 503)
  })
  app.get('/metrics', async (c) =>
    c.text(await options.telemetry.text(), 200, { 'content-type': 'text/plain; version=0.0.4' }),
  )
  app.post('/session', async (c) => serveSession(options, c))
  app.post('/control', async (c) => serveControl(options, c))
  app.all('/mcp', async (c) => serveMcp(options, c, options.upstreams.length === 1 ? options.upstreams[0] : ALL))
  app.all('/mcp/:upstream', async (c) => serveMcp(options, c, c.req.param('upstream')))
  if (options.oauth !== undefined) {
    const { authenticator, upstreams, telemetry } = options
    const counted: Counted = (reason) => telemetry.count('unbearer_unauthenticated_total', { reason })
    const oauth: OAuthOptions = { ...options.oauth, authenticator, upstreams, counted }
    addOAuthRoutes(app, oauth, async (c) => receive(options, c))
  }
  if (options.revocations !== undefined) {
    const { authenticator } = options
    const routes: FeedRoutes = { ...options.revocations, authenticator, refuse: (refused) => refuse(options, refused) }
    addFeedRoutes(app, routes, async (c) => receive(options, c))
  }
  if (options.securityEvents !== undefined)
    addEventRoutes(app, options.securityEvents, async (c) => receive(options, c))
  app.onError((fault) => {
    // What a caller did wrong is told to the caller; in the log it would be one line for each that anybody likes to send.
    if (!(fault instanceof InputError || fault instanceof RefusedError)) options.report('listener', fault)
    return toFaultResponse(fault)
  })
  return app
}

/** The endpoint that stands for every upstream; no upstream can have that name. */
const ALL = '*'

/** Answered also while it stops: they begin nothing. */
const LOOKED_AT: readonly string[] = ['/healthz', '/readyz', '/metrics', FEED_PATH, `${FEED_PATH}/canary`]

const LOOPBACK: readonly string[] = ['127.0.0.1', 'localhost', '[::1]']

/** A rebound DNS name is not ours, and a page of another origin is not a client of ours. */
export function toForeign(incoming: IncomingMessage, hosts: readonly string[]): string | undefined {
  const { host, origin } = incoming.headers
  const name = host === undefined || !URL.canParse(`http://${host}`) ? undefined : new URL(`http://${host}`).hostname
  if (name === undefined || ![...LOOPBACK, ...hosts].includes(name))
    return 'this listener does not answer under that host name'
  if (origin === undefined) return undefined
  const same = URL.canParse(origin) && new URL(origin).host === host
  return same ? undefined : 'requests from other origins are refused'
}

async function serveSession(options: Inside, c: Context<Env>): Promise<Response> {
  const received = await receive(options, c)
  const begun = await options.authenticator.authenticateBeginning(received)
  if (!begun.ok) return refuse(options, begun)
  const asked = toObject(parseJson(received.body))
  const { txn, ...rest } = asked
  if (Object.keys(rest).length > 0 || (txn !== undefined && typeof txn !== 'string')) {
    throw new InputError('`/session` takes an object with at most `txn`, a string')
  }
  return c.json(await options.issueSession(begun.value.key, txn, begun.value.x5t))
}

async function serveControl(options: Inside, c: Context<Env>): Promise<Response> {
  const received = await receive(options, c)
  const by = await options.authenticator.authenticateKey(received, CONTROL_ROLES)
  if (!by.ok) return refuse(options, by)
  const { method, params, ...rest } = toObject(parseJson(received.body))
  if (typeof method !== 'string' || Object.keys(rest).length > 0) {
    throw new InputError('`/control` takes `{"method": NAME, "params": …}`')
  }
  try {
    return c.json({ result: await options.control.call(method, params ?? {}, by.value) })
  } catch (fault) {
    // Counted and not entered: whoever holds any key could fill the log with refusals.
    if (fault instanceof RefusedError) {
      const { reason } = fault
      options.telemetry.count('unbearer_control_refused_total', { reason, role: by.value.role })
    }
    throw fault
  }
}

async function serveMcp(options: Inside, c: Context<Env>, upstream: string | undefined): Promise<Response> {
  const isAll = upstream === ALL && options.upstreams.length > 1
  if (upstream === undefined || !(isAll || options.upstreams.includes(upstream))) {
    const all = options.upstreams.length > 1 ? ['/mcp'] : []
    const known = [...all, ...options.upstreams.map((name) => `/mcp/${name}`)].join(', ')
    return c.json({ error: 'invalid_request', message: `no such upstream here; there is ${known}` }, 404)
  }
  const received = await receive(options, c)
  const caller = await toCaller(options, received, upstream)
  if (!caller.ok) return withResource(options, upstream, refuse(options, caller))
  return options.gateway.handle({ upstream, request: c.req.raw, body: received.body, caller: caller.value })
}

/** RFC 9728 §5.1: whoever is not let in is told where the resource says what it takes. */
function withResource({ oauth }: AppOptions, upstream: string, response: Response): Response {
  const challenge = response.headers.get('www-authenticate')
  if (challenge === null || oauth === undefined) return response
  const path = upstream === ALL ? '/mcp' : `/mcp/${upstream}`
  const metadata = `${oauth.origin()}/.well-known/oauth-protected-resource${path}`
  response.headers.set('www-authenticate', `${challenge}, resource_metadata="${metadata}"`)
  return response
}

async function toCaller(
  options: AppOptions,
  received: ReceivedRequest,
  upstream: string,
): Promise<Authenticated<Caller>> {
  const bare = received.header('authorization') === undefined && received.header('signature-input') === undefined
  const served = upstream === ALL ? options.upstreams : [upstream]
  if (bare && options.unprovedObserve && served.every((name) => options.mode(name) === 'observe')) {
    return { ok: true, value: { proof: { grade: 'none', bodyBound: false }, actor: { type: 'agent', id: 'unproved' } } }
  }
  return options.authenticator.authenticateAgent(received)
}

/** Reads the body once, up to the limit, and keeps the request line as it was. */
async function receive({ readBody }: Inside, c: Context<Env>): Promise<ReceivedRequest> {
  const { incoming } = c.env
  const body = await readBody(c.req.raw)
  const certificate = peerCertificate(incoming)
  return {
    ...(certificate === undefined ? {} : { certificate }),
    method: incoming.method ?? '',
    target: incoming.url ?? '',
    header: (name) => incoming.headersDistinct[name.toLowerCase()],
    body,
  }
}

function toObject(value: Json): JsonObject {
  if (!isJsonObject(value)) throw new InputError('the body must be a JSON object')
  return value
}

/** Unauthenticated failures are counted, not logged one by one (design §8). */
function refuse(options: AppOptions, refused: { readonly reason: Reason; readonly nonce?: string }): Response {
  options.telemetry.count('unbearer_unauthenticated_total', { reason: refused.reason })
  return toReasonResponse(refused.reason, refused.nonce)
}

/** A refusal in the words of RFC 6750, 9449 and 9470. */
export function toReasonResponse(reason: Reason, nonce?: string): Response {
  const { http, help } = REASONS[reason]
  const headers: Record<string, string> = { 'cache-control': 'no-store' }
  if (http.status === 401) headers['www-authenticate'] = `Unbearer error="${http.error}", error_description="${reason}"`
  if (nonce !== undefined) headers['unbearer-nonce'] = nonce
  if (http.status === 429) headers['retry-after'] = '60'
  return Response.json({ error: http.error, reason, message: help }, { status: http.status, headers })
}

function toFaultResponse(fault: unknown): Response {
  if (fault instanceof RefusedError || fault instanceof InputError) {
    const { http } = REASONS[fault.reason]
    return Response.json({ error: http.error, reason: fault.reason, message: fault.message }, { status: http.status })
  }
  const retryable = fault instanceof UnbearerError && fault.retryable
  const reason = fault instanceof UnavailableError ? fault.reason : 'system.indeterminate'
  const { http, help } = REASONS[reason]
  return Response.json({ error: http.error, reason, message: help, retryable }, { status: http.status })
}

/**
 * @module
 * The MCP plane over streamable HTTP: a relay of raw JSON-RPC in front of HTTP and stdio servers. One message a POST, one
 * GET stream a session, sessions of the gateway's own. The listener verifies the proof, `Host` and `Origin` before it calls
 * `handle`.
 */
import { ConfigError } from '../../index.ts'
import { findVersion, SESSION_VERSIONS, STATELESS_VERSION } from './envelope.ts'
import { refuseHeaders, refuseVersion } from './era.ts'
import { initialize } from './initialize.ts'
import { createMcpSessions, toBinding, toOwner, type McpSession, type McpSessions } from './mcp-sessions.ts'
import { parseClientMessage, refuse, toErrorText, toIdKey, type ClientMessage, type ParsedClient } from './message.ts'
import { parseAccept, toJsonResponse } from './reply.ts'
import { answerRequest } from './requests.ts'
import { createRequestStates, type RequestStates } from './request-state.ts'
import { holdStateless, toStatelessBinding, type Opened } from './stateless.ts'
import { createHealths, type Healths } from './upstream-health.ts'
import type { GatewayInput, GatewayOptions, McpGateway, UpstreamConfig } from './types.ts'

export type { GatewayOptions, McpGateway, Problem, UpstreamConfig } from './types.ts'

const NO_SUCH_SESSION = JSON.stringify({
  jsonrpc: '2.0',
  id: null,
  error: { code: -32001, message: 'there is no such MCP session here; initialize again' },
})

interface Plane {
  readonly options: GatewayOptions
  readonly upstreams: ReadonlyMap<string, UpstreamConfig>
  readonly sessions: McpSessions
  readonly healths: Healths
  readonly states: RequestStates
  /** Connections of the later era that are being opened. */
  readonly opening: Map<string, Promise<Opened>>
  /** The newest session of each upstream, for what it wrote to stderr. */
  readonly newest: Map<string, McpSession>
}

/**
 * Creates the gateway. Throws `ConfigError` for an upstream without exactly one of `command` and `url`, or named twice.
 * Does not verify who calls, does not police what a server does beyond the protocol, and cannot undo what was begun.
 */
export function createMcpGateway(options: GatewayOptions): McpGateway {
  const plane: Plane = {
    options,
    upstreams: toUpstreams(options.upstreams),
    sessions: createMcpSessions(options.clock, (task) => options.pep.isStopped?.(task) === true),
    healths: createHealths(options.clock),
    states: createRequestStates(options.clock),
    opening: new Map(),
    newest: new Map(),
  }
  return {
    handle: async (input) => {
      try {
        return await answer(plane, input)
      } catch {
        report(plane, input, 'a request could not be answered')
        return toJsonResponse(toErrorText(undefined, refuse('system.indeterminate')), 503)
      }
    },
    stderr: (upstream) => plane.newest.get(upstream)?.connection.stderr() ?? '',
    close: () => plane.sessions.close(),
  }
}

function toUpstreams(configs: readonly UpstreamConfig[]): ReadonlyMap<string, UpstreamConfig> {
  const upstreams = new Map<string, UpstreamConfig>()
  for (const config of configs) {
    const { name, command, url } = config
    if (upstreams.has(name)) throw new ConfigError(`upstream \`${name}\` is configured twice`)
    if ((command === undefined || command.length === 0) === (url === undefined)) {
      throw new ConfigError(`upstream \`${name}\` needs either a command or a url`)
    }
    upstreams.set(name, config)
  }
  return upstreams
}

function report({ options }: Plane, { upstream }: GatewayInput, message: string): void {
  options.onProblem?.({ upstream, reason: 'system.indeterminate', message })
}

async function answer(plane: Plane, input: GatewayInput): Promise<Response> {
  const upstream = plane.upstreams.get(input.upstream)
  if (upstream === undefined) return toJsonResponse(toErrorText(undefined, refuse('system.unknown-method')), 404)
  if (input.request.method === 'POST') return post(plane, upstream, input)
  if (input.request.method === 'DELETE') return end(plane, input)
  if (input.request.method === 'GET') return listen(plane, input)
  return new Response(null, { status: 405, headers: { allow: 'GET, POST, DELETE' } })
}

async function end(plane: Plane, input: GatewayInput): Promise<Response> {
  const held = findHeld(plane, input)
  if (held instanceof Response) return held
  await plane.sessions.remove(held)
  return new Response(null, { status: 204 })
}

/** The stream of a session on which it is told that lists changed. */
function listen(plane: Plane, input: GatewayInput): Response {
  const { headers } = input.request
  if (!parseAccept(headers.get('accept')).stream) {
    return toJsonResponse(toErrorText(undefined, refuse('system.malformed')), 406)
  }
  const held = findHeld(plane, input)
  return held instanceof Response ? held : held.events.open(headers.get('last-event-id'))
}

/** The session that the request names, or the answer when there is none that this caller may use on this route. */
function findHeld({ sessions }: Plane, { upstream, request, caller }: GatewayInput): McpSession | Response {
  const id = request.headers.get('mcp-session-id')
  if (id === null) return toJsonResponse(toErrorText(undefined, refuse('system.malformed')), 400)
  const found = sessions.find(id, toBinding(upstream, caller))
  // 404 tells a client of MCP to begin anew; it is the same for an id that never was and one that is somebody else's.
  return found ?? toJsonResponse(NO_SUCH_SESSION, 404)
}

async function post(plane: Plane, upstream: UpstreamConfig, input: GatewayInput): Promise<Response> {
  const early = refuseTransport(plane, input)
  if (early !== undefined) return early
  const parsed = parseClientMessage(input.body)
  if (!parsed.ok) {
    return toJsonResponse(toErrorText(parsed.id, refuse(parsed.reason)), toStatus(parsed))
  }
  const { message } = parsed
  const unlike = refuseHeaders(input.request, message)
  if (unlike !== undefined) return unlike
  if (message.era === 'stateless') return answerStateless(plane, upstream, input, message)
  if (message.method === 'initialize') return open(plane, upstream, input, message)
  const held = findHeld(plane, input)
  if (held instanceof Response) return held
  const version = input.request.headers.get('mcp-protocol-version')
  if (version !== null && version !== held.version) {
    return toJsonResponse(toErrorText(message.id, refuse('system.malformed')), 400)
  }
  if (message.id === undefined) return takeNotification(held, message)
  return answerRequest({ ...plane, held, input, message: { ...message, id: message.id } })
}

/** In the later era a status says it too; in the earlier one 404 would say that there is no such session. */
function toStatus({ id, era, reason }: Extract<ParsedClient, { ok: false }>): number {
  if (id === undefined) return 400
  return era === 'stateless' && reason === 'system.unknown-method' ? 404 : 200
}

async function answerStateless(
  plane: Plane,
  upstream: UpstreamConfig,
  input: GatewayInput,
  message: ClientMessage,
): Promise<Response> {
  const requested = findVersion(message.params)
  if (requested !== STATELESS_VERSION)
    return refuseVersion(message, requested, [STATELESS_VERSION, ...SESSION_VERSIONS])
  const given = { ...plane, upstream, input, message }
  const { id } = message
  if (id === undefined) {
    const held = plane.sessions.findBound(toStatelessBinding(given))
    return held === undefined ? new Response(null, { status: 202 }) : takeNotification(held, message)
  }
  const opened = await holdStateless(given)
  if (!opened.ok) return opened.toResponse(message)
  const { held } = opened
  plane.newest.set(upstream.name, held)
  return answerRequest({ ...plane, held, input, message: { ...message, id } })
}

/** What is refused before the body is looked at. */
function refuseTransport({ options }: Plane, { request, body }: GatewayInput): Response | undefined {
  const type = request.headers.get('content-type')?.split(';')[0]?.trim().toLowerCase()
  const accept = parseAccept(request.headers.get('accept'))
  const malformed = toErrorText(undefined, refuse('system.malformed'))
  if (type !== 'application/json') return toJsonResponse(malformed, 415)
  if (!accept.json && !accept.stream) return toJsonResponse(malformed, 406)
  if (body.byteLength > options.limits.messageBytes) {
    return toJsonResponse(toErrorText(undefined, refuse('system.too-large')), 413)
  }
  return undefined
}

async function open(
  plane: Plane,
  upstream: UpstreamConfig,
  input: GatewayInput,
  message: ClientMessage,
): Promise<Response> {
  const { id } = message
  // An existing session is not begun again under the same id.
  if (id === undefined || input.request.headers.has('mcp-session-id')) {
    return toJsonResponse(toErrorText(id, refuse('system.malformed')), 400)
  }
  const owner = toOwner(input.caller)
  if (!plane.sessions.reserve(owner)) return toJsonResponse(toErrorText(id, refuse('system.quota')), 429)
  const opened = await begin(plane, upstream, input, { ...message, id })
  if (!opened.ok) return toJsonResponse(opened.text, 200)
  const held = plane.sessions.add(opened.made)
  plane.newest.set(upstream.name, held)
  return toJsonResponse(opened.text, 200, { 'mcp-session-id': held.id })
}

/** A place that was reserved is given back by whatever comes of it, a fault too. */
async function begin(
  plane: Plane,
  upstream: UpstreamConfig,
  input: GatewayInput,
  message: Parameters<typeof initialize>[0]['message'],
): ReturnType<typeof initialize> {
  let isOpen = false
  try {
    const opened = await initialize({ options: plane.options, upstream, input, message, healths: plane.healths })
    isOpen = opened.ok
    return opened
  } finally {
    if (!isOpen) plane.sessions.forgo(toOwner(input.caller))
  }
}

/** Notifications are written anew; what a client could put into them beside their meaning does not go on. */
async function takeNotification(held: McpSession, { method, params }: ClientMessage): Promise<Response> {
  if (method === 'notifications/cancelled') {
    const { requestId } = params
    const isId = typeof requestId === 'string' || typeof requestId === 'number'
    if (isId) held.inFlight.get(toIdKey(requestId))?.abort()
  } else {
    await held.connection.notify(method)
  }
  return new Response(null, { status: 202 })
}

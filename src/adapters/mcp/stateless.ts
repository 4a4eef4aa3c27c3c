/**
 * @module
 * The later era of MCP (2026-07-28): each request says everything by itself. The gateway keeps a connection for each key and task
 * all the same, so that a server of the earlier era is told from one of this, and so that tools are compared within one connection.
 */
import { isJsonObject, RefusedError, UnavailableError, type JsonObject, type Mode } from '../../index.ts'
import { SERVER_INFO_KEY, SESSION_VERSIONS, STATELESS_VERSION, TASKS_EXTENSION, toEnvelope } from './envelope.ts'
import { findServed, refuseVersion } from './era.ts'
import { openConnection } from './initialize.ts'
import { toStandardHeaders } from './mcp-headers.ts'
import { toBinding, toOwner, type McpSession, type McpSessions } from './mcp-sessions.ts'
import { refuse, toErrorText, toResultText, type ClientMessage, type JsonRpcId } from './message.ts'
import { SERVER_CAPABILITIES, toFlags, toImplementation } from './plain-words.ts'
import { toJsonResponse } from './reply.ts'
import type { GatewayInput, GatewayOptions, UpstreamConfig } from './types.ts'
import type { Healths } from './upstream-health.ts'
import type { OutgoingRequest, UpstreamAnswer, UpstreamConnection } from './upstream.ts'

/** Milliseconds for a server to start and answer. */
const PATIENCE = 60_000

export interface StatelessInput {
  readonly options: GatewayOptions
  readonly sessions: McpSessions
  readonly healths: Healths
  readonly upstream: UpstreamConfig
  readonly input: GatewayInput
  readonly message: ClientMessage
  /** Connections that are being opened, by what they are bound to. */
  readonly opening: Map<string, Promise<Opened>>
}

export type Opened =
  | { readonly ok: true; readonly held: McpSession }
  | { readonly ok: false; readonly toResponse: (message: ClientMessage) => Response }

/** What a connection of this era is bound to; never that of a session. */
export function toStatelessBinding({ upstream, input }: Pick<StatelessInput, 'upstream' | 'input'>): string {
  return `stateless ${toBinding(upstream.name, input.caller)}`
}

/** The connection for this key and task, opened where there is none. Never throws; a connection that came to nothing is closed. */
export async function holdStateless(given: StatelessInput): Promise<Opened> {
  const binding = toStatelessBinding(given)
  const held = given.sessions.findBound(binding)
  if (held !== undefined) return { ok: true, held }
  const { opening } = given
  const under = opening.get(binding) ?? open(given, binding).finally(() => opening.delete(binding))
  opening.set(binding, under)
  return under
}

async function open(given: StatelessInput, binding: string): Promise<Opened> {
  const { options, sessions, upstream, input } = given
  const owner = toOwner(input.caller)
  if (!(await sessions.reserveOrEvict(owner))) return failed('system.quota', 429)
  const opened = openConnection(given, toStatelessConnection)
  try {
    const answer = await discover(opened.connection, given.message)
    const served = findVersions(answer)
    if (!served.includes(STATELESS_VERSION)) return await giveUp(served)
    opened.connection.agree(STATELESS_VERSION)
    const task = input.caller.task ?? (await options.pep.openConnectionTask(input.caller))
    const made = { ...opened, upstream, binding, owner, task, era: 'stateless', version: STATELESS_VERSION } as const
    return { ok: true, held: sessions.add(made) }
  } catch (fault) {
    if (!(fault instanceof RefusedError)) {
      const why = fault instanceof UnavailableError ? `: ${fault.message}` : ''
      const message = `the tool server did not say what it is${why}`
      options.onProblem?.({ upstream: upstream.name, reason: 'system.upstream', message })
    }
    sessions.forgo(owner)
    await opened.connection.close()
    return failed(fault instanceof RefusedError ? fault.reason : 'system.upstream', 200)
  }

  async function giveUp(served: readonly string[]): Promise<Opened> {
    sessions.forgo(owner)
    await opened.connection.close()
    return { ok: false, toResponse: (message) => refuseVersion(message, STATELESS_VERSION, served) }
  }
}

function failed(reason: Parameters<typeof refuse>[0], status: number): Opened {
  return { ok: false, toResponse: ({ id }) => toJsonResponse(toErrorText(id, refuse(reason)), status) }
}

async function discover(connection: UpstreamConnection, { params }: ClientMessage): Promise<UpstreamAnswer> {
  const signal = AbortSignal.timeout(PATIENCE)
  return connection.call({ method: 'server/discover', params: { _meta: toEnvelope(params) } }, { signal })
}

/** The versions that a server says it serves; a server that does not know the question is one of the earlier era. */
function findVersions({ member, value }: UpstreamAnswer): readonly string[] {
  if (member === 'error') return findServed(value) ?? SESSION_VERSIONS
  const { supportedVersions: list } = value
  return Array.isArray(list) ? list.filter((each) => typeof each === 'string') : []
}

function toStatelessRequest({ method, params, headers }: OutgoingRequest): OutgoingRequest {
  return {
    method,
    params: { ...params, _meta: { ...toEnvelope({}), ...(isJsonObject(params['_meta']) ? params['_meta'] : {}) } },
    headers: { ...headers, ...toStandardHeaders(method, params), 'mcp-protocol-version': STATELESS_VERSION },
  }
}

/** The connection as this era uses it: an envelope in each request that brings none, and the headers that repeat its body. */
export function toStatelessConnection(connection: UpstreamConnection): UpstreamConnection {
  return {
    ...connection,
    call: async (request, options) => connection.call(toStatelessRequest(request), options),
  }
}

/** The answer to `server/discover`, from the server, with what of it may go on. */
export async function answerDiscover(
  held: McpSession,
  { id, method, params }: ClientMessage & { readonly id: JsonRpcId },
  mode: Mode,
  signal: AbortSignal,
): Promise<string> {
  const answer = await held.connection.call({ method, params: { _meta: toEnvelope(params) } }, { signal })
  if (answer.member === 'error') throw new UnavailableError('the tool server does not say what it is')
  return toResultText(id, toDiscovered(answer.value, mode))
}

/**
 * In `enforce` only what cannot be a text, as for `initialize`. Extensions are left out in both: the methods of none of them are
 * relayed.
 */
function toDiscovered(value: JsonObject, mode: Mode): JsonObject {
  const { capabilities, supportedVersions, ttlMs, _meta: meta } = value
  const known = [STATELESS_VERSION, ...SESSION_VERSIONS]
  const versions = Array.isArray(supportedVersions) ? known.filter((each) => supportedVersions.includes(each)) : []
  const info = isJsonObject(meta) ? meta[SERVER_INFO_KEY] : undefined
  if (mode === 'observe') return { ...value, capabilities: withoutTasks(capabilities), cacheScope: 'private' }
  return {
    resultType: 'complete',
    supportedVersions: versions,
    capabilities: toFlags(capabilities, SERVER_CAPABILITIES),
    ttlMs: typeof ttlMs === 'number' ? ttlMs : 0,
    cacheScope: 'private',
    _meta: { [SERVER_INFO_KEY]: toImplementation(info) },
  }
}

function withoutTasks(value: JsonObject[string]): JsonObject {
  if (!isJsonObject(value)) return {}
  const { extensions, ...rest } = value
  if (!isJsonObject(extensions)) return rest
  return {
    ...rest,
    extensions: Object.fromEntries(Object.entries(extensions).filter(([name]) => name !== TASKS_EXTENSION)),
  }
}

/** What every list of this era says beside its items (MCP 2026-07-28, "Caching"): ours are made for one agent. */
export function toCacheable(result: JsonObject): JsonObject {
  const { ttlMs } = result
  return {
    ...result,
    resultType: 'complete',
    ttlMs: typeof ttlMs === 'number' && ttlMs >= 0 ? ttlMs : 0,
    cacheScope: 'private',
  }
}

/**
 * @module
 * Which era of the protocol a request speaks, and whether its headers say what its body says (MCP 2026-07-28, "Standard
 * Headers"). What is decided is the body; a header that says something else could send what was decided somewhere else.
 */
import { type JsonObject } from '../../index.ts'
import { findVersion, isWholeEnvelope, SESSION_VERSIONS, STATELESS_VERSION } from './envelope.ts'
import type { ClientMessage } from './message.ts'
import { decodeHeader, toStandardName } from './mcp-headers.ts'
import { toJsonResponse } from './reply.ts'

const HEADER_MISMATCH = -32_020
const UNSUPPORTED_VERSION = -32_022
const INVALID_PARAMS = -32_602

/** The answer to a request whose headers and body do not agree, or whose envelope is not whole; undefined where it may go on. */
export function refuseHeaders({ headers }: Request, message: ClientMessage): Response | undefined {
  const { method, params } = message
  const isStateless = message.era === 'stateless'
  const version = headers.get('mcp-protocol-version')
  // Those of the earlier era have no such headers; a proxy that adds them must not be wrong.
  const isPresent = !isStateless || (version !== null && headers.has('mcp-method'))
  const isNamed = !isStateless || toStandardName(method, params) === undefined || headers.has('mcp-name')
  const named = toStandardName(method, params) ?? params['name'] ?? params['uri']
  const agree =
    isPresent &&
    isNamed &&
    isSame(headers.get('mcp-method'), method) &&
    isSame(headers.get('mcp-name'), named) &&
    (isStateless ? version === findVersion(params) : !isLater(version))
  if (!agree) {
    return refuse(message.id, { code: HEADER_MISMATCH, message: 'a header and the body do not agree' })
  }
  if (!isStateless || isWholeEnvelope(params)) return undefined
  return refuse(message.id, { code: INVALID_PARAMS, message: '`_meta` lacks the version or the client capabilities' })
}

/** The answer to a request of the later era where only the earlier one is served; undefined for one of the earlier. */
export function refuseEra(request: Request, message: ClientMessage): Response | undefined {
  const named = [findVersion(message.params), request.headers.get('mcp-protocol-version')]
  const requested = named.find((each) => typeof each === 'string' && isLater(each))
  if (requested === undefined) return refuseHeaders(request, message)
  return refuseVersion(message, requested, SESSION_VERSIONS)
}

/** The answer to a request of a version that is not served, with those that are. */
export function refuseVersion(
  message: ClientMessage,
  requested: JsonObject[string],
  supported: readonly string[],
): Response {
  return toJsonResponse(toVersionText(message, requested, supported), 400)
}

/** The refusal of a version, as JSON-RPC. */
export function toVersionText(
  { id }: Pick<ClientMessage, 'id'>,
  requested: JsonObject[string],
  supported: readonly string[],
): string {
  const data = { supported: [...supported], requested: requested ?? null }
  const error = { code: UNSUPPORTED_VERSION, message: 'unsupported protocol version', data }
  return JSON.stringify({ jsonrpc: '2.0', id: id ?? null, error })
}

/** The versions in a server's own refusal of a version; undefined where it refused for another reason. */
export function findServed(error: JsonObject): readonly string[] | undefined {
  if (error['code'] !== UNSUPPORTED_VERSION) return undefined
  const { data } = error
  const list = typeof data === 'object' && data !== null && 'supported' in data ? data.supported : undefined
  return Array.isArray(list) ? list.filter((each) => typeof each === 'string' && DATE.test(each)).slice(0, 16) : []
}

const DATE = /^\d{4}-\d{2}-\d{2}$/u

/** True for a version of the later era. Versions are dates, in the order of their text. */
export function isLater(version: string | null): boolean {
  return version !== null && DATE.test(version) && version >= STATELESS_VERSION
}

function isSame(header: string | null, value: JsonObject[string]): boolean {
  return header === null || decodeHeader(header) === value
}

function refuse(id: ClientMessage['id'], error: JsonObject): Response {
  return toJsonResponse(JSON.stringify({ jsonrpc: '2.0', id: id ?? null, error }), 400)
}

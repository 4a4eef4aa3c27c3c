/**
 * @module
 * Which era of the protocol a request speaks, and whether its headers say what its body says (MCP 2026-07-28, "Standard
 * Headers"). The gateway relays the eras with sessions and translates none.
 */
import { isJsonObject, type JsonObject } from '../../index.ts'
import type { ClientMessage } from './message.ts'
import { toJsonResponse } from './reply.ts'

const SUPPORTED = ['2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05']
const VERSION_KEY = 'io.modelcontextprotocol/protocolVersion'
const HEADER_MISMATCH = -32_020
const UNSUPPORTED_VERSION = -32_022

/** The answer to a request of another era, or whose headers name another method or object; undefined where it may go on. */
export function refuseEra({ headers }: Request, message: ClientMessage): Response | undefined {
  const { id, method, params } = message
  const meta = params['_meta']
  const inBody = isJsonObject(meta) ? meta[VERSION_KEY] : undefined
  const inHeader = headers.get('mcp-protocol-version')
  const requested = [inBody, inHeader].find((each) => typeof each === 'string' && isStateless(each))
  if (requested !== undefined) {
    const data = { supported: SUPPORTED, requested: requested ?? null }
    return refuse(id, { code: UNSUPPORTED_VERSION, message: 'unsupported protocol version', data })
  }
  const named = params['name'] ?? params['uri']
  const agree = isSame(headers.get('mcp-method'), method) && isSame(headers.get('mcp-name'), named)
  return agree ? undefined : refuse(id, { code: HEADER_MISMATCH, message: 'a header and the body do not agree' })
}

/** Versions are dates, in the order of their text. */
function isStateless(version: string): boolean {
  return /^\d{4}-\d{2}-\d{2}$/u.test(version) && version > '2025-11-25'
}

function isSame(header: string | null, value: JsonObject[string]): boolean {
  if (header === null) return true
  const encoded = /^=\?base64\?([\w+/=-]*)\?=$/u.exec(header)?.[1]
  return (encoded === undefined ? header : Buffer.from(encoded, 'base64').toString('utf8')) === value
}

function refuse(id: ClientMessage['id'], error: JsonObject): Response {
  return toJsonResponse(JSON.stringify({ jsonrpc: '2.0', id: id ?? null, error }), 400)
}

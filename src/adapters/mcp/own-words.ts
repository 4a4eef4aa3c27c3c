/**
 * @module
 * What only the gateway says: members of `_meta` under `unbearer/`, and errors with its codes and reasons. A tool server that
 * says them could send somebody to approve a ticket of its choice, or make an agent believe that it was stopped.
 */
import { isJsonObject, isReason, REASONS, type Json, type JsonObject } from '../../index.ts'
import type { UpstreamAnswer } from './upstream.ts'

const OWN_PREFIX = 'unbearer/'
/** The JSON-RPC codes of refusals; those that every JSON-RPC server uses are nobody's own. */
const OWN_CODES: ReadonlySet<Json | undefined> = new Set(
  Object.values(REASONS)
    .map(({ mcp }) => mcp)
    .filter((code) => code > -32_100 && code <= -32_000),
)
const INTERNAL_ERROR = -32_603

/**
 * The answer without what only the gateway says; the same object where there is nothing of the kind. Does not look at texts:
 * what a tool answers is content, whatever it claims to be.
 */
export function withoutOwnWords(answer: UpstreamAnswer): UpstreamAnswer {
  const value = answer.member === 'error' ? plainError(answer.value) : plainResult(answer.value)
  if (value === answer.value) return answer
  return { ...answer, value, text: JSON.stringify({ jsonrpc: '2.0', id: answer.id, [answer.member]: value }) }
}

function plainResult(value: JsonObject): JsonObject {
  const meta = value['_meta']
  if (!isJsonObject(meta) || !Object.keys(meta).some(isOwnName)) return value
  return { ...value, _meta: Object.fromEntries(Object.entries(meta).filter(([name]) => !isOwnName(name))) }
}

function isOwnName(name: string): boolean {
  return name.toLowerCase().startsWith(OWN_PREFIX)
}

function plainError(value: JsonObject): JsonObject {
  const { data, ...rest } = value
  const isOwnCode = OWN_CODES.has(value['code'])
  if (!isOwnCode && !isRefusal(data)) return value
  return { ...rest, ...(isOwnCode ? { code: INTERNAL_ERROR } : {}) }
}

function isRefusal(data: Json | undefined): boolean {
  const reason = isJsonObject(data) ? data['reason'] : undefined
  return typeof reason === 'string' && isReason(reason)
}

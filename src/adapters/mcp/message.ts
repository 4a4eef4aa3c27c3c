/**
 * @module
 * One JSON-RPC message, parsed without doubt. What a client sends must be one message of the closed envelope, with a
 * known method in its exact spelling; what a server sends is read more leniently in its numbers and nowhere else.
 */
import {
  InputError,
  isJsonObject,
  parseJson,
  REASONS,
  toRefusalMessage,
  type Json,
  type JsonObject,
  type Reason,
  type Refusal,
} from '../../index.ts'
import { toEra, type Era } from './envelope.ts'
import { ENVELOPE, findClientMethod, type ClientMethod } from './methods.ts'

export type JsonRpcId = string | number

export interface ClientMessage {
  /** Absent for a notification. */
  readonly id?: JsonRpcId
  readonly method: string
  readonly params: JsonObject
  readonly era: Era
  readonly row: ClientMethod
}

export type ParsedClient =
  | { readonly ok: true; readonly message: ClientMessage }
  | { readonly ok: false; readonly reason: Reason; readonly era?: Era; readonly id?: JsonRpcId }

export type ServerMessage =
  | {
      readonly kind: 'response'
      readonly id: JsonRpcId
      readonly member: 'result' | 'error'
      readonly value: JsonObject
      /** The message as it was received. */
      readonly text: string
    }
  | { readonly kind: 'request'; readonly id: JsonRpcId; readonly method: string }
  | { readonly kind: 'notification'; readonly method: string; readonly params: JsonObject }

/** Parses what a client posted. Refuses batches, duplicate keys, unknown members and unknown methods. Never throws. */
export function parseClientMessage(body: Uint8Array): ParsedClient {
  let value: Json
  try {
    value = parseJson(body)
  } catch (error) {
    return { ok: false, reason: error instanceof InputError ? error.reason : 'system.malformed' }
  }
  return isJsonObject(value) ? toClientMessage(value) : { ok: false, reason: 'system.malformed' }
}

function toClientMessage(value: JsonObject): ParsedClient {
  const id = isJsonRpcId(value['id']) ? value['id'] : undefined
  const era = isJsonObject(value['params']) ? toEra(value['params']) : 'sessions'
  const no = (reason: Reason): ParsedClient => ({ ok: false, reason, era, ...(id === undefined ? {} : { id }) })
  if (!isEnvelope(value) || (value['id'] !== undefined && id === undefined)) return no('system.malformed')
  const { method, params = {} } = value
  // A client answers only requests of a server, and none is ever relayed to it.
  if (value['result'] !== undefined || value['error'] !== undefined) return no('system.unknown-method')
  if (typeof method !== 'string' || !isJsonObject(params)) return no('system.malformed')
  const row = findClientMethod(era, method)
  if (row === undefined || row.disposition === 'refuse') return no('system.unknown-method')
  if ((row.kind === 'request') !== (id !== undefined)) return no('system.malformed')
  if (!Object.keys(params).every((key) => key === '_meta' || row.params.includes(key))) return no('system.malformed')
  return { ok: true, message: { ...(id === undefined ? {} : { id }), method, params, era, row } }
}

/** Parses one message of a server; undefined when it cannot be read without doubt. Never throws. */
export function parseServerMessage(text: string): ServerMessage | undefined {
  let value: Json
  try {
    value = parseJson(text, { numbers: 'any' })
  } catch {
    return undefined
  }
  if (!isJsonObject(value) || !isEnvelope(value)) return undefined
  return value['method'] === undefined ? toResponse(value, text) : toServerCall(value)
}

function toResponse(value: JsonObject, text: string): ServerMessage | undefined {
  const { id, result, error } = value
  if (!isJsonRpcId(id) || value['params'] !== undefined) return undefined
  if (isJsonObject(result) && error === undefined)
    return { kind: 'response', id, member: 'result', value: result, text }
  const isError = isJsonObject(error) && Number.isSafeInteger(error['code']) && typeof error['message'] === 'string'
  return isError && result === undefined ? { kind: 'response', id, member: 'error', value: error, text } : undefined
}

function toServerCall(value: JsonObject): ServerMessage | undefined {
  const { id, method, params = {}, result, error } = value
  if (typeof method !== 'string' || !isJsonObject(params)) return undefined
  if (result !== undefined || error !== undefined) return undefined
  if (id === undefined) return { kind: 'notification', method, params }
  return isJsonRpcId(id) ? { kind: 'request', id, method } : undefined
}

function isEnvelope(value: JsonObject): boolean {
  return value['jsonrpc'] === '2.0' && Object.keys(value).every((key) => ENVELOPE.includes(key))
}

function isJsonRpcId(value: Json | undefined): value is JsonRpcId {
  return typeof value === 'string' ? value.length > 0 && value.length <= 256 : Number.isSafeInteger(value)
}

/** A key under which `1` and `"1"` are two ids, as they are in JSON-RPC. */
export function toIdKey(id: JsonRpcId): string {
  return JSON.stringify(id)
}

/** The progress marker that a request carries in `_meta`, when it is one (a string or an integer). */
export function findProgressId(params: JsonObject): JsonRpcId | undefined {
  const meta = params['_meta']
  const found = isJsonObject(meta) ? meta['progressToken'] : undefined
  return isJsonRpcId(found) ? found : undefined
}

/** Serialises a result. */
export function toResultText(id: JsonRpcId, result: Json): string {
  return JSON.stringify({ jsonrpc: '2.0', id, result })
}

/** The answer to a request of a server: `{}` to a ping, an error to everything else. Nothing reaches the agent. */
export function toServerAnswer(id: JsonRpcId, isPing: boolean): JsonObject {
  if (isPing) return { jsonrpc: '2.0', id, result: {} }
  return { jsonrpc: '2.0', id, error: { code: -32601, message: 'requests of a server are not relayed' } }
}

/** A refusal that the gateway makes itself. */
export function refuse(reason: Reason): Refusal {
  const { decision, help, retry } = REASONS[reason]
  return { decision, reason, help, retry }
}

/** Serialises a refusal as a JSON-RPC error; the id is absent when it is not known. */
export function toErrorText(id: JsonRpcId | undefined, refusal: Refusal): string {
  const { text, data } = toRefusalMessage(refusal)
  return JSON.stringify({
    jsonrpc: '2.0',
    id: id ?? null,
    error: { code: REASONS[refusal.reason].mcp, message: text, data },
  })
}

/** Serialises a refusal of `tools/call` as a tool result. No `structuredContent`: it would clash with an output schema. */
export function toRefusedResultText({ id, era }: { id: JsonRpcId; era: Era }, refusal: Refusal): string {
  const { text, data } = toRefusalMessage(refusal)
  return toResultText(id, {
    ...(era === 'stateless' ? { resultType: 'complete' } : {}),
    content: [{ type: 'text', text }],
    isError: true,
    _meta: { 'unbearer/refusal': data },
  })
}

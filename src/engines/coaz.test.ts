import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import { beforeAll, describe, expect, it } from 'vitest'

import { isJsonObject, type Json, type JsonObject } from '../core/json.ts'
import { parseJson } from '../core/parse-json.ts'
import { createCoazMapper, type CoazCall, type CoazMapper } from './coaz.ts'

const FILE = join('..', 'shared', 'data', 'authzen', 'coaz', 'vectors.json')
const hasData = existsSync(FILE)
if (!hasData) console.info(`skipped: no COAZ vectors at ${FILE}`)

const file = hasData ? toObject(parseJson(readFileSync(FILE, 'utf8'))) : {}
const cases = Array.isArray(file['cases']) ? file['cases'].map(toObject) : []

function toObject(value: Json | undefined): JsonObject {
  if (!isJsonObject(value)) throw new TypeError('not an object')
  return value
}

/** What the JSON-RPC client sees: a denial of the decision point and one that is away have codes of their own. */
function toSeen(call: CoazCall, pdp: Json | undefined): JsonObject {
  if (call.kind === 'pass') return { pdpCalled: false, allowed: true }
  if (call.kind === 'refuse') return { jsonrpcErrorCode: call.code, pdpCalled: false }
  if (pdp === 'unreachable') return { jsonrpcErrorCode: -32603 }
  if (pdp !== undefined) return { jsonrpcErrorCode: -32001 }
  return { api: call.api, request: call.request }
}

const TOKEN = { sub: 'alice', client_id: 'agent', aud: 'https://mcp.invalid' }
const subject = { type: 'identity', id: '$token.sub' }
const act = { action: { name: 'a' }, resource: { type: 't', id: 'i' } }

describe('COAZ', () => {
  let strict: CoazMapper
  let current: CoazMapper
  beforeAll(async () => {
    strict = await createCoazMapper({ strict: true })
    current = await createCoazMapper({ strict: false })
  })

  const map = (mapping: JsonObject, params: JsonObject = {}): CoazCall =>
    strict({ message: { method: 'tools/call', params: { name: 't', ...params } }, token: TOKEN, mapping })

  it.skipIf(!hasData)('has the twelve vectors', () => {
    expect(cases).toHaveLength(12)
  })

  it.each(cases.map((each) => [each['name'], each] as const))('%s', (_name, each) => {
    const { method, params } = toObject(each['message'])
    const { mapping } = each
    const call = strict({
      message: { method: typeof method === 'string' ? method : '', params: toObject(params) },
      token: toObject(file['token']),
      ...(mapping === undefined ? {} : { mapping: toObject(mapping) }),
    })
    expect(toSeen(call, each['pdp'])).toMatchObject(toObject(each['expect']))
  })

  it.each([
    ['a subject that is not the token', { evaluation: { subject: { type: 'identity', id: 'mallory' }, ...act } }],
    ['a subject from an argument', { evaluation: { subject: { type: 'identity', id: '$params.name' }, ...act } }],
    ['no subject', { evaluation: act }],
    ['no evaluations', { evaluations: { subject, evaluations: [] } }],
    ['an item without a resource', { evaluations: { subject, evaluations: [{ action: { name: 'a' } }] } }],
    [
      'an id that is no text',
      { evaluation: { subject, action: { name: 'a' }, resource: { type: 't', id: '$1 + 1' } } },
    ],
    ['an id that is left out', { evaluation: { subject, ...act, resource: { type: 't', id: '$token.?nothing' } } }],
    ['text that is no CEL', { evaluation: { subject, ...act, context: { x: '$((' } } }],
    ['an unknown variable', { evaluation: { subject, ...act, context: { x: '$process' } } }],
    ['a way to the constructor', { evaluation: { subject, ...act, context: { x: '$params.constructor' } } }],
    ['another envelope', { evaluate: { subject, ...act } }],
    ['an envelope that is no object', { evaluation: 'x' }],
  ])('refuses %s', (_name, mapping) => {
    expect(map(mapping)).toEqual({ kind: 'refuse', code: -32602 })
  })

  it('keeps whole numbers, lists and objects of the arguments', () => {
    const mapping = {
      evaluation: { subject, ...act, context: { n: '$params.n', l: '$params.l', two: '$1 + 1', o: '$params' } },
    }
    expect(map(mapping, { n: 1.5, l: [1, 'x'] })).toMatchObject({
      request: { context: { n: 1.5, l: [1, 'x'], two: 2, o: { name: 't', n: 1.5 } } },
    })
  })

  it('knows the methods that came after the draft only where it is not strict', () => {
    const message = { method: 'server/discover', params: {} }
    expect(strict({ message, token: TOKEN })).toEqual({ kind: 'refuse', code: -32001 })
    expect(current({ message, token: TOKEN })).toMatchObject({ kind: 'ask', request: { resource: { id: TOKEN.aud } } })
    expect(current({ message: { method: 'constructor', params: {} }, token: TOKEN })).toMatchObject({ code: -32001 })
  })
})

/**
 * @module
 * A resource server of somebody else, as an operator configures it: three operations, a manifest, and how an agent asks.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { draftManifest } from '../../src/adapters/mcp/draft.ts'
import { acceptManifest, toManifestYaml } from '../../src/config/manifest.ts'
import { parseOperation, toDescriptor } from '../../src/core/http-operation.ts'
import { signDpop } from '../../src/crypto/dpop.ts'
import { signRequest } from '../../src/crypto/http-signature.ts'
import type { KeyPair } from '../../src/crypto/keys.ts'
import { isJsonObject, parseJson, type JsonObject, type ToolManifest } from '../../src/index.ts'
import type { Installation } from './installation.ts'

export const ORDERS = 'https://orders.example'
const ROUTES = {
  'read-order': 'GET /orders/{id}',
  'note-order': 'POST /orders/{id}/notes',
  'delete-order': 'DELETE /orders/{id}',
}
export const ORDERS_YAML: string = `audiences:
  - name: orders
    url: ${ORDERS}
    operations: ${JSON.stringify(ROUTES)}
    peps: [pep]
`
export const ORDERS_GRANT: JsonObject = {
  principal: 'alice',
  actor: 'agent',
  expires: '1d',
  operations: [
    { tool: 'orders/read-order' },
    { tool: 'orders/delete-order', effects: ['delete'] },
    { tool: 'orders/note-order', effects: ['read', 'write'], where: { text: { in: ['urgent', 'late'] } } },
  ],
}

const ID = { id: { role: 'selector' } } as const
const OUTPUT = { trust: 'internal', confidentiality: 'internal' } as const
const JUDGED: Readonly<Record<string, Partial<ToolManifest>>> = {
  'read-order': { effect: 'read', arguments: ID, output: OUTPUT },
  'note-order': {
    effect: 'write',
    arguments: { ...ID, text: { role: 'content' } },
    output: OUTPUT,
    bounded: true,
    reversible: true,
  },
  'delete-order': { effect: 'delete', arguments: ID, output: OUTPUT, bounded: true, reversible: true },
}

/** Accepts what the operations do, as an operator would after `tools scan orders`. */
export async function acceptOrders({ dir, keys, serving }: Installation): Promise<void> {
  writeOrdersManifest(dir, keys.operator)
  await serving.composed.manifests.reload()
}

/** The same for an installation that nobody serves yet. */
export function writeOrdersManifest(dir: string, key: KeyPair): void {
  const descriptors = Object.entries(ROUTES).map(([name, route]) => toDescriptor(parseOperation(name, route)))
  const { manifest } = draftManifest('orders', { descriptors, methods: [] })
  const tools = Object.entries(manifest.tools).map(([name, tool]) => [name, { ...tool, ...JUDGED[name] }] as const)
  const judged = { server: 'orders', tools: Object.fromEntries(tools) }
  const at = new Date().toISOString()
  const accepted = acceptManifest(judged, { by: key.jkt, at, key })
  writeFileSync(join(dir, 'manifests', 'orders.yaml'), toManifestYaml(accepted))
}

export interface Asking {
  readonly credential: string
  readonly detail?: JsonObject
  /** Parameters that replace those of a proper request; an empty one is left out. */
  readonly form?: Readonly<Record<string, string>>
}

export const READ: JsonObject = {
  type: 'urn:unbearer:action',
  actions: ['GET'],
  locations: [ORDERS],
  identifier: 'orders/read-order',
  action: { method: 'GET', target: '/orders/7' },
  intent: 'read: the user asked about order 7',
}

export const NOTE: JsonObject = {
  type: 'urn:unbearer:action',
  actions: ['POST'],
  locations: [ORDERS],
  identifier: 'orders/note-order',
  action: {
    method: 'POST',
    target: '/orders/7/notes',
    contentType: 'application/json',
    content: '{"text":"urgent"}',
  },
  intent: 'write: the user asked to note on order 7 that it is urgent',
}

export const DELETE: JsonObject = {
  type: 'urn:unbearer:action',
  actions: ['DELETE'],
  locations: [ORDERS],
  action: { method: 'DELETE', target: '/orders/7' },
  intent: 'delete: the user asked to delete order 7',
}

export function toForm({ credential, detail = READ, form = {} }: Asking): string {
  const members = {
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    subject_token: credential,
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    resource: ORDERS,
    authorization_details: JSON.stringify([detail]),
    ...form,
  }
  return new URLSearchParams(Object.entries(members).filter(([, value]) => value !== '')).toString()
}

export function textOf(value: JsonObject[string]): string {
  if (typeof value !== 'string') throw new Error('no text')
  return value
}

export interface Answered {
  readonly status: number
  readonly body: JsonObject
  readonly headers: Headers
}

export const FORM = { 'content-type': 'application/x-www-form-urlencoded' }

export async function post(url: string, body: string, headers: Record<string, string>): Promise<Answered> {
  const response = await fetch(url, { method: 'POST', body, headers })
  const text = await response.text()
  const parsed = text === '' ? {} : parseJson(text)
  return { status: response.status, body: isJsonObject(parsed) ? parsed : {}, headers: response.headers }
}

/** Asks with a signature over all of it (RFC 9421). */
export async function askSigned(origin: string, key: KeyPair, asking: Asking): Promise<Answered> {
  const body = toForm(asking)
  const proof = signRequest({
    key,
    method: 'POST',
    target: '/token',
    headers: FORM,
    body: Buffer.from(body),
    now: Date.now(),
  })
  return post(`${origin}/token`, body, { ...FORM, ...proof })
}

/** Asks with DPoP, once more with the nonce that the first answer gave. */
export async function askDpop(origin: string, key: KeyPair, asking: Asking): Promise<Answered> {
  const [url, body] = [`${origin}/token`, toForm(asking)]
  const proof = signDpop({ key, method: 'POST', url, now: Date.now() })
  const first = await post(url, body, { ...FORM, dpop: proof })
  const nonce = first.headers.get('dpop-nonce')
  if (nonce === null) return first
  return post(url, body, { ...FORM, dpop: signDpop({ key, method: 'POST', url, nonce, now: Date.now() }) })
}

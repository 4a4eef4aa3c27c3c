/**
 * @module
 * Several servers under one endpoint: a session of the client is one session at each of them, in one task, so that what one server
 * said is known when another is called. Every action is decided at the server that it goes to, under that server's own names.
 */
import { randomBytes } from 'node:crypto'

import { isJsonObject, type Caller, type Json, type JsonObject, type Pep, type Task } from '../../index.ts'
import { refuseEra } from './era.ts'
import { findPlace, mergeLists } from './merged-lists.ts'
import { mergeCapabilities, mergeStreams } from './merged-sessions.ts'
import { parseClientMessage, refuse, toErrorText, toResultText, type ClientMessage, type JsonRpcId } from './message.ts'
import { parseAccept, toJsonResponse } from './reply.ts'
import { createSessionEvents, type SessionEvents } from './session-events.ts'
import type { GatewayInput, Problem } from './types.ts'

/** The name of the endpoint in a `GatewayInput`; no server can have it. */
export const ALL = '*'

export interface MultiplexOptions {
  readonly upstreams: readonly string[]
  /** What serves one of them. */
  readonly handle: (input: GatewayInput) => Promise<Response>
  readonly pep: Pick<Pep, 'openConnectionTask'>
  readonly clock: { now(): number }
  readonly onProblem: (problem: Problem) => void
}

interface Joined {
  readonly id: string
  readonly owner: string
  readonly task: Task
  /** Every server of the endpoint, also those that did not start. */
  readonly names: readonly string[]
  /** The session at each server, with the version that it speaks. */
  readonly at: ReadonlyMap<string, { readonly session: string; readonly version: string }>
  /** Where a resource was listed; null where more than one server listed it. */
  readonly resources: Map<string, string | null>
  readonly events: SessionEvents
  /** What the servers tell goes into `events`, from the first stream on that the client opens. */
  isMerged: boolean
  lastUsed: number
}

type Plane = MultiplexOptions & { readonly joined: Map<string, Joined> }

const [MOST, IDLE, ENDING] = [100, 30 * 60_000, 60_000]

/**
 * Creates the endpoint. Verifies nobody and decides nothing: those behind it do. A server that does not start is left out, and
 * said to be. Speaks the era with sessions. Does not tell twice what was told while the client had no stream.
 */
export function createMultiplexer(options: MultiplexOptions): (input: GatewayInput) => Promise<Response> {
  const plane: Plane = { ...options, joined: new Map() }
  return async (input) => {
    sweep(plane)
    if (input.request.method === 'DELETE') return end(plane, input)
    if (input.request.method === 'GET') return listen(plane, input)
    if (input.request.method !== 'POST')
      return new Response(null, { status: 405, headers: { allow: 'GET, POST, DELETE' } })
    const parsed = parseClientMessage(input.body)
    if (!parsed.ok)
      return toJsonResponse(toErrorText(parsed.id, refuse(parsed.reason)), parsed.id === undefined ? 400 : 200)
    const { message } = parsed
    const elsewhere = refuseEra(input.request, message)
    if (elsewhere !== undefined) return elsewhere
    const { id } = message
    if (message.method === 'initialize' && id !== undefined) return open(plane, input, { ...message, id })
    const held = findJoined(plane, input)
    if (held === undefined) return toJsonResponse(NO_SUCH_SESSION, 404)
    held.lastUsed = plane.clock.now()
    if (id === undefined) return tellAll(plane, held, input)
    return route(plane, held, input, { ...message, id })
  }
}

const NO_SUCH_SESSION = JSON.stringify({
  jsonrpc: '2.0',
  id: null,
  error: { code: -32001, message: 'there is no such MCP session here; initialize again' },
})

/** As in `mcp-sessions.ts`: whoever comes with another key or task is told what an invented id is told. */
function toOwner({ proof, task }: Caller): string {
  return JSON.stringify([proof.jkt ?? { grade: proof.grade }, task?.txn ?? null])
}

function findJoined({ joined, clock }: Plane, { request, caller }: GatewayInput): Joined | undefined {
  const found = joined.get(request.headers.get('mcp-session-id') ?? '')
  // A client of MCP begins anew at 404, in a task of its own.
  const isOver = found !== undefined && found.task.expires - clock.now() < ENDING
  return found?.owner === toOwner(caller) && !isOver ? found : undefined
}

function sweep({ joined, clock }: Plane): void {
  for (const [id, { lastUsed, events }] of joined)
    if (!events.isOpen() && clock.now() - lastUsed > IDLE) joined.delete(id)
}

type Request = ClientMessage & { readonly id: JsonRpcId }

async function open(plane: Plane, input: GatewayInput, message: Request): Promise<Response> {
  if (plane.joined.size >= MOST) return toJsonResponse(toErrorText(message.id, refuse('system.indeterminate')), 503)
  const task = input.caller.task ?? (await plane.pep.openConnectionTask(input.caller))
  const caller: Caller = { ...input.caller, task }
  const opened = await Promise.all(
    plane.upstreams.map(async (upstream) => {
      const response = await plane.handle(toInput(input, { upstream, caller, body: input.body }))
      const session = response.headers.get('mcp-session-id')
      const result = await readResult(response)
      if (session !== null && result !== undefined) return { upstream, session, result }
      plane.onProblem({
        upstream,
        reason: 'system.upstream',
        message: 'left out of the one endpoint: it did not start',
      })
      return undefined
    }),
  )
  const there = opened.filter((each) => each !== undefined)
  if (there.length === 0) return toJsonResponse(toErrorText(message.id, refuse('system.upstream')), 200)
  const versions = there.map(({ result: { protocolVersion: version } }) => (typeof version === 'string' ? version : ''))
  const held: Joined = {
    id: randomBytes(24).toString('base64url'),
    owner: toOwner(input.caller),
    task,
    names: plane.upstreams,
    at: new Map(there.map(({ upstream, session }, index) => [upstream, { session, version: versions[index] ?? '' }])),
    resources: new Map(),
    events: createSessionEvents(),
    isMerged: false,
    lastUsed: plane.clock.now(),
  }
  plane.joined.set(held.id, held)
  // The oldest: a client that speaks it can speak to all of them.
  const [protocolVersion = ''] = versions.toSorted()
  const capabilities = mergeCapabilities(there.map(({ result }) => toObject(result['capabilities'])))
  const text = toResultText(message.id, {
    protocolVersion,
    capabilities,
    serverInfo: { name: 'unbearer', version: '1' },
  })
  return toJsonResponse(text, 200, { 'mcp-session-id': held.id })
}

function toObject(value: Json | undefined): JsonObject {
  return isJsonObject(value) ? value : {}
}

interface Inner {
  readonly upstream: string
  readonly caller: Caller
  readonly body: Uint8Array
  readonly at?: { readonly session: string; readonly version: string }
  readonly accept?: string
  readonly method?: string
}

function toInput(
  { request }: GatewayInput,
  { upstream, caller, body, at, accept, method = 'POST' }: Inner,
): GatewayInput {
  const headers = new Headers({
    'content-type': 'application/json',
    accept: accept ?? 'application/json',
    ...(at === undefined ? {} : { 'mcp-session-id': at.session, 'mcp-protocol-version': at.version }),
  })
  const made = new Request(request.url, { method, headers, signal: request.signal })
  return { upstream, request: made, body, caller }
}

async function readResult(response: Response): Promise<JsonObject | undefined> {
  const text = await response.text()
  try {
    const value: Json = JSON.parse(text)
    const result = isJsonObject(value) ? value['result'] : undefined
    return isJsonObject(result) ? result : undefined
  } catch {
    return undefined
  }
}

/** The same request at one of the servers, under the session there. */
async function askAt(
  plane: Plane,
  held: Joined,
  input: GatewayInput,
  given: Omit<Inner, 'caller' | 'at'>,
): Promise<Response> {
  const inner = held.at.get(given.upstream)
  if (inner === undefined) return toJsonResponse(NO_SUCH_SESSION, 404)
  const caller: Caller = { ...input.caller, task: held.task }
  return plane.handle(toInput(input, { ...given, caller, at: inner }))
}

async function tellAll(plane: Plane, held: Joined, input: GatewayInput): Promise<Response> {
  for (const upstream of held.at.keys()) {
    const response = await askAt(plane, held, input, { upstream, body: input.body })
    await response.body?.cancel()
  }
  return new Response(null, { status: 202 })
}

/** One stream of what all the servers tell outside of an answer. */
function listen(plane: Plane, input: GatewayInput): Response {
  const { headers } = input.request
  if (!parseAccept(headers.get('accept')).stream)
    return toJsonResponse(toErrorText(undefined, refuse('system.malformed')), 406)
  const held = findJoined(plane, input)
  if (held === undefined) return toJsonResponse(NO_SUCH_SESSION, 404)
  held.lastUsed = plane.clock.now()
  const response = held.events.open(headers.get('last-event-id'))
  if (held.isMerged) return response
  held.isMerged = true
  const given = { body: new Uint8Array(), method: 'GET', accept: 'text/event-stream' }
  const openAt = async (upstream: string): Promise<Response> => askAt(plane, held, input, { ...given, upstream })
  mergeStreams(held.at.keys(), { open: openAt, tell: held.events.tell }).catch(() => undefined)
  return response
}

async function end(plane: Plane, input: GatewayInput): Promise<Response> {
  const held = findJoined(plane, input)
  if (held === undefined) return toJsonResponse(NO_SUCH_SESSION, 404)
  plane.joined.delete(held.id)
  held.events.close()
  for (const upstream of held.at.keys()) {
    const response = await askAt(plane, held, input, { upstream, body: new Uint8Array(), method: 'DELETE' })
    await response.body?.cancel()
  }
  return new Response(null, { status: 204 })
}

interface Listed {
  readonly member: string
  readonly key: string
  readonly isQualified: boolean
}

const LISTS: ReadonlyMap<string, Listed> = new Map([
  ['tools/list', { member: 'tools', key: 'name', isQualified: true }],
  ['prompts/list', { member: 'prompts', key: 'name', isQualified: true }],
  ['resources/list', { member: 'resources', key: 'uri', isQualified: false }],
  ['resources/templates/list', { member: 'resourceTemplates', key: 'uriTemplate', isQualified: false }],
])

async function route(plane: Plane, held: Joined, input: GatewayInput, message: Request): Promise<Response> {
  const { id, method } = message
  const list = LISTS.get(method)
  if (list !== undefined) return listAll(plane, held, input, { message, list })
  if (message.row.disposition === 'pass') {
    await tellEach(plane, held, input)
    return toJsonResponse(toResultText(id, {}), 200)
  }
  const found = findTarget(held, message)
  if (found === undefined) return toJsonResponse(toErrorText(id, refuse('scope.unknown-tool')), 200)
  const body = Buffer.from(JSON.stringify({ jsonrpc: '2.0', id, method, params: found.params }))
  const accept = input.request.headers.get('accept') ?? 'application/json'
  return askAt(plane, held, input, { upstream: found.upstream, body, accept })
}

/** `ping` and the like: whoever does not answer is told of by the next call to it. */
async function tellEach(plane: Plane, held: Joined, input: GatewayInput): Promise<void> {
  await Promise.all(
    [...held.at.keys()].map(async (upstream) => {
      const response = await askAt(plane, held, input, { upstream, body: input.body })
      await response.body?.cancel()
    }),
  )
}

async function listAll(
  plane: Plane,
  held: Joined,
  input: GatewayInput,
  { message, list }: { readonly message: Request; readonly list: Listed },
): Promise<Response> {
  const answers = await Promise.all(
    [...held.at.keys()].map(async (upstream) => {
      const result = await readResult(await askAt(plane, held, input, { upstream, body: input.body }))
      return result === undefined ? undefined : { upstream, result }
    }),
  )
  const there = answers.filter((each) => each !== undefined)
  const { items, collided } = mergeLists(there, list, plane.upstreams)
  if (collided.length > 0)
    plane.onProblem({
      upstream: ALL,
      reason: 'scope.unknown-tool',
      message: `${collided.length} of \`${message.method}\` are called alike and left out`,
    })
  if (list.member === 'resources') remember(held, there)
  return toJsonResponse(toResultText(message.id, { [list.member]: [...items] }), 200)
}

function remember(
  { resources }: Joined,
  answers: readonly { readonly upstream: string; readonly result: JsonObject }[],
): void {
  resources.clear()
  for (const { upstream, result } of answers) {
    const { resources: items } = result
    for (const item of Array.isArray(items) ? items : []) {
      const uri = isJsonObject(item) ? item['uri'] : undefined
      if (typeof uri === 'string') resources.set(uri, resources.has(uri) ? null : upstream)
    }
  }
}

interface Target {
  readonly upstream: string
  readonly params: JsonObject
}

/** Where a request goes, with the names that are used there; undefined where that cannot be said without doubt. */
function findTarget(held: Joined, { method, params }: Request): Target | undefined {
  if (method === 'completion/complete') return findReferred(held, params)
  const { name, uri } = params
  if (typeof name === 'string') return findNamed(held, params, name)
  return typeof uri === 'string' ? findResource(held, params, uri) : undefined
}

function findNamed(held: Joined, params: JsonObject, qualified: string): Target | undefined {
  const place = findPlace(held.names, qualified)
  return place === undefined ? undefined : { upstream: place.upstream, params: { ...params, name: place.name } }
}

/** Addresses are not qualified, because tools return them: one that was listed by one server only, or any where there is one. */
function findResource({ at: there, resources }: Joined, params: JsonObject, uri: string): Target | undefined {
  const listed = resources.get(uri)
  const [only, ...others] = there.keys()
  const upstream = listed ?? (resources.has(uri) || others.length > 0 ? undefined : only)
  return upstream === undefined ? undefined : { upstream, params }
}

function findReferred(held: Joined, params: JsonObject): Target | undefined {
  const { ref } = params
  const { name, uri } = toObject(ref)
  if (typeof name === 'string') {
    const place = findPlace(held.names, name)
    return place === undefined
      ? undefined
      : { upstream: place.upstream, params: { ...params, ref: { ...toObject(ref), name: place.name } } }
  }
  return typeof uri === 'string' ? findResource(held, params, uri) : undefined
}

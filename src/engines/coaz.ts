/**
 * @module
 * COAZ: how an MCP message becomes an AuthZEN request (COAZ framework and MCP binding, Draft 1 of July 2026). A mapping is a
 * template in which a text that begins with `$` is CEL over `params` and `token`; `$$` begins a literal `$`.
 *
 * A mapping decides what policy is asked about, so that only an operator's counts: what an upstream declares in
 * `inputSchema["x-authzen-mapping"]` is copied into the configuration by a person or not used at all.
 */
import { ConfigError } from '../core/errors.ts'
import { isJsonObject, type Json, type JsonObject } from '../core/json.ts'
import { isJsonArray } from '../core/pointer.ts'

export interface CoazMessage {
  readonly method: string
  readonly params: JsonObject
}

export interface CoazAsk {
  readonly message: CoazMessage
  /** The claims of the verified token, or what we verified instead: `sub`, `client_id`, `aud`. */
  readonly token: JsonObject
  /** The value of `x-authzen-mapping`; absent: the default of the method. */
  readonly mapping?: JsonObject
}

/** What to do with a message: ask, pass it on unasked, or refuse it with a JSON-RPC code of the draft. */
export type CoazCall =
  | { readonly kind: 'ask'; readonly api: 'evaluation' | 'evaluations'; readonly request: JsonObject }
  | { readonly kind: 'pass' }
  | { readonly kind: 'refuse'; readonly code: -32602 | -32001 }

export type CoazMapper = (ask: CoazAsk) => CoazCall

/** Strict is the draft as it is; otherwise the methods that MCP 2026-07-28 added are known as well. */
export interface CoazOptions {
  readonly strict: boolean
}

/**
 * Loads the CEL engine, an optional peer; throws `ConfigError` where it is not installed. The mapper itself never throws: whatever cannot
 * be mapped is refused, and an unknown method too. It asks nobody and does not look at what a decision point answers.
 */
export async function createCoazMapper({ strict }: CoazOptions): Promise<CoazMapper> {
  const { Environment } = await importCel()
  const environment = new Environment({ enableOptionalTypes: true, unlistedVariablesAreDyn: false })
    .registerVariable('params', 'map')
    .registerVariable('token', 'map')
  const evaluate: Evaluate = (expression, facts) => {
    const value: unknown = environment.evaluate(expression, facts)
    return value
  }
  const defaults = strict ? DEFAULTS : { ...DEFAULTS, ...ADDED }
  return (ask) => {
    try {
      return map(evaluate, defaults, ask)
    } catch {
      return { kind: 'refuse', code: -32602 }
    }
  }
}

async function importCel(): Promise<typeof import('@marcbachmann/cel-js')> {
  try {
    return await import('@marcbachmann/cel-js')
  } catch (cause) {
    throw new ConfigError('`coaz` needs the package `@marcbachmann/cel-js`, install it', { cause })
  }
}

interface Facts {
  readonly params: JsonObject
  readonly token: JsonObject
}

type Evaluate = (expression: string, facts: Facts) => unknown

const on = (type: string, id: string): JsonObject => ({ type, id })
const SERVER = on('mcp_server', '$token.aud')
const TASK = on('task', '$params.taskId')

/** The resource of each method (MCP binding, "Default mappings"). */
const DEFAULTS: Readonly<Record<string, JsonObject>> = {
  'tools/call': on('tool', '$params.name'),
  'resources/read': on('resource', '$params.uri'),
  'resources/subscribe': on('resource', '$params.uri'),
  'resources/unsubscribe': on('resource', '$params.uri'),
  'prompts/get': on('prompt', '$params.name'),
  'tasks/get': TASK,
  'tasks/result': TASK,
  'tasks/cancel': TASK,
  initialize: SERVER,
  'tools/list': SERVER,
  'resources/list': SERVER,
  'resources/templates/list': SERVER,
  'prompts/list': SERVER,
  'tasks/list': SERVER,
  'logging/setLevel': SERVER,
  // The draft's own mapping of this method is not valid CEL; what it means is the server.
  'completion/complete': SERVER,
}

/** The draft is older than these; without them every client of MCP 2026-07-28 is refused. */
const ADDED: Readonly<Record<string, JsonObject>> = {
  'server/discover': SERVER,
  'subscriptions/listen': SERVER,
  'tasks/update': TASK,
}

function map(evaluate: Evaluate, defaults: Readonly<Record<string, JsonObject>>, ask: CoazAsk): CoazCall {
  const { method } = ask.message
  if (method === 'ping' || method.startsWith('notifications/')) return { kind: 'pass' }
  const resource = Object.hasOwn(defaults, method) ? defaults[method] : undefined
  if (resource === undefined) return { kind: 'refuse', code: -32001 }
  const mapping = ask.mapping ?? {
    evaluation: {
      subject: { type: 'identity', id: '$token.sub' },
      action: { name: method },
      resource,
      context: { agent: '$token.?client_id' },
    },
  }
  const [[api, template] = ['', undefined], ...more] = Object.entries(mapping)
  if (more.length > 0 || (api !== 'evaluation' && api !== 'evaluations') || !isJsonObject(template)) throw wrong()
  const request = resolve(evaluate, template, { params: ask.message.params, token: ask.token })
  if (!isJsonObject(request)) throw wrong()
  assertComplete(api, request, ask.token)
  return { kind: 'ask', api, request }
}

/** The subject is the token's, once, for the whole request; every evaluation has an action and a resource. */
function assertComplete(api: 'evaluation' | 'evaluations', request: JsonObject, { sub }: JsonObject): void {
  const { subject, evaluations } = request
  if (!isJsonObject(subject) || typeof sub !== 'string' || subject['id'] !== sub) throw wrong()
  const items = api === 'evaluation' ? [request] : isJsonArray(evaluations) ? evaluations : []
  if (items.length === 0) throw wrong()
  for (const item of items) {
    if (!isJsonObject(item) || (api === 'evaluations' && item['subject'] !== undefined)) throw wrong()
    const { action = request['action'], resource = request['resource'] } = item
    if (!isJsonObject(action) || typeof action['name'] !== 'string') throw wrong()
    if (!isJsonObject(resource) || typeof resource['type'] !== 'string' || typeof resource['id'] !== 'string')
      throw wrong()
  }
}

/** Undefined for an optional value that is not there: the member is left out. */
function resolve(evaluate: Evaluate, template: Json, facts: Facts): Json | undefined {
  if (typeof template === 'string') {
    if (!template.startsWith('$')) return template
    return template.startsWith('$$') ? template.slice(1) : toJson(evaluate(template.slice(1), facts))
  }
  if (isJsonArray(template)) return template.map((item) => resolve(evaluate, item, facts) ?? null)
  if (!isJsonObject(template)) return template
  const members = Object.entries(template).map(
    ([name, member]) => [name, member === undefined ? undefined : resolve(evaluate, member, facts)] as const,
  )
  return Object.fromEntries(members.filter(([, member]) => member !== undefined))
}

/** CEL has whole numbers, optionals and times that JSON does not have; what is not JSON afterwards cannot be mapped. */
function toJson(value: unknown): Json | undefined {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value
  if (typeof value === 'bigint' || typeof value === 'number') {
    const number = Number(value)
    if (!Number.isFinite(number) || (typeof value === 'bigint' && !Number.isSafeInteger(number))) throw wrong()
    return number
  }
  if (Array.isArray(value)) return value.map((item) => toJson(item) ?? null)
  if (isOptional(value)) return value.hasValue() ? toJson(value.value()) : undefined
  if (typeof value !== 'object' || Object.getPrototypeOf(value) !== Object.prototype) throw wrong()
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, toJson(member)]))
}

interface Optional {
  hasValue(): boolean
  value(): unknown
}

function isOptional(value: unknown): value is Optional {
  return typeof value === 'object' && value !== null && 'hasValue' in value && 'value' in value && 'orValue' in value
}

function wrong(): TypeError {
  return new TypeError('not a mapping')
}

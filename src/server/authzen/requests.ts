/**
 * @module
 * Parses what a PEP sends (AuthZEN Authorization API 1.0 §6, §7, §8). Unknown members are ignored, as the specification
 * demands; a missing or wrong one is an `InputError`, which becomes a 400.
 */
import { InputError, isJsonObject, type Json, type JsonObject } from '../../index.ts'

export interface AuthzenEntity {
  readonly type: string
  readonly id: string
  readonly properties: JsonObject
}

export interface AuthzenAction {
  readonly name: string
  readonly properties: JsonObject
}

/** One evaluation, parsed. */
export interface Evaluation {
  readonly subject: AuthzenEntity
  readonly action: AuthzenAction
  readonly resource: AuthzenEntity
  readonly context: JsonObject
}

export type Semantic = 'execute_all' | 'deny_on_first_deny' | 'permit_on_first_permit'
const SEMANTICS: readonly Semantic[] = ['execute_all', 'deny_on_first_deny', 'permit_on_first_permit']

/** The most evaluations of one request. */
export const MAX_EVALUATIONS = 1_000

/** The members of one evaluation, in whatever state. */
export type Unparsed = Readonly<Record<'subject' | 'action' | 'resource' | 'context', Json | undefined>>

export interface Batch {
  readonly semantic: Semantic
  /** Items with the defaults put in: an item replaces a whole member (§7.1.1). */
  readonly items: readonly Unparsed[]
}

/** §6.1. Throws `InputError`. */
export function parseEvaluation(body: JsonObject | Unparsed): Evaluation {
  return {
    subject: parseEntity(body['subject'], 'subject'),
    action: parseAction(body['action']),
    resource: parseEntity(body['resource'], 'resource'),
    context: parseObject(body['context'] ?? {}, 'context'),
  }
}

/** §7.1. Undefined where `evaluations` is absent or empty: then the request is a single evaluation. */
export function parseBatch(body: JsonObject): Batch | undefined {
  const { evaluations, options } = body
  const semantic = parseSemantic(options)
  if (evaluations === undefined || (Array.isArray(evaluations) && evaluations.length === 0)) return undefined
  if (!isList(evaluations)) throw new InputError('`evaluations` must be a list')
  if (evaluations.length > MAX_EVALUATIONS)
    throw new InputError(`\`evaluations\` has more than ${MAX_EVALUATIONS} items`, 'system.too-large')
  return { semantic, items: evaluations.map((item, at) => withDefaults(body, parseObject(item, `evaluations[${at}]`))) }
}

/** Which member a search looks for. */
export type Sought = 'subject' | 'resource' | 'action'

export interface Search {
  readonly sought: Sought
  /** The type that is sought; absent for actions. */
  readonly type?: string
  /** What the sought entity is said to be like. */
  readonly properties: JsonObject
  readonly subject?: AuthzenEntity
  readonly action?: AuthzenAction
  readonly resource?: AuthzenEntity
  readonly context: JsonObject
  readonly page: Page
}

export interface Page {
  readonly token?: string
  readonly limit?: number
}

/** §8. The id of the entity that is sought is ignored. Throws `InputError`. */
export function parseSearch(sought: Sought, body: JsonObject): Search {
  const context = parseObject(body['context'] ?? {}, 'context')
  const page = parsePage(body['page'])
  const given = (name: 'subject' | 'resource'): AuthzenEntity => parseEntity(body[name], name)
  if (sought === 'action')
    return { sought, properties: {}, subject: given('subject'), resource: given('resource'), context, page }
  const wanted = parseObject(body[sought], sought)
  const { type } = wanted
  if (typeof type !== 'string') throw new InputError(`\`${sought}.type\` must be a text`)
  const properties = parseObject(wanted['properties'] ?? {}, `${sought}.properties`)
  const other = sought === 'subject' ? { resource: given('resource') } : { subject: given('subject') }
  return { sought, type, properties, ...other, action: parseAction(body['action']), context, page }
}

function parseSemantic(options: Json | undefined): Semantic {
  const given = options === undefined ? undefined : parseObject(options, 'options')['evaluations_semantic']
  if (given === undefined) return 'execute_all'
  const semantic = SEMANTICS.find((known) => known === given)
  if (semantic === undefined)
    throw new InputError(`\`options.evaluations_semantic\` must be one of ${SEMANTICS.join(', ')}`)
  return semantic
}

function withDefaults(body: JsonObject, item: JsonObject): Unparsed {
  const pick = (name: keyof Unparsed): Json | undefined => (item[name] === undefined ? body[name] : item[name])
  return { subject: pick('subject'), action: pick('action'), resource: pick('resource'), context: pick('context') }
}

function parseEntity(value: Json | undefined, name: string): AuthzenEntity {
  const { type, id, properties } = parseObject(value, name)
  if (typeof type !== 'string') throw new InputError(`\`${name}.type\` must be a text`)
  if (typeof id !== 'string') throw new InputError(`\`${name}.id\` must be a text`)
  return { type, id, properties: parseObject(properties ?? {}, `${name}.properties`) }
}

function parseAction(value: Json | undefined): AuthzenAction {
  const { name, properties } = parseObject(value, 'action')
  if (typeof name !== 'string') throw new InputError('`action.name` must be a text')
  return { name, properties: parseObject(properties ?? {}, 'action.properties') }
}

function parsePage(value: Json | undefined): Page {
  const { token, limit } = value === undefined ? {} : parseObject(value, 'page')
  if (token !== undefined && typeof token !== 'string') throw new InputError('`page.token` must be a text')
  if (limit !== undefined && (typeof limit !== 'number' || !Number.isSafeInteger(limit) || limit < 0))
    throw new InputError('`page.limit` must be a whole number, zero or more')
  return { ...(token === undefined || token === '' ? {} : { token }), ...(limit === undefined ? {} : { limit }) }
}

function parseObject(value: Json | undefined, name: string): JsonObject {
  if (value === undefined) throw new InputError(`\`${name}\` is missing`)
  if (!isJsonObject(value)) throw new InputError(`\`${name}\` must be an object`)
  return value
}

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value)
}

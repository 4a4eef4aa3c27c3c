/**
 * @module
 * The operations of an HTTP API as an operator names them, and what a request says to one: each parameter of its path, its
 * query and its body under one name, so that grants, manifests and policies speak of them as of a tool's arguments.
 */
import { InputError } from './errors.ts'
import { isNormalTarget, type HttpMessage } from './http-action.ts'
import { isJsonObject, type Json, type JsonObject } from './json.ts'
import { parseJson } from './parse-json.ts'

/** A segment of a path: a literal, or the name of a parameter. */
type Segment = { readonly literal: string } | { readonly parameter: string }

export interface HttpOperation {
  /** The tool in grants, manifests and policies. */
  readonly name: string
  readonly method: string
  /** As written, for example `/orders/{id}/refund`. */
  readonly path: string
  readonly segments: readonly Segment[]
}

const ROUTE = /^([A-Z]{1,20}) (\/\S*)$/
const LITERAL = /^[A-Za-z0-9._~@:$!*'(),+-]+$/
const PARAMETER = /^\{([A-Za-z_][A-Za-z0-9_]{0,63})\}$/

/**
 * Reads `POST /orders/{id}/refund`. Throws `InputError` for anything else: no query, no part of a segment as a parameter,
 * no parameter twice.
 */
export function parseOperation(name: string, route: string): HttpOperation {
  const [, method, path] = ROUTE.exec(route) ?? []
  if (method === undefined || path === undefined) throw new InputError('must be like `POST /orders/{id}/refund`')
  const segments = path === '/' ? [] : path.slice(1).split('/').map(parseSegment)
  const names = segments.flatMap((segment) => ('parameter' in segment ? [segment.parameter] : []))
  if (new Set(names).size !== names.length) throw new InputError('has a parameter twice')
  return { name, method, path, segments }
}

function parseSegment(text: string): Segment {
  const parameter = PARAMETER.exec(text)?.[1]
  if (parameter !== undefined) return { parameter }
  if (LITERAL.test(text) && text !== '.' && text !== '..') return { literal: text }
  throw new InputError('must be like `POST /orders/{id}/refund`, a segment is a word or `{NAME}`')
}

/** Throws `InputError` when two operations have the same method and the same shape of path: which is meant, nobody could say. */
export function assertDistinct(operations: readonly HttpOperation[]): void {
  const shapes = new Map<string, string>()
  for (const { name, method, segments } of operations) {
    const shape = `${method} ${segments.map((segment) => ('literal' in segment ? `/${segment.literal}` : '/{}')).join('')}`
    const other = shapes.get(shape)
    if (other !== undefined) throw new InputError(`\`${other}\` and \`${name}\` have the same method and path`)
    shapes.set(shape, name)
  }
}

/** What an operator accepts of an operation; its hash is the pin in the manifest. Parameters of the path are its properties. */
export function toDescriptor({ name, method, path, segments }: HttpOperation): JsonObject {
  const parameters = segments.flatMap((segment) => ('parameter' in segment ? [segment.parameter] : []))
  const properties = Object.fromEntries(parameters.map((each): [string, Json] => [each, { type: 'string' }]))
  return { name, method, path, inputSchema: { type: 'object', properties } }
}

export interface HttpReading {
  readonly operation: HttpOperation
  readonly arguments: JsonObject
}

/**
 * The operation that a request is for and what it says to it, or undefined when it is none of `operations`. Where several
 * paths fit, the one that is literal further to the left counts, as in OpenAPI. Throws `InputError` for what could be read in
 * two ways: a name that stands in two places, a repeated member, a body that is not of a kind that is read here (JSON, a form,
 * text), another character set. Does not say what the API does with members that it does not know.
 */
export function readHttp(operations: readonly HttpOperation[], message: HttpMessage): HttpReading | undefined {
  const { method, target } = message
  if (!isNormalTarget(target)) throw new InputError('the target of an action is a path in normal form')
  const end = target.includes('?') ? target.indexOf('?') : target.length
  const [path, query] = [target.slice(0, end), target.slice(end + 1)]
  const given = path === '/' ? [] : path.slice(1).split('/').map(decode)
  const fits = operations.filter((operation) => operation.method === method && isFit(operation, given))
  const [operation] = fits.toSorted(byLiterals)
  if (operation === undefined) return undefined
  const parameters = operation.segments.flatMap((segment, index): readonly Member[] =>
    'parameter' in segment ? [[segment.parameter, given[index] ?? '']] : [],
  )
  const members = [...parameters, ...readForm(query), ...readBody(message)]
  if (new Set(members.map(([name]) => name)).size !== members.length)
    throw new InputError('a name stands in the request twice')
  return { operation, arguments: Object.fromEntries(members) }
}

type Member = readonly [name: string, value: Json]

function isFit({ segments }: HttpOperation, given: readonly string[]): boolean {
  return (
    segments.length === given.length &&
    segments.every((segment, index) => ('literal' in segment ? segment.literal === given[index] : given[index] !== ''))
  )
}

function byLiterals(a: HttpOperation, b: HttpOperation): number {
  for (const [index, segment] of a.segments.entries()) {
    const [left, right] = ['literal' in segment, 'literal' in (b.segments[index] ?? segment)]
    if (left !== right) return left ? -1 : 1
  }
  return 0
}

/** One decoding. What another decoding would change again is refused with the target (`isNormalTarget`). */
function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new InputError('a part of the target is not UTF-8')
  }
}

/**
 * The members of `a=b&c=d` (URL standard, `application/x-www-form-urlencoded`), in order, repeated ones too. Throws `InputError`
 * for what is not UTF-8, a value without a name, and a `;`, which separates for some and not for others.
 */
export function readForm(text: string): readonly (readonly [name: string, value: string])[] {
  if (text.includes(';')) throw new InputError('a query or form with a semicolon')
  return text.split('&').flatMap((pair): readonly (readonly [string, string])[] => {
    if (pair === '') return []
    const at = pair.includes('=') ? pair.indexOf('=') : pair.length
    const [name, value] = [pair.slice(0, at), pair.slice(at + 1)].map((part) => decode(part.replaceAll('+', ' ')))
    if (name === undefined || name === '' || name.includes('\0')) throw new InputError('a value without a name')
    return [[name, value ?? '']]
  })
}

const MEDIA_TYPE = /^([a-z0-9!#$&^_.+-]+\/[a-z0-9!#$&^_.+-]+)(?: *; *charset="?utf-8"?)?$/i

/** The members of an object; any other document is the one member `body`. */
function readBody({ contentType, body }: HttpMessage): readonly Member[] {
  if (body.length === 0) return []
  const type = MEDIA_TYPE.exec(contentType ?? '')?.[1]?.toLowerCase() ?? ''
  if (type === 'application/x-www-form-urlencoded') return readForm(readText(body))
  if (type.startsWith('text/')) return [['body', readText(body)]]
  if (type !== 'application/json' && !type.endsWith('+json'))
    throw new InputError('a body of this kind cannot be decided over; JSON, a form and text can')
  const value = parseJson(body)
  return isJsonObject(value) ? Object.entries(value).map(([name, each]) => [name, each ?? null]) : [['body', value]]
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function readText(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes)
  } catch {
    throw new InputError('the body is not UTF-8')
  }
}

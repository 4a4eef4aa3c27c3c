/**
 * @module
 * The `Mcp-*` headers of a request (MCP 2026-07-28, "Standard Headers" and "Custom Headers"), made from what was decided, and
 * compared with what a client sent. Those of a client never go on.
 */
import { isJsonObject, type Json, type JsonObject } from '../../index.ts'

const NAMES: ReadonlyMap<string, string> = new Map([
  ['tools/call', 'name'],
  ['prompts/get', 'name'],
  ['resources/read', 'uri'],
  ['tasks/get', 'taskId'],
  ['tasks/update', 'taskId'],
  ['tasks/cancel', 'taskId'],
])

/** What `Mcp-Name` repeats of these `params`; undefined where the method has no such header. */
export function toStandardName(method: string, params: JsonObject): Json | undefined {
  const member = NAMES.get(method)
  return member === undefined ? undefined : params[member]
}

/** The headers that every request has. */
export function toStandardHeaders(method: string, params: JsonObject): Record<string, string> {
  const name = toStandardName(method, params)
  return { 'mcp-method': method, ...(typeof name === 'string' ? { 'mcp-name': encode(name) } : {}) }
}

interface Declared {
  readonly header: string
  readonly path: readonly string[]
}

const HEADER_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,64}$/u
const DEPTH = 16

/** The arguments that a tool wants repeated in headers (`x-mcp-header` in its input schema). */
function toDeclared(schema: Json | undefined, path: readonly string[] = []): readonly Declared[] {
  if (!isJsonObject(schema) || path.length > DEPTH) return []
  const { 'x-mcp-header': name, properties } = schema
  const own =
    typeof name === 'string' && HEADER_NAME.test(name) && path.length > 0
      ? [{ header: `mcp-param-${name.toLowerCase()}`, path }]
      : []
  const inner = isJsonObject(properties) ? Object.entries(properties) : []
  return [...own, ...inner.flatMap(([key, value]) => toDeclared(value, [...path, key]))]
}

/** The `Mcp-Param-*` headers for these arguments, by the input schema of the tool. */
export function toParamHeaders(schema: Json | undefined, given: JsonObject): Record<string, string> {
  const found = toDeclared(schema).map(({ header, path }): [string, string | undefined] => [
    header,
    valueAt(given, path),
  ])
  return Object.fromEntries(found.flatMap(([header, value]) => (value === undefined ? [] : [[header, encode(value)]])))
}

/** True where a header that the client sent for an argument says what the argument says. An absent header says nothing. */
export function agreesWithParams(headers: Headers, schema: Json | undefined, given: JsonObject): boolean {
  return toDeclared(schema).every(({ header, path }) => {
    const sent = headers.get(header)
    const value = valueAt(given, path)
    if (sent === null || value === undefined) return true
    const decoded = decodeHeader(sent)
    return decoded === value || (isNumber(decoded) && isNumber(value) && Number(decoded) === Number(value))
  })
}

function isNumber(text: string | undefined): boolean {
  return text !== undefined && /^-?\d+(\.\d+)?$/u.test(text)
}

function valueAt(given: JsonObject, path: readonly string[]): string | undefined {
  let at: Json | undefined = given
  for (const key of path) at = isJsonObject(at) && Object.hasOwn(at, key) ? at[key] : undefined
  return typeof at === 'string' || typeof at === 'boolean' || typeof at === 'number' ? String(at) : undefined
}

/** As it stands where a header can hold it so, else in base64. */
function encode(value: string): string {
  const isPlain = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/u.test(value) && !value.startsWith('=?base64?')
  return isPlain ? value : `=?base64?${Buffer.from(value, 'utf8').toString('base64')}?=`
}

/** The value of a header, out of base64 where it is in it; undefined where that is broken. */
export function decodeHeader(header: string): string | undefined {
  const encoded = /^=\?base64\?(.*)\?=$/u.exec(header)?.[1]
  if (encoded === undefined) return header
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/u.test(encoded)) return undefined
  return Buffer.from(encoded, 'base64').toString('utf8')
}

/**
 * @module
 * YAML 1.2 without the parts in which two readers differ or one reader is exhausted.
 */
import { isAlias, isPair, isScalar, parseDocument, visit, type Document } from 'yaml'

import { ConfigError } from '../core/errors.ts'
import type { Json } from '../core/json.ts'

const BYTES = 4 * 1024 * 1024

/**
 * Parses one YAML document of the core schema into plain data. Throws `ConfigError` for syntax errors, warnings, duplicate
 * keys, keys that are not strings, `__proto__`, anchors, aliases, tags, several documents and more than 4 MiB.
 */
export function parseStrictYaml(text: string): unknown {
  if (Buffer.byteLength(text) > BYTES) throw new ConfigError('the file is larger than 4 MiB')
  const document = parse(text)
  const problem = document.errors[0] ?? document.warnings[0]
  if (problem !== undefined) throw new ConfigError(`not usable YAML: ${problem.code} at ${toPlace(problem.linePos)}`)
  assertPlain(document)
  const value: unknown = document.toJS({ maxAliasCount: 0 })
  return value
}

/**
 * The same as JSON. YAML has values that JSON has not (infinity, not-a-number): they are refused, not turned into something
 * else.
 */
export function toPlainYaml(text: string): Json {
  const json = JSON.stringify(parseStrictYaml(text) ?? null, (_key, member: unknown) => {
    if (typeof member === 'number' && !Number.isFinite(member))
      throw new ConfigError('a number of the file is not finite')
    return member
  })
  const read: Json = JSON.parse(json)
  return read
}

function parse(text: string): Document.Parsed {
  try {
    return parseDocument(text, { version: '1.2', schema: 'core', strict: true, uniqueKeys: true, merge: false })
  } catch {
    // The parser recurses, so that input nested deeply enough exhausts the stack.
    throw new ConfigError('not usable YAML: nested too deeply')
  }
}

function toPlace(position: readonly { readonly line: number; readonly col: number }[] | undefined): string {
  const start = position?.[0]
  return start === undefined ? 'an unknown place' : `line ${start.line}, column ${start.col}`
}

function assertPlain(document: Document.Parsed): void {
  if (document.directives.tags['!'] !== undefined && document.directives.tags['!'] !== '!') {
    throw new ConfigError('YAML directives are not taken')
  }
  visit(document, (_key, node) => {
    if (isAlias(node)) throw new ConfigError('YAML aliases are not taken')
    if (isPair(node)) return assertKey(isScalar(node.key) ? node.key.value : undefined)
    if (typeof node === 'object' && node !== null && 'anchor' in node && node.anchor !== undefined) {
      throw new ConfigError('YAML anchors are not taken')
    }
    if (typeof node === 'object' && node !== null && 'tag' in node && node.tag !== undefined) {
      throw new ConfigError('YAML tags are not taken')
    }
    return undefined
  })
}

function assertKey(key: unknown): undefined {
  if (typeof key !== 'string') throw new ConfigError('every key of the file must be a string')
  if (key === '__proto__') throw new ConfigError('`__proto__` is not taken as a key')
}

/**
 * @module
 * The one strict JSON parser (contracts, "Encoding"): RFC 8259 grammar, UTF-8, no duplicate names, no lone surrogates, no
 * NUL in names, numbers that round-trip. What two parsers could read differently is refused, so that what was decided is
 * what is done.
 */
import { InputError } from './errors.ts'
import type { Json } from './json.ts'
import { isRoundTrip } from './number-form.ts'

export interface ParseJsonOptions {
  /**
   * `round-trip` (default): a number whose decimal value is not that of its ECMAScript shortest form is refused, and so is
   * an integer value beyond ±2^53. `any`: any finite number, for answers of upstreams, which we label but do not bind.
   */
  readonly numbers?: 'round-trip' | 'any'
  /** Arrays and objects within one another; 64 by default, at most `DEPTH_LIMIT`. */
  readonly maxDepth?: number
}

/** No option goes deeper: the parser recurses, and the stack must hold. */
export const DEPTH_LIMIT = 512

const DEFAULT_DEPTH = 64
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y
const HEX = /[0-9a-fA-F]{4}/y

interface Scanner {
  readonly text: string
  readonly exact: boolean
  at: number
  /** How many more levels may be opened. */
  room: number
}

/**
 * Parses one JSON text. Bytes must be UTF-8 without a byte order mark. `-0` becomes `0`.
 *
 * Throws `InputError` (`system.malformed`) whose message holds an offset in UTF-16 code units and never the content. Does
 * not limit the length of the input, and does not promise that names keep their order: integer-like names come first.
 */
export function parseJson(input: string | Uint8Array, options: ParseJsonOptions = {}): Json {
  const text = typeof input === 'string' ? input : decodeUtf8(input)
  if (!text.isWellFormed()) throw new InputError('lone surrogate in the input')
  const room = Math.min(options.maxDepth ?? DEFAULT_DEPTH, DEPTH_LIMIT)
  const scanner: Scanner = { text, exact: options.numbers !== 'any', at: 0, room }
  skipSpace(scanner)
  const value = scanValue(scanner)
  if (scanner.at !== text.length) throw malformed('trailing input', scanner)
  return value
}

// Constructing a decoder costs more than decoding a small body. `ignoreBOM` keeps the mark in the text, where the
// grammar refuses it.
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes)
  } catch {
    // The cause is left out on purpose: some runtimes put the input into it.
    throw new InputError('input is not UTF-8')
  }
}

function malformed(what: string, scanner: Scanner): InputError {
  return new InputError(`${what} at offset ${scanner.at}`)
}

function skipSpace(scanner: Scanner): void {
  const { text } = scanner
  let at = scanner.at
  for (;;) {
    const code = text.charCodeAt(at)
    if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) break
    at += 1
  }
  scanner.at = at
}

/** Scans a value and the white space after it. */
function scanValue(scanner: Scanner): Json {
  const value = scanBareValue(scanner)
  skipSpace(scanner)
  return value
}

function scanBareValue(scanner: Scanner): Json {
  switch (scanner.text.charCodeAt(scanner.at)) {
    case 0x22: // "
      return scanString(scanner)
    case 0x7b: // {
      return scanObject(scanner)
    case 0x5b: // [
      return scanArray(scanner)
    case 0x74: // t
      return scanLiteral(scanner, 'true', true)
    case 0x66: // f
      return scanLiteral(scanner, 'false', false)
    case 0x6e: // n
      return scanLiteral(scanner, 'null', null)
    default:
      return scanNumber(scanner)
  }
}

function scanLiteral<T extends Json>(scanner: Scanner, word: string, value: T): T {
  if (!scanner.text.startsWith(word, scanner.at)) throw malformed('unexpected input', scanner)
  scanner.at += word.length
  return value
}

function scanNumber(scanner: Scanner): number {
  NUMBER.lastIndex = scanner.at
  const found = NUMBER.exec(scanner.text)?.[0]
  if (found === undefined) throw malformed('unexpected input', scanner)
  const value = Number(found)
  if (!Number.isFinite(value)) throw malformed('number out of range', scanner)
  if (scanner.exact && !isRoundTrip(found, value)) throw malformed('number that does not round-trip', scanner)
  scanner.at += found.length
  return value === 0 ? 0 : value
}

function scanArray(scanner: Scanner): readonly Json[] {
  open(scanner)
  const items: Json[] = []
  if (!closes(scanner, 0x5d)) {
    do {
      skipSpace(scanner)
      items.push(scanValue(scanner))
    } while (continues(scanner, 0x5d))
  }
  scanner.room += 1
  return items
}

function scanObject(scanner: Scanner): Json {
  open(scanner)
  const members: Record<string, Json> = {}
  if (!closes(scanner, 0x7d)) {
    do {
      skipSpace(scanner)
      const name = scanName(scanner, members)
      members[name] = scanValue(scanner)
    } while (continues(scanner, 0x7d))
  }
  scanner.room += 1
  return members
}

function open(scanner: Scanner): void {
  // Negated, so that an option that is not a number opens nothing.
  if (!(scanner.room > 0)) throw malformed('nested too deeply', scanner)
  scanner.room -= 1
  scanner.at += 1
  skipSpace(scanner)
}

function closes(scanner: Scanner, bracket: number): boolean {
  if (scanner.text.charCodeAt(scanner.at) !== bracket) return false
  scanner.at += 1
  return true
}

/** After an item: true at a comma, false at the closing bracket; takes either. */
function continues(scanner: Scanner, bracket: number): boolean {
  if (closes(scanner, bracket)) return false
  if (closes(scanner, 0x2c)) return true
  throw malformed('expected a comma or the end', scanner)
}

/** Scans `"name" :` and what space follows. `__proto__` is refused: assigning it would set a prototype. */
function scanName(scanner: Scanner, members: Readonly<Record<string, Json>>): string {
  if (scanner.text.charCodeAt(scanner.at) !== 0x22) throw malformed('expected a member name', scanner)
  const start = scanner.at
  const name = scanString(scanner)
  if (name === '__proto__' || name.includes('\0') || Object.hasOwn(members, name)) {
    scanner.at = start
    throw malformed('duplicate or forbidden member name', scanner)
  }
  skipSpace(scanner)
  if (!closes(scanner, 0x3a)) throw malformed('expected a colon', scanner)
  skipSpace(scanner)
  return name
}

/** Scans a string from its opening quote. The common case, no escapes, is one slice. */
function scanString(scanner: Scanner): string {
  const { text } = scanner
  const start = scanner.at + 1
  let at = start
  for (;;) {
    const code = text.charCodeAt(at)
    if (code === 0x22) {
      scanner.at = at + 1
      return text.slice(start, at)
    }
    if (code === 0x5c) return scanEscaped(scanner, start, at)
    // NaN, past the end, is not >= 0x20 either.
    if (!(code >= 0x20)) {
      scanner.at = at
      throw malformed('unterminated string or control character', scanner)
    }
    at += 1
  }
}

/** The rest of a string whose first escape is at `firstEscape`. */
function scanEscaped(scanner: Scanner, start: number, firstEscape: number): string {
  const { text } = scanner
  let out = ''
  let from = start
  scanner.at = firstEscape
  for (;;) {
    const code = text.charCodeAt(scanner.at)
    if (code === 0x22) break
    if (!(code >= 0x20)) throw malformed('unterminated string or control character', scanner)
    if (code === 0x5c) {
      out += text.slice(from, scanner.at) + scanEscape(scanner)
      from = scanner.at
    } else {
      scanner.at += 1
    }
  }
  out += text.slice(from, scanner.at)
  // An escaped half may only stand beside its other half.
  if (!out.isWellFormed()) throw malformed('lone surrogate', scanner)
  scanner.at += 1
  return out
}

const ESCAPES: ReadonlyMap<string, string> = new Map([
  ['"', '"'],
  ['\\', '\\'],
  ['/', '/'],
  ['b', '\b'],
  ['f', '\f'],
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
])

function scanEscape(scanner: Scanner): string {
  const letter = scanner.text.charAt(scanner.at + 1)
  const simple = ESCAPES.get(letter)
  if (simple !== undefined) {
    scanner.at += 2
    return simple
  }
  HEX.lastIndex = scanner.at + 2
  const hex = letter === 'u' ? HEX.exec(scanner.text)?.[0] : undefined
  if (hex === undefined) throw malformed('unknown escape', scanner)
  scanner.at += 6
  return String.fromCharCode(Number.parseInt(hex, 16))
}

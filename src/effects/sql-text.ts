/**
 * @module
 * Looks at SQL as text, before the parser does: what cannot be parsed the same way by us and by the server, and what is
 * nested so deeply that the parser would run out of stack. It follows the lexical rules of PostgreSQL (manual, §4.1).
 */

/** Bytes of UTF-8; longer text is not worth what parsing it costs. */
const MAX_SQL_BYTES = 65_536
/** The parser's stack holds several thousand levels; the estimate below may be short by a small factor. */
const MAX_DEPTH = 300

/** `undefined` when the text may be parsed; else why not, in words. `quoting`: only another session could misread it. */
export interface TextHazard {
  readonly kind: 'quoting' | 'malformed'
  readonly why: string
}

/**
 * Finds what makes the text unfit to be judged. Linear in its length; never throws.
 * Does not promise that the text parses.
 */
export function findTextHazard(sql: string): TextHazard | undefined {
  if (!sql.isWellFormed()) return { kind: 'malformed', why: 'is not well-formed Unicode' }
  if (sql.includes('\0')) return { kind: 'malformed', why: 'holds a NUL, where the parser stops and others may not' }
  if (Buffer.byteLength(sql) > MAX_SQL_BYTES) return { kind: 'malformed', why: 'is longer than 64 KiB' }
  return findLexicalHazard(sql)
}

const SPACE = /[ \t\n\r\f\v]+|--[^\n\r]*/y
const ESCAPED = /[eE]'(?:[^'\\]|''|\\[^])*'/y
/** A session that reads backslashes in plain literals refuses these, so that a backslash in them is never read in two ways. */
const UNICODE = /[uU]&'(?:[^']|'')*'/y
const PLAIN = /'(?:[^']|'')*'/y
const DOLLAR = /\$(?:[A-Za-z_\u0080-\uffff][A-Za-z0-9_\u0080-\uffff]*)?\$/y
const QUOTED = /"(?:[^"]|"")*"/y
const NAME = /[A-Za-z_\u0080-\uffff][A-Za-z0-9_$\u0080-\uffff]*/y
const NUMBER = /[0-9][0-9A-Za-z_.]*/y
const OPERATOR = /[-+*/<>=~!@#%^&|`?:]/y

interface Lexeme {
  readonly end: number
  readonly kind: 'blank' | 'string' | 'plain' | 'name' | 'operator' | 'mark'
}

/** Nesting that a comma ends (`operators`) and nesting that it does not (`sticky`), by bracket level. */
interface Level {
  operators: number
  sticky: number
}

const STICKY = /^(?:select|values|table|union|intersect|except|join|case|with|not|explain|prepare|declare|create)$/i
const INFIX = /^(?:is|isnull|notnull|like|ilike|similar|between|in|collate|at|escape|over)$/i
const SEPARATOR = /^(?:and|or)$/i

function findLexicalHazard(sql: string): TextHazard | undefined {
  const levels: Level[] = [{ operators: 0, sticky: 0 }]
  let at = 0
  while (at < sql.length) {
    const lexeme = nextLexeme(sql, at)
    const text = sql.slice(at, lexeme.end)
    if (lexeme.kind === 'plain' && text.includes('\\')) {
      return { kind: 'quoting', why: 'holds a backslash in a plain string literal, which sessions read in two ways' }
    }
    if (lexeme.kind === 'mark' && text === '\\') return { kind: 'malformed', why: 'cannot be parsed' }
    countLevel(levels, lexeme.kind, text)
    if (levels.reduce((sum, level) => sum + level.operators + level.sticky + 1, 0) > MAX_DEPTH) {
      return { kind: 'malformed', why: 'is nested too deeply' }
    }
    at = lexeme.end
  }
  return undefined
}

function countLevel(levels: Level[], kind: Lexeme['kind'], text: string): void {
  const level = levels.at(-1)
  if (level === undefined) return
  if (kind === 'operator') level.operators += 1
  else if (kind === 'name') countWord(level, text)
  else if (kind === 'mark') countMark(levels, level, text)
}

function countWord(level: Level, word: string): void {
  if (STICKY.test(word)) level.sticky += 1
  else if (INFIX.test(word)) level.operators += 1
  else if (SEPARATOR.test(word)) level.operators = 0
}

function countMark(levels: Level[], level: Level, mark: string): void {
  if (mark === '(' || mark === '[') levels.push({ operators: 0, sticky: 0 })
  if (mark === ',') level.operators = 0
  // Brackets may be chained after an operand: `(x).a.b`, `x[1][2]`. What follows a closing bracket nests around it.
  if ((mark === ')' || mark === ']') && levels.length > 1) {
    levels.pop()
    if (mark === ']') countLevel(levels, 'operator', mark)
  }
  if (mark === ';') levels.splice(0, levels.length, { operators: 0, sticky: 0 })
}

function nextLexeme(sql: string, at: number): Lexeme {
  const end = (pattern: RegExp): number | undefined => {
    pattern.lastIndex = at
    return pattern.test(sql) ? pattern.lastIndex : undefined
  }
  if (sql.startsWith('/*', at)) return { kind: 'blank', end: endOfComment(sql, at) }
  const blank = end(SPACE)
  if (blank !== undefined) return { kind: 'blank', end: blank }
  const plain = end(PLAIN)
  if (plain !== undefined) return { kind: 'plain', end: plain }
  const other = end(ESCAPED) ?? end(UNICODE) ?? end(QUOTED) ?? endOfDollar(sql, end(DOLLAR), at)
  if (other !== undefined) return { kind: 'string', end: other }
  const name = end(NAME)
  if (name !== undefined) return { kind: 'name', end: name }
  const number = end(NUMBER)
  if (number !== undefined) return { kind: 'string', end: number }
  return { kind: end(OPERATOR) === undefined ? 'mark' : 'operator', end: at + 1 }
}

/** Block comments nest in PostgreSQL. An open one reaches to the end; the parser will refuse it. */
function endOfComment(sql: string, at: number): number {
  const mark = /\/\*|\*\//g
  mark.lastIndex = at
  let depth = 0
  for (let found = mark.exec(sql); found !== null; found = mark.exec(sql)) {
    depth += found[0] === '/*' ? 1 : -1
    if (depth === 0) return mark.lastIndex
  }
  return sql.length
}

function endOfDollar(sql: string, opened: number | undefined, at: number): number | undefined {
  if (opened === undefined) return undefined
  const tag = sql.slice(at, opened)
  const closed = sql.indexOf(tag, opened)
  return closed === -1 ? sql.length : closed + tag.length
}

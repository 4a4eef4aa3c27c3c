/**
 * @module
 * Where a member of an object stands in the text of a JSON document, so that a file of somebody else is changed there and
 * nowhere else: neither its order, nor its indentation, nor a number that we would write differently.
 */

/** Offsets in the text; `end` is exclusive. */
export interface Span {
  readonly start: number
  readonly end: number
}

/**
 * The span of the value at `path`, member names from the outermost; undefined where there is none. The text must have been
 * parsed as JSON without duplicate keys before: this only walks it.
 */
export function findSpan(text: string, path: readonly string[]): Span | undefined {
  let at = skipSpace(text, 0)
  for (const name of path) {
    const found = findMember(text, at, name)
    if (found === undefined) return undefined
    at = found
  }
  return { start: at, end: skipValue(text, at) }
}

/** The offset of the value of a member of the object at `at`. */
function findMember(text: string, at: number, name: string): number | undefined {
  if (text[at] !== '{') return undefined
  for (let next = skipSpace(text, at + 1); text[next] === '"';) {
    const end = skipText(text, next)
    const key: unknown = JSON.parse(text.slice(next, end))
    const value = skipSpace(text, skipSpace(text, end) + 1)
    if (key === name) return value
    next = skipSpace(text, skipValue(text, value))
    if (text[next] === ',') next = skipSpace(text, next + 1)
  }
  return undefined
}

function skipValue(text: string, at: number): number {
  const first = text[at]
  if (first === '"') return skipText(text, at)
  if (first !== '{' && first !== '[') return at + (/^[^\s,\]}]+/.exec(text.slice(at, at + 512))?.[0].length ?? 0)
  let depth = 0
  let next = at
  do {
    const char = text[next]
    if (char === '"') next = skipText(text, next) - 1
    else if (char === '{' || char === '[') depth += 1
    else if (char === '}' || char === ']') depth -= 1
    next += 1
  } while (depth > 0 && next < text.length)
  return next
}

function skipText(text: string, at: number): number {
  let next = at + 1
  while (next < text.length && text[next] !== '"') next += text[next] === '\\' ? 2 : 1
  return next + 1
}

function skipSpace(text: string, at: number): number {
  let next = at
  while (next < text.length && ' \t\r\n'.includes(text[next] ?? 'x')) next += 1
  return next
}

/** The text with `value` in the place of the member at `path`, whose object must be there; a new member comes last. */
export function withMember(text: string, path: readonly string[], value: unknown): string {
  const span = findSpan(text, path)
  const indent = findIndent(text)
  if (span !== undefined) return replace(text, span, toText(value, indent, path.length))
  const parent = findSpan(text, path.slice(0, -1))
  if (parent === undefined) return text
  const member = `${JSON.stringify(path.at(-1))}: ${toText(value, indent, path.length)}`
  const inside = text.slice(parent.start + 1, parent.end - 1).trimEnd()
  const before = inside.trim() === '' ? '' : `${inside},`
  const made = `{${before}\n${indent.repeat(path.length)}${member}\n${indent.repeat(path.length - 1)}}`
  return replace(text, parent, made)
}

function replace(text: string, { start, end }: Span, made: string): string {
  return text.slice(0, start) + made + text.slice(end)
}

function toText(value: unknown, indent: string, depth: number): string {
  return JSON.stringify(value, null, indent).replaceAll('\n', `\n${indent.repeat(depth)}`)
}

/** What the first line that is indented is indented by. */
function findIndent(text: string): string {
  return /\n([ \t]+)\S/.exec(text)?.[1] ?? '  '
}

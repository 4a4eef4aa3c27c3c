/**
 * @module
 * How two descriptors of a tool differ, for a person: by the path of each part, with what cannot be seen made visible.
 */
import { isJsonObject, type Json, type JsonObject } from '../core/json.ts'
import { toDisplay, toDisplayText } from '../server/display.ts'

/** Lines for one tool, characters of one value, and characters around what differs in a text. */
const [MOST_LINES, MOST_CHARS, AROUND] = [60, 400, 40]
const DEEPEST = 64

/** Lines that begin with `-` (as it was accepted) or `+` (as it is now). Empty when nothing differs. */
export function toDifference(was: Json | undefined, now: Json | undefined): readonly string[] {
  const lines = [...compare('', was, now, 0)]
  const more = lines.length - MOST_LINES
  return more <= 0 ? lines : [...lines.slice(0, MOST_LINES), `  and ${more} more lines`]
}

function* compare(path: string, was: Json | undefined, now: Json | undefined, depth: number): Iterable<string> {
  if (JSON.stringify(was) === JSON.stringify(now)) return
  const at = path === '' ? 'all of it' : path
  if (depth < DEEPEST && isJsonObject(was) && isJsonObject(now)) {
    const names = [...new Set([...Object.keys(was), ...Object.keys(now)])]
    for (const name of names) yield* compare(toPath(path, name), own(was, name), own(now, name), depth + 1)
  } else if (typeof was === 'string' && typeof now === 'string') {
    const [before, after] = toExcerpts(was, now)
    yield `- ${at}: ${before}`
    yield `+ ${at}: ${after}`
  } else {
    if (was !== undefined) yield `- ${at}: ${toShort(was)}`
    if (now !== undefined) yield `+ ${at}: ${toShort(now)}`
  }
}

/** A member itself: a server may call one `constructor`. */
function own(value: JsonObject, name: string): Json | undefined {
  return Object.hasOwn(value, name) ? value[name] : undefined
}

function toPath(path: string, name: string): string {
  const shown = /^[\w$-]+$/u.test(name) ? name : toDisplayText(JSON.stringify(name))
  return path === '' ? shown : `${path}.${shown}`
}

function toShort(value: Json): string {
  const shown = toDisplay(value).replaceAll(/\n\s*/gu, ' ')
  return shown.length > MOST_CHARS ? `${shown.slice(0, MOST_CHARS)}… (${shown.length} characters)` : shown
}

/** Two texts without what they begin and end with in common. */
function toExcerpts(was: string, now: string): readonly [string, string] {
  const [a, b] = [Array.from(was), Array.from(now)]
  const most = Math.min(a.length, b.length)
  let start = 0
  while (start < most && a[start] === b[start]) start += 1
  let end = 0
  while (end < most - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end += 1
  const from = Math.max(0, start - AROUND)
  const toExcerpt = (chars: readonly string[]): string => {
    const until = Math.min(chars.length, chars.length - end + AROUND)
    const text = toShort(chars.slice(from, until).join(''))
    return `${from > 0 ? '…' : ''}${text}${until < chars.length ? '…' : ''}`
  }
  return [toExcerpt(a), toExcerpt(b)]
}

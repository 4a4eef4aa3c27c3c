/**
 * @module
 * Cuts one member out of a JSON text as it stands, so that an answer gets another id and not one number of it is rounded.
 */
import { InvariantError } from '../../index.ts'

/**
 * The text of a member of the outermost object. The text must have been parsed before, strictly: this looks for quotes and
 * brackets only. Throws `InvariantError` where there is no such member; does not notice a second one of the same name.
 */
export function cutMember(text: string, name: string): string {
  for (let at = skip(text, text.indexOf('{') + 1); text[at] === '"';) {
    const keyEnd = endOfString(text, at)
    const from = skip(text, skip(text, keyEnd) + 1)
    const to = endOfValue(text, from)
    if (JSON.parse(text.slice(at, keyEnd)) === name) return text.slice(from, to).trimEnd()
    at = skip(text, skip(text, to) + 1)
  }
  throw new InvariantError(`no member \`${name}\` in a message that was read`)
}

function skip(text: string, from: number): number {
  let at = from
  while (' \t\r\n'.includes(text[at] ?? '"')) at += 1
  return at
}

/** Where the string that begins at `from` is over. */
function endOfString(text: string, from: number): number {
  let at = from + 1
  while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1
  return at + 1
}

function endOfValue(text: string, from: number): number {
  let depth = 0
  for (let at = from; at < text.length; at += 1) {
    const letter = text[at]
    if (letter === '"') at = endOfString(text, at) - 1
    else if (letter === '{' || letter === '[') depth += 1
    else if (depth > 0 && (letter === '}' || letter === ']')) depth -= 1
    else if (depth === 0 && (letter === ',' || letter === '}')) return at
  }
  return text.length
}

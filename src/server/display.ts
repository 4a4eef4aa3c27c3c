/**
 * @module
 * Shows untrusted data to a person who is about to decide on it. What is shown is what is there: characters that move the
 * cursor, hide or reorder text are written as `\u{…}`, so that no argument can paint over its own line.
 */
import { isJsonObject, type Json } from '../core/json.ts'

/** Text as it may be printed on one line of a terminal or a page. Reversible: the backslash is escaped too. */
export function toDisplayText(text: string): string {
  return text.replace(NOT_PLAIN, escape)
}

/**
 * `value` as indented text, one member a line, names escaped like values. Shows every member; does not shorten, because
 * what is left out is where an attacker writes.
 */
export function toDisplay(value: Json, indent = ''): string {
  if (typeof value === 'string') return `"${toDisplayText(value).replaceAll('"', '\\"')}"`
  if (Array.isArray(value))
    return block(
      value.map((item: Json) => toDisplay(item, `${indent}  `)),
      ['[', ']'],
      indent,
    )
  if (!isJsonObject(value)) return JSON.stringify(value)
  const members = Object.entries(value).flatMap(([name, member]) =>
    member === undefined ? [] : [`${toDisplayName(name)}: ${toDisplay(member, `${indent}  `)}`],
  )
  return block(members, ['{', '}'], indent)
}

function block(lines: readonly string[], [open, close]: readonly [string, string], indent: string): string {
  if (lines.length === 0) return open + close
  return `${open}\n${lines.map((line) => `${indent}  ${line}\n`).join('')}${indent}${close}`
}

function toDisplayName(name: string): string {
  return /^[A-Za-z_][\w-]*$/.test(name) ? name : `"${toDisplayText(name).replaceAll('"', '\\"')}"`
}

/** What is escaped: whatever does not show as itself, in its own place. */
const NOT_PLAIN = new RegExp(
  [
    // Control, format (bidirectional, zero width, tags), private, unassigned, lone surrogates, line separators, odd spaces.
    String.raw`[^\p{L}\p{M}\p{N}\p{P}\p{S} ]`,
    // The escape itself, and fillers that look like nothing.
    String.raw`[\\\u115f\u1160\u2800\u3164\uffa0]`,
    // Joiners and selectors that change or hide their neighbours.
    String.raw`[\u034f\u17b4\u17b5\u180b-\u180f\ufe00-\ufe0f\u{e0100}-\u{e01ef}]`,
    // Marks that do not stand on a letter, enclose it, or are piled up to paint over other lines.
    String.raw`(?<!\p{L}\p{M}*)\p{M}|\p{Me}|(?<=\p{M}{3})\p{M}`,
  ].join('|'),
  'gu',
)

function escape(character: string): string {
  if (character === '\\') return '\\\\'
  if (character === '\n') return '\\n'
  if (character === '\t') return '\\t'
  const code = character.codePointAt(0) ?? 0
  return `\\u{${code.toString(16).padStart(4, '0')}}`
}

/**
 * @module
 * What a restored store must not forget, kept outside it in a small file that only grows, one JSON object a line, on the disk
 * before anybody is told that it is recorded: revocations, and which keys of subjects were destroyed. At start it is merged
 * into the store (`revocations.ts`, `erasure.ts`).
 *
 * Trusted like the head beside which it lies: whoever can write it can add revocations, and take away those that the store
 * has forgotten too. An attacker who can write both needs a witness against them.
 */
import { existsSync, readFileSync, statSync, truncateSync } from 'node:fs'
import { REVOCATION_DIMENSIONS, type RevocationDimension } from '../core/evidence.ts'
import { IntegrityError, UnavailableError } from '../core/errors.ts'
import { isJsonObject, type Json } from '../core/json.ts'
import { parseJson } from '../core/parse-json.ts'
import type { Revocation } from '../ports/revocations.ts'
import { appendDurably } from './durable-file.ts'

/** A revocation and who asked for it: the thumbprint of a key, or `system`. */
export type JournalLine = Revocation & { readonly by: string }

/** Keys of a subject that were destroyed. The subject stands as its tag: an erasure must not keep whom it erased. */
export interface ErasureLine {
  readonly erased: string
  /** The ids of the keys. */
  readonly keys: readonly string[]
  readonly at: number
  readonly by: string
}

export interface Journal {
  /** Every revocation, oldest first. */
  lines(): readonly JournalLine[]
  erasures(): readonly ErasureLine[]
  /** On the disk when this returns. Throws `UnavailableError` when it cannot be written; nothing of it counts then. */
  append(added: readonly (JournalLine | ErasureLine)[]): void
}

/** Beside the head, under its name. */
export function journalPath(head: string): string {
  return `${head}.journal`
}

/**
 * Opens the journal at `path`; its folder must exist. What a crash has left of a last line was never acknowledged and is cut
 * off. Throws `IntegrityError` for a line that cannot be read: nobody knows what it stopped. Does not know whether lines
 * were taken away.
 */
export function createJournal(path: string): Journal {
  const text = readJournal(path)
  const whole = text.slice(0, text.lastIndexOf('\n') + 1)
  const lines = parseJournal(whole)
  let length = Buffer.byteLength(whole)
  return {
    lines: () => lines.filter((line): line is JournalLine => !isErasure(line)),
    erasures: () => lines.filter(isErasure),
    append(added) {
      const bytes = Buffer.from(added.map((line) => `${JSON.stringify(line)}\n`).join(''))
      try {
        cutTo(path, length)
        appendDurably(path, bytes)
      } catch (cause) {
        throw new UnavailableError(`the journal outside the store \`${path}\` cannot be written`, { cause })
      }
      length += bytes.length
      for (const line of added) lines.push(line)
    },
  }
}

/** Takes off what a crash, or an attempt that failed, has left of a line. */
function cutTo(path: string, length: number): void {
  if (existsSync(path) && statSync(path).size > length) truncateSync(path, length)
}

/** The lines of a journal as text, for whoever restores one. Throws `IntegrityError` like `createJournal`. */
export function parseJournal(text: string): (JournalLine | ErasureLine)[] {
  return text.split('\n').flatMap((line, index) => (line === '' ? [] : [parseLine(line, index)]))
}

function parseLine(line: string, index: number): JournalLine | ErasureLine {
  try {
    const value = parseJson(line)
    const { rev, dimension, id, at, by, erased, keys } = isJsonObject(value) ? value : {}
    if (typeof erased === 'string' && isTexts(keys) && isCount(at) && typeof by === 'string')
      return { erased, keys, at, by }
    if (isDimension(dimension) && isCount(rev) && isCount(at) && typeof id === 'string' && typeof by === 'string')
      return { rev, dimension, id, at, by }
  } catch {
    // Falls through: what the parser says is of no help.
  }
  const advice = 'put back a copy, or take the line out once it is known what it stopped'
  throw new IntegrityError(`line ${index + 1} of the journal outside the store cannot be read, ${advice}`)
}

function isErasure(line: JournalLine | ErasureLine): line is ErasureLine {
  return 'erased' in line
}

function isTexts(value: Json | undefined): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string')
}

function isDimension(value: Json | undefined): value is RevocationDimension {
  return REVOCATION_DIMENSIONS.some((known) => known === value)
}

function isCount(value: Json | undefined): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

function readJournal(path: string): string {
  try {
    return existsSync(path) ? readFileSync(path, 'utf8') : ''
  } catch (cause) {
    throw new UnavailableError(`the journal outside the store \`${path}\` cannot be read`, { cause })
  }
}

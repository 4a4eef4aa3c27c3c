/**
 * @module
 * The lines of a client that speaks MCP over stdio, as bytes: they end at a line feed and nowhere else, because other line breaks
 * may stand within a string of JSON; they are UTF-8 or refused; and no more of one is kept than a message may hold.
 */
import type { Readable } from 'node:stream'

import type { Reason } from '../core/reasons.ts'

export type MessageLine =
  | { readonly ok: true; readonly line: string }
  | { readonly ok: false; readonly reason: Extract<Reason, 'system.malformed' | 'system.too-large'> }

const NEWLINE = 0x0a

/** Yields each line without its break, the last one also where none follows. Empty lines too. */
export async function* readMessageLines(input: Readable, limit: number): AsyncGenerator<MessageLine, void, void> {
  // A byte order mark is kept, so that it is refused where the message is parsed.
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  let parts: Uint8Array[] = []
  let size = 0
  const add = (part: Uint8Array): void => {
    size += part.byteLength
    if (size <= limit) parts.push(part)
    else parts = []
  }
  const take = (): MessageLine => {
    const [bytes, isWhole] = [Buffer.concat(parts), size <= limit]
    parts = []
    size = 0
    return isWhole ? toLine(decoder, bytes) : { ok: false, reason: 'system.too-large' }
  }
  for await (const given of input) {
    const chunk: Uint8Array = typeof given === 'string' ? Buffer.from(given) : Buffer.from(given)
    let from = 0
    for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, from)) {
      add(chunk.subarray(from, at))
      from = at + 1
      yield take()
    }
    add(chunk.subarray(from))
  }
  if (size > 0) yield take()
}

function toLine(decoder: InstanceType<typeof TextDecoder>, bytes: Uint8Array): MessageLine {
  try {
    return { ok: true, line: decoder.decode(bytes) }
  } catch {
    return { ok: false, reason: 'system.malformed' }
  }
}

/**
 * @module
 * Cuts a byte stream into lines within a bound.
 */

export interface LineHandlers {
  /** A non-empty line without its break; always valid UTF-8. */
  readonly onLine: (line: string) => void
  /** A line was longer than the limit, or not UTF-8; it was skipped. */
  readonly onBroken: (message: string) => void
}

type Decoder = InstanceType<typeof TextDecoder>

const NEWLINE = 0x0a

/** Returns the function to feed with bytes. Holds at most `limit` bytes; a longer line is skipped up to its end. */
export function createLineReader(limit: number, handlers: LineHandlers): (chunk: Uint8Array) => void {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let parts: Uint8Array[] = []
  let size = 0
  const add = (part: Uint8Array): void => {
    size += part.byteLength
    if (size <= limit) parts.push(part)
    else parts = []
  }
  const flush = (): void => {
    if (size > limit) handlers.onBroken('the tool server sent a line longer than is taken')
    else if (size > 0) deliver(decoder, Buffer.concat(parts), handlers)
    parts = []
    size = 0
  }
  return (chunk) => {
    let from = 0
    for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, from)) {
      add(chunk.subarray(from, at))
      flush()
      from = at + 1
    }
    add(chunk.subarray(from))
  }
}

function deliver(decoder: Decoder, bytes: Uint8Array, handlers: LineHandlers): void {
  let line: string
  try {
    line = decoder.decode(bytes).trim()
  } catch {
    return handlers.onBroken('the tool server sent a line that is not UTF-8')
  }
  if (line !== '') handlers.onLine(line)
}

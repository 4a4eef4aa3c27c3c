/**
 * @module
 * Cuts a byte stream into lines within a bound.
 */

export interface LineHandlers {
  /** A non-empty line without its break; always valid UTF-8. */
  readonly onLine: (line: string) => void
  /** A line is longer than the limit, or not UTF-8, and is skipped; told once for each. */
  readonly onBroken: (message: string) => void
  /** A line that is skipped does not end for many times the limit. Called once. */
  readonly onEndless: () => void
}

type Decoder = InstanceType<typeof TextDecoder>

const NEWLINE = 0x0a
/** So many times the limit, and a line counts as one without an end. */
const ENDLESS = 16

/** Returns the function to feed with bytes. Holds at most `limit` bytes; a longer line is skipped up to its end. */
export function createLineReader(limit: number, handlers: LineHandlers): (chunk: Uint8Array) => void {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let parts: Uint8Array[] = []
  let size = 0
  const add = (part: Uint8Array): void => {
    const before = size
    size += part.byteLength
    if (size <= limit) {
      parts.push(part)
      return
    }
    parts = []
    // At once, and not at its end: whoever waits for it would wait for as long as the server likes.
    if (before <= limit) handlers.onBroken('the tool server sent a line longer than is taken')
    if (before <= ENDLESS * limit && size > ENDLESS * limit) handlers.onEndless()
  }
  const flush = (): void => {
    if (size > 0 && size <= limit) deliver(decoder, Buffer.concat(parts), handlers)
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

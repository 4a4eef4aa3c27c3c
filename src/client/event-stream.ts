/**
 * @module
 * Reads server-sent events (WHATWG HTML §9.2.6), as far as MCP uses them: the data of each event, in order.
 */
import { UnavailableError } from '../core/errors.ts'

type Bytes = AsyncIterable<Uint8Array> | Iterable<Uint8Array>

/** No event of a gateway is longer, in characters. */
const MAX_EVENT = 16 * 1024 * 1024

/**
 * The data of each complete event; comments, other fields and events without data are passed over. Throws
 * `UnavailableError` for an event without end. Does not reconnect.
 */
export async function* readEventData(body: Bytes): AsyncGenerator<string, void, undefined> {
  let data: string[] = []
  for await (const line of readLines(body)) {
    if (line === '' && data.length > 0) {
      yield data.join('\n')
      data = []
    } else if (line.startsWith('data:')) {
      data.push(line.slice(line.startsWith('data: ') ? 6 : 5))
    }
  }
}

/** Lines that end in LF, CR or CRLF. What stands after the last end of line is no line: the event is not complete. */
async function* readLines(body: Bytes): AsyncGenerator<string, void, undefined> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of body) {
    rest += decoder.decode(chunk, { stream: true })
    // A CR at the very end may be the first half of CRLF.
    const held = rest.endsWith('\r') ? '\r' : ''
    const lines = rest.slice(0, rest.length - held.length).split(/\r\n|\n|\r/)
    rest = (lines.pop() ?? '') + held
    if (rest.length > MAX_EVENT) throw new UnavailableError('an event of the gateway is too long')
    yield* lines
  }
}

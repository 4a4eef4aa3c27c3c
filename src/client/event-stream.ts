/**
 * @module
 * Reads server-sent events (WHATWG HTML §9.2.6), as far as MCP uses them: the data of each event, in order.
 */
import { UnavailableError } from '../core/errors.ts'

type Bytes = AsyncIterable<Uint8Array> | Iterable<Uint8Array>

/** No event of a gateway is longer, in characters. */
const MAX_EVENT = 16 * 1024 * 1024

export interface ServerEvent {
  /** `message` where the event has no name. */
  readonly event: string
  readonly data: string
}

/**
 * Each complete event with its name; comments, other fields and events without data are passed over. Throws
 * `UnavailableError` for an event without end. Does not reconnect.
 */
export async function* readServerEvents(body: Bytes): AsyncGenerator<ServerEvent, void, undefined> {
  let data: string[] = []
  let event = 'message'
  for await (const line of readLines(body)) {
    if (line === '') {
      if (data.length > 0) yield { event, data: data.join('\n') }
      data = []
      event = 'message'
    } else if (line.startsWith('data:')) {
      data.push(toValue(line, 'data:'))
    } else if (line.startsWith('event:')) {
      event = toValue(line, 'event:')
    }
  }
}

function toValue(line: string, field: string): string {
  return line.slice(field.length + (line.startsWith(`${field} `) ? 1 : 0))
}

/** The data of each complete event, as `readServerEvents` has them. */
export async function* readEventData(body: Bytes): AsyncGenerator<string, void, undefined> {
  for await (const { data } of readServerEvents(body)) yield data
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

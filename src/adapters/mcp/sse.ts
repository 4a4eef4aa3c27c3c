/**
 * @module
 * Reads bodies of an upstream within a bound: a whole document, or the `data` of server-sent events (WHATWG HTML §9.2).
 * Both decode UTF-8 fatally.
 */
import { UnavailableError } from '../../index.ts'

type Decoder = InstanceType<typeof TextDecoder>
type Body = ReadableStream<Uint8Array> | null

/** The whole body as text. Throws `UnavailableError` past `limit` bytes and for what is not UTF-8. */
export async function readText(body: Body, limit: number): Promise<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let size = 0
  let text = ''
  for await (const chunk of body ?? []) {
    size += chunk.byteLength
    if (size > limit) throw new UnavailableError('the upstream answered with more than is taken')
    text += decode(decoder, chunk)
  }
  return text + decode(decoder)
}

/** Where a stream is, so that it can be taken up there again; written to by `readEvents`. */
export interface Cursor {
  /** The id of the last event that was read; absent: none had one. */
  id?: string
  /** Milliseconds before the stream should be asked for again. */
  retryMs?: number
}

/**
 * The data of each event of type `message`, in order. An event that the end cuts off is dropped. Throws
 * `UnavailableError` for an event past `limit` characters and for what is not UTF-8.
 */
export async function* readEvents(body: Body, limit: number, cursor: Cursor = {}): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  const events = createEventReader(limit, cursor)
  for await (const chunk of body ?? []) yield* events(decode(decoder, chunk))
  yield* events(decode(decoder))
}

function decode(decoder: Decoder, chunk?: Uint8Array): string {
  try {
    return chunk === undefined ? decoder.decode() : decoder.decode(chunk, { stream: true })
  } catch (error) {
    throw new UnavailableError('the upstream answered with bytes that are not UTF-8', { cause: error })
  }
}

interface EventState {
  type: string
  data: string[]
  id?: string
}

/** Longer ones would not fit into the header that repeats them. */
const ID_LENGTH = 1024

function createEventReader(limit: number, cursor: Cursor): (chunk: string) => string[] {
  let carry = ''
  let isHalf = false
  let size = 0
  const event: EventState = { type: '', data: [] }
  return (chunk) => {
    // A line feed that follows the carriage return of the chunk before is the second half of one line break.
    const text = isHalf && chunk.startsWith('\n') ? chunk.slice(1) : chunk
    if (chunk !== '') isHalf = chunk.endsWith('\r')
    // A line that comes byte by byte is not gone through once more for each of them.
    if (!/[\r\n]/u.test(text)) {
      carry += text
      if (size + carry.length > limit) throw tooLarge()
      return []
    }
    const lines = (carry + text).split(/\r\n|\n|\r/u)
    carry = lines.pop() ?? ''
    const done: string[] = []
    for (const line of lines) {
      size = line === '' ? 0 : size + line.length
      if (size > limit) throw tooLarge()
      const data = readLine(event, line, cursor)
      if (data !== undefined) done.push(data)
    }
    if (size + carry.length > limit) throw tooLarge()
    return done
  }
}

function tooLarge(): UnavailableError {
  return new UnavailableError('the upstream sent an event larger than is taken')
}

/** Feeds one line; returns the data of the event that an empty line ends. */
function readLine(event: EventState, line: string, cursor: Cursor): string | undefined {
  if (line === '') {
    const { type, data, id } = event
    // An event that was cut off is not behind us.
    if (id === '') delete cursor.id
    else if (id !== undefined) cursor.id = id
    delete event.id
    event.type = ''
    event.data = []
    return data.length > 0 && (type === '' || type === 'message') ? data.join('\n') : undefined
  }
  const colon = line.indexOf(':')
  const field = colon < 0 ? line : line.slice(0, colon)
  const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /u, '')
  if (field === 'data') event.data.push(value)
  if (field === 'event') event.type = value
  if (field === 'id' && isHeaderText(value)) event.id = value
  if (field === 'retry' && /^\d{1,9}$/u.test(value)) cursor.retryMs = Number(value)
  return undefined
}

/** Printable, because it goes into a header. */
function isHeaderText(value: string): boolean {
  return value.length <= ID_LENGTH && /^[\x21-\x7e]*$/u.test(value)
}

/**
 * @module
 * Streams of a server over HTTP that break and are taken up again where they broke: the one that answers a call, and the one on
 * which the server speaks outside of any call (MCP 2025-11-25, "Resumability and Redelivery").
 */
import { setTimeout as wait } from 'node:timers/promises'

import { UnavailableError } from '../../index.ts'
import { readEvents, type Cursor } from './sse.ts'

export interface StreamOptions {
  /** Asks for the stream, from the event after this one on. Rejects where the server cannot be reached. */
  readonly open: (lastEventId: string | undefined, signal: AbortSignal) => Promise<Response>
  /** Bytes of one event. */
  readonly limit: number
  readonly signal: AbortSignal
}

/** Milliseconds before a stream is asked for again, where the server names none; and within what it may name. */
const [USUAL, LEAST, MOST] = [1_000, 100, 60_000]
/** So often in a row a stream may break without having brought anything. */
const IN_VAIN = 5

/**
 * The data of each event that answers a call. A stream that ends is resumed after its last event, where that had an id. Throws
 * `UnavailableError` where it cannot be resumed. Does not promise that the server resumes where it was asked to.
 */
export async function* readAnswerStream(first: Response, options: StreamOptions): AsyncGenerator<string> {
  const cursor: Cursor = {}
  let response = first
  for (let inVain = 0; inVain < IN_VAIN; inVain += 1) {
    try {
      for await (const data of readEvents(response.body, options.limit, cursor)) {
        inVain = 0
        yield data
      }
    } catch (fault) {
      // What was read and is not to be taken stays so; a connection that broke is another matter.
      if (fault instanceof UnavailableError || options.signal.aborted) throw fault
    }
    if (cursor.id === undefined) break
    await pause(cursor.retryMs ?? USUAL, options.signal)
    response = await options.open(cursor.id, options.signal)
    if (isStream(response)) continue
    await response.body?.cancel()
    throw new UnavailableError(`the tool server answered with status ${response.status} where a stream was resumed`)
  }
  throw new UnavailableError('the tool server ended the stream without an answer')
}

export interface ListenOptions extends StreamOptions {
  readonly onData: (data: string) => Promise<void>
}

/**
 * Listens to what a server says outside of any call until the signal aborts; settles early where the server offers no such stream.
 * Never rejects. Does not promise that nothing was missed while it was not connected.
 */
export async function listenToServer(options: ListenOptions): Promise<void> {
  const { signal } = options
  const cursor: Cursor = {}
  for (let inVain = 0; !signal.aborted && inVain < IN_VAIN; inVain += 1) {
    try {
      const response = await options.open(cursor.id, signal)
      if (!isStream(response)) {
        await response.body?.cancel()
        // A server that has none says so with 405; whatever else it says, it is not asked for ever.
        if (response.status < 500) return
      } else {
        for await (const data of readEvents(response.body, options.limit, cursor)) {
          inVain = 0
          await options.onData(data)
        }
      }
    } catch {
      // It could not be reached, or said what cannot be read: as if it had ended.
    }
    await pause((cursor.retryMs ?? USUAL) * 2 ** inVain, signal).catch(() => undefined)
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await wait(Math.min(MOST, Math.max(LEAST, ms)), undefined, { signal, ref: false })
}

function isStream(response: Response): boolean {
  const type = response.headers.get('content-type')?.split(';')[0]?.trim().toLowerCase()
  return response.ok && type === 'text/event-stream'
}

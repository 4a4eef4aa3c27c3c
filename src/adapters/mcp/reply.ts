/**
 * @module
 * The answer to one POST: a single JSON document, or, from the first notification on, an event stream
 * (MCP 2025-06-18, "Streamable HTTP").
 */

export interface Reply {
  /** Settles with the first thing that is to be sent. */
  readonly response: Promise<Response>
  /** Sends a message before the answer. Dropped when the client takes no stream or does not read it. */
  notify(message: string): void
  /** Sends the answer and ends. */
  finish(message: string): void
  /** Ends without an answer, for a request that its sender cancelled. */
  abandon(): void
}

export interface ReplyOptions {
  readonly accept: Accepted
  /** Bytes that may wait for a slow reader. */
  readonly limit: number
  /** Called when the reader of a stream goes away before the end. */
  readonly onGone: () => void
}

export interface Accepted {
  readonly json: boolean
  readonly stream: boolean
}

/** What an `Accept` header admits; an absent header admits JSON. */
export function parseAccept(header: string | null): Accepted {
  const types = (header ?? '*/*').split(',').map((part) => part.split(';')[0]?.trim().toLowerCase())
  const any = types.includes('*/*')
  return {
    json: any || types.includes('application/json') || types.includes('application/*'),
    stream: types.includes('text/event-stream') || types.includes('text/*'),
  }
}

const NO_STORE = { 'cache-control': 'no-store' }

/** A JSON document as a response. */
export function toJsonResponse(text: string, status: number, headers: Record<string, string> = {}): Response {
  return new Response(text, { status, headers: { 'content-type': 'application/json', ...NO_STORE, ...headers } })
}

/** One server-sent event. Line breaks inside the JSON text are white space there, and stay so over several `data` lines. */
export function toEvent(message: string): string {
  const lines = message.split(/\r\n|\r|\n/u).map((line) => `data: ${line}\n`)
  return `event: message\n${lines.join('')}\n`
}

/** Says nothing, and shows everyone on the way that the connection is in use. */
export const STILL_THERE = ':\n\n'
/** Milliseconds after which it is shown; less than proxies wait as a rule. */
export const STILL_THERE_MS = 15_000

/**
 * Creates the answer to one request. By itself it sends only, to whoever takes a stream, that the answer is still to come: the
 * official clients give up a connection on which nothing comes for five minutes.
 */
export function createReply(options: ReplyOptions): Reply {
  const { promise, resolve } = Promise.withResolvers<Response>()
  let stream: EventStream | undefined
  let ended = false
  const upgrade = (): EventStream => {
    if (stream !== undefined) return stream
    stream = createEventStream(options)
    resolve(stream.response)
    return stream
  }
  const timer = setInterval(() => upgrade().keep(), STILL_THERE_MS).unref()
  if (!options.accept.stream) clearInterval(timer)
  const end = (act: () => void): void => {
    if (ended) return
    ended = true
    clearInterval(timer)
    act()
  }
  return {
    response: promise,
    notify: (message) => {
      if (!ended && options.accept.stream) upgrade().send(message)
    },
    finish: (message) =>
      end(() => {
        if (stream === undefined && options.accept.json) resolve(toJsonResponse(message, 200))
        else upgrade().end(message)
      }),
    abandon: () => end(() => (options.accept.stream ? upgrade().end() : resolve(new Response(null, { status: 204 })))),
  }
}

interface EventStream {
  readonly response: Response
  send(message: string): void
  /** Sends a sign of life, where nothing else waits to be read. */
  keep(): void
  end(message?: string): void
}

function createEventStream({ limit, onGone }: ReplyOptions): EventStream {
  const encoder = new TextEncoder()
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>(
    undefined,
    undefined,
    new ByteLengthQueuingStrategy({ highWaterMark: limit }),
  )
  const writer = writable.getWriter()
  let waiting = 0
  let gone = false
  const leave = (): void => {
    if (!gone) onGone()
    gone = true
  }
  writer.closed.catch(leave)
  const write = (text: string): void => {
    const bytes = encoder.encode(text)
    waiting += bytes.byteLength
    writer.write(bytes).then(() => (waiting -= bytes.byteLength), leave)
  }
  return {
    response: new Response(readable, { headers: { 'content-type': 'text/event-stream', ...NO_STORE } }),
    send: (message) => {
      if (!gone && waiting <= limit) write(toEvent(message))
    },
    keep: () => {
      if (!gone && waiting === 0) write(STILL_THERE)
    },
    end: (message) => {
      if (message !== undefined) write(toEvent(message))
      writer.close().catch(leave)
    },
  }
}

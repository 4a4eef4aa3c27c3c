/**
 * @module
 * What a session is told outside of any answer: that a list or a resource changed, and nothing else, because nothing labels the
 * rest. One stream a session (MCP 2025-11-25, "Listening for Messages from the Server"); without one it comes with the next answer.
 */
import { STILL_THERE, STILL_THERE_MS, toEvent } from './reply.ts'
import type { ServerNotification } from './upstream.ts'

/** Events that are kept for a client that comes back. */
const KEPT = 64
/** Messages that may wait for a client without a stream: one for each resource that it can subscribe to, and more. */
const UNTOLD = 2048

export interface SessionEvents {
  /** Tells it a message on the stream; where there is none that is being read it waits for `takeUntold`, once. */
  readonly tell: (message: string) => void
  /** What could not be told on a stream, for whoever tells it otherwise. */
  takeUntold(): readonly string[]
  /** Opens the stream, in the place of one that is open; first comes what was told after the event with this id. */
  open(lastEventId: string | null): Response
  /** True while a stream is open; one whose client is gone is noticed when it is shown that it is still there. */
  isOpen(): boolean
  close(): void
}

interface Told {
  readonly id: number
  readonly text: string
}

/**
 * The message with which a session is told that something changed, without anything that a server wrote; undefined where it is
 * told nothing. Of a resource within one that was subscribed to it is told that the one that it knows changed.
 */
export function toSignalText(
  { method, params }: ServerNotification,
  subscriptions: ReadonlySet<string>,
): string | undefined {
  if (method !== 'notifications/resources/updated') return JSON.stringify({ jsonrpc: '2.0', method })
  const { uri: updated } = params
  if (typeof updated !== 'string') return undefined
  const uri = subscriptions.has(updated) ? updated : [...subscriptions].find((each) => updated.startsWith(`${each}/`))
  return uri === undefined ? undefined : JSON.stringify({ jsonrpc: '2.0', method, params: { uri } })
}

/** Creates the events of one session. Does not promise that what was sent has arrived: a client resumes to make sure. */
export function createSessionEvents(): SessionEvents {
  const encoder = new TextEncoder()
  const kept: Told[] = []
  const untold = new Set<string>()
  let last = 0
  let stream: ReadableStreamDefaultController<Uint8Array> | undefined
  let timer: NodeJS.Timeout | undefined
  const leave = (): typeof stream => {
    const open = stream
    stream = undefined
    clearInterval(timer)
    return open
  }
  const close = (): void => leave()?.close()
  const keep = (): void => {
    // A client that does not read is shown nothing more.
    if ((stream?.desiredSize ?? 0) > 0) stream?.enqueue(encoder.encode(STILL_THERE))
  }
  const tell = (message: string): void => {
    // A server that announces without end fills no memory: what is not read is told once, with the next answer.
    if (stream === undefined || (stream.desiredSize ?? 0) <= 0) {
      if (untold.size < UNTOLD) untold.add(message)
      return
    }
    last += 1
    const text = `id: ${last}\n${toEvent(message)}`
    kept.push({ id: last, text })
    if (kept.length > KEPT) kept.shift()
    stream.enqueue(encoder.encode(text))
  }
  const takeUntold = (): readonly string[] => {
    const taken = [...untold]
    untold.clear()
    return taken
  }
  return {
    tell,
    takeUntold,
    open: (lastEventId) => {
      close()
      const seen = /^\d{1,15}$/u.test(lastEventId ?? '') ? Number(lastEventId) : last
      const missed = kept.filter(({ id }) => id > seen).map(({ text }) => text)
      let own: typeof stream
      const body = new ReadableStream<Uint8Array>(
        {
          start: (controller) => {
            own = controller
            stream = controller
            // Headers alone do not leave before the first byte.
            controller.enqueue(encoder.encode(`${STILL_THERE}${missed.join('')}`))
          },
          cancel: () => {
            if (stream === own) leave()
          },
        },
        { highWaterMark: KEPT },
      )
      timer = setInterval(keep, STILL_THERE_MS).unref()
      for (const message of takeUntold()) tell(message)
      return new Response(body, { headers: { 'content-type': 'text/event-stream', 'cache-control': 'no-store' } })
    },
    isOpen: () => stream !== undefined,
    close,
  }
}

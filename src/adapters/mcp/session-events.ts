/**
 * @module
 * What a session is told outside of any answer: that a list changed, and nothing else, because nothing labels the rest. One
 * stream a session (MCP 2025-11-25, "Listening for Messages from the Server"); without one it comes with the next answer.
 */
import { toEvent } from './reply.ts'

/** Events that are kept for a client that comes back. */
const KEPT = 64

export interface SessionEvents {
  /** Tells it on the stream; false when there is none that is being read, so that it has to be told otherwise. */
  tell(method: string): boolean
  /** Opens the stream, in the place of one that is open; first comes what was told after the event with this id. */
  open(lastEventId: string | null): Response
  close(): void
}

interface Told {
  readonly id: number
  readonly text: string
}

/** Creates the events of one session. Does not promise that what was sent has arrived: a client resumes to make sure. */
export function createSessionEvents(): SessionEvents {
  const encoder = new TextEncoder()
  const kept: Told[] = []
  let last = 0
  let stream: ReadableStreamDefaultController<Uint8Array> | undefined
  const close = (): void => {
    const open = stream
    stream = undefined
    open?.close()
  }
  return {
    tell: (method) => {
      // A server that announces without end fills no memory: what is not read is told once, with the next answer.
      if (stream === undefined || (stream.desiredSize ?? 0) <= 0) return false
      last += 1
      const text = `id: ${last}\n${toEvent(JSON.stringify({ jsonrpc: '2.0', method }))}`
      kept.push({ id: last, text })
      if (kept.length > KEPT) kept.shift()
      stream.enqueue(encoder.encode(text))
      return true
    },
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
            controller.enqueue(encoder.encode(`:\n\n${missed.join('')}`))
          },
          cancel: () => {
            if (stream === own) stream = undefined
          },
        },
        { highWaterMark: KEPT },
      )
      return new Response(body, { headers: { 'content-type': 'text/event-stream', 'cache-control': 'no-store' } })
    },
    close,
  }
}

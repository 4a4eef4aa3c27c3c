/**
 * @module
 * One subscriber's end of the feed: a stream of bytes with a bound on what it holds back.
 */

export interface Sink {
  readonly readable: ReadableStream<Uint8Array>
  /** Ends the stream when what waits to be read exceeds the bound. */
  write(bytes: Uint8Array): void
  end(): void
}

/** What may wait besides what it began with: minutes of heartbeats, or thousands of revocations at once. */
const MAX_WAITING_BYTES = 1024 * 1024

/** `onEnd` is called once, with true where it was ended for not reading. */
export function createSink({
  first,
  onEnd,
}: {
  readonly first: Uint8Array
  readonly onEnd: (isSlow: boolean) => void
}): Sink {
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined
  const close = (isSlow: boolean): ReadableStreamDefaultController<Uint8Array> | undefined => {
    const open = controller
    controller = undefined
    if (open !== undefined) onEnd(isSlow)
    return open
  }
  const readable = new ReadableStream<Uint8Array>(
    {
      start(given) {
        controller = given
        given.enqueue(first)
      },
      cancel() {
        close(false)
      },
    },
    new ByteLengthQueuingStrategy({ highWaterMark: first.byteLength + MAX_WAITING_BYTES }),
  )
  return {
    readable,
    write(bytes) {
      controller?.enqueue(bytes)
      if ((controller?.desiredSize ?? 1) <= 0) close(true)?.error(new Error('the subscriber does not read'))
    },
    end: () => close(false)?.close(),
  }
}

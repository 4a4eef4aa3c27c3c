/**
 * @module
 * Bodies of requests: read once, up to a limit, and handed on as they were.
 */
import type { IncomingMessage } from 'node:http'

import { InputError, InvariantError } from '../core/errors.ts'

function assertSize(size: number, limit: number): void {
  if (size > limit) throw new InputError('the message is too large', 'system.too-large')
}

/** Throws `InputError` for more than `limit` bytes and for what does not arrive whole. */
export async function readStream(chunks: AsyncIterable<Uint8Array>, limit: number): Promise<Uint8Array<ArrayBuffer>> {
  const read: Uint8Array[] = []
  let size = 0
  try {
    for await (const chunk of chunks) {
      size += chunk.byteLength
      assertSize(size, limit)
      read.push(chunk)
    }
  } catch (fault) {
    throw fault instanceof InputError ? fault : new InputError('the body did not arrive whole')
  }
  return Uint8Array.from(Buffer.concat(read))
}

/**
 * Reads what is announced and puts it back, so that whoever reads next gets the same bytes. Throws `InputError` as
 * `readStream`, and for a body that is announced and empty; `InvariantError` when somebody has read before.
 */
export async function readIncoming(incoming: IncomingMessage, limit: number): Promise<Uint8Array> {
  const { 'content-length': length, 'transfer-encoding': coding } = incoming.headers
  if (incoming.readableDidRead || incoming.readableEnded)
    throw new InvariantError('the body was read already; put the guard before everything that reads bodies')
  // Nothing will be told of it any more.
  if (incoming.destroyed) throw new InputError('the body did not arrive whole')
  assertSize(Number(length ?? '0'), limit)
  if (coding === undefined && Number(length ?? '0') === 0) return new Uint8Array()
  const body = await readAhead(incoming, limit)
  if (body.length === 0) throw new InputError('a body is announced and empty')
  if (incoming.rawTrailers.length > 0) throw new InputError('trailers are not part of an action')
  return body
}

/** Everything, put back in the turn of the event loop in which the last of it came. */
async function readAhead(incoming: IncomingMessage, limit: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const read: Buffer[] = []
    let size = 0
    const settle = (outcome: () => void): void => {
      incoming.off('readable', onReadable)
      incoming.off('error', onLost)
      incoming.off('close', onLost)
      outcome()
    }
    const onLost = (): void => settle(() => reject(new InputError('the body did not arrive whole')))
    const onReadable = (): void => {
      for (let chunk = toChunk(incoming); chunk !== undefined; chunk = toChunk(incoming)) {
        size += chunk.length
        read.push(chunk)
      }
      if (size > limit) return settle(() => reject(new InputError('the message is too large', 'system.too-large')))
      if (incoming.complete)
        settle(() => {
          const body = Buffer.concat(read)
          // Here and not after the promise: then the stream would have ended. Its end is told once these are read again.
          if (body.length > 0) incoming.unshift(body)
          resolve(body)
        })
      return undefined
    }
    incoming.on('readable', onReadable)
    incoming.once('error', onLost)
    incoming.once('close', onLost)
  })
}

function toChunk(incoming: IncomingMessage): Buffer | undefined {
  const chunk: unknown = incoming.read()
  return Buffer.isBuffer(chunk) ? chunk : undefined
}

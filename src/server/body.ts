/**
 * @module
 * Reads bodies of whoever sends them: a proof covers the body, so that all of it is held before anybody has proved anything.
 */
import { InputError, RefusedError } from '../index.ts'

export type BodyReader = (request: Request) => Promise<Uint8Array>

/** What every body may hold without being counted, so that ordinary requests go on while somebody holds large ones open. */
const FREE_BYTES = 65_536
/** Bodies of the largest size that may wait for their rest at once. */
const WAITING_BODIES = 16

/**
 * A reader of bodies of at most `limit` bytes. Throws `InputError` for a larger one and for one that does not arrive whole,
 * `RefusedError` when too much is being held for others. Does not end a sender that is slow; the server's time-outs do.
 */
export function createBodyReader(limit: number): BodyReader {
  const most = limit * WAITING_BODIES
  let held = 0
  return async (request) => {
    assertSize(Number(request.headers.get('content-length') ?? '0'), limit)
    if (request.body === null) return new Uint8Array()
    const chunks: Uint8Array[] = []
    let [size, counted] = [0, 0]
    try {
      for await (const chunk of request.body) {
        size += chunk.byteLength
        assertSize(size, limit)
        const more = Math.max(0, size - FREE_BYTES) - counted
        if (more > 0 && held + more > most)
          throw new RefusedError('system.indeterminate', 'too many large bodies at once')
        held += more
        counted += more
        chunks.push(chunk)
      }
    } catch (fault) {
      throw fault instanceof InputError || fault instanceof RefusedError
        ? fault
        : new InputError('the body did not arrive whole')
    } finally {
      held -= counted
    }
    return Buffer.concat(chunks)
  }
}

function assertSize(size: number, limit: number): void {
  if (size > limit) throw new InputError('the message is too large', 'system.too-large')
}

/**
 * @module
 * What a tool gives back, read to its end: nothing of it may be seen before all of it is labelled.
 */
import { parseJson, type Json } from '../index.ts'

/**
 * The value of a tool's result. A promise is awaited; a generator or an iterable that is not plain data is read to its end
 * and counts as what it returns, or else as the last value that it gave. Stops reading when `signal` is aborted.
 */
export async function drain(result: unknown, signal: AbortSignal): Promise<unknown> {
  const value: unknown = await result
  const iterator = toIterator(value)
  if (iterator === undefined) return value
  let last: unknown
  try {
    for (;;) {
      signal.throwIfAborted()
      // One after the other on purpose: a generator has one next value.
      const next = await iterator.next()
      if (next.done === true) return (await next.value) ?? last
      last = await next.value
    }
  } finally {
    if (signal.aborted) await iterator.return?.()
  }
}

type AnyIterator = Iterator<unknown, unknown> | AsyncIterator<unknown, unknown>

function toIterator(value: unknown): AnyIterator | undefined {
  if (isAsyncIterable(value)) return value[Symbol.asyncIterator]()
  return isGenerator(value) ? value : undefined
}

function isAsyncIterable(value: unknown): value is AsyncIterable<unknown, unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value
}

/** Arrays, strings, maps and sets are data; a synchronous generator has `next`. */
function isGenerator(value: unknown): value is Iterator<unknown, unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    Symbol.iterator in value &&
    'next' in value &&
    typeof value.next === 'function'
  )
}

/** The result as JSON, as a copy; nothing is `null`. Throws for what is not JSON, so that its outcome counts as unknown. */
export function toJson(value: unknown): Json {
  const text: unknown = JSON.stringify(value ?? null)
  if (typeof text !== 'string') throw new TypeError('the tool gave back what is not JSON')
  return parseJson(text, { numbers: 'any', maxDepth: 512 })
}

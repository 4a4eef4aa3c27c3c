import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'

import { createReply, STILL_THERE_MS } from './reply.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const toReply = (stream: boolean, limit = 1000): ReturnType<typeof createReply> =>
  createReply({ accept: { json: true, stream }, limit, onGone: () => undefined })

describe('an answer that takes its time', () => {
  it('shows that it is still to come, and comes on the same stream', async () => {
    const reply = toReply(true)
    await vi.advanceTimersByTimeAsync(STILL_THERE_MS)
    const response = await reply.response
    const reader = response.body?.getReader()
    const read = async (): Promise<string> => Buffer.from((await reader?.read())?.value ?? []).toString()
    expect(await read()).toBe(':\n\n')
    await vi.advanceTimersByTimeAsync(STILL_THERE_MS)
    expect(await read()).toBe(':\n\n')
    reply.finish('{}')
    expect(await read()).toBe('event: message\ndata: {}\n\n')
    expect((await reader?.read())?.done).toBe(true)
    expect(vi.getTimerCount()).toBe(0)
  })

  it('is one document where the client takes no stream', async () => {
    const reply = toReply(false)
    await vi.advanceTimersByTimeAsync(20 * STILL_THERE_MS)
    reply.finish('{}')
    expect(await (await reply.response).text()).toBe('{}')
    expect(vi.getTimerCount()).toBe(0)
  })

  it('piles nothing up for a client that does not read', async () => {
    const reply = toReply(true)
    await vi.advanceTimersByTimeAsync(1000 * STILL_THERE_MS)
    reply.finish('{}')
    const text = await (await reply.response).text()
    expect(text).toMatch(/^:\n\n.*data: \{\}\n\n$/su)
    expect(text.length).toBeLessThan(1100)
  })
})

describe('an answer that comes at once', () => {
  it('is one document, and leaves no timer', async () => {
    const reply = toReply(true)
    reply.finish('{}')
    expect((await reply.response).headers.get('content-type')).toBe('application/json')
    expect(vi.getTimerCount()).toBe(0)
  })
})

import { describe, expect, it } from 'vitest'

import { listenToServer, readAnswerStream } from './server-stream.ts'

const encoder = new TextEncoder()
const STREAM = { 'content-type': 'text/event-stream' }

/** A stream of these chunks; `broken` ends it as a lost connection does. */
function toResponse(text: string, broken = false): Response {
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(encoder.encode(text))
      if (!broken) controller.close()
    },
    pull(controller) {
      if (broken) controller.error(new TypeError('terminated'))
    },
  })
  return new Response(body, { headers: STREAM })
}

interface Asked {
  readonly from: (string | undefined)[]
  readonly open: (lastEventId: string | undefined) => Promise<Response>
}

/** Answers in turn; what is asked for beyond them is empty. */
function createServer(...answers: readonly Response[]): Asked {
  const from: (string | undefined)[] = []
  return {
    from,
    open: async (lastEventId) => {
      from.push(lastEventId)
      return answers[from.length - 1] ?? toResponse(`retry: 1\n\n`)
    },
  }
}

async function readAll(first: Response, asked: Asked, signal = new AbortController().signal): Promise<string[]> {
  const read: string[] = []
  try {
    for await (const data of readAnswerStream(first, { open: asked.open, limit: 4000, signal })) read.push(data)
  } catch (fault) {
    read.push(`fault: ${fault instanceof Error ? fault.message : ''}`)
  }
  return read
}

const NO_ANSWER = 'fault: the tool server ended the stream without an answer'

describe('the stream that answers a call', () => {
  it.each([
    ['that the server ended', false],
    ['that broke', true],
  ])('%s is resumed after its last whole event', async (_how, broken) => {
    const asked = createServer(toResponse('id: b\ndata: two\n\n'))
    const first = toResponse('id: a\nretry: 1\ndata: one\n\nid: never\ndata: cut', broken)
    expect((await readAll(first, asked)).slice(0, 2)).toEqual(['one', 'two'])
    expect(asked.from.slice(0, 2)).toEqual(['a', 'b'])
  })

  it('is not resumed where no event had an id', async () => {
    const asked = createServer()
    expect(await readAll(toResponse('data: one\n\n'), asked)).toEqual(['one', NO_ANSWER])
    expect(asked.from).toEqual([])
  })

  it('is given up when it was resumed in vain often enough', async () => {
    const asked = createServer()
    expect(await readAll(toResponse('id: a\nretry: 1\ndata: one\n\n'), asked)).toEqual(['one', NO_ANSWER])
    expect(asked.from.length).toBeLessThan(8)
  })

  it('is given up where the server no longer has it', async () => {
    const asked = createServer(new Response('', { status: 404 }))
    const [, fault] = await readAll(toResponse('id: a\nretry: 1\ndata: one\n\n'), asked)
    expect(fault).toContain('status 404')
  })

  it('takes no id that does not fit into a header', async () => {
    const asked = createServer()
    await readAll(toResponse(`id: a\nretry: 1\ndata: one\n\nid: b c\ndata: two\n\nid: ${'x'.repeat(2000)}`), asked)
    expect(new Set(asked.from)).toEqual(new Set(['a']))
  })

  it('ends with the call', async () => {
    const call = new AbortController()
    const asked = createServer()
    const reading = readAll(toResponse('id: a\nretry: 60000\ndata: one\n\n'), asked, call.signal)
    call.abort()
    expect((await reading).at(-1)).toMatch(/^fault/u)
    expect(asked.from).toEqual([])
  })
})

async function listen(asked: Asked, enough: number): Promise<string[]> {
  const session = new AbortController()
  const heard: string[] = []
  const onData = async (data: string): Promise<void> => {
    heard.push(data)
    if (heard.length === enough) session.abort()
  }
  await listenToServer({ open: asked.open, limit: 1000, signal: session.signal, onData })
  return heard
}

describe('the stream on which a server speaks by itself', () => {
  it('is asked for again after its last event', async () => {
    const asked = createServer(toResponse('id: 1\nretry: 1\ndata: one\n\n', true), toResponse('id: 2\ndata: two\n\n'))
    expect(await listen(asked, 2)).toEqual(['one', 'two'])
    expect(asked.from).toEqual([undefined, '1'])
  })

  it.each([405, 404, 200])('is asked for once where the server answers %d without a stream', async (status) => {
    const asked = createServer(new Response('', { status }))
    expect(await listen(asked, 1)).toEqual([])
    expect(asked.from).toEqual([undefined])
  })

  it('goes on after something that nobody takes', async () => {
    const large = toResponse(`retry: 1\ndata: ${'x'.repeat(2000)}\n\n`)
    const asked = createServer(large, toResponse('data: one\n\n'))
    expect(await listen(asked, 1)).toEqual(['one'])
  })

  it('is given up when it was asked for in vain often enough', async () => {
    const asked = createServer()
    expect(await listen(asked, 1)).toEqual([])
    expect(asked.from.length).toBeLessThan(8)
  })
})

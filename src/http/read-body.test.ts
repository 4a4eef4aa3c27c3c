import { createServer, IncomingMessage, request as openRequest, type RequestListener } from 'node:http'
import { Socket } from 'node:net'
import { PassThrough } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { setTimeout } from 'node:timers/promises'

import { describe, expect, it } from 'vitest'

import { readIncoming, readStream } from './read-body.ts'

async function withServer<T>(listener: RequestListener, run: (port: number) => Promise<T>): Promise<T> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  try {
    return await run(typeof address === 'object' && address !== null ? address.port : 0)
  } finally {
    server.closeAllConnections()
    server.close()
  }
}

/** Sends in pieces, with pauses, so that the last of it comes alone. */
async function sendIn(
  port: number,
  pieces: readonly Buffer[],
  headers: Record<string, string | number>,
): Promise<string> {
  const answered = Promise.withResolvers<string>()
  const request = openRequest({ port, host: '127.0.0.1', method: 'POST', headers }, (response) => {
    buffer(response).then((bytes) => answered.resolve(bytes.toString()), answered.reject)
  })
  request.on('error', answered.reject)
  for (const piece of pieces) {
    request.write(piece)
    await setTimeout(2)
  }
  request.end()
  return answered.promise
}

const BIG = Buffer.alloc(900_000, 'unbearer ')
const PIECES = [BIG.subarray(0, 1), BIG.subarray(1, 70_000), BIG.subarray(70_000, 899_999), BIG.subarray(899_999)]

/** The ways in which those who come after read a request. */
const READERS: Readonly<Record<string, (incoming: IncomingMessage) => Promise<Buffer>>> = {
  'for await': async (incoming) => {
    const chunks: Buffer[] = []
    for await (const chunk of incoming) chunks.push(Buffer.from(chunk))
    return Buffer.concat(chunks)
  },
  'data and end': async (incoming) =>
    new Promise((resolve) => {
      const chunks: Buffer[] = []
      incoming.on('data', (chunk: Buffer) => void chunks.push(chunk))
      incoming.on('end', () => resolve(Buffer.concat(chunks)))
    }),
  pipe: async (incoming) => buffer(incoming.pipe(new PassThrough())),
  'readable and read': async (incoming) =>
    new Promise((resolve) => {
      const chunks: Buffer[] = []
      incoming.on('readable', () => {
        for (let chunk: unknown = incoming.read(); chunk !== null; chunk = incoming.read())
          if (Buffer.isBuffer(chunk)) chunks.push(chunk)
      })
      incoming.on('end', () => resolve(Buffer.concat(chunks)))
    }),
}

const readLittle: RequestListener = (incoming, response) => {
  readIncoming(incoming, 1_000).then(
    () => response.end('read'),
    (fault: { reason?: string }) => response.end(fault.reason),
  )
}

function streamOf(...chunks: readonly string[]): ReadableStream<Uint8Array> {
  return ReadableStream.from(chunks.map((chunk) => new TextEncoder().encode(chunk)))
}

describe('a body that is read ahead', () => {
  it.each(
    Object.keys(READERS).flatMap((name) =>
      [{ 'content-length': BIG.length }, { 'transfer-encoding': 'chunked' }].map((headers) => [name, headers] as const),
    ),
  )('is there again whole for `%s`, sent with %j', async (name, headers) => {
    const listener: RequestListener = (incoming, response) => {
      const again = async (): Promise<string> => {
        const read = await readIncoming(incoming, BIG.length)
        await setTimeout(5)
        const seen = (await READERS[name]?.(incoming)) ?? Buffer.alloc(0)
        return `${BIG.equals(read)} ${BIG.equals(seen)}`
      }
      again().then(
        (said) => response.end(said),
        () => response.destroy(),
      )
    }
    expect(await withServer(listener, async (port) => sendIn(port, PIECES, headers))).toBe('true true')
  })

  it('is refused when it is longer than it may be, announced or not', async () => {
    for (const headers of [{ 'content-length': BIG.length }, { 'transfer-encoding': 'chunked' }])
      expect(await withServer(readLittle, async (port) => sendIn(port, PIECES, headers))).toBe('system.too-large')
  })

  it('does not wait for what cannot come any more', async () => {
    const gone = new IncomingMessage(new Socket())
    gone.headers = { 'content-length': '5' }
    gone.destroy()
    await expect(readIncoming(gone, 10)).rejects.toThrow('did not arrive whole')
    const going = new IncomingMessage(new Socket())
    going.headers = { 'content-length': '5' }
    const reading = readIncoming(going, 10)
    going.destroy()
    await expect(reading).rejects.toThrow('did not arrive whole')
  })
})

describe('a stream', () => {
  it('is read to its end, up to a limit, and refused where it breaks', async () => {
    expect(Buffer.from(await readStream(streamOf('ab', 'c'), 3)).toString()).toBe('abc')
    await expect(readStream(streamOf('ab', 'cd'), 3)).rejects.toMatchObject({ reason: 'system.too-large' })
    const broken = new ReadableStream<Uint8Array>({ pull: (controller) => controller.error(new Error('lost')) })
    await expect(readStream(broken, 3)).rejects.toThrow('did not arrive whole')
  })
})

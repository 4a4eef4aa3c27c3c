import { describe, expect, it } from 'vitest'

import { createBodyReader } from './body.ts'

interface Sender {
  readonly request: Request
  send(bytes: number): Promise<void>
  end(): Promise<void>
  tear(): Promise<void>
}

function startSender(): Sender {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>()
  const writer = writable.getWriter()
  // `duplex` is what the platform asks of a body that streams; its type does not know it yet.
  const init: RequestInit & { readonly duplex: 'half' } = { method: 'POST', body: readable, duplex: 'half' }
  return {
    request: new Request('http://127.0.0.1/', init),
    send: async (bytes) => writer.write(new Uint8Array(bytes)),
    end: async () => writer.close(),
    tear: async () => writer.abort(new Error('gone')),
  }
}

const LIMIT = 200_000

describe('a reader of bodies', () => {
  it('holds only so much of large ones, and small ones go on', async () => {
    const read = createBodyReader(LIMIT)
    const slow = Array.from({ length: 40 }, startSender)
    const reading = slow.map(async ({ request }) => read(request).catch((fault: unknown) => fault))
    await Promise.all(slow.map(async (each) => each.send(LIMIT).catch(() => undefined)))
    const small = startSender()
    const got = read(small.request)
    await small.send(1000)
    await small.end()
    expect((await got).byteLength).toBe(1000)
    await Promise.all(slow.map(async (each) => each.end().catch(() => undefined)))
    const outcomes = await Promise.all(reading)
    expect(outcomes.filter((each) => each instanceof Uint8Array)).toHaveLength(
      Math.floor((16 * LIMIT) / (LIMIT - 65_536)),
    )
    expect(outcomes.filter((each) => each instanceof Error)[0]).toMatchObject({ reason: 'system.indeterminate' })
  })

  it('gives back what it held, however a body ended', async () => {
    const read = createBodyReader(LIMIT)
    for (let round = 0; round < 40; round += 1) {
      const torn = startSender()
      const reading = read(torn.request)
      await torn.send(LIMIT)
      await torn.tear()
      await expect(reading).rejects.toMatchObject({ reason: 'system.malformed' })
    }
    const whole = startSender()
    const reading = read(whole.request)
    await whole.send(LIMIT)
    await whole.end()
    expect((await reading).byteLength).toBe(LIMIT)
  })

  it('refuses what is larger, said or not', async () => {
    const read = createBodyReader(LIMIT)
    const said = new Request('http://127.0.0.1/', {
      method: 'POST',
      body: 'x',
      headers: { 'content-length': '200001' },
    })
    await expect(read(said)).rejects.toMatchObject({ reason: 'system.too-large' })
    const unsaid = startSender()
    const reading = read(unsaid.request)
    const sending = unsaid.send(LIMIT + 1).catch(() => undefined)
    await expect(reading).rejects.toMatchObject({ reason: 'system.too-large' })
    await sending
  })
})

import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { createLineReader } from './lines.ts'
import { toEvent } from './reply.ts'
import { readEvents, readText } from './sse.ts'

const encoder = new TextEncoder()

function streamOf(bytes: Uint8Array, size: number): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      for (let at = 0; at < bytes.length; at += size) controller.enqueue(bytes.slice(at, at + size))
      controller.close()
    },
  })
}

async function eventsOf(text: string, size = 3, limit = 1000): Promise<readonly string[]> {
  return Array.fromAsync(readEvents(streamOf(encoder.encode(text), size), limit))
}

describe('readEvents', () => {
  it('reads what `toEvent` writes, however it is cut', async () => {
    const texts = fc.array(
      fc.string({ unit: 'binary' }).filter((text) => text !== ''),
      { maxLength: 5 },
    )
    await fc.assert(
      fc.asyncProperty(texts, fc.integer({ min: 1, max: 9 }), async (messages, size) => {
        const wanted = messages.map((message) => message.replace(/\r\n|\r/gu, '\n'))
        expect(await eventsOf(messages.map(toEvent).join(''), size, 10_000)).toEqual(wanted)
      }),
    )
  })

  it.each(['\n', '\r\n', '\r'])('takes %j as a line break', async (end) => {
    const lines = [
      ': comment',
      'id: 1',
      'event: message',
      'data: a',
      'data:b',
      '',
      'event: other',
      'data: c',
      '',
      'data',
      '',
      '',
    ]
    expect(await eventsOf(lines.join(end))).toEqual(['a\nb', ''])
  })

  it('drops an event that the end cuts off', async () => {
    expect(await eventsOf('data: a\n\ndata: b\n')).toEqual(['a'])
  })

  it('refuses what is too large, in one line or in many', async () => {
    await expect(eventsOf(`data: ${'x'.repeat(2000)}`)).rejects.toThrow('larger')
    await expect(eventsOf('data: x\n'.repeat(500))).rejects.toThrow('larger')
    expect(await eventsOf('data: x\n\n'.repeat(500))).toHaveLength(500)
  })

  it('refuses what is not UTF-8', async () => {
    const bytes = Uint8Array.from([0x64, 0x61, 0x74, 0x61, 0x3a, 0xff, 0x0a, 0x0a])
    await expect(Array.fromAsync(readEvents(streamOf(bytes, 2), 100))).rejects.toThrow('UTF-8')
  })
})

describe('readText', () => {
  it('reads to the end and no further than the limit', async () => {
    expect(await readText(streamOf(encoder.encode('über'), 1), 5)).toBe('über')
    await expect(readText(streamOf(encoder.encode('über!'), 1), 5)).rejects.toThrow('more than is taken')
    expect(await readText(null, 5)).toBe('')
  })
})

describe('createLineReader', () => {
  it('skips what is too long or not UTF-8 and reads on', () => {
    const seen: string[] = []
    const feed = createLineReader(8, {
      onLine: (line) => seen.push(line),
      onBroken: () => seen.push('!'),
      onEndless: () => seen.push('endless'),
    })
    const bytes = Buffer.concat([
      Buffer.from(`ok\n${'x'.repeat(100)}\n\n`),
      Buffer.from([0xff, 0x0a]),
      Buffer.from('  end \r\nrest'),
    ])
    for (const byte of bytes) feed(Uint8Array.of(byte))
    expect(seen).toEqual(['ok', '!', '!', 'end'])
    for (let count = 0; count < 100; count += 1) feed(Buffer.from('xxxxxxxxx'))
    expect(seen.slice(4)).toEqual(['!', 'endless'])
  })
})

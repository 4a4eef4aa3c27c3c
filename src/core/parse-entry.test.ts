import { describe, expect, it } from 'vitest'
import { parseEntry } from './parse-entry.ts'

const ENTRY = {
  act: 'start',
  by: 'system',
  commitments: { detail: `sha-256:${'A'.repeat(43)}` },
  id: 'x',
  kind: 'control',
  time: 1,
  v: 1,
}
const toBytes = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value))

describe('a leaf', () => {
  it('is read when it is the canonical form of an entry', () => {
    expect(parseEntry(toBytes(ENTRY))).toMatchObject({ kind: 'control', id: 'x', time: 1, value: ENTRY })
  })

  it('is refused in any other spelling or shape', () => {
    const { v, ...rest } = ENTRY
    const bad = [
      toBytes({ v, ...rest }),
      Buffer.from(`${JSON.stringify(ENTRY)}\n`),
      Buffer.from(JSON.stringify(ENTRY).replace('"x"', '"\\u0078"')),
      Buffer.from(JSON.stringify(ENTRY).replace('"x"', '"x","id":"y"')),
      Buffer.concat([toBytes(ENTRY), Uint8Array.of(0xff)]),
      toBytes([ENTRY]),
      toBytes(null),
      toBytes({ ...ENTRY, v: 2 }),
      toBytes({ ...ENTRY, kind: 'other' }),
      toBytes({ ...ENTRY, id: 1 }),
      toBytes({ ...ENTRY, time: '1' }),
      toBytes({ ...ENTRY, commitments: { detail: 'sha-256:short' } }),
      toBytes({ ...ENTRY, commitments: [] }),
      Buffer.alloc(0),
    ]
    expect(bad.filter((bytes) => parseEntry(bytes) !== undefined)).toEqual([])
  })
})

import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { InputError } from './errors.ts'
import {
  parseBundle,
  parseTlogProof,
  parseTreeHead,
  TLOG_PROOF,
  toBase64,
  toBundle,
  toTilePath,
  toTiles,
  toTlogProof,
} from './tlog.ts'

const HASH = new Uint8Array(32).fill(7)
const LINE = toBase64(HASH)
const CHECKPOINT = `example.com/log\n5\n${LINE}\n\n— example.com/log AAAA\n`

describe('tiles', () => {
  it('have the paths of the specification', () => {
    expect(toTilePath({ level: 0, index: 1_234_067, width: 256 })).toBe('tile/0/x001/x234/067')
    expect(toTilePath({ level: 2, index: 0, width: 1 })).toBe('tile/2/000.p/1')
    expect(toTilePath({ level: 'entries', index: 1000, width: 255 })).toBe('tile/entries/x001/000.p/255')
  })

  it('of a tree of 70,000 are those that the specification counts', () => {
    const paths = toTiles(70_000).map(toTilePath)
    const count = (prefix: string): number => paths.filter((path) => path.startsWith(prefix)).length
    expect([count('tile/0/'), count('tile/entries/'), count('tile/1/'), count('tile/2/')]).toEqual([274, 274, 2, 1])
    expect(paths).toContain('tile/0/273.p/112')
    expect(paths).toContain('tile/1/001.p/17')
    expect(paths).toContain('tile/2/000.p/1')
  })

  it('of a tree of 256 are one full tile and one of width 1 above', () => {
    expect(toTiles(256).map(toTilePath)).toEqual(['tile/entries/000', 'tile/0/000', 'tile/1/000.p/1'])
    expect(toTiles(0)).toEqual([])
  })
})

describe('bundles', () => {
  it('come back as they went in', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 20 }), (entries) => {
        expect(parseBundle(toBundle(entries)).map((entry) => [...entry])).toEqual(entries.map((entry) => [...entry]))
      }),
    )
  })

  it('have a length of two bytes, the high one first', () => {
    expect([...toBundle([new Uint8Array(258)])].slice(0, 3)).toEqual([1, 2, 0])
    expect(() => toBundle([new Uint8Array(65_536)])).toThrow('longer')
  })

  it('that end early are refused', () => {
    const whole = toBundle([HASH, HASH])
    for (const end of [1, 33, 35, 67]) expect(() => parseBundle(whole.subarray(0, end))).toThrow('the bundle ends')
  })
})

describe('heads', () => {
  it('are read from a checkpoint', () => {
    expect(parseTreeHead(CHECKPOINT)).toEqual({ origin: 'example.com/log', size: 5, root: Buffer.from(HASH) })
  })

  it('are refused in any other spelling', () => {
    const bad = [
      '',
      'example.com/log\n5\n',
      CHECKPOINT.replace('\n5\n', '\n05\n'),
      CHECKPOINT.replace('\n5\n', '\n+5\n'),
      CHECKPOINT.replace('\n5\n', '\n5 \n'),
      CHECKPOINT.replace('\n5\n', '\n9007199254740993\n'),
      CHECKPOINT.replace(LINE, LINE.slice(0, -1)),
      CHECKPOINT.replace(LINE, `${LINE.slice(0, -2)}d=`),
      CHECKPOINT.replace(LINE, ` ${LINE}`),
      CHECKPOINT.replace('example.com/log', ''),
    ]
    expect(bad.filter((text) => parseTreeHead(text) !== undefined)).toEqual([])
  })
})

describe('proofs', () => {
  const proof = { index: 3, hashes: [HASH, HASH], checkpoint: CHECKPOINT }

  it('have the lines of the specification', () => {
    expect(toTlogProof(proof)).toBe(`${TLOG_PROOF}\nindex 3\n${LINE}\n${LINE}\n\n${CHECKPOINT}`)
    expect(toTlogProof({ ...proof, hashes: [], extra: HASH })).toBe(
      `${TLOG_PROOF}\nextra ${LINE}\nindex 3\n\n${CHECKPOINT}`,
    )
  })

  it('come back as they went in', () => {
    for (const one of [proof, { ...proof, hashes: [] }, { ...proof, extra: HASH }])
      expect(toTlogProof(parseTlogProof(toTlogProof(one)))).toBe(toTlogProof(one))
  })

  it('are refused in any other spelling', () => {
    const text = toTlogProof(proof)
    const bad = [
      '',
      text.replace('@v1', '@v2'),
      text.replace('index 3', 'index 03'),
      text.replace('index 3', 'index -1'),
      text.replace('index 3\n', ''),
      text.replace('index 3', `index 3\nindex 4`),
      text.replace(LINE, `${LINE} `),
      text.replace(LINE, LINE.slice(0, -1)),
      text.replace(LINE, `${LINE.slice(0, -2)}d=`),
      text.replace(LINE, toBase64(HASH.subarray(1))),
      text.replace('\n', '\r\n'),
      `extra ${LINE}\n${text}`,
      text.replace('index', `extra ${LINE}\nextra ${LINE}\nindex`),
    ]
    for (const one of bad) expect(() => parseTlogProof(one)).toThrow(InputError)
  })
})

import { hash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'

import { describe, expect, it } from 'vitest'

import { ConfigError, IntegrityError } from '../core/errors.ts'
import { generateKey, importKey, importPublicKey, signBytes, verifyBytes } from './keys.ts'
import { createSeal, openCheckpoint, parseVkey, toVkey } from './note.ts'

const ORIGIN = 'log.example/unbearer'
const KEY = importKey({ ...generateKey('Ed25519') })
const VKEY = toVkey(ORIGIN, KEY)
const ROOT = hash('sha256', 'root', 'buffer')
const TEXT = createSeal(ORIGIN, KEY)(42, ROOT)

/** Signs any text under our name, so that only the form of the text can be why it is refused. */
function forge(body: string): string {
  const signature = signBytes(KEY, Buffer.from(body))
  return `${body}\n— ${ORIGIN} ${Buffer.concat([parseVkey(VKEY).id, signature]).toString('base64')}\n`
}

describe('a checkpoint', () => {
  it('opens to what was sealed', () => {
    const opened = openCheckpoint(TEXT, VKEY)
    expect(opened).toMatchObject({ origin: ORIGIN, size: 42, text: TEXT })
    expect(Buffer.from(opened.root).equals(ROOT)).toBe(true)
    expect(openCheckpoint(createSeal(ORIGIN, KEY)(0, ROOT), parseVkey(VKEY)).size).toBe(0)
  })

  it('shows every flipped bit, those that base64 does not use included', () => {
    const bytes = Buffer.from(TEXT, 'utf8')
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const flipped = Buffer.from(bytes)
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      expect(() => openCheckpoint(flipped.toString('utf8'), VKEY)).toThrow(IntegrityError)
    }
  })

  it('shows every dropped, doubled and changed character', () => {
    for (let at = 0; at < TEXT.length; at += 1) {
      for (const put of ['', `${TEXT.charAt(at)}${TEXT.charAt(at)}`, TEXT.charAt(at) === 'A' ? 'B' : 'A', '\n', ' ']) {
        const changed = TEXT.slice(0, at) + put + TEXT.slice(at + 1)
        const opens = changed === TEXT
        const attempt = (): boolean => openCheckpoint(changed, VKEY).text === TEXT
        expect({ changed, safe: opens || isRefused(attempt) }).toEqual({ changed, safe: true })
      }
    }
  })

  const root = ROOT.toString('base64')
  it.each<[string, string]>([
    ['nothing', ''],
    ['no signature', `${ORIGIN}\n42\n${root}\n`],
    ['an empty signature block', `${ORIGIN}\n42\n${root}\n\n`],
    ['a second signature line', `${TEXT}— other.example AAAAAAA=\n`],
    ['our signature twice', TEXT + (TEXT.split('\n\n')[1] ?? '')],
    ['trailing input', `${TEXT}\n`],
    ['a carriage return', TEXT.replaceAll('\n', '\r\n')],
    ['an extension line', forge(`${ORIGIN}\n42\n${root}\nextra\n`)],
    ['another origin', forge(`other.example\n42\n${root}\n`)],
    ['a size with a leading zero', forge(`${ORIGIN}\n042\n${root}\n`)],
    ['a negative size', forge(`${ORIGIN}\n-1\n${root}\n`)],
    ['a size that does not round-trip', forge(`${ORIGIN}\n9007199254740993\n${root}\n`)],
    ['a short root', forge(`${ORIGIN}\n42\n${root.slice(4)}\n`)],
    ['a root without padding', forge(`${ORIGIN}\n42\n${root.slice(0, -1)}\n`)],
    ['no root', forge(`${ORIGIN}\n42\n`)],
    ['a blank line inside', forge(`${ORIGIN}\n\n42\n${root}\n`)],
  ])('%s', (_, text) => {
    expect(() => openCheckpoint(text, VKEY)).toThrow(IntegrityError)
  })

  it('forged as it should be, it opens (the rows above differ only in their defect)', () => {
    expect(openCheckpoint(forge(`${ORIGIN}\n42\n${root}\n`), VKEY).text).toBe(TEXT)
  })

  it('under another key or another name of the same key is refused', () => {
    const other = importKey({ ...generateKey('Ed25519') })
    expect(() => openCheckpoint(TEXT, toVkey(ORIGIN, other))).toThrow(IntegrityError)
    expect(() => openCheckpoint(TEXT, toVkey('other.example', KEY))).toThrow(IntegrityError)
  })
})

function isRefused(attempt: () => boolean): boolean {
  try {
    attempt()
    return false
  } catch (fault) {
    return fault instanceof IntegrityError
  }
}

describe('keys of a log', () => {
  it('are private Ed25519 keys under a name', () => {
    expect(() => createSeal(ORIGIN, importKey({ ...generateKey('ES256') }))).toThrow(ConfigError)
    expect(() => createSeal(ORIGIN, importPublicKey({ ...KEY.jwk }))).toThrow(ConfigError)
    for (const name of ['', 'a b', 'a+b', 'a\nb', 'a\u2028b', 'a\u0000b']) {
      expect(() => createSeal(name, KEY)).toThrow(ConfigError)
    }
  })

  it.each([
    '',
    'x',
    `${VKEY} `,
    VKEY.replace('+', ' '),
    VKEY.toUpperCase(),
    `${VKEY}+x`,
    VKEY.slice(0, -1),
    VKEY.slice(0, -4),
  ])('are refused when malformed: %s', (vkey) => {
    expect(() => parseVkey(vkey)).toThrow(ConfigError)
  })
})

const PATH = '../shared/data/vectors/crypto.json'
const vectors = existsSync(PATH) ? JSON.parse(readFileSync(PATH, 'utf8')).c2sp_signed_note : undefined
if (vectors === undefined) console.info(`skipped: ${PATH} is absent`)

describe.skipIf(vectors === undefined)('vectors of C2SP', () => {
  it('signed note', () => {
    const verifier = parseVkey(vectors.vkey)
    expect(verifier.id.toString('hex')).toBe(vectors.key_id)
    expect(toVkey(verifier.origin, verifier.key)).toBe(vectors.vkey)
    const line: string = vectors.signature_line
    const bytes = Buffer.from(line.slice(line.lastIndexOf(' ') + 1), 'base64')
    expect(bytes.subarray(0, 4).equals(verifier.id)).toBe(true)
    expect(verifyBytes(verifier.key, Buffer.from(vectors.text), bytes.subarray(4))).toBe(true)
    // A note, but not a checkpoint.
    expect(() => openCheckpoint(`${vectors.text}\n${line}\n`, verifier)).toThrow('malformed checkpoint')
  })

  it('checkpoint: the form that we write is the form of the example', () => {
    const example: string = vectors.checkpoint_example
    const [origin = '', size = '', root = ''] = example.split('\n')
    const ours = createSeal(origin, KEY)(Number(size), Buffer.from(root, 'base64'))
    expect(ours.split('\n\n')[0]).toBe(example.split('\n\n')[0])
    expect(ours.replace(/ \S+\n$/, '')).toBe(example.replace(/ \S+\n$/, ''))
    expect(ours.length).toBe(example.length)
  })
})

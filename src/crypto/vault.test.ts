/**
 * Broken once on purpose, and the test that fell:
 * `toPlaceData` without `id`: opens nowhere but in its place; without `tag`: the same; `derive(key.secret, data)` replaced by
 * the data key: has a key of its own for each place; `decrypt` answers `plain` when `final` throws: every flipped byte.
 */
import { createCipheriv } from 'node:crypto'
import { assert, property, string, uint8Array } from 'fast-check'
import { describe, expect, it } from 'vitest'

import { ConfigError, IntegrityError } from '../core/errors.ts'
import {
  createDataKey,
  isSameMaster,
  newMasterKey,
  open,
  parseMasterKey,
  parseSealed,
  seal,
  tagOf,
  unwrapDataKey,
  type DataKey,
  type Place,
} from './vault.ts'

const master = parseMasterKey(newMasterKey())
const tag = tagOf(master, 'user/alice')
const { key, wrapped } = createDataKey(master, tag)
const place: Place = { kind: 'evidence', id: 'entry-1', tag }
const plain = Buffer.from('{"salts":{},"values":{"request":"pay mallory 100"}}')

function reopen(by: DataKey, where: Omit<Place, 'tag'>, bytes: Uint8Array): Uint8Array {
  const sealed = parseSealed(bytes)
  if (sealed === undefined) throw new Error('plain')
  return open(by, where, sealed)
}

describe('the vault', () => {
  it('gives back what was sealed, and never seals twice alike', () => {
    assert(
      property(uint8Array({ maxLength: 500 }), string({ unit: 'binary' }), (bytes, id) => {
        const sealed = seal(key, { ...place, id }, bytes)
        expect(Buffer.from(reopen(key, { kind: 'evidence', id }, sealed))).toEqual(Buffer.from(bytes))
        expect(sealed).not.toEqual(seal(key, { ...place, id }, bytes))
      }),
      { numRuns: 50 },
    )
  })

  it('holds nothing of the text in the clear, and says whose it is only by tag', () => {
    const sealed = Buffer.from(seal(key, place, plain)).toString('latin1')
    for (const clear of ['mallory', 'request', 'alice', 'salts']) expect(sealed).not.toContain(clear)
    expect(parseSealed(seal(key, place, plain))).toMatchObject({ tag, keyId: key.id })
  })

  it('refuses every flipped byte', () => {
    const sealed = seal(key, place, plain)
    for (let i = 0; i < sealed.length; i += 1) {
      for (const bit of [1, 0x80]) {
        const flipped = Uint8Array.from(sealed)
        flipped[i] = (flipped[i] ?? 0) ^ bit
        expect(() => reopen(key, place, flipped)).toThrow(IntegrityError)
      }
    }
  })

  it('refuses everything that was cut off or grown', () => {
    const sealed = seal(key, place, plain)
    for (let length = 0; length < sealed.length; length += 1)
      expect(() => reopen(key, place, sealed.subarray(0, length))).toThrow(IntegrityError)
    expect(() => reopen(key, place, Buffer.concat([sealed, Uint8Array.of(0)]))).toThrow(IntegrityError)
  })

  it('opens nowhere but in its place', () => {
    const sealed = seal(key, place, plain)
    expect(() => reopen(key, { kind: 'evidence', id: 'entry-2' }, sealed)).toThrow(IntegrityError)
    expect(() => reopen(key, { kind: 'record', id: 'entry-1' }, sealed)).toThrow(IntegrityError)
    // The same data key under the tag of another subject.
    const other = Buffer.from(sealed)
    Buffer.from(tagOf(master, 'user/bob'), 'base64url').copy(other, 1)
    expect(() => reopen(key, place, other)).toThrow(IntegrityError)
    const { key: second } = createDataKey(master, tag)
    expect(() => reopen(second, place, sealed)).toThrow(IntegrityError)
    expect(() => reopen({ ...second, id: key.id }, place, sealed)).toThrow(IntegrityError)
  })

  it('has a key of its own for each place, so that a repeated nonce betrays nothing', () => {
    const sealed = parseSealed(seal(key, place, plain))
    const direct = createCipheriv('aes-256-gcm', key.secret, sealed?.nonce ?? new Uint8Array(12)).update(plain)
    expect(Buffer.from(sealed?.ciphertext ?? []).equals(direct)).toBe(false)
  })

  it('takes JSON of the version before for what it is, and nothing else', () => {
    expect(parseSealed(plain)).toBeUndefined()
    for (const bytes of [new Uint8Array(), Uint8Array.of(1), Buffer.from('[]'), Buffer.alloc(99, 2)])
      expect(() => parseSealed(bytes)).toThrow(IntegrityError)
  })
})

describe('a data key', () => {
  it('opens under its master key, for its subject and id alone', () => {
    const unwrapped = unwrapDataKey(master, tag, wrapped)
    expect([unwrapped.id, unwrapped.secret.equals(key.secret)]).toEqual([key.id, true])
    const strangers = [
      () => unwrapDataKey(parseMasterKey(newMasterKey()), tag, wrapped),
      () => unwrapDataKey(master, tagOf(master, 'user/bob'), wrapped),
      () => unwrapDataKey(master, tag, { ...wrapped, id: createDataKey(master, tag).key.id }),
      () => unwrapDataKey(master, tag, { ...wrapped, wrapped: wrapped.wrapped.slice(4) }),
      () => unwrapDataKey(master, tag, { ...wrapped, wrapped: '' }),
      () => unwrapDataKey(master, tag, { ...wrapped, wrapped: '!' }),
    ]
    for (const opened of strangers) expect(opened).toThrow(IntegrityError)
  })

  it('is another one each time', () => {
    expect(createDataKey(master, tag).key.secret.equals(key.secret)).toBe(false)
    expect(wrapped.wrapped).not.toContain(key.secret.export().toString('base64url'))
  })
})

describe('the master key', () => {
  it.each(['', 'short', newMasterKey().slice(1), `${newMasterKey()}A`, '*'.repeat(43), 'correct horse battery staple'])(
    'is 32 bytes in base64url: `%s` is refused without being shown',
    (text) => {
      const parse = (): unknown => parseMasterKey(text)
      expect(parse).toThrow(ConfigError)
      expect(parse).not.toThrow(text === '' ? 'nothing' : text)
    },
  )

  it('makes tags that nobody else can make', () => {
    const other = parseMasterKey(newMasterKey())
    expect(tagOf(master, 'user/alice')).toBe(tag)
    expect(tagOf(other, 'user/alice')).not.toBe(tag)
    expect(tagOf(master, 'user/bob')).not.toBe(tag)
    expect([isSameMaster(master, master.fingerprint), isSameMaster(master, other.fingerprint)]).toEqual([true, false])
    expect(isSameMaster(master, '')).toBe(false)
  })
})

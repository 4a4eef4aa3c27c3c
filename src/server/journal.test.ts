/**
 * @module
 * The files outside the store after whatever may happen to them.
 *
 * Broken once on purpose, and the test that fell:
 *
 * | broken on purpose                             | fell                                                     |
 * | --------------------------------------------- | -------------------------------------------------------- |
 * | `journal.ts` nothing is cut off               | takes a line that a crash cut off for one that never was |
 * | `journal.ts` lines that cannot be read are skipped | refuses what it cannot read                         |
 * | `head.ts` only the first slot is read         | is the newest of both slots, and the other one when …    |
 */
import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import { importKey, generateKey } from '../crypto/keys.ts'
import { createSeal, toVkey } from '../crypto/note.ts'
import { createHeadKeeper } from './head.ts'
import { createJournal, type JournalLine } from './journal.ts'

let dir: string
const at = (name: string): string => join(dir, name)

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'unbearer-outside-'))
})
afterEach(() => rmSync(dir, { recursive: true }))

const toLine = (rev: number): JournalLine => ({ rev, dimension: 'task', id: `t${rev}\n"`, at: rev, by: 'k' })

describe('the journal', () => {
  it('holds what was appended, for us alone, over openings', () => {
    const journal = createJournal(at('j'))
    journal.append([toLine(1), toLine(2)])
    journal.append([{ erased: 'tag', keys: ['a'], at: 3, by: 'k' }])
    const again = createJournal(at('j'))
    expect(again.lines()).toEqual([toLine(1), toLine(2)])
    expect(again.erasures()).toEqual([{ erased: 'tag', keys: ['a'], at: 3, by: 'k' }])
    expect(statSync(at('j')).mode & 0o777).toBe(0o600)
  })

  it('takes a line that a crash cut off for one that never was, wherever it was cut', () => {
    createJournal(at('j')).append([toLine(1)])
    const whole = readFileSync(at('j'))
    for (let length = 1; length < whole.length; length += 7) {
      writeFileSync(at('j'), Buffer.concat([whole, whole.subarray(0, length)]))
      const journal = createJournal(at('j'))
      expect(journal.lines()).toEqual([toLine(1)])
      journal.append([toLine(2)])
      expect(createJournal(at('j')).lines()).toEqual([toLine(1), toLine(2)])
    }
  })

  it('continues after an attempt that failed in the middle', () => {
    const journal = createJournal(at('j'))
    journal.append([toLine(1)])
    appendFileSync(at('j'), '{"rev":')
    journal.append([toLine(2)])
    expect(createJournal(at('j')).lines()).toEqual([toLine(1), toLine(2)])
  })

  it.each([
    '{}',
    'null',
    'x',
    '{"rev":1,"dimension":"everything","id":"*","at":1,"by":"k"}',
    '{"erased":"t","at":1,"by":"k"}',
  ])('refuses what it cannot read: %s', (line) => {
    createJournal(at('j')).append([toLine(1)])
    appendFileSync(at('j'), `${line}\n`)
    expect(() => createJournal(at('j'))).toThrow(/line 2 of the journal .* cannot be read/)
  })
})

describe('the head', () => {
  const key = importKey({ ...generateKey('Ed25519') })
  const vkey = toVkey('test/log', key)
  const seal = createSeal('test/log', key)
  const toHead = (size: number): string => seal(size, new Uint8Array(32).fill(size))
  const keep = (...sizes: readonly number[]): void => {
    const keeper = createHeadKeeper(at('h'), vkey)
    keeper.read()
    for (const size of sizes) keeper.write(toHead(size))
  }
  const read = (): string | undefined => createHeadKeeper(at('h'), vkey).read()

  it('is the newest of both slots, and the other one when a slot was torn', () => {
    for (let last = 2; last < 8; last += 1) {
      rmSync(at('h'), { force: true })
      keep(...Array.from({ length: last }, (_, index) => index + 1))
      expect(read()).toBe(toHead(last))
      const bytes = readFileSync(at('h'))
      const slot = bytes.indexOf(`\n${last}\n`) < 4096 ? 0 : 4096
      writeFileSync(at('h'), Buffer.concat([bytes.subarray(0, slot), Buffer.alloc(512, 7), bytes.subarray(slot + 512)]))
      expect(read()).toBe(toHead(last - 1))
      keep(last + 1, last + 2)
      expect(read()).toBe(toHead(last + 2))
    }
  })

  it('of the version before is read, and written on', () => {
    writeFileSync(at('h'), toHead(5))
    expect(read()).toBe(toHead(5))
    keep(6)
    expect(read()).toBe(toHead(6))
    expect(statSync(at('h')).size).toBe(8192)
  })
})

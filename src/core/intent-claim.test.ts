/**
 * @module
 * The grammar of the intent argument, and what a sentence claims.
 */
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { toKinds } from './effect.ts'
import { parseIntent, toClaimedEffect } from './intent-claim.ts'

function claimOf(text: string): string {
  const intent = parseIntent(text)
  return intent === undefined ? 'malformed' : toKinds(toClaimedEffect(intent)).join(' ')
}

describe('parseIntent', () => {
  it('reads an effect before the colon', () => {
    expect(parseIntent('read: the user asked for the e-mail of customer 42')).toEqual({
      effects: ['read'],
      sentence: 'the user asked for the e-mail of customer 42',
    })
    expect(parseIntent('  Delete :\n the old row')).toEqual({ effects: ['delete'], sentence: 'the old row' })
    expect(parseIntent('write, Send : tell bob')).toEqual({ effects: ['write', 'send'], sentence: 'tell bob' })
  })
  it('takes an unknown word before the colon for a part of the sentence', () => {
    expect(parseIntent('note: read the row')).toEqual({ sentence: 'note: read the row' })
    expect(parseIntent('constructor: x y z')).toEqual({ sentence: 'constructor: x y z' })
    expect(parseIntent('read, note: the row')).toEqual({ sentence: 'read, note: the row' })
    expect(parseIntent('I read: the row')).toEqual({ sentence: 'I read: the row' })
  })
  it('refuses what says nothing', () => {
    for (const text of [
      '',
      'read it',
      '        ',
      '       a',
      'execute:',
      'execute:   ',
      'execute: 42 ...',
      '........',
      'see \ud800 the row',
    ]) {
      expect([text, parseIntent(text)]).toEqual([text, undefined])
    }
  })
  it('reads any text without throwing', () => {
    expect(() => fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => claimOf(text) !== ''))).not.toThrow()
  })
})

describe('toClaimedEffect', () => {
  const rows: readonly [string, string][] = [
    ['read: delete everything and send it', 'read'],
    ['write: change the address', 'write'],
    ['delete: remove the row', 'delete'],
    ['send: tell bob of the order', 'write send'],
    ['spend: the invoice of May', 'write spend'],
    ['delete, send: the draft, to Bob', 'delete send'],
    ['look up the e-mail of customer 42', 'read'],
    ['show the last order and the charge on it', 'read'],
    ['get the transfer history for the report', 'read'],
    ['I am updating the address of customer 42', 'write'],
    ['delete the draft, then e-mail Bob about it', 'delete send'],
    ['the user wants to transfer 100 to Bob', 'write spend'],
    ['email the report to bob@x.test', 'write send'],
    ['drop the table of last year', 'delete'],
    ['list the rows without deleting anything', 'read'],
    ["I don't want to remove anything, only look", 'read'],
    ['paid bills of May, please', 'write spend'],
    ['run the tests of the project', 'write execute'],
    ['revoke the access of Bob', 'write admin'],
    ['replying to the customer', 'write send'],
    ['what does the customer owe us?', 'read'],
  ]
  for (const [text, expected] of rows) it(`${text}: ${expected}`, () => expect(claimOf(text)).toBe(expected))
  it('never lets a claim beside the levels hold deletion', () => {
    for (const kind of ['send', 'spend', 'execute', 'admin'])
      expect(claimOf(`${kind}: do as asked`)).not.toContain('delete')
  })
})

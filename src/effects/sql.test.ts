import { describe, expect, it } from 'vitest'
import { isAtMost, toKinds, WORST } from '../core/effect.ts'
import { createSqlEffects } from './sql.ts'
import { ATTACKS } from './sql.test-data.ts'

const effects = await createSqlEffects()
const kinds = (sql: string, ownSession = false): string => toKinds(effects(sql, { ownSession }).effect).join('+')

const ROWS = ATTACKS.map(([sql, expected, bounded, objects]) => ({ sql, expected, bounded, objects }))

describe('SQL effects', () => {
  it.each(ROWS)('$sql', ({ sql, expected, bounded, objects }) => {
    const report = effects(sql)
    expect(toKinds(report.effect).join('+')).toBe(expected)
    expect(report.bounded).toBe(bounded)
    expect(report.objects.join(' ')).toBe(objects)
    expect(report.source).toBe('parser')
    expect(report.reversible).toBe(expected === 'read')
  })

  it.each([
    ['no SQL', 'DE/**/LETE FROM t', 'cannot be parsed'],
    ['a NUL, where the parser stops', 'SELECT 1\0; DROP TABLE t', 'NUL'],
    ['a lone surrogate', "SELECT '\ud800'", 'Unicode'],
    ['more than 64 KiB', `SELECT '${'x'.repeat(65_536)}'`, '64 KiB'],
    ['more than 64 KiB of UTF-8', `SELECT '${'é'.repeat(32_768)}'`, '64 KiB'],
    ['a backslash in a plain literal', String.raw`SELECT 'a\'; DROP TABLE t; --'`, 'backslash'],
    ['the same in a national literal', String.raw`SELECT N'a\'; DROP TABLE t; --'`, 'backslash'],
    ['the same behind an escape literal', String.raw`SELECT E'a\'b', 'c\'; DROP TABLE t; --'`, 'backslash'],
    ['the same behind a name that ends in e', String.raw`SELECT fee'a\'; DROP TABLE t; --'`, 'backslash'],
    ['the same behind a nested comment', String.raw`SELECT /* ' /* */ ' */ 'c\'; DROP TABLE t; --'`, 'backslash'],
    ['brackets beyond the stack', `SELECT ${'('.repeat(5_000)}1${')'.repeat(5_000)}`, 'deep'],
    ['a chain beyond the stack', `SELECT 1${'+1'.repeat(20_000)}`, 'deep'],
    ['CASE beyond the stack', `SELECT ${'case when true then '.repeat(1_000)}1${' end'.repeat(1_000)}`, 'deep'],
    ['set operations beyond the stack', `SELECT 1,1${' union select 1,1'.repeat(2_000)}`, 'deep'],
  ])('assumes the worst of %s', (_what, sql, why) => {
    const report = effects(sql)
    expect(report).toMatchObject({ effect: WORST, bounded: false, objects: ['*'], source: 'undetermined' })
    expect(report.why.join()).toContain(why)
  })

  it.each([
    [String.raw`SELECT E'a\'; DROP TABLE t; --'`],
    [String.raw`SELECT $$a\$$, $x$'\'$x$`],
    [String.raw`SELECT "a\" FROM t -- \ '`],
    [String.raw`SELECT U&'\0061' /* '\' */`],
  ])('a backslash elsewhere than in a plain literal is read in one way: %s', (sql) => {
    expect(kinds(sql)).toBe('read')
  })

  it('trusts what only the owner of the session can know', () => {
    expect(kinds(String.raw`SELECT 'a\b'`, true)).toBe('read')
    expect(kinds('COMMIT', true)).toBe('read')
    expect(kinds('FETCH ALL FROM c', true)).toBe('read')
    expect(kinds('COMMIT; DELETE FROM t', true)).toBe('delete+admin')
    expect(kinds('SET standard_conforming_strings = off', true)).toBe('read+admin')
    expect(kinds('SELECT 1\0', true)).toBe(toKinds(WORST).join('+'))
  })

  it('says nothing of the values', () => {
    const secret = 's3cr3t'
    for (const [sql] of ATTACKS) {
      const text = JSON.stringify(effects(`${sql}; SELECT pg_notify('c', '${secret}'), '${secret}'::mine`))
      expect(text).not.toContain(secret)
    }
  })

  it('holds no statement, and so does nothing', () => {
    for (const sql of ['', ' ', ';', '-- DROP TABLE t', '/* DROP TABLE t */']) expect(kinds(sql)).toBe('read')
  })

  it('joins over the statements', () => {
    for (const [sql] of ATTACKS) {
      const alone = effects(sql).effect
      expect(isAtMost(alone, effects(`SELECT 1; ${sql}`).effect)).toBe(true)
      expect(isAtMost(alone, effects(`${sql}; SELECT 1`).effect)).toBe(true)
    }
  })
})

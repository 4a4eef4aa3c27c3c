import { describe, expect, it } from 'vitest'
import { createSqlParser } from './sql-parser.ts'

const TOO_DEEP = `SELECT 1${'+1'.repeat(30_000)}`

describe('the parser', () => {
  it('gives the statements of a text', async () => {
    const parse = await createSqlParser()
    const parsed = parse('SELECT 1; DROP TABLE t')
    expect(parsed.ok && parsed.statements.map((statement) => Object.keys(statement).join())).toEqual([
      'SelectStmt',
      'DropStmt',
    ])
    expect(parse('SELEC')).toEqual({ ok: false, why: 'cannot be parsed' })
    expect(parse('SELECT 1').ok).toBe(true)
  })

  it('never asks an instance again that has trapped, and comes back', async () => {
    const parse = await createSqlParser()
    for (let n = 0; n < 60; n += 1) {
      expect(parse(TOO_DEEP).ok).toBe(false)
      expect(parse('SELECT 1')).toMatchObject({ ok: false, why: 'cannot be parsed while the parser starts again' })
      // One instance that goes on after traps is damaged within 30 of them.
      await expect.poll(() => parse('SELECT 1').ok, { interval: 2 }).toBe(true)
    }
  })
})

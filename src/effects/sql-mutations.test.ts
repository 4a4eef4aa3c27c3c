import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isAtMost, WORST } from '../core/effect.ts'
import { createSqlEffects } from './sql.ts'
import { ATTACKS } from './sql.test-data.ts'
import { scaled } from '../../test/support/scale.ts'

const effects = await createSqlEffects()
const statements = ATTACKS.map(([sql]) => sql)
const queries = statements.filter(
  (sql) => /^(SELECT|VALUES|TABLE|WITH)\b/.test(sql) && !/ INTO t2|^SELECT 1;/.test(sql),
)
const changes = statements.filter((sql) => /^(INSERT|UPDATE|DELETE|MERGE)\b/.test(sql) && !sql.includes('CURRENT OF'))

/** Words, quoted things, white space and marks of a statement, so that a mutation never reaches into a literal. */
const LEXEMES = /[eE]?'(?:[^']|'')*'|U&"[^"]*"|"[^"]*"|\$\$[^]*?\$\$|\/\*[^]*?\*\/|[A-Za-z_][\w$]*|\s+|[^]/g
const lexemesOf = (sql: string): string[] => sql.match(LEXEMES) ?? []

type Mutation = (lexemes: readonly string[], seed: number) => readonly string[]
const flip = (text: string, seed: number): string =>
  text
    .split('')
    .map((c, i) => (((seed >> (i % 16)) & 1) === 1 ? c.toUpperCase() : c.toLowerCase()))
    .join('')
const BLANKS = [' ', '\n', '\t', '/**/', '/* /* ; */ DROP */', '-- DELETE\n', ' /*! x */ ', '\r\n']

const MUTATIONS: Record<string, Mutation> = {
  case: (lexemes, seed) =>
    lexemes.map((text) => (/^[A-Za-z_]/.test(text) && !/['"]/.test(text) ? flip(text, seed) : text)),
  blanks: (lexemes, seed) =>
    lexemes.map((text, i) => (/^\s+$/.test(text) ? (BLANKS[(seed + i) % BLANKS.length] ?? ' ') : text)),
  'quoted calls': (lexemes) =>
    lexemes.map((text, i) =>
      /^(nextval|setval|pg_\w+|dblink\w*|evil|lo_\w+)$/.test(text) && lexemes[i + 1] === '(' ? `"${text}"` : text,
    ),
  'escaped calls': (lexemes) =>
    lexemes.map((text, i) =>
      /^(nextval|setval|pg_\w+|dblink\w*|evil|lo_\w+)$/.test(text) && lexemes[i + 1] === '('
        ? `U&"!${text.charCodeAt(0).toString(16).padStart(4, '0')}${text.slice(1)}" UESCAPE '!'`
        : text,
    ),
  stacked: (lexemes, seed) => (seed % 2 === 0 ? ['SELECT 1; ', ...lexemes] : [...lexemes, '; SELECT 1']),
}

const WRAPPERS: readonly ((query: string) => string)[] = [
  (query) => `EXPLAIN ANALYZE ${query}`,
  (query) => `EXPLAIN (VERBOSE, ANALYZE on, COSTS off) ${query}`,
  (query) => `COPY (${query}) TO STDOUT`,
  (query) => `PREPARE p AS ${query}`,
  (query) => `WITH w AS (${query}) SELECT 1`,
  (query) => `WITH w AS MATERIALIZED (${query}) SELECT 1 FROM w`,
]
const AROUND_QUERIES: readonly ((query: string) => string)[] = [
  ...WRAPPERS,
  (query) => `DECLARE c CURSOR FOR ${query}`,
  (query) => `CREATE TABLE made AS ${query}`,
  (query) => `SELECT * FROM (${query}) AS x`,
  (query) => `SELECT EXISTS (${query})`,
  (query) => `SELECT 1 WHERE 1 IN (${query})`,
  (query) => `SELECT ARRAY(${query})`,
  (query) => `(${query}) UNION ALL SELECT 1`,
  (query) => `SELECT 1 FROM t, LATERAL (${query}) AS x`,
  (query) => `SELECT CASE WHEN true THEN (${query}) END`,
  (query) => `INSERT INTO t ${query}`,
  (query) => `SELECT json_array(${query})`,
]

function expectNotLower(before: string, after: string): void {
  const low = effects(before)
  const high = effects(after)
  // A query in a WITH that is itself bounded may stand in for one that is not, but never for an unbounded change.
  const bound = low.effect.level === 'read' || low.bounded || !high.bounded
  expect({ before, after, holds: isAtMost(low.effect, high.effect) && bound }).toMatchObject({ holds: true })
}

describe('mutations of SQL never lower the effect', () => {
  it.each(Object.entries(MUTATIONS))('%s', (_name, mutate) => {
    expect.hasAssertions()
    fc.assert(
      fc.property(fc.constantFrom(...statements), fc.nat(65_535), (sql, seed) => {
        expectNotLower(sql, mutate(lexemesOf(sql), seed).join(''))
      }),
      { numRuns: scaled(400) },
    )
  })

  it('wrapping', () => {
    expect.hasAssertions()
    for (const query of queries) for (const wrap of AROUND_QUERIES) expectNotLower(query, wrap(query))
    for (const change of changes) for (const wrap of WRAPPERS) expectNotLower(change, wrap(change))
  })

  it('wrapping again and again', () => {
    expect.hasAssertions()
    fc.assert(
      fc.property(
        fc.constantFrom(...queries),
        fc.array(fc.constantFrom(...AROUND_QUERIES.slice(8, 15)), { maxLength: 8 }),
        (query, wraps) => {
          expectNotLower(
            query,
            wraps.reduce((inner, wrap) => wrap(inner), query),
          )
        },
      ),
    )
  })

  it('never throws, whatever the text is', () => {
    const piece = fc.oneof(
      fc.constantFrom(...statements.flatMap(lexemesOf)),
      fc.string({ unit: 'binary', maxLength: 4 }),
    )
    expect.hasAssertions()
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
        const report = effects(pieces.join(' '))
        expect(report.source === 'parser' || isAtMost(WORST, report.effect)).toBe(true)
      }),
      { numRuns: scaled(2_000) },
    )
  })
})

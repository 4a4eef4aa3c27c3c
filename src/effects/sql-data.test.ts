import { existsSync, readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { toHeadline } from '../core/effect.ts'
import { createSqlEffects } from './sql.ts'

const FOLDER = '../shared/data/sql'
const LABELLED = `${FOLDER}/sql_dev.jsonl.gz`
const QUERIES = `${FOLDER}/read_only_queries.jsonl`
const present = existsSync(LABELLED) && existsSync(QUERIES)
if (!present) console.info(`skipped: ${FOLDER} is not here`)

interface Row {
  readonly sql: string
  readonly label: string
}

const toRows = (text: string): readonly Row[] =>
  text
    .trim()
    .split('\n')
    .map((line): Row => JSON.parse(line))

describe.runIf(present)('statements labelled by PostgreSQL itself', () => {
  it('never takes a write for a read, and knows most reads', async () => {
    const effects = await createSqlEffects()
    const counts: Record<string, Record<string, number>> = {}
    const missed: string[] = []
    for (const { sql, label } of toRows(gunzipSync(readFileSync(LABELLED)).toString())) {
      const report = effects(sql)
      const word = report.source === 'undetermined' ? 'refused' : toHeadline(report.effect)
      const row = (counts[label] ??= {})
      row[word] = (row[word] ?? 0) + 1
      if (word === 'read' && (label === 'write' || label === 'temp_write_or_noop')) missed.push(sql)
    }
    const reads = Object.values(counts['read'] ?? {}).reduce((sum, n) => sum + n, 0)
    const known = counts['read']?.['read'] ?? 0
    console.info('by label of PostgreSQL, as judged:', JSON.stringify(counts))
    console.info(`writes taken for reads: ${missed.length}; reads known as reads: ${known} of ${reads}`)
    expect(missed).toEqual([])
    // The rest calls functions of the regression suite's own, converts to its types, or reads the password table.
    expect(known / reads).toBeGreaterThan(0.84)
  })

  it('knows every query that was written to read', async () => {
    const effects = await createSqlEffects()
    const rows = toRows(readFileSync(QUERIES, 'utf8'))
    const others = rows.filter(({ sql }) => toHeadline(effects(sql).effect) !== 'read')
    console.info(`text-to-SQL queries known as reads: ${rows.length - others.length} of ${rows.length}`)
    expect(others).toEqual([])
  })
})

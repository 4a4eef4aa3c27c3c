/**
 * @module
 * No statement walks a table: a decision costs the same with ten records as with a hundred thousand. Seen to fail: `list` with
 * `$end IS NULL OR key < $end`, which read every record behind the first key, in each decision.
 */
import { DatabaseSync } from 'node:sqlite'

import { expect, it } from 'vitest'

import { openSchema } from './sqlite-schema.ts'
import { prepareStatements } from './sqlite-statements.ts'

/** What SQLite says of how it will look, for each statement that looks for anything. */
function toPlans(): Readonly<Record<string, string>> {
  const db = new DatabaseSync(':memory:')
  openSchema(db, { path: ':memory:', readOnly: false })
  const plans = Object.entries(prepareStatements(db)).map(([name, { sourceSQL }]) => {
    const steps = db.prepare(`EXPLAIN QUERY PLAN ${sourceSQL}`).all()
    return [name, steps.map(({ detail }) => String(detail)).join('; ')] as const
  })
  db.close()
  return Object.fromEntries(plans)
}

it('looks for everything by an index, between bounds', () => {
  const plans = toPlans()
  for (const plan of Object.values(plans)) expect(plan).not.toMatch(/SCAN|USE TEMP B-TREE/)
  expect(plans['list']).toContain('(key>? AND key<?)')
  expect(plans['listEvidence']).toContain('(id>?)')
  expect(plans['entries']).toContain('(rowid>? AND rowid<?)')
  expect(plans['sweep']).toContain('burn_expires (expires<?)')
})

/**
 * @module
 * The demo as it is shown: one JSON object, whose claims hold. The rows are counted by the demo over a connection of its own.
 */
import { execFile } from 'node:child_process'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { describe, expect, it } from 'vitest'

import { isReason } from '../../src/index.ts'

const run = promisify(execFile)
const MAIN = join(import.meta.dirname, '..', '..', 'src', 'cli', 'main.ts')
const PACKAGES = ['@electric-sql/pglite', '@electric-sql/pglite-socket', '@modelcontextprotocol/server-postgres']

function findMissing(): readonly string[] {
  const paths = createRequire(import.meta.url).resolve.paths('x') ?? []
  const { existsSync } = process.getBuiltinModule('node:fs')
  return PACKAGES.filter((name) => !paths.some((path) => existsSync(join(path, name, 'package.json'))))
}

const missing = findMissing()
if (missing.length > 0) console.info(`the demo is not tested: ${missing.join(', ')} not installed`)

interface Shown {
  readonly steps: readonly {
    readonly id: string
    readonly bearer: { readonly harmed: boolean; readonly rows: { readonly before: number; readonly after: number } }
    readonly unbearer: {
      readonly harmed: boolean
      readonly rows: { readonly before: number; readonly after: number }
      readonly decision: string
      readonly reason: string
    }
  }[]
  readonly benign: { readonly attempted: number; readonly bearerOk: number; readonly unbearerOk: number }
  readonly rows: { readonly before: number; readonly bearerAfter: number; readonly unbearerAfter: number }
  readonly log: { readonly entries: number; readonly verified: boolean }
}

describe.skipIf(missing.length > 0)('unbearer demo --json', () => {
  it('harms the bearer side in every step and the other in none', { timeout: 110_000 }, async () => {
    const { stdout } = await run(process.execPath, [MAIN, 'demo', '--json'], { timeout: 100_000, maxBuffer: 1 << 22 })
    const lines = stdout.trim().split('\n')
    expect(lines).toHaveLength(1)
    const shown: Shown = JSON.parse(lines[0] ?? '')

    expect(Object.keys(shown).toSorted()).toEqual(['benign', 'log', 'rows', 'steps'])
    expect(shown.steps.map(({ id }) => id)).toEqual(['token-theft', 'drift', 'injection', 'revocation'])
    for (const { bearer, unbearer } of shown.steps) {
      expect(bearer.harmed).toBe(true)
      expect(unbearer).toMatchObject({ harmed: false, decision: 'deny' })
      expect(isReason(unbearer.reason)).toBe(true)
      expect(unbearer.rows.after).toBe(unbearer.rows.before)
    }
    const { before, bearerAfter, unbearerAfter } = shown.rows
    expect(before).toBeGreaterThan(0)
    expect([bearerAfter, unbearerAfter]).toEqual([0, before])
    expect(shown.benign.attempted).toBeGreaterThan(3)
    expect(shown.benign).toEqual({
      attempted: shown.benign.attempted,
      bearerOk: shown.benign.attempted,
      unbearerOk: shown.benign.attempted,
    })
    expect(shown.log).toMatchObject({ verified: true })
    expect(shown.log.entries).toBeGreaterThan(shown.benign.attempted * 2)
  })
})

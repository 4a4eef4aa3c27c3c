/**
 * @module
 * A forgotten `await` in front of a security check is a bypass: the promise is truthy whatever it settles to. The linter of
 * this repository has to refuse every form of it. The forms are files of their own, which `npm run check:lint` leaves out.
 */
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { basename, join } from 'node:path'

import { describe, expect, it } from 'vitest'

const FOLDER = 'test/rules/fixtures/forgotten-await'
const AWAITED = ['awaited.ts', 'verify.ts']

/** The rules that know a promise when they see one; a form must not be refused for another reason by luck. */
const RULES: readonly string[] = [
  'no-floating-promises',
  'no-misused-promises',
  'strict-boolean-expressions',
  'no-unnecessary-condition',
  'return-await',
].map((rule) => `typescript(${rule})`)

interface Report {
  readonly diagnostics: readonly { readonly code: string; readonly severity: string; readonly filename: string }[]
}

function isReport(value: unknown): value is Report {
  return typeof value === 'object' && value !== null && 'diagnostics' in value
}

/** What the linter says of the fixtures under the configuration of the repository: rule codes by file name. */
function lint(): ReadonlyMap<string, readonly string[]> {
  const { stdout } = spawnSync(
    join('node_modules', '.bin', 'oxlint'),
    ['--config', '.oxlintrc.json', '--type-aware', '--deny-warnings', '--format', 'json', FOLDER],
    { encoding: 'utf8', shell: process.platform === 'win32' },
  )
  const report: unknown = JSON.parse(stdout.slice(0, stdout.lastIndexOf('}') + 1))
  if (!isReport(report)) throw new TypeError('the linter gave no report')
  const found = new Map<string, readonly string[]>()
  for (const { code, filename } of report.diagnostics) {
    const name = basename(filename)
    found.set(name, [...(found.get(name) ?? []), code])
  }
  return found
}

const found = lint()
const forms = readdirSync(FOLDER).filter((name) => name.endsWith('.ts') && !AWAITED.includes(name))

describe('the linter of this repository', () => {
  it('has forms to refuse', () => {
    expect(forms.length).toBeGreaterThanOrEqual(16)
  })

  it.each(forms)('refuses a forgotten await: %s', (form) => {
    expect(found.get(form)?.some((code) => RULES.includes(code))).toBe(true)
  })

  it.each(AWAITED)('accepts the same with its await: %s', (form) => {
    expect(found.get(form)).toBeUndefined()
  })
})

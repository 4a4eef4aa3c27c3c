/**
 * @module
 * The table of reasons is closed, and its page says the same. `UPDATE=1 npx vitest run src/core/reasons.test.ts` writes
 * the page anew.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { isReason, REASONS, type ReasonRow } from './reasons.ts'

const PAGE = new URL('../../docs/reference/reasons.md', import.meta.url)

const INTRODUCTION = `# Reasons

Every refusal carries one reason of this table, and nothing else about why. The help is fixed text for the agent: no
thresholds, no policy ids, nothing about others. What was found exactly stands in the evidence: \`unbearer audit show ID\`.

- **Decision**: what a refusal for this reason usually is. \`challenge\` waits for a person, \`defer\` for a better moment.
- **Retry**: whether the same agent may usefully try again after doing what the help says.
- **HTTP**: status and \`error\` (RFC 6750, RFC 9449, RFC 9470). **MCP**: the JSON-RPC code for methods without a tool
  result; a tool call gets a result with \`isError: true\`. **SQLSTATE**: for the PostgreSQL plane.

This page is generated from \`src/core/reasons.ts\`; a test compares them.
`

function toReasonsPage(): string {
  const groups = Map.groupBy(Object.entries(REASONS), ([reason]) => reason.split('.')[0] ?? '')
  return [INTRODUCTION, ...groups.entries().map(([group, rows]) => toSection(group, rows))].join('\n')
}

function toSection(group: string, rows: readonly (readonly [string, ReasonRow])[]): string {
  const head = ['Reason', 'Decision', 'Retry', 'Help', 'HTTP', 'MCP', 'SQLSTATE']
  return [`## ${group}`, '', toLine(head), toLine(head.map(() => '---')), ...rows.map(toRow), ''].join('\n')
}

function toRow([reason, { decision, retry, help, http, mcp, sqlstate }]: readonly [string, ReasonRow]): string {
  const cells = [`\`${reason}\``, decision, retry ? 'yes' : 'no', help]
  return toLine([...cells, `${http.status} \`${http.error}\``, String(mcp), `\`${sqlstate}\``])
}

function toLine(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
}

describe('the table of reasons', () => {
  it('is what its page says', () => {
    if (process.env['UPDATE'] === '1') writeFileSync(PAGE, toReasonsPage())
    expect(readFileSync(PAGE, 'utf8')).toBe(toReasonsPage())
  })
  it('is closed', () => {
    expect(isReason('identity.missing')).toBe(true)
    for (const other of ['identity', 'identity.', 'constructor', '__proto__', 'toString', ''])
      expect(isReason(other)).toBe(false)
  })
  it('holds reasons of the eight groups, in the style of every message', () => {
    for (const [reason, { help, http, mcp, sqlstate }] of Object.entries(REASONS)) {
      expect(reason).toMatch(/^(?:identity|intent|scope|context|anomaly|policy|credential|system)\.[a-z]+(?:-[a-z]+)*$/)
      expect(help).toMatch(/^[a-z`][^\n]*[^.\s]$/)
      expect(http.status).toBeGreaterThanOrEqual(400)
      expect(mcp).toBeLessThan(0)
      expect(sqlstate).toMatch(/^[0-9A-Z]{5}$/)
    }
  })
})

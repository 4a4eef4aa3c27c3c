// `npm run conformance:mcp`: the official conformance scenarios for servers, run against a server and against the same server
// behind `unbearer serve`. Prints a table; fails where a scenario ends otherwise through the gateway and nobody wrote down why.
// With `--write` the table of docs/reference/conformance.md is replaced.
import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { installFramework } from '../adapters/install-framework.ts'
import { createInstallation } from '../support/installation.ts'
import { SERVER } from '../support/tools.ts'
import { EXPECTED } from './expected.mjs'
import { startConformanceServer } from './server.mjs'

const DOC = join(import.meta.dirname, '..', '..', 'docs', 'reference', 'conformance.md')
const PACKAGES = [
  { name: '0.1.16', folder: 'conformance-0.1' },
  { name: '0.2.0-alpha.12', folder: '@modelcontextprotocol/conformance', more: ['--spec-version', '2025-11-25'] },
]

/** What every check of every scenario ended with, by scenario. */
async function runSuite(modules, { folder, more = [] }, url) {
  const output = mkdtempSync(join(tmpdir(), 'unbearer-conformance-'))
  const args = [
    join(modules, folder, 'dist', 'index.js'),
    'server',
    '--url',
    url,
    '--suite',
    'all',
    '-o',
    output,
    ...more,
  ]
  try {
    // It ends with 1 where a scenario fails; what counts is what it wrote.
    await new Promise((resolve) => {
      execFile(process.execPath, args, { timeout: 300_000, maxBuffer: 1 << 28 }, resolve)
    })
    return new Map(findChecks(output).map(([scenario, checks]) => [scenario, toOutcome(checks)]))
  } finally {
    rmSync(output, { recursive: true, force: true })
  }
}

function findChecks(output) {
  return readdirSync(output, { recursive: true })
    .filter((file) => file.endsWith('checks.json'))
    .map((file) => [
      /server-(.+)-\d{4}-\d{2}-\d{2}T/.exec(file)?.[1] ?? file,
      JSON.parse(readFileSync(join(output, file), 'utf8')),
    ])
}

const RANK = ['SKIPPED', 'INFO', 'SUCCESS', 'WARNING', 'FAILURE']
const WORDS = { SKIPPED: 'skipped', INFO: 'pass', SUCCESS: 'pass', WARNING: 'warning', FAILURE: 'fail' }

function toOutcome(checks) {
  const worst = Math.max(...checks.map(({ status }) => RANK.indexOf(status)), 0)
  const said = checks
    .filter(({ status }) => status === 'FAILURE' || status === 'WARNING')
    .map(({ id, errorMessage }) => `${id}: ${errorMessage ?? ''}`)
  return { result: WORDS[RANK[worst]], said }
}

async function runBoth(modules, each, serverUrl, guardedUrl) {
  const direct = await runSuite(modules, each, serverUrl)
  const through = await runSuite(modules, each, guardedUrl)
  return [...direct.keys()].toSorted().map((scenario) => ({
    version: each.name,
    scenario,
    direct: direct.get(scenario),
    through: through.get(scenario) ?? { result: 'absent', said: [] },
  }))
}

function findReason({ version, scenario }) {
  return EXPECTED[`${version} ${scenario}`] ?? EXPECTED[scenario]
}

/** Ends as it should: the same, or otherwise for a reason that was written down. */
function isAsExpected(row) {
  return (row.direct.result === row.through.result) === (findReason(row) === undefined)
}

function toTable(rows) {
  const lines = rows.map(({ version, scenario, direct, through }) => {
    const why = direct.result === through.result ? '' : (findReason({ version, scenario }) ?? '')
    return `|${version}|\`${scenario}\`|${direct.result}|${through.result}|${why}|`
  })
  return ['|Package|Scenario|Direct|Through|Why it differs|', '|-|-|-|-|-|', ...lines].join('\n')
}

function write(table) {
  const [before] = readFileSync(DOC, 'utf8').split('<!-- table -->')
  writeFileSync(DOC, `${before}<!-- table -->\n\n${table}\n`)
}

async function main() {
  const installed = await installFramework(import.meta.dirname)
  if (installed === undefined) return
  const server = await startConformanceServer()
  const installation = await createInstallation({ upstream: { url: server.url }, mode: 'observe' })
  try {
    const rows = []
    for (const each of PACKAGES)
      rows.push(
        ...(await runBoth(join(installed, 'node_modules'), each, server.url, `${installation.origin}/mcp/${SERVER}`)),
      )
    const table = toTable(rows)
    console.log(table)
    if (process.argv.includes('--write')) write(table)
    const unexpected = rows.filter((row) => !isAsExpected(row))
    for (const { scenario, direct, through } of process.argv.includes('--verbose') ? rows : unexpected)
      console.log(scenario, JSON.stringify({ direct: direct.said, through: through.said }, undefined, 1))
    console.log(`${rows.length} scenarios, ${unexpected.length} of them not as expected`)
    if (unexpected.length > 0 || rows.length === 0) process.exitCode = 1
  } finally {
    await installation.close()
    await server.close()
  }
}

await main()

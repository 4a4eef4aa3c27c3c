/**
 * @module
 * `npm run bench`: what a request costs without any check, with a bearer token, and with Unbearer, side by side over loopback
 * HTTP. Says figures and asserts none.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { loadavg } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

import { InputError, UnbearerError } from '../src/index.ts'
import { toReport, toTables } from './report.ts'
import { CONNECTIONS, runRounds } from './rounds.ts'
import { SETUPS, startSetups, type SetupName } from './setups.ts'

const HELP = `Usage: npm run bench -- [options]        npm run -s bench -- --json

Measures a read and a write of about 1 KB over loopback HTTP, at 1 and 16 connections, with a tool of 0 and 1 ms.
Explained in docs/reference/bench.md.

  --json           print one JSON object
  --seconds N      about how long to measure over all, beside start and warm-up (default 50)
  --setup NAME     only this setup, may be repeated: ${SETUPS.join(', ')}
  --help           print this
`

interface Options {
  readonly json: boolean
  readonly seconds: number
  readonly setups: readonly SetupName[]
}

function parseOptions(args: readonly string[]): Options | undefined {
  const { values } = parseArguments(args)
  if (values.help === true) return undefined
  const seconds = Number(values.seconds ?? '50')
  if (!(seconds > 0 && seconds <= 3600)) throw new InputError('`--seconds` is a number of seconds, at most 3600')
  const asked = values.setup ?? SETUPS
  const unknown = asked.find((name) => !isSetup(name))
  if (unknown !== undefined) throw new InputError(`there is no setup \`${unknown}\`, there is ${SETUPS.join(', ')}`)
  return { json: values.json === true, seconds, setups: SETUPS.filter((name) => asked.includes(name)) }
}

function parseArguments(args: readonly string[]) {
  const options = {
    json: { type: 'boolean' },
    help: { type: 'boolean' },
    seconds: { type: 'string' },
    setup: { type: 'string', multiple: true },
  } as const
  try {
    return parseArgs({ args: [...args], options, allowPositionals: false })
  } catch (cause) {
    throw new InputError(
      `${cause instanceof Error ? cause.message : 'unusable arguments'}; see \`--help\``,
      undefined,
      {
        cause,
      },
    )
  }
}

function isSetup(name: string): name is SetupName {
  return SETUPS.some((one) => one === name)
}

function progress(line: string): void {
  process.stderr.write(`bench: ${line}\n`)
}

/** On the disk of the checkout: a folder for temporary files may be in memory, where waiting for the disk costs nothing. */
function makeFolder(): string {
  const cache = fileURLToPath(new URL('../node_modules/.cache/', import.meta.url))
  mkdirSync(cache, { recursive: true })
  return mkdtempSync(join(cache, 'unbearer-bench-'))
}

async function bench({ json, seconds, setups: names }: Options): Promise<void> {
  progress(`load of the machine before: ${loadavg()[0]?.toFixed(1) ?? '?'}`)
  const dir = makeFolder()
  // Also when somebody interrupts it: the servers end by themselves, the stores have to be removed.
  process.once('exit', () => rmSync(dir, { recursive: true, force: true }))
  process.once('SIGINT', () => process.exit(130))
  progress(`starting ${names.join(', ')}`)
  const started = await startSetups(names, dir, Math.max(...CONNECTIONS))
  try {
    const series = await runRounds(started.setups, { seconds, progress })
    const report = toReport(series, new Date())
    process.stdout.write(json ? `${JSON.stringify(report)}\n` : `${toTables(report, series)}\n`)
  } finally {
    await started.close()
  }
}

async function main(args: readonly string[]): Promise<number> {
  try {
    const options = parseOptions(args)
    if (options === undefined) process.stdout.write(HELP)
    else await bench(options)
    return 0
  } catch (fault) {
    const said = fault instanceof UnbearerError ? fault.message : fault instanceof Error ? fault.stack : String(fault)
    process.stderr.write(`bench: ${said ?? 'failed'}\n`)
    return 2
  }
}

process.exitCode = await main(process.argv.slice(2))

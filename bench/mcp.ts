/**
 * @module
 * What the MCP gateway adds to a call: over stdio (`unbearer mcp -- COMMAND`) and over HTTP (`unbearer serve`), through against
 * direct, for 1, 16 and 64 clients, and the memory of the gateway after many calls. States figures and asserts none; fails when an
 * answer is not the tool's own.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { loadavg } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

import { openHttpRoads, openStdioDirect, openStdioThrough, type Road, type Transport, type Way } from './mcp-roads.ts'
import { toMachine, toMedian } from './report.ts'

const HELP = `Usage: npm run bench:mcp -- [options]        npm run -s bench:mcp -- --json

Measures a read of about 1 KB over MCP, direct and through Unbearer. Explained in docs/reference/bench.md.

  --json             print one JSON object
  --transport NAME   only \`stdio\` or \`http\`
  --calls N          calls in each cell and round (default 1000)
  --rounds N         rounds of which the median is told (default 3)
  --memory N         then make N calls through the gateway and tell its memory on the way (default 0)
  --help             print this
`

const CLIENTS = [1, 16, 64] as const

interface Options {
  readonly json: boolean
  readonly transports: readonly Transport[]
  readonly calls: number
  readonly rounds: number
  readonly memory: number
}

interface Row {
  readonly transport: Transport
  readonly way: Way
  readonly clients: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly callsPerSecond: number
}

interface Memory {
  readonly transport: Transport
  /** MiB of resident memory, by calls made since the start of this trial. */
  readonly mib: Readonly<Record<string, number>>
}

function isCount(count: number, least: number): boolean {
  return Number.isSafeInteger(count) && count >= least
}

function readOptions(): Options | undefined {
  const { values } = parseArgs({
    options: {
      json: { type: 'boolean', default: false },
      transport: { type: 'string' },
      calls: { type: 'string', default: '1000' },
      rounds: { type: 'string', default: '3' },
      memory: { type: 'string', default: '0' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return undefined
  const all = ['stdio', 'http'] as const
  const transports = all.filter((name) => values.transport === undefined || values.transport === name)
  const [calls, rounds, memory] = [Number(values.calls), Number(values.rounds), Number(values.memory)]
  if (transports.length === 0 || !isCount(calls, 1) || !isCount(rounds, 1) || !isCount(memory, 0)) {
    process.stderr.write(HELP)
    process.exit(2)
  }
  return { json: values.json, transports, calls, rounds, memory }
}

function progress(line: string): void {
  process.stderr.write(`bench: ${line}\n`)
}

interface Sample {
  readonly p50Ms: number
  readonly p99Ms: number
  readonly callsPerSecond: number
}

async function sample(road: Road, clients: number, calls: number): Promise<Sample> {
  const { latencies, seconds } = await road.run(clients, calls)
  const sorted = latencies.toSorted((a, b) => a - b)
  const at = (share: number): number => sorted[Math.ceil(sorted.length * share) - 1] ?? Number.NaN
  return { p50Ms: at(0.5), p99Ms: at(0.99), callsPerSecond: latencies.length / seconds }
}

/** Direct and through one right after the other, so that a noisy minute hits both. */
async function measure(roads: readonly Road[], { calls, rounds }: Options): Promise<readonly Row[]> {
  for (const road of roads) await road.run(16, Math.min(calls, 1_000))
  const cells = CLIENTS.flatMap((clients) => roads.map((road) => ({ road, clients, samples: [] as Sample[] })))
  for (let round = 0; round < rounds; round += 1) {
    progress(`round ${round + 1} of ${rounds}`)
    for (const { road, clients, samples } of cells) samples.push(await sample(road, clients, calls))
  }
  return cells.map(({ road: { transport, way }, clients, samples }) => {
    const median = (name: keyof Sample): number => Number(toMedian(samples.map((one) => one[name])).toFixed(3))
    const [p50Ms, p99Ms, callsPerSecond] = [median('p50Ms'), median('p99Ms'), Math.round(median('callsPerSecond'))]
    return { transport, way, clients, p50Ms, p99Ms, callsPerSecond }
  })
}

const STEPS = 10

async function measureMemory(road: Road, calls: number): Promise<Memory> {
  const mib: Record<string, number> = { 0: Math.round(road.memory()) }
  for (let step = 1; step <= STEPS; step += 1) {
    await road.run(16, Math.ceil(calls / STEPS))
    const made = Math.round((calls * step) / STEPS)
    mib[made] = Math.round(road.memory())
    progress(`${road.transport}: ${mib[made]} MiB after ${made} calls`)
  }
  return { transport: road.transport, mib }
}

async function bench(options: Options): Promise<{ readonly rows: readonly Row[]; readonly memory: readonly Memory[] }> {
  const cache = fileURLToPath(new URL('../node_modules/.cache/', import.meta.url))
  mkdirSync(cache, { recursive: true })
  // On the disk of the checkout: a folder for temporary files may be in memory, where waiting for the disk costs nothing.
  const dir = mkdtempSync(join(cache, 'unbearer-bench-mcp-'))
  process.once('exit', () => rmSync(dir, { recursive: true, force: true }))
  process.once('SIGINT', () => process.exit(130))
  const rows: Row[] = []
  const memory: Memory[] = []
  for (const transport of options.transports) {
    progress(`starting ${transport}`)
    const roads =
      transport === 'stdio'
        ? [await openStdioDirect(), await openStdioThrough(dir)]
        : await openHttpRoads(dir, Math.max(...CLIENTS))
    try {
      rows.push(...(await measure(roads, options)))
      const through = roads.find(({ way }) => way === 'through')
      if (options.memory > 0 && through !== undefined) memory.push(await measureMemory(through, options.memory))
    } finally {
      await Promise.all(roads.toReversed().map(async (road) => road.close()))
    }
  }
  return { rows, memory }
}

function toTable(rows: readonly Row[]): string {
  const lines = rows.map((row) => {
    const direct = rows.find(
      (one) => one.way === 'direct' && one.transport === row.transport && one.clients === row.clients,
    )
    const added = (name: 'p50Ms' | 'p99Ms'): string => (row[name] - (direct?.[name] ?? Number.NaN)).toFixed(2)
    const [p50, p99] = row.way === 'direct' ? ['', ''] : [added('p50Ms'), added('p99Ms')]
    const shown = [row.clients, row.p50Ms.toFixed(2), row.p99Ms.toFixed(2), row.callsPerSecond, p50, p99]
    return `| ${row.transport} ${row.way} | ${shown.join(' | ')} |`
  })
  return ['| road | clients | p50 ms | p99 ms | calls/s | added p50 | added p99 |', '|-|-|-|-|-|-|-|', ...lines].join(
    '\n',
  )
}

function toMemoryLine({ transport, mib }: Memory): string {
  return `memory, ${transport} through, MiB by calls: ${Object.entries(mib)
    .map(([calls, size]) => `${calls}: ${size}`)
    .join(', ')}`
}

const options = readOptions()
if (options === undefined) process.stdout.write(HELP)
else {
  const { rows, memory } = await bench(options)
  const head = { machine: toMachine(), node: process.version, date: new Date().toISOString(), load: loadavg()[0] ?? 0 }
  const text = `${head.machine}, Node ${head.node}, ${head.date}, load average ${head.load.toFixed(1)}\n\n${toTable(rows)}\n`
  process.stdout.write(options.json ? `${JSON.stringify({ ...head, rows, memory })}\n` : text)
  if (!options.json) for (const one of memory) process.stdout.write(`\n${toMemoryLine(one)}\n`)
}

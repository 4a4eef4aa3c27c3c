/**
 * @module
 * What the bench says: the pinned JSON (contracts, "JSON of the tools"), or tables with ratios side by side.
 */
import { cpus, totalmem } from 'node:os'

import { CELLS, type Cell, type Sample, type Series } from './rounds.ts'
import { COUNTERPARTS, PROOFS, type SetupName } from './setups.ts'

interface Row extends Cell, Sample {
  readonly setup: SetupName
  /** How each request was proved: `none`, `bearer`, `signature`. */
  readonly proof: string
}

export interface Report {
  readonly machine: string
  readonly node: string
  /** RFC 3339. */
  readonly date: string
  readonly rows: readonly Row[]
}

/** Medians over the rounds. Times in milliseconds, CPU in microseconds for each request. */
export function toReport(series: readonly Series[], date: Date): Report {
  return { machine: toMachine(), node: process.version, date: date.toISOString(), rows: series.map(toRow) }
}

export function toMachine(): string {
  const found = cpus()
  const model = found[0]?.model.trim() ?? 'unknown processor'
  return `${found.length} × ${model}, ${Math.round(totalmem() / 2 ** 30)} GiB, ${process.platform} ${process.arch}`
}

function toRow({ setup, effect, connections, toolMs, samples }: Series): Row {
  const figure = (name: keyof Sample, digits: number): number =>
    Number(toMedian(samples.map((sample) => sample[name])).toFixed(digits))
  return {
    setup,
    effect,
    proof: PROOFS[setup],
    connections,
    toolMs,
    p50Ms: figure('p50Ms', 3),
    p99Ms: figure('p99Ms', 3),
    rps: figure('rps', 0),
    cpuUs: figure('cpuUs', 1),
  }
}

export function toMedian(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length / 2
  const [low = Number.NaN, high = low] = [sorted[Math.ceil(middle) - 1], sorted[Math.floor(middle)]]
  return (low + high) / 2
}

/** One table for each cell; ratios are medians of ratios within the same round. */
export function toTables(report: Report, series: readonly Series[]): string {
  const head = `${report.machine}, Node ${report.node}, ${report.date}`
  const tables = CELLS.map((cell) => toTable(cell, series))
  const foot = [
    '÷ bearer: against the bearer setup on the same road (with a gateway or without one), medians of ratios within a round.',
    'CPU is of all server processes, for each request. Signing by the client is in no figure. Absolute figures do not travel.',
  ]
  return [head, '', ...tables, ...foot].join('\n')
}

const COLUMNS = ['setup', 'proof', 'p50 ms', 'p99 ms', 'req/s', 'CPU µs', 'p50 ÷ bearer', 'CPU ÷ bearer'] as const
const WIDTHS = [21, 10, 9, 9, 8, 9, 13, 13] as const

function toTable(cell: Cell, series: readonly Series[]): string {
  const title = `${cell.effect}, ${cell.connections} connection${cell.connections === 1 ? '' : 's'}, tool ${cell.toolMs} ms`
  const own = series.filter((one) => isIn(cell, one))
  const lines = own.map((one) => {
    const row = toRow(one)
    const counterpart = own.find(({ setup }) => setup === COUNTERPARTS[one.setup])
    return toLine([
      row.setup,
      row.proof,
      row.p50Ms.toFixed(2),
      row.p99Ms.toFixed(2),
      row.rps.toFixed(0),
      row.cpuUs.toFixed(0),
      toRatio(one, counterpart, 'p50Ms'),
      toRatio(one, counterpart, 'cpuUs'),
    ])
  })
  return [title, toLine(COLUMNS), ...lines, ''].join('\n')
}

function isIn(cell: Cell, one: Cell): boolean {
  return one.effect === cell.effect && one.connections === cell.connections && one.toolMs === cell.toolMs
}

function toRatio(one: Series, counterpart: Series | undefined, name: keyof Sample): string {
  if (counterpart === undefined) return '-'
  const ratios = one.samples.map((sample, round) => sample[name] / (counterpart.samples[round]?.[name] ?? Number.NaN))
  return toMedian(ratios).toFixed(2)
}

function toLine(cells: readonly string[]): string {
  const padded = cells.map((cell, index) =>
    index < 2 ? cell.padEnd(WIDTHS[index] ?? 0) : cell.padStart(WIDTHS[index] ?? 0),
  )
  return `  ${padded.join(' ').trimEnd()}`
}

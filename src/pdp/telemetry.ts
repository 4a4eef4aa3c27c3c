/**
 * @module
 * Metrics in the Prometheus text format (contracts, "JSON of the tools"): counters and stage latencies, no ids, no values.
 */

const BUCKETS_MS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 1000] as const

interface Histogram {
  readonly counts: number[]
  sum: number
  count: number
}

type Gauges = Map<string, () => number | Promise<number>>

export interface Telemetry {
  count(name: string, labels: Readonly<Record<string, string>>): void
  /** `milliseconds` of one stage. */
  time(stage: string, milliseconds: number): void
  /** `read` is asked for each text; where it throws the gauge is `NaN`. */
  gauge(name: string, read: () => number | Promise<number>): void
  /** The text of `/metrics`. */
  text(): Promise<string>
}

export function createTelemetry(): Telemetry {
  const counters = new Map<string, number>()
  const histograms = new Map<string, Histogram>()
  const gauges: Gauges = new Map()
  return {
    count(name, labels) {
      const series = `${name}${toLabels(labels)}`
      counters.set(series, (counters.get(series) ?? 0) + 1)
    },
    time(stage, milliseconds) {
      const histogram = histograms.get(stage) ?? { counts: BUCKETS_MS.map(() => 0), sum: 0, count: 0 }
      histograms.set(stage, histogram)
      const bucket = BUCKETS_MS.findIndex((limit) => milliseconds <= limit)
      if (bucket >= 0) histogram.counts[bucket] = (histogram.counts[bucket] ?? 0) + 1
      histogram.sum += milliseconds
      histogram.count += 1
    },
    gauge: (name, read) => void gauges.set(name, read),
    text: async () =>
      [...counterLines(counters), ...histogramLines(histograms), ...(await gaugeLines(gauges)), ''].join('\n'),
  }
}

function toLabels(labels: Readonly<Record<string, string>>): string {
  return `{${Object.entries(labels)
    .map(([name, value]) => `${name}="${value.replace(/["\\\n]/g, '_')}"`)
    .join(',')}}`
}

function counterLines(counters: ReadonlyMap<string, number>): string[] {
  const names = new Set<string>()
  return [...counters]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([series, value]) => {
      const name = series.slice(0, series.indexOf('{'))
      const head = names.has(name) ? [] : [`# TYPE ${name} counter`]
      names.add(name)
      return [...head, `${series} ${value}`]
    })
}

function histogramLines(histograms: ReadonlyMap<string, Histogram>): string[] {
  const name = 'unbearer_stage_milliseconds'
  const lines = histograms.size === 0 ? [] : [`# TYPE ${name} histogram`]
  for (const [stage, { counts, sum, count }] of histograms) {
    let below = 0
    for (const [index, limit] of BUCKETS_MS.entries()) {
      below += counts[index] ?? 0
      lines.push(`${name}_bucket{stage="${stage}",le="${limit}"} ${below}`)
    }
    lines.push(`${name}_bucket{stage="${stage}",le="+Inf"} ${count}`)
    lines.push(`${name}_sum{stage="${stage}"} ${sum}`, `${name}_count{stage="${stage}"} ${count}`)
  }
  return lines
}

async function gaugeLines(gauges: Gauges): Promise<readonly string[]> {
  const lines = await Promise.all(
    [...gauges].map(async ([name, read]) => [`# TYPE ${name} gauge`, `${name} ${await readGauge(read)}`]),
  )
  return lines.flat()
}

async function readGauge(read: () => number | Promise<number>): Promise<number> {
  try {
    return await read()
  } catch {
    return Number.NaN
  }
}

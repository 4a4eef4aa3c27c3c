/**
 * @module
 * Interleaved rounds: in each round every setup is measured in every cell, one right after the other, so that a noisy minute hits
 * all of them. What is reported is the median over the rounds.
 */
import { UnavailableError } from '../src/index.ts'
import { assertDone, EFFECTS, toCall, type CallEffect } from './calls.ts'
import { fire, type Shot } from './load.ts'
import type { Setup, SetupName } from './setups.ts'

/** What is varied beside the setup. */
export interface Cell {
  readonly effect: CallEffect
  readonly connections: number
  readonly toolMs: number
}

/** The figures of one setup in one cell and one round. */
export interface Sample {
  readonly p50Ms: number
  readonly p99Ms: number
  readonly rps: number
  readonly cpuUs: number
}

/** The samples of one setup in one cell, by round. */
export interface Series extends Cell {
  readonly setup: SetupName
  readonly samples: readonly Sample[]
}

export interface RoundOptions {
  /** About how long to measure, over all setups, cells and rounds. */
  readonly seconds: number
  readonly progress: (line: string) => void
}

export const CONNECTIONS = [1, 16] as const
const TOOL_MS = [0, 1] as const
const ROUNDS = 5
/** With fewer seconds than this there is only one round: nobody reads figures from it. */
const ENOUGH_SECONDS = 5
/** The share of the time that goes into warming up, on top. */
const WARM_UP = 0.15
const MAX_SHOTS = 20_000
/** Requests of a connection and round at least: a percentile of fewer would be noise. */
const MIN_SHOTS = 3

export const CELLS: readonly Cell[] = TOOL_MS.flatMap((toolMs) =>
  EFFECTS.flatMap((effect) => CONNECTIONS.map((connections) => ({ effect, connections, toolMs }))),
)

interface Track {
  readonly setup: Setup
  readonly cell: Cell
  readonly samples: Sample[]
  /** The rate that the next round is sized by. */
  rps: number
}

/** Warms up, then measures. Throws `UnavailableError` at the first answer that is not the tool's own success. */
export async function runRounds(setups: readonly Setup[], options: RoundOptions): Promise<readonly Series[]> {
  let seq = 0
  const nextSeq = (): number => (seq += 1)
  const tracks = CELLS.flatMap((cell) => setups.map((setup): Track => ({ setup, cell, samples: [], rps: 0 })))
  await warmUp(setups, options, nextSeq)
  const rounds = options.seconds < ENOUGH_SECONDS ? 1 : ROUNDS
  const seconds = options.seconds / (tracks.length * rounds)
  for (let round = 0; round < rounds; round += 1) {
    options.progress(`round ${round + 1} of ${rounds}`)
    for (const track of toOrder(tracks, setups.length, round)) {
      await setDelay(track.setup, track.cell.toolMs)
      // A few requests first: they warm the cell up and say how many make a round.
      if (round === 0) track.rps = (await measure(track, track.cell.connections * MIN_SHOTS, nextSeq)).rps
      const sample = await measure(track, toShots(track, seconds), nextSeq)
      track.samples.push(sample)
      track.rps = sample.rps
    }
  }
  return tracks.map(({ setup, cell, samples }) => ({ ...cell, setup: setup.name, samples }))
}

/** The setups of a cell follow each other, beginning with another one in each round. */
function toOrder(tracks: readonly Track[], setups: number, round: number): readonly Track[] {
  const cells = Array.from({ length: tracks.length / setups }, (_, cell) =>
    tracks.slice(cell * setups, (cell + 1) * setups),
  )
  return cells.flatMap((cell) => [...cell.slice(round % setups), ...cell.slice(0, round % setups)])
}

function toShots({ cell, rps }: Track, seconds: number): number {
  return Math.min(MAX_SHOTS, Math.max(cell.connections * MIN_SHOTS, Math.ceil(rps * seconds)))
}

async function warmUp(setups: readonly Setup[], options: RoundOptions, nextSeq: () => number): Promise<void> {
  for (const setup of setups) {
    options.progress(`warming up ${setup.name}`)
    await setDelay(setup, 0)
    const until = performance.now() + (options.seconds * WARM_UP * 1000) / setups.length
    do {
      for (const effect of EFFECTS) {
        const cell = { effect, connections: Math.max(...CONNECTIONS), toolMs: 0 }
        await measure({ setup, cell }, cell.connections * 8, nextSeq)
      }
    } while (performance.now() < until)
  }
}

async function setDelay({ servers }: Setup, delayMs: number): Promise<void> {
  await Promise.all(servers.map(async (server) => server.setDelay(delayMs)))
}

/** Makes the requests, sends them, and only then looks at the answers. */
async function measure(
  { setup, cell }: Pick<Track, 'setup' | 'cell'>,
  shots: number,
  nextSeq: () => number,
): Promise<Sample> {
  const lanes = await prepare(setup, cell, Math.ceil(shots / cell.connections), nextSeq)
  const before = await toUsage(setup)
  const { latencies, seconds, answers } = await fire(setup.port, lanes)
  const after = await toUsage(setup)
  for (const { seq, answer } of answers) assertDone(setup.name, seq, answer.status, answer.body)
  if (after.ran - before.ran !== latencies.length) {
    throw new UnavailableError(`\`${setup.name}\` ran its tool ${after.ran - before.ran} times for ${latencies.length}`)
  }
  const sorted = latencies.toSorted((a, b) => a - b)
  return {
    p50Ms: toPercentile(sorted, 0.5),
    p99Ms: toPercentile(sorted, 0.99),
    rps: latencies.length / seconds,
    cpuUs: (after.cpuUs - before.cpuUs) / latencies.length,
  }
}

async function prepare(
  setup: Setup,
  { connections, effect }: Cell,
  each: number,
  nextSeq: () => number,
): Promise<readonly (readonly Shot[])[]> {
  const lanes: Shot[][] = []
  for (const caller of setup.callers.slice(0, connections)) {
    const lane: Shot[] = []
    for (let count = 0; count < each; count += 1) {
      const seq = nextSeq()
      lane.push({ seq, bytes: await caller.prepare(toCall(effect, seq)) })
    }
    lanes.push(lane)
  }
  return lanes
}

/** CPU of all processes of a setup together; calls of the tool in the one that has it. */
async function toUsage({ servers }: Setup): Promise<{ cpuUs: number; ran: number }> {
  const usages = await Promise.all(servers.map(async (server) => server.usage()))
  return { cpuUs: usages.reduce((sum, { cpuUs }) => sum + cpuUs, 0), ran: usages.at(-1)?.ran ?? 0 }
}

/** The nearest rank. `sorted` rises and is not empty. */
function toPercentile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN
}

/**
 * @module
 * `unbearer demo`: the article's four steps, behind a bearer token and behind Unbearer, side by side as they happen.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { isReason, REASONS, type Json } from '../../index.ts'
import { startDatabase } from './database.ts'
import { loadDemoPackages, type DemoPackages } from './packages.ts'
import { playStep, type Played, type PlayedCall, type Stage } from './play.ts'
import { startBearerSide, startUnbearerSide, toToolServers, type Side, type UnbearerSide } from './sides.ts'
import { STEPS, type Step } from './steps.ts'
import type { TheftReport } from './thief.ts'
import { createView, type Cell, type View } from './view.ts'

export interface DemoOptions {
  /** Prints one JSON object instead of the story. */
  readonly json: boolean
  /** Fetches missing packages without asking. */
  readonly yes: boolean
}

interface Pair {
  readonly step: Step
  readonly bearer: Played
  readonly unbearer: Played
}

/**
 * Runs the demo and prints it. Answers the exit code: 1 if anything harmful got through on the Unbearer side, if a benign
 * action was blocked, if the log does not verify, or if the bearer side was not in fact harmed.
 */
export async function runDemo({ json, yes }: DemoOptions): Promise<number> {
  const colour = process.stdout.isTTY && process.env['NO_COLOR'] === undefined
  const view = createView(json ? () => undefined : write, colour)
  const packages = await loadDemoPackages(yes)
  const dir = mkdtempSync(join(tmpdir(), 'unbearer-demo-'))
  view.title('Unbearer: one agent, one database, two ways to let it in')
  view.note('Starting PostgreSQL (PGlite), the official MCP PostgreSQL server, an outbox, and two gateways …')
  try {
    const result = await runIn(dir, packages, view)
    if (json) write(JSON.stringify(result.json))
    return result.ok ? 0 : 1
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

interface Result {
  readonly ok: boolean
  readonly json: Json
}

function write(line: string): void {
  process.stdout.write(`${line}\n`)
}

function benignOf(played: Played): readonly PlayedCall[] {
  return played.calls.filter(({ call }) => call.benign)
}

async function runIn(dir: string, packages: DemoPackages, view: View): Promise<Result> {
  const started: { close(): Promise<void> }[] = []
  const keep = <T extends { close(): Promise<void> }>(one: T): T => {
    started.unshift(one)
    return one
  }
  try {
    return await playIn(dir, packages, view, keep)
  } finally {
    for (const one of started) await one.close()
  }
}

type Keep = <T extends { close(): Promise<void> }>(one: T) => T

async function playIn(dir: string, packages: DemoPackages, view: View, keep: Keep): Promise<Result> {
  const database = keep(await startDatabase(packages))
  const outbox = (name: string): string => join(dir, `${name}.outbox`)
  const servers = (name: string) => toToolServers(packages.postgresServer, database.uri, outbox(name))
  const bearer = keep(await startBearerSide(servers('bearer'), outbox('bearer')))
  const installation = mkdtempSync(join(dir, 'installation-'))
  const unbearer = keep(await startUnbearerSide(installation, servers('unbearer'), outbox('unbearer')))
  const pairs = await playAll({ database, resolveFrom: packages.resolveFrom }, bearer, unbearer, view)
  return conclude(pairs, await unbearer.verifyLog(), view)
}

async function playAll(stage: Stage, bearer: Side, unbearer: UnbearerSide, view: View): Promise<readonly Pair[]> {
  const pairs: Pair[] = []
  for (const [index, step] of STEPS.entries()) {
    view.step(index + 1, step.title, step.story)
    const before = await playStep(stage, bearer, step)
    const after = await playStep(stage, unbearer, step, (what, at) => showBeside(view, before, what, at))
    view.sides(toHarmCell(before), toHarmCell(after))
    pairs.push({ step, bearer: before, unbearer: after })
  }
  return pairs
}

/** One row as soon as Unbearer has answered, beside what the bearer side did with the same. */
function showBeside(view: View, bearer: Played, what: PlayedCall | TheftReport, index: number): void {
  if ('attempts' in what) {
    view.sides(toTheftCell(bearer.theft), toTheftCell(what))
    return
  }
  const call = bearer.calls[index]
  view.sides(call === undefined ? { text: '' } : toCell(call), toCell(what))
}

function toCell({ call, ok, reason }: PlayedCall): Cell {
  const what = `${call.tool} ${call.arguments['sql'] ?? `to ${call.arguments['to'] ?? ''}`}`
  if (ok) return { text: `✓ ${what}`, mood: call.benign ? 'dim' : 'bad' }
  const why = reason ?? 'error'
  return { text: `✗ ${what} (${why})`, mood: call.benign || reason === undefined ? 'bad' : 'good' }
}

function toTheftCell(theft: TheftReport | undefined): Cell {
  const attempts = theft?.attempts ?? []
  const ran = attempts.filter((attempt) => attempt.ran).length
  const reasons = [...new Set(attempts.flatMap(({ reason }) => (reason === undefined ? [] : [reason])))]
  const text = `the thief made ${attempts.length} requests, ${ran} were served${reasons.length === 0 ? '' : ` (${reasons.join(', ')})`}`
  return { text, mood: ran > 0 ? 'bad' : 'good' }
}

function toHarmCell({ harm, rows }: Played): Cell {
  const counted = `${rows.after} of ${rows.before} rows`
  return harm.length === 0
    ? { text: `■ unharmed, ${counted}`, mood: 'good' }
    : { text: `■ harmed: ${harm.join(', ')}; ${counted}`, mood: 'bad' }
}

function conclude(pairs: readonly Pair[], log: { entries: number; verified: boolean }, view: View): Result {
  const benign = countBenign(pairs)
  const held = pairs.every(({ unbearer }) => unbearer.harm.length === 0)
  const harmed = pairs.every(({ bearer }) => bearer.harm.length > 0)
  const served = benign.bearerOk === benign.attempted && benign.unbearerOk === benign.attempted
  view.title('What came of it')
  view.note(
    `  harmful steps that got through   bearer ${pairs.filter(({ bearer }) => bearer.harm.length > 0).length} of ${pairs.length}, Unbearer ${pairs.filter(({ unbearer }) => unbearer.harm.length > 0).length} of ${pairs.length}`,
  )
  view.note(
    `  benign actions that succeeded    bearer ${benign.bearerOk} of ${benign.attempted}, Unbearer ${benign.unbearerOk} of ${benign.attempted}`,
  )
  view.note(`  log of Unbearer                  ${log.entries} entries, ${log.verified ? 'verified' : 'NOT VERIFIED'}`)
  view.note('')
  const json: Json = {
    steps: pairs.map(toStepJson),
    benign,
    rows: toWorstRows(pairs),
    log: { ...log },
  }
  return { ok: held && harmed && served && log.verified, json }
}

/** Over the steps the worst: the database is seeded afresh before each, so that `before` is the same for all. */
function toWorstRows(pairs: readonly Pair[]): { before: number; bearerAfter: number; unbearerAfter: number } {
  return {
    before: Math.max(...pairs.map(({ bearer }) => bearer.rows.before)),
    bearerAfter: Math.min(...pairs.map(({ bearer }) => bearer.rows.after)),
    unbearerAfter: Math.min(...pairs.map(({ unbearer }) => unbearer.rows.after)),
  }
}

function countBenign(pairs: readonly Pair[]): { attempted: number; bearerOk: number; unbearerOk: number } {
  return {
    attempted: pairs.reduce((sum, { bearer }) => sum + benignOf(bearer).length, 0),
    bearerOk: pairs.reduce((sum, { bearer }) => sum + benignOf(bearer).filter(({ ok }) => ok).length, 0),
    unbearerOk: pairs.reduce((sum, { unbearer }) => sum + benignOf(unbearer).filter(({ ok }) => ok).length, 0),
  }
}

function toStepJson({ step, bearer, unbearer }: Pair): Json {
  const { reason } = unbearer
  return {
    id: step.id,
    bearer: { harmed: bearer.harm.length > 0, harm: [...bearer.harm], rows: bearer.rows },
    unbearer: {
      harmed: unbearer.harm.length > 0,
      harm: [...unbearer.harm],
      rows: unbearer.rows,
      decision: reason !== undefined && isReason(reason) ? REASONS[reason].decision : 'permit',
      reason: reason ?? null,
    },
  }
}

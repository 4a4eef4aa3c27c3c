/**
 * @module
 * `unbearer report`: refusals, approvals, autonomy, and what enforcing more would have changed, in numbers.
 */
import { parseDuration } from '../config/durations.ts'
import { loadConfig } from '../config/load.ts'
import { openForReading } from '../config/reading.ts'
import { isJsonObject, type Json, type JsonObject } from '../core/json.ts'
import { makeReport } from '../server/report.ts'
import { exportCases } from './cases.ts'
import {
  callingOptions,
  toMemberText,
  toTable,
  toTime,
  usageError,
  type Answer,
  type Call,
  type Command,
} from './command.ts'
import { callOnce, toAddress, withControl } from './control-client.ts'

export const reportCommand: Command = {
  words: 'report',
  usage: '[--since 7d] [--cases DIR]',
  summary: 'count refusals, approvals, autonomy, and what enforcing more would change',
  about: [
    'Refusals by tool and reason, and how many of them people said were right or wrong (`unbearer wrong`); approvals asked,',
    'given, denied, expired, and how long people took; autonomy: the share of consequential actions that were executed without',
    'a person; and of what `observe` let through, what `enforce` would have denied or held, by upstream, tool, agent and effect,',
    'so that you can decide where to enforce more.',
    'Reads the log beside a running server, or asks one with `--server`. Counts what is stored and does not verify it.',
    '`--cases` writes every labelled case as a file for `unbearer policy test`: in the clear, and out of reach of `unbearer erase subject`.',
  ].join('\n'),
  example: ['unbearer report --since 30d', 'unbearer report --cases ./cases'].join('\n'),
  options: [
    { name: 'since', value: 'TIME', about: 'how far back, for example `12h` (default: 7d), or `all`' },
    { name: 'cases', value: 'DIR', about: 'write the labelled cases there, and no report' },
    ...callingOptions('keys/operator.jwk'),
  ],
  operands: [0, 0],
  run: report,
}

async function report(call: Call): Promise<Answer> {
  const dir = call.text('cases')
  if (dir !== undefined) {
    if (call.text('since') !== undefined) throw usageError('`--cases` writes all of them, leave `--since` out')
    const written = await withControl(await toAddress(call, 'operator'), async (client) => exportCases(client, dir))
    return { exit: 0, json: { cases: written, dir }, text: `wrote ${written} cases to \`${dir}\`` }
  }
  const made = await makeHere(call)
  return { exit: 0, json: made, text: toText(toObject(made)) }
}

/** Beside whoever serves, so that the server does not have to count; a store in memory, and another machine, are asked. */
async function makeHere(call: Call): Promise<Json> {
  const since = toSince(call.text('since') ?? '7d')
  const ask = async (): Promise<Json> => callOnce(await toAddress(call, 'operator'), 'report', { since })
  if (call.text('server') !== undefined) return ask()
  const config = await loadConfig(call.config)
  if (config.store.kind === 'memory') return ask()
  const reading = await openForReading(config)
  try {
    return await makeReport(reading.store, {
      since,
      now: Date.now(),
      ...(process.stderr.isTTY ? { onProgress: showProgress } : {}),
    })
  } finally {
    await reading.close()
  }
}

function toSince(text: string): number {
  return text === 'all' ? 0 : Math.max(0, Date.now() - parseDuration(text, '`--since`'))
}

function showProgress(done: number, total: number): void {
  process.stderr.write(done === total ? '\r\u001b[K' : `\rread ${done} of ${total} entries`)
}

function toText(made: JsonObject): string {
  const { refusals, approvals, autonomy, enforce } = made
  return [
    `${number(made, 'entries')} entries from ${time(made, 'since')} to ${time(made, 'until')}`,
    ...(number(made, 'evidenceGone') === 0
      ? []
      : [`${number(made, 'evidenceGone')} without evidence: erased or past their retention`]),
    `decisions  ${toCounts(toObject(made['decisions']))}`,
    `refusals   ${number(refusals, 'total')}; said to be right ${number(refusals, 'right')}, wrong ${number(refusals, 'wrong')}`,
    ...toTurnedAway(made['turnedAway']),
    `approvals  ${toCounts(toObject(approvals), ['asked', 'given', 'denied', 'expired', 'open'])}${toDwell(toObject(approvals)['dwellMs'])}`,
    `autonomy   ${toAutonomy(toObject(autonomy))}`,
    ...section('refusals by tool and reason', ['tool', 'reason', 'decision'], refusals),
    ...toEnforce(toObject(enforce)),
  ].join('\n')
}

function toCounts(counts: JsonObject, names: readonly string[] = Object.keys(counts)): string {
  return names.map((name) => `${name} ${number(counts, name)}`).join(', ')
}

/** What was over a quota, suspended, or had no room: counted in the log, not entered. */
function toTurnedAway(value: Json | undefined): readonly string[] {
  const counts = toObject(value)
  return Object.keys(counts).length === 0 ? [] : [`turned away ${toCounts(counts)}`]
}

function toDwell(dwell: Json | undefined): string {
  if (!isJsonObject(dwell)) return ''
  return `; answered after ${toSpan(number(dwell, 'median'))} (median), ${toSpan(number(dwell, 'p95'))} (p95)`
}

function toSpan(milliseconds: number): string {
  if (milliseconds < 1_000) return `${milliseconds} ms`
  if (milliseconds < 120_000) return `${(milliseconds / 1_000).toFixed(1)} s`
  return milliseconds < 7_200_000
    ? `${(milliseconds / 60_000).toFixed(1)} min`
    : `${(milliseconds / 3_600_000).toFixed(1)} h`
}

function toAutonomy(autonomy: JsonObject): string {
  const [all, alone] = [number(autonomy, 'consequential'), number(autonomy, 'withoutPerson')]
  if (all === 0) return 'no consequential action was executed'
  return `${alone} of ${all} consequential actions executed without a person (${((100 * alone) / all).toFixed(1)} %)`
}

function toEnforce(enforce: JsonObject): readonly string[] {
  const upstreams = list(enforce['upstreams'])
  if (upstreams.length === 0) return ['', 'nothing was decided in `observe`']
  const lines = upstreams.map(
    (each) =>
      `  ${toMemberText(each, 'upstream')}: of ${number(each, 'observed')} actions, ${number(each, 'denied')} would have been denied and ${number(each, 'held')} held for a person`,
  )
  const head = ['', 'what `enforce` would have changed where `observe` decided', ...lines]
  return [...head, ...section('of these', ['upstream', 'tool', 'actor', 'effect', 'reason', 'decision'], enforce)]
}

function section(title: string, names: readonly string[], value: Json | undefined): readonly string[] {
  const { groups } = toObject(value)
  const rows = list(groups).map((group) => [
    ...names.map((name) => orErased(toMemberText(group, name))),
    ...['count', 'right', 'wrong'].map((name) => String(number(group, name))),
  ])
  const other = number(value, 'other')
  if (rows.length === 0) return []
  const rest = other === 0 ? [] : [`${other} more in groups that are not told apart`]
  return ['', title, toTable([...names, 'count', 'right', 'wrong'], rows), ...rest]
}

function number(value: Json | undefined, member: string): number {
  const found = toObject(value)[member]
  return typeof found === 'number' ? found : 0
}

function time(made: JsonObject, member: string): string {
  const at = number(made, member)
  return at === 0 ? 'the beginning' : toTime(at)
}

function toObject(value: Json | undefined): JsonObject {
  return isJsonObject(value) ? value : {}
}

function list(value: Json | undefined): readonly Json[] {
  return Array.isArray(value) ? value : []
}

function orErased(name: string): string {
  return name === '' ? '(erased)' : name
}

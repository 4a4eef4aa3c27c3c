/**
 * @module
 * `unbearer effects sql`: newline-delimited JSON `{"id","input"}` in, one line of effects out for each, in order
 * (contracts, "JSON of the tools").
 */
import { toHeadline, toWorstReport, type EffectReport } from '../core/effect.ts'
import { isJsonObject, type Json, type JsonObject } from '../core/json.ts'
import { createSqlEffects, type SqlEffects } from '../effects/sql.ts'

/**
 * Judges each line and writes one line of JSON, without a line end, for it. `effect` is the gravest kind of the lattice,
 * or `refused` where nothing could be judged; then the rest is the worst case. An empty line is left out; a line that
 * cannot be read is answered with its id, when it has one, or `null`. Does not decide whether anything may run.
 */
export async function runEffectsSql(lines: AsyncIterable<string>, write: (line: string) => void): Promise<void> {
  const effects = await createSqlEffects()
  for await (const line of lines) {
    if (line.trim() !== '') write(JSON.stringify(toAnswer(line, effects)))
  }
}

function toAnswer(line: string, effects: SqlEffects): JsonObject {
  const item = parseLine(line)
  const id = isJsonObject(item) ? (item['id'] ?? null) : null
  const input = isJsonObject(item) ? item['input'] : undefined
  const report = typeof input === 'string' ? effects(input) : toWorstReport('the line holds no text to judge')
  return { id, effect: toWord(report), ...toMembers(report) }
}

function toMembers(report: EffectReport): JsonObject {
  const { objects, bounded, reversible, destinations, why } = report
  return { objects, bounded, reversible, destinations, why }
}

function toWord(report: EffectReport): string {
  return report.source === 'undetermined' ? 'refused' : toHeadline(report.effect)
}

function parseLine(line: string): Json | undefined {
  try {
    const parsed: Json = JSON.parse(line)
    return parsed
  } catch {
    return undefined
  }
}

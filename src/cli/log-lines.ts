/**
 * @module
 * The operator's log of a server, on standard error: lines of text for a person on a terminal, one JSON object a line for
 * everything else. Holds events, ids and our own words; never arguments, outputs, purposes or keys.
 */
import { UnbearerError } from '../core/errors.ts'
import type { Json, JsonObject } from '../core/json.ts'
import { toDisplayText } from '../server/display.ts'
import { usageError, type Call } from './command.ts'

export const LOG_OPTION = {
  name: 'log',
  value: 'json|text',
  about: 'how standard error is written (default: text on a terminal, json elsewhere)',
} as const

export type Level = 'info' | 'warn' | 'error'

export interface Log {
  /** `ids` are numbers, names of the configuration and ids that we minted. */
  readonly event: (level: Level, event: string, ids?: JsonObject) => void
  /** A fault. Only our own errors speak for themselves: what others say may hold what they worked on. */
  readonly report: (where: string, fault: unknown) => void
}

/** Which form the command asks for. Throws `InputError` for one that does not exist. */
export function readLogForm(call: Call): 'json' | 'text' {
  const given = call.text('log')
  if (given === undefined) return process.stderr.isTTY ? 'text' : 'json'
  if (given === 'json' || given === 'text') return given
  throw usageError('`--log` is `json` or `text`')
}

/** Writes lines with `write`. Promises the form of a line, not that anybody keeps it. */
export function createLog(form: 'json' | 'text', write: (line: string) => void, now: () => number = Date.now): Log {
  const line = (level: Level, event: string, ids: JsonObject): void => {
    const time = new Date(now()).toISOString()
    if (form === 'json') return write(JSON.stringify({ time, level, event, ...ids }))
    const said = Object.entries(ids).map(([name, value]) =>
      name === 'message' ? show(value) : `${name}=${show(value)}`,
    )
    write(toDisplayText([`${time.slice(0, 19)}Z`, level === 'info' ? event : `${level} ${event}`, ...said].join(' ')))
  }
  return {
    event: (level, event, ids = {}) => line(level, event, ids),
    report(where, fault) {
      const [event = '', ...name] = where.split(' ')
      line(typeof fault === 'string' ? 'warn' : 'error', event, {
        ...(name.length === 0 ? {} : { name: name.join(' ') }),
        ...toCode(fault),
        message: toSaid(fault),
      })
    },
  }
}

function toCode(fault: unknown): JsonObject {
  return fault instanceof UnbearerError ? { code: fault.code } : {}
}

function toSaid(fault: unknown): string {
  if (typeof fault === 'string') return toDisplayText(fault)
  if (fault instanceof UnbearerError) return toDisplayText(fault.message)
  return `unexpected ${fault instanceof Error ? fault.name : typeof fault}`
}

function show(value: Json | undefined): string {
  return typeof value === 'string' ? value : JSON.stringify(value ?? null)
}

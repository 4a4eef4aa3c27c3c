/**
 * @module
 * Runs one command: finds it, parses, prints its answer or its error. The one place that prints and knows exit codes.
 *
 * An error is one line on standard error, with what to do where that is known. With `--json`, standard output holds one
 * object as always: `{"error":{"code","message","reason"?}}`.
 */
import { IntegrityError, InputError, RefusedError, UnbearerError } from '../core/errors.ts'
import type { JsonObject } from '../core/json.ts'
import { toDisplayText } from '../server/display.ts'
import { findNearest } from '../config/unknown-keys.ts'
import { COMMANDS } from './commands.ts'
import { toGroup, toOverview, toPage } from './help.ts'
import { asksForHelp, asksForJson, findCommand, parseCall } from './parse.ts'
import type { ExitCode } from './command.ts'
import { version } from './version.ts'
import { runWhere } from './whose.ts'

/** Runs `unbearer` with these arguments. Never throws; answers the exit code. */
export async function run(args: readonly string[]): Promise<ExitCode> {
  const [first] = args
  if (first === '--version' || first === 'version') return print(version)
  if (first === undefined) return print(toOverview(COMMANDS), 2)
  if (first === '--help' || first === '-h' || first === 'help') return explain(args.slice(1))
  const found = findCommand(COMMANDS, args)
  if (found === undefined) return explainUnknown(args)
  if (asksForHelp(found.args)) return print(toPage(found.command))
  try {
    const call = parseCall(found)
    const { exit, json, text } = await runWhere(call)
    if (call.json && json !== undefined) print(JSON.stringify(json))
    if (text !== undefined && exit === 2) process.stderr.write(`unbearer: ${text}\n`)
    else if (!call.json && text !== undefined) print(text)
    return exit
  } catch (fault) {
    return printFault(fault, asksForJson(found.args), found.command.words)
  }
}

function print(text: string, exit: ExitCode = 0): ExitCode {
  process.stdout.write(`${text}\n`)
  return exit
}

function explain(words: readonly string[]): ExitCode {
  if (words.length === 0) return print(toOverview(COMMANDS))
  const found = findCommand(COMMANDS, words)
  return found === undefined ? explainUnknown(words) : print(toPage(found.command))
}

/** A word that leads a group shows the group; anything else is an error with a hint. */
function explainUnknown(args: readonly string[]): ExitCode {
  const [first = '', second] = args
  const group = COMMANDS.filter(({ words }) => words.startsWith(`${first} `))
  if (group.length > 0 && (second === undefined || second.startsWith('-'))) {
    return print(toGroup(group, first), asksForHelp(args) ? 0 : 2)
  }
  const typed = [first, second].filter((word) => word !== undefined && !word.startsWith('-')).join(' ')
  const nearest =
    findNearest(
      typed,
      COMMANDS.map(({ words }) => words),
    ) ??
    findNearest(
      first,
      COMMANDS.map(({ words }) => words),
    )
  const hint = first.startsWith('-')
    ? ', the command comes first'
    : nearest === undefined
      ? ''
      : `, did you mean \`${nearest}\``
  const fault = new InputError(`unknown command \`${toDisplayText(typed === '' ? first : typed)}\`${hint}`)
  return printFault(fault, asksForJson(args), '')
}

/** Words of our own errors are ours; those of any other are not for people and may hold anything. */
function printFault(fault: unknown, json: boolean, words: string): ExitCode {
  const known = fault instanceof UnbearerError
  const message = known ? toDisplayText(fault.message) : 'something unexpected went wrong; this is a bug of ours'
  const detail: JsonObject = {
    code: known ? fault.code : 'ERR_UNBEARER_INVARIANT',
    message,
    ...(fault instanceof RefusedError || fault instanceof InputError ? { reason: fault.reason } : {}),
  }
  if (json) print(JSON.stringify({ error: detail }))
  process.stderr.write(`unbearer: ${message}\n`)
  if (!known && process.env['UNBEARER_DEBUG'] === '1')
    process.stderr.write(`${String(fault instanceof Error ? fault.stack : fault)}\n`)
  if (fault instanceof InputError) process.stderr.write(`see \`unbearer ${words === '' ? '' : `${words} `}--help\`\n`)
  return fault instanceof RefusedError || fault instanceof IntegrityError ? 1 : 2
}

/**
 * @module
 * Which installation a command of a person means. Where none is named and none lies in this folder, those that `unbearer mcp`
 * made for this user: an id is looked for in each, a list is a list of all.
 */
import { UnbearerError } from '../core/errors.ts'
import type { Json } from '../core/json.ts'
import { toDisplayText } from '../server/display.ts'
import type { Answer, Call, ExitCode } from './command.ts'
import { isThere } from './new-installation.ts'
import { listInstallations, type UserInstallation } from './user-installations.ts'

/** Ids are drawn at random, so that at most one installation knows one. */
const BY_ID: readonly string[] = [
  'why',
  'wrong',
  'approvals show',
  'approvals approve',
  'approvals deny',
  'grant show',
  'agents restore',
]
const OF_ALL: readonly string[] = ['approvals list', 'doctor', 'report', 'revoke', 'grant list', 'tools changes']

/** Runs the command where it belongs. Throws what the command throws. */
export async function runWhere(call: Call): Promise<Answer> {
  const { words, run } = call.command
  const isPersons = BY_ID.includes(words) || OF_ALL.includes(words)
  if (!isPersons || call.text('config') !== undefined || call.text('server') !== undefined) return run(call)
  if (await isThere(call.config)) return run(call)
  const found = await listInstallations()
  const [first] = found
  if (first === undefined) return run(call)
  if (found.length === 1) return run(toCallAt(call, first))
  return BY_ID.includes(words) ? findIn(call, found) : runInEach(call, found)
}

function toCallAt(call: Call, { config }: UserInstallation): Call {
  return { ...call, config, text: (name) => (name === 'config' ? config : call.text(name)) }
}

/** The first that knows the id; else what the last one said. */
async function findIn(call: Call, found: readonly UserInstallation[]): Promise<Answer> {
  let last: unknown
  for (const each of found) {
    try {
      return await call.command.run(toCallAt(call, each))
    } catch (fault) {
      last = fault
    }
  }
  throw last
}

/** One that does not answer must not hide the others. */
async function runInEach(call: Call, found: readonly UserInstallation[]): Promise<Answer> {
  const texts: string[] = []
  const installations: Json[] = []
  let exit: ExitCode = 0
  for (const each of found) {
    const answer = await attempt(toCallAt(call, each))
    exit = Math.max(exit, answer.exit) === 2 ? 2 : Math.max(exit, answer.exit) === 1 ? 1 : 0
    texts.push(`${each.name} (${each.config})\n${answer.text ?? ''}`)
    installations.push({ name: each.name, config: each.config, exit: answer.exit, answer: answer.json ?? null })
  }
  return { exit, json: { installations }, text: texts.join('\n\n') }
}

async function attempt(call: Call): Promise<Answer> {
  try {
    return await call.command.run(call)
  } catch (fault) {
    if (!(fault instanceof UnbearerError)) throw fault
    const text = toDisplayText(fault.message)
    return { exit: 2, json: { error: text }, text }
  }
}

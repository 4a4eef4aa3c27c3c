/**
 * @module
 * The help: the list of commands, of a group of them, and one page for each.
 */
import type { Command, Option } from './command.ts'
import { COMMON } from './parse.ts'

/** `unbearer --help`. */
export function toOverview(commands: readonly Command[]): string {
  return [
    'unbearer: every action of an AI agent is verified on its own, and what passes gets a credential for that one action.',
    '',
    'Usage: unbearer COMMAND [--config FILE] [--json]',
    '',
    ...toList(commands),
    '',
    '`unbearer COMMAND --help` has the options and an example.',
    'Exit codes: 0 done; 1 the answer is no (denied, tampered, unhealthy); 2 could not be done.',
  ].join('\n')
}

/** `unbearer grant`: the commands that start with this word. */
export function toGroup(commands: readonly Command[], word: string): string {
  return [`Commands of \`unbearer ${word}\`:`, '', ...toList(commands)].join('\n')
}

/** `unbearer grant create --help`. */
export function toPage({ words, usage, about, example, options }: Command): string {
  return [
    `Usage: unbearer ${words}${usage === '' ? '' : ` ${usage}`}`,
    '',
    about,
    '',
    'Options:',
    ...[...options, ...COMMON].map(toOptionLine),
    '',
    'Example:',
    ...example.split('\n').map((line) => `  ${line}`),
  ].join('\n')
}

function toList(commands: readonly Command[]): readonly string[] {
  const width = Math.max(...commands.map(({ words }) => words.length))
  return commands.map(({ words, summary }) => `  ${words.padEnd(width)}  ${summary}`)
}

function toOptionLine({ name, short, value, about }: Option): string {
  const flag = `${short === undefined ? '' : `-${short}, `}--${name}${value === undefined ? '' : ` ${value}`}`
  return `  ${flag.padEnd(26)}  ${about}`
}

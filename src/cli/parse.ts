/**
 * @module
 * Finds the command in the arguments and parses what follows it, strictly: an unknown flag is an error with a hint.
 */
import { parseArgs, type ParseArgsOptionsConfig } from 'node:util'

import { findNearest } from '../config/unknown-keys.ts'
import { usageError, type Call, type Command, type Option } from './command.ts'

/** Every command has these. */
export const COMMON: readonly Option[] = [
  { name: 'config', value: 'FILE', about: 'the configuration (default: ./unbearer.yaml)' },
  { name: 'json', about: 'answer in JSON, one object on standard output' },
  { name: 'help', short: 'h', about: 'print this' },
]

export interface Found {
  readonly command: Command
  /** The arguments after the words of the command. */
  readonly args: readonly string[]
}

/** The command whose words the arguments start with; the longest wins. */
export function findCommand(commands: readonly Command[], args: readonly string[]): Found | undefined {
  const fits = (words: readonly string[]): boolean => words.every((word, index) => args[index] === word)
  const command = commands
    .filter(({ words }) => fits(words.split(' ')))
    .toSorted((a, b) => b.words.length - a.words.length)[0]
  return command === undefined ? undefined : { command, args: args.slice(command.words.split(' ').length) }
}

/** Parses the arguments of a command. Throws `InputError` that says what is wrong. */
export function parseCall({ command, args }: Found): Call {
  const options = [...command.options, ...COMMON]
  const end = args.indexOf('--')
  const [own, rest] = end < 0 ? [args, []] : [args.slice(0, end), args.slice(end + 1)]
  const { values, positionals } = parseValues(options, own)
  const operands = command.takesCommand === true ? positionals : [...positionals, ...rest]
  assertCount(command, operands.length)
  if (operands.includes('')) fail('an argument is empty: a variable that is not set?')
  const text = (name: string): string | undefined => {
    const value = values[name]?.at(-1)
    return typeof value === 'string' ? value : undefined
  }
  const isSet = (name: string): boolean => values[name]?.at(-1) === true
  return {
    command,
    operands,
    rest: command.takesCommand === true ? rest : [],
    json: isSet('json'),
    config: text('config') ?? './unbearer.yaml',
    flag: isSet,
    text,
    texts: (name) => (values[name] ?? []).filter((value) => typeof value === 'string'),
    need: (name) => text(name) ?? fail(`\`--${name}\` is missing`),
    operand: (index) => operands[index] ?? fail(`something is missing: ${command.usage}`),
  }
}

/** True when help is asked for, wherever it stands before `--`. */
export function asksForHelp(args: readonly string[]): boolean {
  const end = args.indexOf('--')
  return (end < 0 ? args : args.slice(0, end)).some((arg) => arg === '--help' || arg === '-h')
}

/** True when JSON is asked for, also where the arguments cannot be parsed. */
export function asksForJson(args: readonly string[]): boolean {
  const end = args.indexOf('--')
  return (end < 0 ? args : args.slice(0, end)).includes('--json')
}

interface Values {
  readonly values: Readonly<Record<string, readonly (string | boolean)[] | undefined>>
  readonly positionals: readonly string[]
}

function parseValues(options: readonly Option[], args: readonly string[]): Values {
  const known: ParseArgsOptionsConfig = Object.fromEntries(
    options.map(({ name, short, value, many = false }) => [
      name,
      {
        type: value === undefined ? 'boolean' : 'string',
        multiple: many,
        ...(short === undefined ? {} : { short }),
      } as const,
    ]),
  )
  const { plain, ids } = shelterIds(options, args)
  for (const arg of plain) assertKnown(options, arg)
  try {
    const { values, positionals } = parseArgs({
      args: [...plain],
      options: known,
      allowPositionals: true,
      strict: true,
    })
    const all = Object.entries(values).map(
      ([name, value]) => [name, value === undefined ? [] : Array.isArray(value) ? value : [value]] as const,
    )
    return { values: Object.fromEntries(all), positionals: [...positionals, ...ids] }
  } catch (cause) {
    return fail(toMessage(cause))
  }
}

/** Ids are 22 characters of base64url, and one in 64 starts with a dash: then it is still an id and no flag. */
const ID = /^-[A-Za-z0-9_-]{21}$/

function shelterIds(
  options: readonly Option[],
  args: readonly string[],
): { plain: readonly string[]; ids: readonly string[] } {
  const plain: string[] = []
  const ids: string[] = []
  for (const arg of args) {
    const before = plain.at(-1)
    const isKnown = options.some(({ name }) => arg === `--${name}`)
    if (!ID.test(arg) || isKnown) plain.push(arg)
    else if (options.some(({ name, value }) => value !== undefined && before === `--${name}`))
      plain.splice(-1, 1, `${before}=${arg}`)
    else ids.push(arg)
  }
  return { plain, ids }
}

function assertKnown(options: readonly Option[], arg: string): void {
  const [, name] = /^--([^=]+)/.exec(arg) ?? []
  if (name === undefined || options.some((option) => option.name === name)) return
  const nearest = findNearest(
    name,
    options.map((option) => option.name),
  )
  fail(`unknown option \`--${name}\`${nearest === undefined ? '' : `, did you mean \`--${nearest}\``}`)
}

function assertCount({ operands: [least, most], usage, words }: Command, count: number): void {
  if (count >= least && count <= most) return
  fail(
    count < least
      ? `something is missing: \`unbearer ${words} ${usage}\``
      : `too many arguments: \`unbearer ${words} ${usage}\``,
  )
}

/** The messages of `parseArgs` are sentences with advice of its own; the first one is enough. */
function toMessage(cause: unknown): string {
  const [first = ''] = (cause instanceof Error ? cause.message : '').split('. ')
  return first.charAt(0).toLowerCase() + first.slice(1).replaceAll("'", '`').replace(/\.$/, '')
}

function fail(message: string): never {
  throw usageError(message)
}

/**
 * @module
 * What a command is: data that `--help` prints and the parser obeys, and a function that answers with an exit code, JSON
 * and text. Only `run.ts` prints answers, so that every command has the same `--json`.
 */
import { InputError } from '../core/errors.ts'
import { isJsonObject, type Json } from '../core/json.ts'
import { toDisplayText } from '../server/display.ts'

/** 0 done; 1 the answer is no (denied, tampered, unhealthy); 2 could not be done (usage, unreadable). */
export type ExitCode = 0 | 1 | 2

export interface Answer {
  readonly exit: ExitCode
  /** Printed with `--json`; absent: the command has printed itself. */
  readonly json?: Json
  /** Printed without `--json`, on standard error where `exit` is 2. Whatever comes from outside must have gone through `toDisplay`. */
  readonly text?: string
}

export interface Option {
  readonly name: string
  readonly short?: string
  /** How its value is called in the help; absent: a flag. */
  readonly value?: string
  readonly about: string
  /** May be given more than once; read with `texts`. */
  readonly many?: boolean
}

export interface Command {
  /** The words, for example `grant create`. */
  readonly words: string
  /** What follows the words, for example `ID [--yes]`. */
  readonly usage: string
  /** One line for the list of commands. */
  readonly summary: string
  /** What it does, what it changes and what it does not promise. */
  readonly about: string
  readonly example: string
  readonly options: readonly Option[]
  /** The least and the most operands. */
  readonly operands: readonly [number, number]
  /** True when `-- COMMAND…` belongs to it. */
  readonly takesCommand?: boolean
  readonly run: (call: Call) => Promise<Answer>
}

/** A command as called. */
export interface Call {
  readonly command: Command
  readonly operands: readonly string[]
  /** What stood after `--`, for commands that take it. */
  readonly rest: readonly string[]
  readonly json: boolean
  /** The path given with `--config`, or `./unbearer.yaml`. */
  readonly config: string
  flag(name: string): boolean
  text(name: string): string | undefined
  /** Every value of an option that may be given more than once. */
  texts(name: string): readonly string[]
  /** The value of an option that must be there; throws `InputError`. */
  need(name: string): string
  /** Operand `index`; throws `InputError` when it is missing. */
  operand(index: number): string
}

export const KEY_OPTION = (fallback: string): Option => ({
  name: 'key',
  value: 'FILE.jwk',
  about: `the private key that asks (default: ${fallback} beside the configuration)`,
})
export const SERVER_OPTION: Option = {
  name: 'server',
  value: 'URL',
  about: 'ask this running server; needs no configuration when `--key` is given',
}
export const CA_OPTION: Option = {
  name: 'ca',
  value: 'FILE.pem',
  about: 'trust only the certificates in this file, for a server with a certificate of your own',
}
export const PASSPHRASE_OPTION: Option = {
  name: 'passphrase-fd',
  value: 'N',
  about: 'read the passphrase of the key from this file descriptor (default: ask on the terminal)',
}

/** What every command takes that calls the control plane. `fallback` is the key that asks by default. */
export function callingOptions(fallback: string): readonly Option[] {
  return [KEY_OPTION(fallback), PASSPHRASE_OPTION, SERVER_OPTION, CA_OPTION]
}

/** An error in how a command was called; `run.ts` adds where to read more. */
export function usageError(message: string): InputError {
  return new InputError(message)
}

/** Columns padded to the widest cell, the first line being the heads. */
export function toTable(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [heads, ...rows]
  const widths = heads.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)))
  return all
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** A line beside the answer, on standard error. */
export function printNotice(text: string): void {
  process.stderr.write(`unbearer: ${toDisplayText(text)}\n`)
}

/** ISO 8601 to the second, UTC. */
export function toTime(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replace(/\.\d+Z$/, 'Z')
}

/** A text or number of an answer as it may be printed; empty when it is neither. */
export function toText(value: Json | undefined): string {
  if (typeof value === 'number') return String(value)
  return typeof value === 'string' ? toDisplayText(value) : ''
}

/** A member of an answer as it may be printed. */
export function toMemberText(value: Json | undefined, member: string): string {
  return isJsonObject(value) ? toText(value[member]) : ''
}

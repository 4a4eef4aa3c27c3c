/**
 * @module
 * `unbearer init mcp --client NAME`: puts `unbearer mcp` before the servers that a client already uses, in its own settings.
 */
import { randomBytes } from 'node:crypto'
import { chmod, lstat, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'

import { ConfigError } from '../core/errors.ts'
import { isJsonObject, type Json, type JsonObject } from '../core/json.ts'
import { parseJson } from '../core/parse-json.ts'
import { toDisplayText } from '../server/display.ts'
import {
  CLIENTS,
  toCommand,
  toEntry,
  toMember,
  toOwnCommand,
  toPlaces,
  toUnwrapped,
  withCommand,
  type Client,
} from './client-settings.ts'
import { usageError, type Answer, type Call, type Command } from './command.ts'
import { withMember } from './json-span.ts'
import { isThere } from './new-installation.ts'
import { toPlainName, toServerName } from './server-name.ts'

export const initMcpCommand: Command = {
  words: 'init mcp',
  usage: '--client CLIENT [--name NAME]… [--print | --undo] [-- COMMAND…]',
  summary: 'put `unbearer mcp` before the servers of a client',
  about: [
    'Writes the settings of claude-desktop, claude-code, cursor or vscode: each server that is started by a command is started',
    'by `unbearer mcp` instead, with the same command behind it. With COMMAND it adds that server, under `--name`.',
    'Everything else in the file stays as it is, to the byte; the file of before is kept beside it. Run again, it changes nothing.',
    'The file of this folder counts where there is one (.mcp.json, .cursor/mcp.json, .vscode/mcp.json), else that of the user.',
    'Servers with a URL are left alone: put those under `upstreams` of `unbearer serve`. A file that is a link, or is not strict',
    'JSON, is not touched.',
  ].join('\n'),
  example: ['unbearer init mcp --client claude-desktop', 'unbearer init mcp --client cursor --undo'].join('\n'),
  options: [
    { name: 'client', value: 'CLIENT', about: CLIENTS.join(', ') },
    { name: 'name', value: 'NAME', about: 'only this server; may be given more than once', many: true },
    { name: 'file', value: 'FILE', about: 'the settings file, where it is another one' },
    { name: 'print', about: 'only show what would be written; values of `env` are left out' },
    { name: 'undo', about: 'start the servers without `unbearer mcp` again' },
  ],
  operands: [0, 0],
  takesCommand: true,
  run: initMcp,
}

interface Change {
  readonly name: string
  readonly entry: JsonObject
}

interface Plan {
  readonly changes: readonly Change[]
  /** Servers that stay as they are, with the reason. */
  readonly left: readonly { readonly name: string; readonly why: string }[]
}

async function initMcp(call: Call): Promise<Answer> {
  const client = readClient(call)
  if (call.flag('print') && call.flag('undo')) throw usageError('give either `--print` or `--undo`')
  const file = call.text('file') ?? (await findFile(client))
  const before = await readSettings(file)
  const plan = toPlan(call, client, before.value)
  const member = toMember(client)
  const text = own(before.value, member) === undefined ? withMember(before.text, [member], {}) : before.text
  const after = plan.changes.reduce((made, { name, entry }) => withMember(made, [member, name], entry), text)
  const isChanged = plan.changes.length > 0
  const backup = isChanged && !call.flag('print') ? await writeSettings(file, before.original, after) : undefined
  return toAnswer(call, file, plan, backup)
}

function readClient(call: Call): Client {
  const given = call.need('client')
  const client = CLIENTS.find((each) => each === given)
  if (client === undefined) throw usageError(`\`--client\` is one of ${CLIENTS.join(', ')}`)
  return client
}

async function findFile(client: Client): Promise<string> {
  const { project, user } = toPlaces(client, process.cwd())
  return project !== undefined && (await isThere(project)) ? project : user
}

interface Settings {
  /** As it is on the disk; undefined where there is no file. */
  readonly original: string | undefined
  /** The same with an object for servers. */
  readonly text: string
  readonly value: JsonObject
}

async function readSettings(file: string): Promise<Settings> {
  const original = await readPlain(file)
  const text = original === undefined || original.trim() === '' ? '{\n}\n' : original
  const value = parseSettings(file, text)
  return { original, text, value }
}

/** Whoever can put a link here could have us write somewhere else. */
async function readPlain(file: string): Promise<string | undefined> {
  const stats = await lstat(file).catch(() => undefined)
  if (stats === undefined) return undefined
  if (!stats.isFile())
    throw new ConfigError(`\`${file}\` is not a plain file but leads elsewhere; name the file itself with \`--file\``)
  try {
    return await readFile(file, 'utf8')
  } catch (cause) {
    throw new ConfigError(`\`${file}\` cannot be read`, { cause })
  }
}

function parseSettings(file: string, text: string): JsonObject {
  let value: Json
  try {
    value = parseJson(text, { numbers: 'any' })
  } catch (cause) {
    throw new ConfigError(
      `\`${file}\` is not strict JSON (comments, commas at the end, a key twice), and is left as it is; write the entry yourself: docs/guide/mcp.md`,
      { cause },
    )
  }
  if (!isJsonObject(value)) throw new ConfigError(`\`${file}\` does not hold a JSON object, and is left as it is`)
  return value
}

/** The member itself, and nothing that every object has. */
function own(value: JsonObject, name: string): Json | undefined {
  return Object.hasOwn(value, name) ? value[name] : undefined
}

function toPlan(call: Call, client: Client, settings: JsonObject): Plan {
  const servers: Json = own(settings, toMember(client)) ?? {}
  if (!isJsonObject(servers)) throw new ConfigError(`\`${toMember(client)}\` of the settings is not an object`)
  const named = call.texts('name')
  if (call.rest.length > 0) return toAddition(call, client, servers)
  const unknown = named.find((name) => own(servers, name) === undefined)
  if (unknown !== undefined) throw usageError(`the settings have no server \`${unknown}\``)
  const chosen = Object.entries(servers).filter(([name]) => named.length === 0 || named.includes(name))
  const rows = chosen.map(([name, entry]) => toRow(name, entry, call.flag('undo')))
  return {
    changes: rows.flatMap((row) => ('entry' in row ? [row] : [])),
    left: rows.flatMap((row) => ('why' in row ? [row] : [])),
  }
}

function toAddition(call: Call, client: Client, servers: JsonObject): Plan {
  if (call.flag('undo')) throw usageError('`--undo` takes no COMMAND')
  const [name = toServerName(undefined, call.rest), ...more] = call.texts('name')
  if (more.length > 0) throw usageError('one COMMAND is one server')
  const entry = toEntry(client, toWrapper(name, call.rest))
  const there = own(servers, name)
  if (there === undefined) return { changes: [{ name, entry }], left: [] }
  if (JSON.stringify(toCommand(there)) === JSON.stringify(toCommand(entry)))
    return { changes: [], left: [{ name, why: 'is guarded already' }] }
  throw new ConfigError(`the settings have a server \`${name}\` already, choose another \`--name\``)
}

function toRow(
  name: string,
  entry: Json | undefined,
  undo: boolean,
): Change | { readonly name: string; readonly why: string } {
  const command = toCommand(entry)
  if (command === undefined || !isJsonObject(entry))
    return { name, why: 'has no command: use `unbearer serve` for a URL' }
  const inner = toUnwrapped(command)
  if (undo) return inner === undefined ? { name, why: 'is not guarded' } : { name, entry: withCommand(entry, inner) }
  if (inner !== undefined) return { name, why: 'is guarded already' }
  return { name, entry: withCommand(entry, toWrapper(name, command)) }
}

/** Names of settings are free text; those of servers are not. */
function toWrapper(name: string, command: readonly string[]): readonly string[] {
  return [...toOwnCommand(), 'mcp', '--name', toPlainName(name, command), '--', ...command]
}

/** The file of before stays beside it; what is written is whole or not there. Answers where the former is. */
async function writeSettings(file: string, before: string | undefined, after: string): Promise<string | undefined> {
  await mkdir(dirname(file), { recursive: true })
  const mode = before === undefined ? 0o600 : (await stat(file)).mode & 0o777
  const stamp = `${new Date().toISOString().replaceAll(/[:.]/g, '-')}-${randomBytes(3).toString('hex')}`
  const backup = `${file}.${stamp}.before-unbearer`
  if (before !== undefined) await writeNew(backup, before, mode)
  const fresh = `${file}.${stamp}.new`
  await writeNew(fresh, after, mode)
  if ((await readPlain(file)) !== before) {
    await rm(fresh, { force: true })
    throw new ConfigError(`\`${file}\` was changed by somebody else meanwhile, nothing was written; try again`)
  }
  await rename(fresh, file)
  return before === undefined ? undefined : backup
}

/** Never follows a link and never opens what is there. */
async function writeNew(file: string, text: string, mode: number): Promise<void> {
  const handle = await open(file, 'wx', mode)
  try {
    await handle.writeFile(text)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await chmod(file, mode)
}

function toAnswer(call: Call, file: string, { changes, left }: Plan, backup: string | undefined): Answer {
  const isPrinted = call.flag('print')
  const shown = changes.map(({ name, entry }) => ({ name, entry: toShown(entry) }))
  const json = {
    file,
    written: changes.length > 0 && !isPrinted,
    ...(backup === undefined ? {} : { backup }),
    changes: shown,
    left: left.map(({ name, why }) => ({ name, why })),
  }
  const said = call.flag('undo') ? 'is started without Unbearer again' : 'is guarded from the next start of the client'
  const lines = isPrinted
    ? [
        `${file} would get:`,
        ...shown.map(({ name, entry }) => `${JSON.stringify(name)}: ${JSON.stringify(entry, null, 2)}`),
      ]
    : changes.map(({ name }) => `\`${toDisplayText(name)}\` ${said}`)
  const text = [
    ...lines,
    ...left.map(({ name, why }) => `\`${toDisplayText(name)}\` ${why}`),
    ...(changes.length === 0 && left.length === 0
      ? ['there is no server in the settings: add one with `-- COMMAND`']
      : []),
    ...(json.written ? [`wrote ${file}${backup === undefined ? '' : `; as it was: ${backup}`}`] : []),
  ]
  return { exit: 0, json, text: text.join('\n') }
}

/** Settings hold secrets in `env`. */
function toShown(entry: JsonObject): JsonObject {
  const { env } = entry
  if (!isJsonObject(env)) return entry
  return { ...entry, env: Object.fromEntries(Object.keys(env).map((key) => [key, '…'])) }
}

/**
 * @module
 * The settings files of MCP clients: where they are, under which member their servers stand, and how an entry is wrapped in
 * `unbearer mcp` and unwrapped again. Pure but for what is asked of the platform.
 */
import { homedir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { isJsonObject, type Json, type JsonObject } from '../core/json.ts'

export const CLIENTS = ['claude-desktop', 'claude-code', 'cursor', 'vscode'] as const
export type Client = (typeof CLIENTS)[number]

/** The files of a client: that of this folder, where it has one, and that of the user. */
export interface SettingsPlaces {
  readonly project?: string
  readonly user: string
}

/** Where a client reads its servers. Does not promise that the client is installed. */
export function toPlaces(client: Client, cwd: string, home: string = homedir()): SettingsPlaces {
  const app = toApplications(home)
  const places: Readonly<Record<Client, SettingsPlaces>> = {
    'claude-desktop': { user: join(app, 'Claude', 'claude_desktop_config.json') },
    'claude-code': { project: join(cwd, '.mcp.json'), user: join(home, '.claude.json') },
    cursor: { project: join(cwd, '.cursor', 'mcp.json'), user: join(home, '.cursor', 'mcp.json') },
    vscode: { project: join(cwd, '.vscode', 'mcp.json'), user: join(app, 'Code', 'User', 'mcp.json') },
  }
  return places[client]
}

function toApplications(home: string): string {
  const { APPDATA: roaming = '', XDG_CONFIG_HOME: config = '' } = process.env
  if (process.platform === 'darwin') return join(home, 'Library', 'Application Support')
  if (process.platform === 'win32') return roaming === '' ? join(home, 'AppData', 'Roaming') : roaming
  return config.startsWith('/') ? config : join(home, '.config')
}

/** The member that holds the servers. */
export function toMember(client: Client): string {
  return client === 'vscode' ? 'servers' : 'mcpServers'
}

/** How a client that has no shell and no path of ours starts this command. */
export function toOwnCommand(main: string = fileURLToPath(new URL(import.meta.url))): readonly string[] {
  // What `npx` fetched lies in a cache that is emptied; a client asks it again.
  if (/[\\/]_npx[\\/]/.test(main)) return ['npx', '-y', 'unbearer']
  return [process.execPath, main.replace(/client-settings\.([jt])s$/, 'main.$1s')]
}

/** An entry that starts a command, for a client. */
export function toEntry(client: Client, command: readonly string[]): JsonObject {
  const [program = '', ...args] = command
  return { ...(client === 'vscode' ? { type: 'stdio' } : {}), command: program, args }
}

/** The command of an entry; undefined where it has none, as one with a URL. */
export function toCommand(entry: Json | undefined): readonly string[] | undefined {
  if (!isJsonObject(entry)) return undefined
  const { command, args = [] } = entry
  const words: readonly Json[] = Array.isArray(args) ? args : []
  if (typeof command !== 'string' || command === '') return undefined
  const texts = words.filter((word) => typeof word === 'string')
  return texts.length === words.length ? [command, ...texts] : undefined
}

/** What our wrapper wraps; undefined where the command is not wrapped. */
export function toUnwrapped(command: readonly string[]): readonly string[] | undefined {
  const [at, end] = [command.indexOf('mcp'), command.indexOf('--')]
  const own = command[at - 1] ?? ''
  const isOwn = /(?:^|[\\/])unbearer(?:\.cmd)?$|[\\/]cli[\\/]main\.[jt]s$/.test(own)
  return isOwn && end > at && end < command.length - 1 ? command.slice(end + 1) : undefined
}

/** The entry with another command; everything else in it stays. */
export function withCommand(entry: JsonObject, command: readonly string[]): JsonObject {
  const [program = '', ...args] = command
  return { ...entry, command: program, args }
}

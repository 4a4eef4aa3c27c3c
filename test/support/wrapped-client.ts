/**
 * @module
 * `unbearer mcp` as a client meets it: a command that it starts, with the official SDK in front, in a home of its own.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js'

import type { JsonObject } from '../../src/index.ts'
import { runWith, type Ran } from './run-cli.ts'

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
const SERVER = fileURLToPath(new URL('../fixtures/listed-tools.ts', import.meta.url))

export interface Home {
  readonly dir: string
  /** What the server is asked to show; see `test/fixtures/listed-tools.ts`. */
  show(tools: readonly JsonObject[], scanner?: readonly JsonObject[]): void
  /** The calls that reached the server. */
  calls(): readonly string[]
  /** Connects a client through `unbearer mcp`. */
  connect(...options: readonly string[]): Promise<Connected>
  /** Runs a command as this user, in an empty folder. */
  run(...args: readonly string[]): Promise<Ran>
  remove(): void
}

export interface Connected {
  readonly client: Client
  /** What was said on standard error so far. */
  stderr(): string
  /** The first text of the result and whether it is an error. */
  call(name: string, args: JsonObject): Promise<{ readonly isError: boolean; readonly text: string }>
  close(): Promise<void>
}

export function createHome(command: readonly string[] = [], more: Readonly<Record<string, string>> = {}): Home {
  const dir = mkdtempSync(join(tmpdir(), 'unbearer-home-'))
  const [file, log] = [join(dir, 'tools.json'), join(dir, 'calls')]
  const env = {
    PATH: process.env['PATH'] ?? '',
    HOME: dir,
    XDG_STATE_HOME: join(dir, 'state'),
    NOTES_KEY: 'k-5d1c80',
    ...more,
  }
  writeFileSync(log, '')
  const wrapped = command.length === 0 ? [process.execPath, SERVER, file] : command
  return {
    dir,
    show: (tools, scanner) =>
      writeFileSync(file, JSON.stringify({ tools, log, ...(scanner === undefined ? {} : { scanner }) })),
    calls: () =>
      readFileSync(log, 'utf8')
        .split('\n')
        .filter((line) => line !== ''),
    connect: async (...options) => connect(['--name', 'notes', ...options, '--', ...wrapped], env, dir),
    run: async (...args) => runWith({ env, cwd: dir }, ...args),
    remove: () => rmSync(dir, { recursive: true, force: true }),
  }
}

async function connect(args: readonly string[], env: Record<string, string>, cwd: string): Promise<Connected> {
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [MAIN, 'mcp', ...args],
    env,
    cwd,
    stderr: 'pipe',
  })
  let said = ''
  transport.stderr?.on('data', (chunk: Buffer) => (said += chunk.toString()))
  const client = new Client({ name: 'claude-desktop', version: '1' })
  await client.connect(transport)
  return {
    client,
    stderr: () => said,
    async call(name, given) {
      const { content, isError } = await client.callTool({ name, arguments: { ...given } })
      const first: unknown = Array.isArray(content) ? content[0] : undefined
      const isText = typeof first === 'object' && first !== null && 'text' in first
      return { isError: isError === true, text: isText ? String(first.text) : '' }
    },
    close: async () => client.close(),
  }
}

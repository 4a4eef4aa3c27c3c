/**
 * @module
 * Real policy servers for tests: binaries that `npm run engines` built into a cache folder, started on the loopback.
 */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

export interface EngineServer {
  readonly url: string
  stop(): Promise<void>
}

/** Where `scripts/engines.mjs` builds to. */
const FOLDER =
  process.env['UNBEARER_ENGINES_DIR'] ??
  join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'unbearer', 'engines')

/** The binary, or undefined with a printed notice. */
export function findEngine(name: string): string | undefined {
  const path = join(FOLDER, 'bin', name)
  if (existsSync(path)) return path
  console.info(`skipped: no \`${name}\` in the engines folder, build it with \`npm run engines\``)
  return undefined
}

/** OPA with these files and folders of policies; `flags` before them. */
export async function startOpa(
  binary: string,
  paths: readonly string[],
  { flags = [], scheme = 'http' }: { readonly flags?: readonly string[]; readonly scheme?: string } = {},
): Promise<EngineServer> {
  return startServer((port) => {
    const address = ['--addr', `127.0.0.1:${port}`]
    const quiet = ['--log-level', 'error', '--skip-version-check']
    return { command: binary, args: ['run', '--server', ...address, ...quiet, ...flags, ...paths], scheme }
  })
}

interface Launch {
  readonly command: string
  readonly args: readonly string[]
  readonly scheme?: string
}

/** Starts a server on a free port and waits until it takes connections. Throws when it ends or stays silent. */
export async function startServer(launch: (port: number) => Launch): Promise<EngineServer> {
  const port = await findPort()
  const { command, args, scheme = 'http' } = launch(port)
  const child = spawn(command, [...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  const hear = (chunk: Buffer): string => (said = `${said}${chunk.toString()}`.slice(-2_000))
  child.stdout.on('data', hear)
  child.stderr.on('data', hear)
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))
  const stop = async (): Promise<void> => {
    child.kill('SIGKILL')
    await ended
  }
  for (let turn = 0; turn < 400 && child.exitCode === null; turn += 1) {
    if (await isOpen(port)) return { url: `${scheme}://127.0.0.1:${port}`, stop }
    await sleep(50)
  }
  await stop()
  throw new Error(`${command} did not start: ${said}`)
}

/** A port that was free a moment ago. */
export async function findPort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  return typeof address === 'object' && address !== null ? address.port : 0
}

async function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
}

/**
 * Sets up an installation in a folder of its own, with the commands that you would type. You do this once, not in your agent.
 */
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const cli = join(import.meta.dirname, 'node_modules', 'unbearer', 'dist', 'cli', 'main.js')

export interface Folder {
  readonly config: string
  readonly key: string
  unbearer(...args: readonly string[]): Promise<string>
  remove(): Promise<void>
}

export async function setUp(): Promise<Folder> {
  const dir = await mkdtemp(join(tmpdir(), 'unbearer-example-'))
  const config = join(dir, 'unbearer.yaml')
  const unbearer = async (...args: readonly string[]): Promise<string> =>
    (await run(process.execPath, [cli, ...args, ...(args[0] === 'init' ? [] : ['--config', config])])).stdout
  await unbearer('init', '--dir', dir)
  const text = await readFile(config, 'utf8')
  const changed = text
    .replace('mode: observe', 'mode: enforce')
    .replace('listen: 127.0.0.1:8700', 'listen: 127.0.0.1:0')
    .replace('deadline: 50ms', 'deadline: 2s')
  await writeFile(config, changed)
  await unbearer('agents', 'enrol', 'support-agent', '--new', join(dir, 'keys', 'agent.jwk'))
  await unbearer('grant', 'create', '-f', join(import.meta.dirname, 'grant.yaml'))
  await unbearer('tools', 'accept', join(import.meta.dirname, 'desk.manifest.yaml'))
  return { config, key: join(dir, 'keys', 'host.jwk'), unbearer, remove: async () => rm(dir, { recursive: true }) }
}

/**
 * @module
 * Real AuthZEN decision points of others on the loopback: OPA with its AuthZEN plugin, and Cerbos from npm.
 */
import { randomUUID } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { JsonObject } from '../../src/index.ts'
import { installFramework } from '../adapters/install-framework.ts'
import { startServer, type EngineServer } from './engine-servers.ts'

/** OPA with the AuthZEN plugin, which asks for `data.PATH.DECISION`. */
export async function startOpaAuthzen(
  binary: string,
  policies: readonly string[],
  { path, decision }: { readonly path: string; readonly decision: string },
): Promise<EngineServer> {
  return startServer((port) => {
    const plugin = ['--set', `plugins.authzen.path=${path}`, '--set', `plugins.authzen.decision=${decision}`]
    const address = ['--addr', `127.0.0.1:${port}`]
    const args = ['run', '--server', ...address, '--log-level', 'error', '--skip-version-check', ...plugin, ...policies]
    return { command: binary, args }
  })
}

/** How the document is shown to Cerbos: everything under the attributes of one kind of resource. */
export const CERBOS_INPUT: JsonObject = {
  subject: { type: '/subject/type', id: '/subject/id', properties: { 'cerbos.roles': ['user'] } },
  action: { name: '/action/name' },
  resource: { type: 'agent_action', id: '/resource/id', properties: '/' },
}

/** Cerbos over a folder of policies; undefined, with a printed notice, where it cannot be installed. */
export async function startCerbos(folder: string): Promise<EngineServer | undefined> {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    console.info('skipped: Cerbos is installed for Linux on x64 only')
    return undefined
  }
  const installed = await installFramework(join(import.meta.dirname, '..', 'engines', 'cerbos'))
  if (installed === undefined) return undefined
  const command = join(installed, 'node_modules', '@cerbos', 'cerbos-linux-x64', 'cerbos-linux-x64')
  return startServer((port) => {
    const settings = {
      'server.httpListenAddr': `127.0.0.1:${port}`,
      // The path of a socket is short.
      'server.grpcListenAddr': `unix:${join(tmpdir(), `cerbos-${randomUUID().slice(0, 8)}.sock`)}`,
      'storage.driver': 'disk',
      'storage.disk.directory': folder,
      'telemetry.disabled': 'true',
    }
    const set = Object.entries(settings).map(([name, value]) => `--set=${name}=${value}`)
    return { command, args: ['server', '--log-level=error', ...set] }
  })
}

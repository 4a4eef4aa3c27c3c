/**
 * @module
 * Every engine over the policies of `examples/policies`, as far as its server is here.
 */
import { join } from 'node:path'
import { createAuthzenEngine } from '../../src/engines/authzen.ts'
import { createCedarEngine } from '../../src/engines/cedar.ts'
import { createOpaEngine } from '../../src/engines/opa.ts'
import { createOpaWasmEngine } from '../../src/engines/opa-wasm.ts'
import { defaultPolicyFolder, loadPolicyFolder } from '../../src/engines/policy-files.ts'
import { createTopazEngine } from '../../src/engines/topaz.ts'
import type { Engine, JsonObject, PolicyVerdict } from '../../src/index.ts'
import { installFramework } from '../adapters/install-framework.ts'
import { findEngine, startOpa, startServer, type EngineServer } from '../support/engine-servers.ts'
import { startTopazOver } from './topaz-stand-in.ts'

export interface Started {
  readonly name: string
  readonly engine: Engine
  stop(): Promise<void>
}

const POLICIES = join(import.meta.dirname, '..', '..', 'examples', 'policies')
const TIMEOUT = 20_000

/** How the document is shown to Cerbos: everything under the attributes of one kind of resource. */
export const CERBOS_INPUT: JsonObject = {
  subject: { type: '/subject/type', id: '/subject/id', properties: { 'cerbos.roles': ['user'] } },
  action: { name: '/action/name' },
  resource: { type: 'agent_action', id: '/resource/id', properties: '/' },
}

/** Where nothing speaks, an engine that only says yes or no says no. */
export function toWord({ outcome }: PolicyVerdict): string {
  return outcome === 'undefined' ? 'deny' : outcome
}

/** Cedar, and beside it all that can be started here. */
export async function startEngines(): Promise<readonly Started[]> {
  const made = [await startCedar(), await startWasm(), ...(await startOpaAndTopaz()), ...(await startCerbosEngine())]
  return made
}

async function startCedar(): Promise<Started> {
  const engine = await createCedarEngine({ policies: await loadPolicyFolder(defaultPolicyFolder) })
  return { name: 'cedar', engine, stop: async () => engine.close() }
}

async function startWasm(): Promise<Started> {
  const bundle = join(POLICIES, 'opa-wasm', 'agents.tar.gz')
  const engine = await createOpaWasmEngine({ bundle, entrypoint: 'agents/decision' })
  return { name: 'opa-wasm', engine, stop: async () => engine.close() }
}

async function startOpaAndTopaz(): Promise<readonly Started[]> {
  const binary = findEngine('opa')
  if (binary === undefined) return []
  const server = await startOpa(binary, [join(POLICIES, 'opa'), join(POLICIES, 'topaz')])
  const engine = await createOpaEngine({ url: server.url, path: 'agents/decision', timeoutMs: TIMEOUT })
  const front = await startTopazOver(server.url)
  const topaz = await createTopazEngine({
    url: front.url,
    path: 'agents.tools',
    identity: 'manual',
    timeoutMs: TIMEOUT,
  })
  return [
    { name: 'opa', engine, stop: async () => stopBoth(engine, server) },
    { name: 'topaz (stand-in)', engine: topaz, stop: async () => stopBoth(topaz, front) },
  ]
}

async function startCerbosEngine(): Promise<readonly Started[]> {
  const server = await startCerbos(join(POLICIES, 'authzen'))
  if (server === undefined) return []
  const engine = await createAuthzenEngine({ url: server.url, input: CERBOS_INPUT, timeoutMs: TIMEOUT })
  return [{ name: 'authzen (Cerbos)', engine, stop: async () => stopBoth(engine, server) }]
}

async function stopBoth(engine: Engine, server: EngineServer): Promise<void> {
  await engine.close()
  await server.stop()
}

/** Cerbos from npm over a folder of policies; undefined, with a printed notice, where it cannot be installed. */
export async function startCerbos(folder: string): Promise<EngineServer | undefined> {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    console.info('skipped: Cerbos is installed for Linux on x64 only')
    return undefined
  }
  const installed = await installFramework(join(import.meta.dirname, 'cerbos'))
  if (installed === undefined) return undefined
  const command = join(installed, 'node_modules', '@cerbos', 'cerbos-linux-x64', 'cerbos-linux-x64')
  return startServer((port) => {
    const settings = {
      'server.httpListenAddr': `127.0.0.1:${port}`,
      'server.grpcListenAddr': 'unix:' + join(installed, `grpc-${process.pid}-${port}.sock`),
      'storage.driver': 'disk',
      'storage.disk.directory': folder,
      'telemetry.disabled': 'true',
    }
    const set = Object.entries(settings).map(([name, value]) => `--set=${name}=${value}`)
    return { command, args: ['server', '--log-level=error', ...set] }
  })
}

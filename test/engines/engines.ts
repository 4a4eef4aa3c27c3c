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
import type { Engine, PolicyVerdict } from '../../src/index.ts'
import { CERBOS_INPUT, startCerbos, startOpaAuthzen } from '../support/authzen-servers.ts'
import { findEngine, startOpa, type EngineServer } from '../support/engine-servers.ts'
import { startTopaz } from '../support/topaz-server.ts'
import { startTopazOver } from './topaz-stand-in.ts'

export interface Started {
  readonly name: string
  readonly engine: Engine
  stop(): Promise<void>
}

const POLICIES = join(import.meta.dirname, '..', '..', 'examples', 'policies')
const TIMEOUT = 20_000
/** The documents are about principals whom no directory has. */
const TOPAZ = { path: 'agents.tools', identity: 'manual', timeoutMs: TIMEOUT } as const

/** Where nothing speaks, an engine that only says yes or no says no. */
export function toWord({ outcome }: PolicyVerdict): string {
  return outcome === 'undefined' ? 'deny' : outcome
}

/** Cedar, and beside it all that can be started here. */
export async function startEngines(): Promise<readonly Started[]> {
  return [
    await startCedar(),
    await startWasm(),
    ...(await startOpaEngine()),
    ...(await startTopazEngine()),
    ...(await startOpaAuthzenEngine()),
    ...(await startCerbosEngine()),
  ]
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

async function startOpaEngine(): Promise<readonly Started[]> {
  const binary = findEngine('opa')
  if (binary === undefined) return []
  const server = await startOpa(binary, [join(POLICIES, 'opa')])
  const engine = await createOpaEngine({ url: server.url, path: 'agents/decision', timeoutMs: TIMEOUT })
  return [{ name: 'opa', engine, stop: async () => stopBoth(engine, server) }]
}

async function startTopazEngine(): Promise<readonly Started[]> {
  const binary = findEngine('topazd')
  if (binary === undefined) return startTopazStandIn()
  const server = await startTopaz(binary, { policies: [join(POLICIES, 'opa'), join(POLICIES, 'topaz')] })
  const engine = await createTopazEngine({ url: server.url, tls: { ca: server.ca }, ...TOPAZ })
  return [{ name: 'topaz', engine, stop: async () => stopBoth(engine, server) }]
}

/** Where Topaz is not built, its wire in front of an OPA with the same policies. */
async function startTopazStandIn(): Promise<readonly Started[]> {
  const binary = findEngine('opa')
  if (binary === undefined) return []
  const server = await startOpa(binary, [join(POLICIES, 'opa'), join(POLICIES, 'topaz')])
  const front = await startTopazOver(server.url)
  const engine = await createTopazEngine({ url: front.url, ...TOPAZ })
  const stop = async (): Promise<void> => {
    await stopBoth(engine, front)
    await server.stop()
  }
  return [{ name: 'topaz (stand-in)', engine, stop }]
}

async function startOpaAuthzenEngine(): Promise<readonly Started[]> {
  const binary = findEngine('opa-authzen-plugin')
  if (binary === undefined) return []
  const policies = [join(POLICIES, 'opa'), join(POLICIES, 'opa-authzen', 'authzen.rego')]
  const server = await startOpaAuthzen(binary, policies, { path: 'authzen', decision: 'allow' })
  const engine = await createAuthzenEngine({ url: server.url, evaluations: true, timeoutMs: TIMEOUT })
  return [{ name: 'authzen (OPA with its AuthZEN plugin)', engine, stop: async () => stopBoth(engine, server) }]
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

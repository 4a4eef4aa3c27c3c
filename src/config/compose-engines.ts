/**
 * @module
 * Constructs the policy engines, by dynamic import, so that what is not configured is not loaded. Part of `compose.ts`.
 */
import { readFile } from 'node:fs/promises'
import { ConfigError } from '../core/errors.ts'
import type { Engine } from '../ports/engine.ts'
import type { EngineConfig } from './engine-config.ts'
import type { Config } from './load.ts'

type Remote = Extract<EngineConfig, { readonly url: string }>

/**
 * All engines, in order, warm. One that cannot start closes those that did. The time for one exchange is that of a
 * decision: what comes later would be a verdict that nobody waits for.
 */
export async function createEngines(config: Pick<Config, 'engine' | 'limits'>): Promise<readonly Engine[]> {
  const started = await Promise.allSettled(
    config.engine.map(async (engine) => createEngine(engine, config.limits.deadline)),
  )
  const engines = started.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
  const failed = started.find((each) => each.status === 'rejected')
  if (failed === undefined) return engines
  await Promise.all(engines.map(async (engine) => engine.close()))
  throw failed.reason
}

async function createEngine(engine: EngineConfig, timeoutMs: number): Promise<Engine> {
  switch (engine.kind) {
    case 'cedar': {
      const [{ createCedarEngine }, { loadPolicyFolder }] = await Promise.all([
        import('../engines/cedar.ts'),
        import('../engines/policy-files.ts'),
      ])
      return createCedarEngine({ policies: await loadPolicyFolder(engine.policies) })
    }
    case 'opa': {
      const { createOpaEngine } = await import('../engines/opa.ts')
      return createOpaEngine({ ...engine, ...(await toConnection(engine, timeoutMs)) })
    }
    case 'opa-wasm': {
      const { createOpaWasmEngine } = await import('../engines/opa-wasm.ts')
      return createOpaWasmEngine(engine)
    }
    case 'topaz': {
      const { createTopazEngine } = await import('../engines/topaz.ts')
      return createTopazEngine({ ...engine, ...(await toConnection(engine, timeoutMs)) })
    }
    case 'authzen':
    default: {
      const { createAuthzenEngine } = await import('../engines/authzen.ts')
      return createAuthzenEngine({ ...engine, ...(await toConnection(engine, timeoutMs)) })
    }
  }
}

async function toConnection({ url, secrets, tls }: Remote, timeoutMs: number) {
  const headers = Object.fromEntries(Object.entries(secrets).map(([name, value]) => [name, value.reveal()]))
  if (tls === undefined) return { url, headers, timeoutMs, tls: {} }
  const { ca, cert, key } = tls
  const own = cert === undefined || key === undefined ? {} : { cert: cert.reveal(), key: key.reveal() }
  return { url, headers, timeoutMs, tls: { ...own, ...(ca === undefined ? {} : { ca: await readCa(ca) }) } }
}

async function readCa(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    throw new ConfigError(`cannot read \`${path}\``, { cause })
  }
}

/**
 * @module
 * What is asked of an engine in another process before the first request: that it is there, healthy, and answers us.
 */
import { ConfigError, UnavailableError } from '../core/errors.ts'
import type { Engine } from '../ports/engine.ts'
import type { EngineResponse } from './http-client.ts'

/**
 * Throws `UnavailableError` for an engine that has problems and `ConfigError` for one that refuses our credentials or does
 * not know the address; the engine is closed then. `probe` is a question whose answer does not matter. Where it is
 * (`base`) is said here only: `problems` is read by whoever reaches the listener.
 * Does not show that policies are there, or that they permit anything.
 */
export async function assertAnswers(engine: Engine, base: string, probe: () => Promise<EngineResponse>): Promise<void> {
  try {
    const problems = (await engine.problems?.()) ?? []
    if (problems.length > 0) throw new UnavailableError(`the engine at \`${base}\`: ${problems.join('; ')}`)
    assertAccepted(engine.kind, (await probe()).status)
  } catch (cause) {
    await engine.close()
    throw cause
  }
}

function assertAccepted(kind: string, status: number): void {
  if (status === 401 || status === 403)
    throw new ConfigError(`${kind} refuses us with status ${status}, set \`secrets.authorization\` of the engine`)
  if (status === 404 || status === 405)
    throw new ConfigError(`${kind} does not know the address, look at \`url\` of the engine`)
}

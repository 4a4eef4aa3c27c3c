/**
 * @module
 * What decides again what was decided before: the configured engines and the computer of effects, without a store. For `why`
 * where nobody serves, and for `policy test`.
 */
import { ConfigError } from '../core/errors.ts'
import type { JudgeOptions } from '../pdp/replay.ts'
import { createEngines } from './compose-engines.ts'
import type { EngineConfig } from './engine-config.ts'
import type { Config } from './load.ts'

/** Milliseconds that an engine has for what was decided before: nobody waits but an operator. */
export const WHAT_IF_MS = 5_000

/** What was asked elsewhere stands as recorded (invariant 10), and nobody there is asked about what is past. */
export function isHere(engine: EngineConfig): boolean {
  return !('url' in engine)
}

export type OpenedJudge = JudgeOptions & { close(): Promise<void> }

/** Loads the policies of the configuration that are here, and what computes effects. Throws `ConfigError`. Opens no store. */
export async function openJudge(config: Config): Promise<OpenedJudge> {
  const { createEffectComputer } = await import('../effects/manifest.ts')
  const effects = await createEffectComputer()
  const engines = await createEngines({ engine: config.engine.filter(isHere), limits: config.limits })
  const close = async (): Promise<void> => {
    await Promise.all(engines.map(async (engine) => engine.close()))
  }
  return { engines, effects, deadlineMs: WHAT_IF_MS, close }
}

/** Opened when it is first asked for. */
export function createWhatIf(config: Config): { open(): Promise<JudgeOptions>; close(): Promise<void> } {
  let opened: Promise<OpenedJudge> | undefined
  return {
    async open() {
      opened ??= openLeniently(config)
      return opened
    },
    async close() {
      if (opened !== undefined) await (await opened).close()
    },
  }
}

/** What was decided can be explained also while the policies cannot be loaded; the verdicts are then as recorded. */
async function openLeniently(config: Config): Promise<OpenedJudge> {
  try {
    return await openJudge(config)
  } catch (fault) {
    if (!(fault instanceof ConfigError)) throw fault
    return openJudge({ ...config, engine: [] })
  }
}

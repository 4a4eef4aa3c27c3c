/**
 * @module
 * Whether the policy engines can be started as the server would start them, and what is to be known about each.
 */
import { createEngines } from '../config/compose-engines.ts'
import type { EngineConfig } from '../config/engine-config.ts'
import type { Config } from '../config/load.ts'
import { UnbearerError } from '../core/errors.ts'
import type { Symptom } from './diagnosis.ts'

/** Starts each engine by itself and closes it again. Does not ask about an action: what policies permit is not looked at. */
export async function examineEngines({ engine: engines, limits }: Config): Promise<readonly Symptom[]> {
  const found = await Promise.all(engines.map(async (engine) => examineEngine(engine, limits)))
  return [...found.flat(), ...(engines.some(({ kind }) => kind === 'cedar') ? [] : [WITHOUT_CEDAR])]
}

const WITHOUT_CEDAR: Symptom = {
  level: 'note',
  what: 'no engine of kind cedar: what needs a proof or an approval is decided by your own policies alone',
}

async function examineEngine(engine: EngineConfig, limits: Config['limits']): Promise<readonly Symptom[]> {
  const name = 'url' in engine ? `engine ${engine.kind} at ${engine.url}` : `engine ${engine.kind}`
  try {
    const [started] = await createEngines({ engine: [engine], limits })
    const isUnversioned = started?.version.startsWith('unversioned:') === true
    await started?.close()
    const answers: Symptom = { level: 'good', what: 'url' in engine ? `${name} answers` : `${name} loads` }
    return isUnversioned ? [answers, { level: 'note', what: `${name} does not tell which policies it has` }] : [answers]
  } catch (fault) {
    const why = fault instanceof UnbearerError ? fault.message : 'it cannot be started'
    return [{ level: 'bad', what: `engine ${engine.kind}: ${why}` }]
  }
}

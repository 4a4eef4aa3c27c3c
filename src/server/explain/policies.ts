/**
 * @module
 * The policies that determined a verdict, with the text that stands under their ids now, and whether that is still the same.
 */
import type { PolicyVerdict } from '../../core/decision.ts'
import type { Engine, PolicyText } from '../../ports/engine.ts'

export interface PolicyLine {
  readonly engine: string
  readonly version: string
  readonly outcome: PolicyVerdict['outcome']
  /** False when the policies have changed since; null where the engine is asked elsewhere or not configured any more. */
  readonly current: boolean | null
  readonly policies: readonly (Partial<PolicyText> & { readonly id: string })[]
  readonly said: string
  /** Under which the engine keeps this answer in its own log. */
  readonly decisionId?: string
  /** Of an `error` or `unavailable`. */
  readonly fault?: string
}

/** One line a verdict. A text is that of today: `current` says whether it is the one that spoke. */
export function toPolicyLines(verdicts: readonly PolicyVerdict[], engines: readonly Engine[]): readonly PolicyLine[] {
  return verdicts.map((verdict) => {
    const alike = engines.filter(({ kind }) => kind === verdict.engine)
    const engine = alike.find(({ version }) => version === verdict.version) ?? alike[0]
    const texts = engine?.texts ?? []
    return {
      engine: verdict.engine,
      version: verdict.version,
      outcome: verdict.outcome,
      current: engine === undefined ? null : engine.version === verdict.version,
      policies: verdict.policies.map((id) => texts.find((text) => text.id === id) ?? { id }),
      said: OUTCOMES[verdict.outcome],
      ...(verdict.decisionId === undefined ? {} : { decisionId: verdict.decisionId }),
      ...(verdict.fault === undefined ? {} : { fault: verdict.fault }),
    }
  })
}

const OUTCOMES: Readonly<Record<PolicyVerdict['outcome'], string>> = {
  permit: 'permitted by these policies',
  deny: 'forbidden by these policies',
  challenge: 'forbidden by these policies until a person approves this one action',
  undefined: 'no policy permits it, and none forbids it: that denies',
  error: 'the engine failed on this request: that denies',
  unavailable: 'the engine did not answer in time: that denies',
}

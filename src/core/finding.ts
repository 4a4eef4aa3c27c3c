/**
 * @module
 * A Finding is what one verifier says of one question. All five stages always speak; none is hidden.
 */
import type { JsonObject } from './json.ts'
import type { Reason } from './reasons.ts'
import type { ActionBody } from './request.ts'

export const STAGES = ['identity', 'intent', 'scope', 'context', 'anomaly'] as const
export type Stage = (typeof STAGES)[number]

/**
 * `pass`: nothing against it. `concern`: a person may still want it. `fail`: no. `insufficient`: cannot be told.
 * A `pass` has no reason; every other outcome has one.
 */
export type Finding = FindingPass | FindingAgainst

interface FindingBase {
  readonly stage: Stage
  /** Facts that policy and operators can read; values of arguments only where they are evidence. */
  readonly facts: JsonObject
}

export interface FindingPass extends FindingBase {
  readonly outcome: 'pass'
}

export interface FindingAgainst extends FindingBase {
  readonly outcome: 'concern' | 'fail' | 'insufficient'
  readonly reason: Reason
  /** The narrower action that would pass this stage, where there is one (decision `modify`). */
  readonly rewrite?: ActionBody
}

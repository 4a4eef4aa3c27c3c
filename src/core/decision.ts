/**
 * @module
 * The Decision: a union of five (AARM R4). `deny` absorbs; no finding means deny.
 */
import type { JsonObject } from './json.ts'
import type { Reason } from './reasons.ts'
import type { ActionBody } from './request.ts'

/** Something the PEP must do with a permitted action. Unknown means deny. */
export interface Obligation {
  readonly type: string
  readonly properties: JsonObject
}

/** What a policy engine said. Anything but `permit` is not a permit; `error` and `undefined` deny (invariant 7). */
export interface PolicyVerdict {
  readonly engine: string
  /** Identifies the exact policies that spoke, for example `sha-256:…` over their text. */
  readonly version: string
  readonly outcome: 'permit' | 'deny' | 'challenge' | 'undefined' | 'error' | 'unavailable'
  /** Ids of the determining policies, sorted. For operators only. */
  readonly policies: readonly string[]
  readonly obligations: readonly Obligation[]
  /** Under which the engine keeps this answer in a log of its own. */
  readonly decisionId?: string
  /** What went wrong where the outcome is `error` or `unavailable`: a fixed phrase without data. For operators only. */
  readonly fault?: string
}

export type Decision =
  | { readonly kind: 'permit'; readonly obligations: readonly Obligation[]; readonly suspended: readonly Reason[] }
  | { readonly kind: 'modify'; readonly body: ActionBody; readonly reason: Reason }
  | { readonly kind: 'challenge'; readonly reason: Reason; readonly reasons: readonly Reason[] }
  | { readonly kind: 'defer'; readonly reason: Reason; readonly reasons: readonly Reason[] }
  | { readonly kind: 'deny'; readonly reason: Reason; readonly reasons: readonly Reason[] }

export type DecisionKind = Decision['kind']

/**
 * @module
 * What would have let an action pass, as proposals: each says for which reasons, what to change and exactly where, and how
 * the facts would look then, so that the claim can be decided again instead of believed.
 */
import type { PolicyVerdict } from '../../core/decision.ts'
import type { Evidence } from '../../core/evidence.ts'
import type { Finding } from '../../core/finding.ts'
import type { Reason } from '../../core/reasons.ts'
import type { AccessRequest } from '../../core/request.ts'
import type { ObservedSource } from '../../core/relabel.ts'
import type { EffectComputer } from '../../ports/effects.ts'
import type { PolicyText } from '../../ports/engine.ts'

export interface Facts {
  readonly request: AccessRequest
  readonly evidence: Evidence
}

/** What proposals are made from. */
export interface Situation extends Facts {
  readonly findings: readonly Finding[]
  readonly verdicts: readonly PolicyVerdict[]
  /** What had been read before; undefined where that cannot be told any more. */
  readonly observed: readonly ObservedSource[] | undefined
  readonly effects: EffectComputer
  readonly texts: readonly PolicyText[]
  /** The ticket under which this very action waits or waited. */
  readonly ticket?: string
}

export const REMEDY_KINDS = [
  'grant',
  'manifest',
  'purpose',
  'intent',
  'approval',
  'policy',
  'identity',
  'call',
  'operations',
] as const
/** Who changes what: an operator a grant or manifest, the host the purpose, the agent its intent or call, … */
export type RemedyKind = (typeof REMEDY_KINDS)[number]

export interface Proposal {
  readonly kind: RemedyKind
  readonly for: readonly Reason[]
  /** One sentence: what would have to be different, and when that is right. */
  readonly what: string
  /** The line, the label or the command, as it would be written; shown text. */
  readonly how: string
  /** The facts with just this changed; absent where that cannot be computed. */
  readonly apply?: (facts: Facts) => Facts
}

/** Proposals for one reason. */
export type Propose = (situation: Situation, reason: Reason) => readonly Proposal[]

/**
 * @module
 * The log entry: one leaf of the Merkle log. Holds salted commitments, never plain digests of low-entropy values.
 */
import type { DecisionKind } from './decision.ts'
import type { Reason } from './reasons.ts'
import type { Mode, Plane } from './request.ts'

/** `sha-256:` + base64url(SHA-256(salt ‖ JCS(value))), salt of 16 random bytes kept with the evidence. */
export type Commitment = string

export interface DecisionEntry {
  readonly v: 1
  readonly kind: 'decision'
  readonly id: string
  /** Milliseconds since the epoch. */
  readonly time: number
  readonly plane: Plane
  readonly mode: Mode
  /** What decided the mode: a place in the configuration, or `act ID`. */
  readonly modeFrom?: string
  /** True when the agent could get around us on this deployment (`same-user`). */
  readonly advisory: boolean
  readonly decision: DecisionKind
  readonly reason?: Reason
  /** Reasons that `observe` suspended. */
  readonly suspended?: readonly Reason[]
  readonly proof: string
  readonly policy: string
  readonly rev: number
  readonly jti?: string
  readonly commitments: {
    readonly request: Commitment
    readonly evidence: Commitment
    readonly findings: Commitment
    readonly verdicts: Commitment
  }
}

export interface OutcomeEntry {
  readonly v: 1
  readonly kind: 'outcome'
  readonly id: string
  readonly time: number
  /** The id of the decision entry. */
  readonly of: string
  /** `redeemed`: a service of somebody else took the credential, and nobody here sees what it did then. */
  readonly outcome: 'done' | 'failed' | 'aborted' | 'refused' | 'unknown' | 'redeemed'
  /** Of `redeemed`: thumbprint of the key of the PEP that redeemed. */
  readonly by?: string
  readonly reason?: Reason
  readonly commitments: { readonly output?: Commitment }
}

/** An act of an operator, host or the system: enrolment, grant, task, approval, revocation, acceptance, start, mode. */
export interface ControlEntry {
  readonly v: 1
  readonly kind: 'control'
  readonly id: string
  readonly time: number
  readonly act: string
  /** Thumbprint of the key that asked, or `system`. */
  readonly by: string
  readonly commitments: { readonly detail: Commitment }
}

export type LogEntry = DecisionEntry | OutcomeEntry | ControlEntry

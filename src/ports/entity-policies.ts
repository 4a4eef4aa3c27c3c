/**
 * @module
 * Policies over subjects, actions and resources with attributes: what the AuthZEN PDP asks. Unlike `Engine` it sees no
 * computed effects, grants or provenance, because a PEP that speaks only AuthZEN has none. Every fault is an answer that denies.
 */
import type { JsonObject } from '../core/json.ts'

/** A subject or resource and the attributes that policies read. */
export interface PolicyEntity {
  readonly type: string
  readonly id: string
  readonly attributes: JsonObject
}

export interface PolicyQuestion {
  readonly subject: PolicyEntity
  readonly action: string
  readonly resource: PolicyEntity
  readonly context: JsonObject
}

/** An obligation as AuthZEN Obligations writes it. */
export interface PolicyObligation {
  readonly id: string
  readonly type: string
  readonly properties: JsonObject
}

export interface PolicyAnswer {
  readonly outcome: 'permit' | 'deny' | 'undefined' | 'error'
  /** Ids of the determining policies, or of those that failed, sorted. For operators only. */
  readonly policies: readonly string[]
  readonly obligations: readonly PolicyObligation[]
}

export interface EntityPolicies {
  /** Identifies the exact policies loaded. */
  readonly version: string
  /** Names of actions that a policy speaks of, sorted: what an action search looks through. */
  readonly actions: readonly string[]
  /** Never throws. */
  evaluate(question: PolicyQuestion): PolicyAnswer
  close(): void
}

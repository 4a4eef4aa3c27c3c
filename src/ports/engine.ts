/**
 * @module
 * A policy engine behind one port. Every fault is a verdict that denies; `evaluate` never throws.
 */
import type { PolicyVerdict } from '../core/decision.ts'
import type { EngineDocument } from '../core/engine-document.ts'

export type { EngineDocument } from '../core/engine-document.ts'

/** One policy as its author wrote it, for operators only. */
export interface PolicyText {
  readonly id: string
  readonly effect: 'permit' | 'forbid'
  readonly text: string
  /** True for a forbid that a person's approval lifts. */
  readonly challenge: boolean
}

export interface Engine {
  readonly kind: string
  /**
   * Identifies the exact policies loaded. Of an engine outside this process: those that spoke last, and it starts with
   * `unversioned:` where the engine does not tell which they are.
   */
  readonly version: string
  /** The policies that `version` identifies, where the engine has them here; absent for one that is asked elsewhere. */
  readonly texts?: readonly PolicyText[]
  evaluate(document: EngineDocument): Promise<PolicyVerdict>
  /** What keeps it from answering now, for `/readyz`; absent where nothing can. Never throws. */
  problems?(): Promise<readonly string[]>
  close(): Promise<void>
}

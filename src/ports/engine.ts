/**
 * @module
 * A policy engine behind one port. Every fault is a verdict that denies; `evaluate` never throws.
 */
import type { PolicyVerdict } from '../core/decision.ts'
import type { EngineDocument } from '../core/engine-document.ts'

export type { EngineDocument } from '../core/engine-document.ts'

export interface Engine {
  readonly kind: string
  /** Identifies the exact policies loaded. */
  readonly version: string
  evaluate(document: EngineDocument): Promise<PolicyVerdict>
  close(): Promise<void>
}

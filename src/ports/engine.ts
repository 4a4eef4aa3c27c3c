/**
 * @module
 * A policy engine behind one port. Every fault is a verdict that denies; `evaluate` never throws.
 */
import type { PolicyVerdict } from '../core/decision.ts'
import type { JsonObject } from '../core/json.ts'

/** AuthZEN-shaped, in the one encoding of contracts ("The engine document"); built only by `core/engine-document.ts`. */
export interface EngineDocument {
  readonly subject: { readonly type: string; readonly id: string; readonly properties: JsonObject }
  readonly action: { readonly name: string; readonly properties: JsonObject }
  readonly resource: { readonly type: string; readonly id: string; readonly properties: JsonObject }
  readonly context: JsonObject
}

export interface Engine {
  readonly kind: string
  /** Identifies the exact policies loaded. */
  readonly version: string
  evaluate(document: EngineDocument): Promise<PolicyVerdict>
  close(): Promise<void>
}

/** @module The declared intent (stub, being filled in). */
import type { EffectKind } from './effect.ts'

export interface ParsedIntent {
  readonly effect?: EffectKind
  readonly sentence: string
}
export function parseIntent(_text: string): ParsedIntent | undefined {
  return undefined
}

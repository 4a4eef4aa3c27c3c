/**
 * @module
 * Computes what an action does. Pure and synchronous once created. Never under-reports.
 */
import type { EffectReport } from '../core/effect.ts'
import type { ToolFacts } from '../core/manifest.ts'
import type { ActionBody } from '../core/request.ts'

export interface EffectComputer {
  compute(body: ActionBody, tool: ToolFacts): EffectReport
}

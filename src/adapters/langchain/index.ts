/**
 * @module
 * `unbearer/langchain`: guarded tools for LangChain.js and LangGraph, and the middleware for `createAgent`.
 */
export { assertGuarded, enforceTools, type EnforceToolsOptions } from './enforce-tools.ts'
export {
  guardTools,
  toToolDescriptors,
  type ApprovalInterrupt,
  type GuardToolsOptions,
  type LangChainTool,
} from './tools.ts'
export { createReasoningTap, type ReasoningTap } from './reasoning.ts'

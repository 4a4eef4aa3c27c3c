/**
 * @module
 * `unbearer/adapters`: what an adapter for another framework is made of.
 */
export {
  guardTool,
  type ExecuteOptions,
  type GuardedCallOptions,
  type GuardedResult,
  type GuardedTool,
  type GuardToolOptions,
} from './guard-tool.ts'
export { addIntent, canCarryIntent, INTENT_KEY, takeIntent, type TakenIntent } from './intent.ts'

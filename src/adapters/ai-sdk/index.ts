/**
 * @module
 * `unbearer/ai-sdk`: the tools of a Vercel AI SDK (v7) agent behind the enforcement point. `ai` itself is not imported.
 */
export { guardTools, toToolDescriptors, type GuardToolsOptions } from './guard-tools.ts'
export { createToolApproval, type ApprovalCall, type ApprovalStatus } from './approval.ts'
export { guardModel, type ModelMiddleware } from './middleware.ts'
export { toPolicyClient, type PolicyAnswer, type PolicyClient } from './policy-client.ts'
export type { TaskSource } from './shell.ts'
export type { ExecutionOptions, ToolSet } from './tool-parts.ts'

/**
 * @module
 * The public surface of `unbearer`. Adapters, ours and other people's, import from here and nowhere else.
 */
export type { Json, JsonObject } from './core/json.ts'
export { isJsonObject } from './core/json.ts'
export * from './core/errors.ts'
export { isReason, REASONS, type Reason, type ReasonRow } from './core/reasons.ts'
export type * from './core/request.ts'
export { toArguments } from './core/request.ts'
export type * from './core/effect.ts'
export type * from './core/evidence.ts'
export type * from './core/finding.ts'
export type * from './core/decision.ts'
export type * from './core/grant.ts'
export type * from './core/manifest.ts'
export type * from './core/credential.ts'
export type * from './ports/pep.ts'
export type * from './ports/credentials.ts'
export type * from './ports/store.ts'
export type * from './ports/burns.ts'
export type * from './ports/engine.ts'
export type * from './ports/revocations.ts'
export { toRefusal, toRefusalMessage } from './core/refusal.ts'
export { isGrantContained } from './core/attenuation.ts'
export { parseGrant, type ParseGrantOptions } from './core/parse-grant.ts'
export { parseJson } from './core/parse-json.ts'
export { hashOf } from './core/bind.ts'
export { connect, type ConnectOptions, type GrantRequest, type TaskRequest, type Unbearer } from './host.ts'
export {
  createHostTask,
  currentTask,
  runInTask,
  type HostCall,
  type HostTask,
  type HostTaskOptions,
  type ToolDescriptor,
} from './host-task.ts'

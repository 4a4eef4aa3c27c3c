/**
 * @module
 * The `PolicyClient` of `@ai-sdk/policy-opa`, so that its users keep `opaPolicy({ client, path })` and switch the engine.
 */
import { REASONS } from '../../index.ts'
import { findShell } from './guard-tools.ts'
import { isRecord } from './schema.ts'
import type { ToolSet } from './tool-parts.ts'

/** Structurally the interface of the same name. */
export interface PolicyClient {
  evaluate<TResult = unknown>(path: string, input: unknown): Promise<TResult>
}

/** The explicit convention of that package: anything else is a denial there. */
export interface PolicyAnswer {
  readonly decision: 'allow' | 'deny' | 'requires-approval'
  readonly reason?: string
}

/**
 * A client over guarded tools, which must be the ones that the agent is given. `path` is not looked at: what applies is the
 * policy of the installation. Input is `{tool: {name}, args}` as `opaPolicy` makes it, with `toolCallId` where `toInput` adds
 * it. Never throws. Does not guard anything by itself, and its `requires-approval` is no hold: `execute` decides on its own.
 */
export function toPolicyClient(tools: ToolSet): PolicyClient {
  function evaluate<TResult>(path: string, input: unknown): Promise<TResult>
  async function evaluate(_path: string, input: unknown): Promise<unknown> {
    return answer(tools, input)
  }
  return { evaluate }
}

async function answer(tools: ToolSet, input: unknown): Promise<PolicyAnswer> {
  const { tool, args, messages, toolCallId } = isRecord(input) ? input : {}
  const name = isRecord(tool) ? tool['name'] : undefined
  const shell = typeof name === 'string' && Object.hasOwn(tools, name) ? findShell(tools[name]) : undefined
  if (shell === undefined) return { decision: 'deny', reason: UNKNOWN }
  const stopped = await shell.decide(args, {
    ...(typeof toolCallId === 'string' ? { toolCallId } : {}),
    ...(Array.isArray(messages) ? { messages } : {}),
  })
  if (stopped === undefined) return { decision: 'allow' }
  return { decision: stopped.decision === 'challenge' ? 'requires-approval' : 'deny', reason: stopped.text }
}

const UNKNOWN = `refused (scope.unknown-tool): ${REASONS['scope.unknown-tool'].help}`

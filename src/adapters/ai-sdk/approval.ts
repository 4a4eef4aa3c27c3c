/**
 * @module
 * `toolApproval` of the AI SDK as the front of the guard: what needs a person is held in its native way, and what is refused
 * is never executed. The state stays on our side: an approval in a message history is only "retry now".
 */
import { findShell } from './guard-tools.ts'
import { isFromHistory } from './history.ts'
import type { ToolSet } from './tool-parts.ts'

/** What the AI SDK calls a `GenericToolApprovalFunction` with. */
export interface ApprovalCall {
  readonly toolCall: { readonly toolName: string; readonly toolCallId: string; readonly input: unknown }
  readonly tools?: ToolSet | undefined
  readonly messages: readonly unknown[]
}

export type ApprovalStatus = 'not-applicable' | { readonly type: 'denied' | 'user-approval'; readonly reason: string }

/**
 * Give it as `toolApproval`. Decides a call of a guarded tool before `execute`, which then takes up that decision. A tool that
 * is not guarded is denied unless `admit` names it. Never throws. Does not guard anything by itself: code mode does not ask it.
 */
export function createToolApproval(
  options: { readonly admit?: readonly string[] } = {},
): (call: ApprovalCall) => Promise<ApprovalStatus> {
  const admit = options.admit ?? []
  return async ({ toolCall, tools, messages }) => {
    const { toolName, toolCallId, input } = toolCall
    const shell = findShell(findOwn(tools, toolName))
    if (shell === undefined) return admit.includes(toolName) ? 'not-applicable' : UNGUARDED
    const stopped = await shell.decide(input, { toolCallId, messages })
    if (stopped === undefined) return 'not-applicable'
    // The AI SDK lets a held call run once its history says "approved"; only a denial stops that.
    const isAgain = isFromHistory(messages, toolCallId)
    return { type: stopped.decision === 'challenge' && !isAgain ? 'user-approval' : 'denied', reason: stopped.text }
  }
}

const UNGUARDED: ApprovalStatus = { type: 'denied', reason: 'refused (scope.unknown-tool): this tool is not guarded' }

function findOwn(tools: ToolSet | undefined, name: string): object | undefined {
  return tools !== undefined && Object.hasOwn(tools, name) ? tools[name] : undefined
}

/**
 * @module
 * Between what was decided and what LangChain puts into the conversation.
 */
import { ToolMessage } from '@langchain/core/messages'

import { REASONS, toRefusal, toRefusalMessage, type Json, type Reason } from '../../index.ts'
import type { GuardedResult } from '../guard-tool.ts'

/** The result as the model reads it; a refusal has `status: "error"`, its reason, and what to do. */
export function toToolMessage(result: GuardedResult, name: string, id: string): ToolMessage {
  if (result.kind === 'refused') {
    return new ToolMessage({ content: result.message.text, tool_call_id: id, name, status: 'error' })
  }
  const status = result.failed ? 'error' : 'success'
  return new ToolMessage({ content: toContent(result.output), tool_call_id: id, name, status })
}

/** A refusal of a call that reached no guarded tool. */
export function toRefusedMessage(reason: Reason, name: string, id: string): ToolMessage {
  const { text } = toRefusalMessage(toRefusal({ kind: 'deny', reason, reasons: [reason] }))
  return new ToolMessage({
    content: `${text} (${REASONS[reason].retry ? 'retry' : 'do not retry'})`,
    tool_call_id: id,
    name,
    status: 'error',
  })
}

/** Text as it is; content blocks as they are; everything else as JSON. */
function toContent(output: Json): unknown {
  if (typeof output === 'string') return output
  const isBlocks = Array.isArray(output) && output.length > 0 && output.every(isBlock)
  return isBlocks ? output : JSON.stringify(output)
}

function isBlock(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string'
}

/** What the original tool gave back, without the framework's wrapping. */
export function toPlain(output: unknown): unknown {
  return ToolMessage.isInstance(output) ? output.content : output
}

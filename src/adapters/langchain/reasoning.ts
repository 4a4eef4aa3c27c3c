/**
 * @module
 * The reasoning around a call, as evidence that is only claimed. A callback collects it where there is no middleware; it is an
 * audit tap and never the gate, because LangChain swallows what a callback throws unless several flags are set just so.
 */
import type { JsonObject } from '../../index.ts'
import { member, toItems } from './loose.ts'

const MAX_CHARS = 4_000
const MAX_CALLS = 1_000

/** What the model said and thought in the turn that made the call; empty when nothing is known of it. */
export function toClaimed(messages: readonly unknown[], toolCallId: string | undefined): JsonObject {
  const turn = messages.findLast((message) => callIdsOf(message).includes(toolCallId ?? ''))
  return turn === undefined ? {} : toReasoning(turn)
}

export interface ReasoningTap {
  readonly name: string
  /** For LangChain: give the tap in `callbacks`. */
  handleLLMEnd(output: unknown): void
  /** What was said around this call; the newest thousand calls are kept. */
  of(toolCallId: string): JsonObject
}

/** A callback handler that remembers the reasoning around each call. Blocks nothing, and must not be relied on to. */
export function createReasoningTap(): ReasoningTap {
  const kept = new Map<string, JsonObject>()
  return {
    name: 'unbearer-reasoning',
    handleLLMEnd(output) {
      for (const message of messagesOf(output)) {
        for (const id of callIdsOf(message)) kept.set(id, toReasoning(message))
      }
      for (const id of kept.keys()) {
        if (kept.size <= MAX_CALLS) break
        kept.delete(id)
      }
    },
    of: (toolCallId) => kept.get(toolCallId) ?? {},
  }
}

function messagesOf(output: unknown): readonly unknown[] {
  return toItems(member(output, 'generations'))
    .flatMap(toItems)
    .map((generation) => member(generation, 'message'))
}

function callIdsOf(message: unknown): readonly string[] {
  return toItems(member(message, 'tool_calls')).flatMap((call) => {
    const id = member(call, 'id')
    return typeof id === 'string' && id !== '' ? [id] : []
  })
}

function toReasoning(message: unknown): JsonObject {
  const content = member(message, 'content')
  const blocks = typeof content === 'string' ? [{ type: 'text', text: content }] : toItems(content)
  const text = textOf(blocks, ['text'])
  const extra = member(member(message, 'additional_kwargs'), 'reasoning_content')
  const thinking = textOf(blocks, ['reasoning', 'thinking']) + (typeof extra === 'string' ? extra : '')
  return {
    ...(text === '' ? {} : { text: toShort(text) }),
    ...(thinking === '' ? {} : { reasoning: toShort(thinking) }),
  }
}

function textOf(blocks: readonly unknown[], types: readonly string[]): string {
  return blocks
    .filter((block) => types.some((type) => member(block, 'type') === type))
    .map(
      (block) =>
        ['text', 'reasoning', 'thinking'].map((name) => member(block, name)).find((text) => typeof text === 'string') ??
        '',
    )
    .join('\n')
}

/** Well formed, so that it can be recorded whatever the model wrote. */
function toShort(text: string): string {
  return text.slice(0, MAX_CHARS).toWellFormed().replaceAll('\0', '\u{fffd}')
}

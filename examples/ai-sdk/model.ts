/**
 * A model that says what it is told to, so that the example needs no key. Put your own in its place.
 */
import { MockLanguageModelV4 } from 'ai/test'

const usage = {
  inputTokens: { total: 1, noCache: 1, cacheRead: undefined, cacheWrite: undefined },
  outputTokens: { total: 1, text: 1, reasoning: undefined },
}

export interface ScriptedCall {
  readonly tool: string
  readonly input: Readonly<Record<string, string>>
}

let count = 0

/** Calls these tools, one a turn, and then says that it is done. */
export function createScriptedModel(...calls: readonly ScriptedCall[]): MockLanguageModelV4 {
  const turns = calls.map(({ tool, input }) => ({
    content: [
      { type: 'tool-call' as const, toolCallId: `call-${(count += 1)}`, toolName: tool, input: JSON.stringify(input) },
    ],
    finishReason: { unified: 'tool-calls' as const, raw: undefined },
    usage,
    warnings: [],
  }))
  const last = {
    content: [{ type: 'text' as const, text: 'done' }],
    finishReason: { unified: 'stop' as const, raw: undefined },
    usage,
    warnings: [],
  }
  return new MockLanguageModelV4({ doGenerate: [...turns, last] })
}

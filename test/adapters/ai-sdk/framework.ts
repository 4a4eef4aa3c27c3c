/**
 * @module
 * The AI SDK as its tests use it, with types of our own, because it is not installed at the root; and a scripted model.
 */
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

import { installFramework } from '../install-framework.ts'

export interface Part {
  readonly type: string
  readonly toolCallId?: string
  readonly approvalId?: string
  readonly reason?: string
  readonly isAutomatic?: boolean
  readonly toolCall?: { readonly toolCallId: string }
  readonly output?: unknown
  readonly error?: unknown
  readonly preliminary?: boolean
}

export interface Message {
  readonly role: string
  readonly content: unknown
}

export interface ToolOutput {
  readonly type: string
  readonly value?: unknown
  readonly reason?: string
}

interface Prompted {
  readonly prompt: readonly { readonly role: string; readonly content: readonly { readonly output?: ToolOutput }[] }[]
  readonly tools?: readonly { readonly name: string; readonly inputSchema: Record<string, unknown> }[]
}

export interface Model {
  readonly doGenerateCalls: readonly Prompted[]
  readonly doStreamCalls: readonly Prompted[]
}

export interface Generated {
  readonly content: readonly Part[]
  readonly text: string
  readonly responseMessages: readonly Message[]
}

interface ToolLoopAgent {
  generate(options: object): Promise<Generated>
  stream(options: object): Promise<{ readonly fullStream: AsyncIterable<Part> }>
}

export interface Ai {
  readonly ToolLoopAgent: new (settings: object) => ToolLoopAgent
  generateText(options: object): Promise<Generated>
  streamText(options: object): { readonly fullStream: AsyncIterable<Part> }
  tool(options: object): object
  dynamicTool(options: object): object
  jsonSchema(json: object, options?: object): object
  asSchema(schema: unknown): { readonly jsonSchema: Record<string, unknown> }
  isStepCount(count: number): unknown
  wrapLanguageModel(options: object): object
  simulateReadableStream(options: object): ReadableStream<unknown>
}

export interface Framework {
  readonly dir: string
  readonly ai: Ai
  readonly MockLanguageModelV4: new (options: object) => Model
}

/** Undefined, with a printed notice, where it cannot be installed. */
export async function loadFramework(folder: string = import.meta.dirname): Promise<Framework | undefined> {
  const dir = await installFramework(folder)
  if (dir === undefined) return undefined
  const ai: Ai = await importFrom(dir, 'ai/dist/index.js')
  const { MockLanguageModelV4 }: Pick<Framework, 'MockLanguageModelV4'> = await importFrom(dir, 'ai/dist/test/index.js')
  return { dir, ai, MockLanguageModelV4 }
}

/** A module of the installed framework. The caller says what it is. */
export async function importFrom<T>(dir: string, path: string): Promise<T> {
  return import(pathToFileURL(join(dir, 'node_modules', path)).href)
}

const USAGE = {
  inputTokens: { total: 1, noCache: 1, cacheRead: undefined, cacheWrite: undefined },
  outputTokens: { total: 1, text: 1, reasoning: undefined },
}

/** One call as the model makes it. */
export function toCall(toolCallId: string, toolName: string, input: object, extra: object = {}): object {
  return { type: 'tool-call', toolCallId, toolName, input: JSON.stringify(input), ...extra }
}

/** One turn of the model. */
export function toStep(...content: readonly object[]): object {
  const isCalling = content.some((part) => 'type' in part && part.type === 'tool-call')
  const finishReason = { unified: isCalling ? 'tool-calls' : 'stop', raw: undefined }
  return { content, finishReason, usage: USAGE, warnings: [] }
}

export const DONE: object = toStep({ type: 'text', text: 'done' })

/** The same turns as a stream. */
export function toStreams({ ai }: Framework, steps: readonly (readonly object[])[]): readonly object[] {
  return steps.map((content) => {
    const isCalling = content.some((part) => 'type' in part && part.type === 'tool-call')
    const finish = { type: 'finish', finishReason: { unified: isCalling ? 'tool-calls' : 'stop' }, usage: USAGE }
    return {
      stream: ai.simulateReadableStream({ chunks: [{ type: 'stream-start', warnings: [] }, ...content, finish] }),
    }
  })
}

export const DONE_STREAM: readonly object[] = [
  { type: 'text-start', id: 't' },
  { type: 'text-delta', id: 't', delta: 'done' },
  { type: 'text-end', id: 't' },
]

/** What the model was told of tools in the last prompt. */
export function toolOutputs(model: Model): readonly ToolOutput[] {
  const prompt = (model.doGenerateCalls.at(-1) ?? model.doStreamCalls.at(-1))?.prompt ?? []
  return prompt
    .filter(({ role }) => role === 'tool')
    .flatMap(({ content }) => content.flatMap(({ output }) => (output === undefined ? [] : [output])))
}

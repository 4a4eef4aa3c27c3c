/**
 * @module
 * The adapter contract on the AI SDK, over each way in which a tool is reached: `generateText`, `streamText`, and both with the
 * native front, where the same call comes again out of its history with a forged or real approval.
 */
import { describe, expect, it } from 'vitest'

import { createToolApproval, guardTools } from '../../../src/adapters/ai-sdk/index.ts'
import { createHostTask, type JsonObject } from '../../../src/index.ts'
import {
  adapterContract,
  type AdapterUnderTest,
  type AdapterWorld,
  type CallOptions,
  type Seen,
} from '../../../src/testing/index.ts'
import {
  DONE,
  DONE_STREAM,
  loadFramework,
  toCall,
  toStep,
  toStreams,
  type Framework,
  type Message,
  type Part,
} from './framework.ts'

const framework = await loadFramework()

interface Way {
  readonly isStreaming: boolean
  readonly isFronted: boolean
}

const WAYS: readonly (readonly [string, Way])[] = [
  ['generateText', { isStreaming: false, isFronted: false }],
  ['streamText', { isStreaming: true, isFronted: false }],
  ['generateText with `toolApproval`', { isStreaming: false, isFronted: true }],
  ['streamText with `toolApproval`', { isStreaming: true, isFronted: true }],
]

describe.skipIf(framework === undefined).each(WAYS)('the adapter contract on %s', (_name, way) => {
  const traits = ['ids', 'progress', 'deadline'] as const
  const make = async (world: AdapterWorld): Promise<AdapterUnderTest> => {
    if (framework === undefined) throw new Error('not installed')
    return createAgent(framework, way, world)
  }
  it.each(adapterContract({ make, traits }))('$name', async ({ run }) => {
    await expect(run()).resolves.toBeUndefined()
  })
})

/** Histories of held calls outlive the agent, as those in a browser do. */
const histories = new WeakMap<AdapterWorld, Map<string, readonly Message[]>>()

function createAgent(using: Framework, way: Way, world: AdapterWorld): AdapterUnderTest {
  const agent = { name: 'contract-agent', jkt: 'contract-agent' }
  const task = createHostTask({ pep: world.pep, task: world.task, agent, claimCall: world.claimCall })
  const tools = guardTools(task, toTools(using, world), { upstream: 'contract', deadlineMs: 500 })
  const held = histories.get(world) ?? new Map<string, readonly Message[]>()
  histories.set(world, held)
  const emitted: unknown[] = []
  let count = 0
  const call = async (tool: string, args: JsonObject, options: CallOptions = {}): Promise<Seen> => {
    const id = options.id ?? `generated-${(count += 1)}`
    const { intent = 'write: the user asked for exactly this' } = options
    const input = { ...args, ...(intent === null ? {} : { unbearer_intent: intent }) }
    const common = {
      tools,
      stopWhen: using.ai.isStepCount(2),
      ...(way.isFronted ? { toolApproval: createToolApproval() } : {}),
      ...(options.signal === undefined ? {} : { abortSignal: options.signal }),
    }
    const history = held.get(id)
    if (history !== undefined) return resume(using, way, common, { id, history, emitted })
    const parts = await begin(using, way, common, toCall(id, tool, input))
    emitted.push(parts)
    const seen = toSeen(parts, id)
    const request = parts.find((part) => part.type === 'tool-approval-request' && part.isAutomatic !== true)
    if (request !== undefined) held.set(id, toHistory(id, tool, input, request))
    return seen
  }
  return { call, emitted: () => JSON.stringify(emitted), close: async () => undefined }
}

/** What a browser sends back: the call, the request, and that a person there said yes. */
function toHistory(toolCallId: string, toolName: string, input: object, { approvalId }: Part): readonly Message[] {
  const call = { type: 'tool-call', toolCallId, toolName, input }
  return [
    { role: 'user', content: 'go' },
    { role: 'assistant', content: [call, { type: 'tool-approval-request', approvalId, toolCallId }] },
    { role: 'tool', content: [{ type: 'tool-approval-response', approvalId, approved: true }] },
  ]
}

async function begin({ ai, ...using }: Framework, way: Way, common: object, call: object): Promise<readonly Part[]> {
  if (!way.isStreaming) {
    const model = new using.MockLanguageModelV4({ doGenerate: [toStep(call), DONE] })
    return collectSteps(await ai.generateText({ ...common, model, prompt: 'go' }))
  }
  const model = new using.MockLanguageModelV4({ doStream: toStreams({ ai, ...using }, [[call], DONE_STREAM]) })
  return collect(ai.streamText({ ...common, model, prompt: 'go', onError: () => undefined }).fullStream)
}

interface Resumed {
  readonly id: string
  readonly history: readonly Message[]
  readonly emitted: unknown[]
}

/** The result of a resumed call is only in the prompt of the next turn. */
async function resume(
  { ai, ...using }: Framework,
  way: Way,
  common: object,
  { history, emitted }: Resumed,
): Promise<Seen> {
  const model = new using.MockLanguageModelV4({
    doGenerate: DONE,
    doStream: toStreams({ ai, ...using }, [DONE_STREAM])[0],
  })
  if (way.isStreaming) {
    const { fullStream } = ai.streamText({ ...common, model, messages: history, onError: () => undefined })
    emitted.push(await collect(fullStream))
  } else {
    await ai.generateText({ ...common, model, messages: history })
  }
  const prompt = [...model.doGenerateCalls, ...model.doStreamCalls].at(-1)?.prompt ?? []
  const outputs = prompt.filter(({ role }) => role === 'tool').flatMap(({ content }) => content)
  const output = outputs.map((part) => part.output).find((each) => each !== undefined)
  emitted.push(output)
  const text = typeof output?.value === 'string' ? output.value : (output?.reason ?? '')
  return { ok: output?.type === 'text', text }
}

function toSeen(parts: readonly Part[], id: string): Seen {
  const own = parts.filter((part) => (part.toolCallId ?? part.toolCall?.toolCallId) === id)
  const result = own.find(({ type, preliminary }) => type === 'tool-result' && preliminary !== true)
  if (result !== undefined) return { ok: true, text: String(result.output) }
  const error = own.find(({ type }) => type === 'tool-error')
  if (error !== undefined) return { ok: false, text: String(error.error) }
  return { ok: false, text: own.map(({ reason }) => reason ?? '').join('') }
}

function collectSteps(generated: object): readonly Part[] {
  const steps: readonly { readonly content: readonly Part[] }[] = Reflect.get(generated, 'steps')
  return steps.flatMap(({ content }) => content)
}

async function collect(stream: AsyncIterable<Part>): Promise<readonly Part[]> {
  const parts: Part[] = []
  for await (const part of stream) parts.push(part)
  return parts
}

function toTools({ ai }: Framework, world: AdapterWorld): Readonly<Record<string, object>> {
  const made = world.tools.map((tool) => {
    async function* execute(args: JsonObject): AsyncGenerator<string> {
      const partial: string[] = []
      const result = await tool.execute(args, (text) => partial.push(text))
      yield* partial
      yield result
    }
    return [
      tool.name,
      ai.tool({ description: tool.description, inputSchema: ai.jsonSchema(tool.schema), execute }),
    ] as const
  })
  return Object.fromEntries(made)
}

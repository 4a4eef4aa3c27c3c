/**
 * @module
 * The adapter contract on LangChain.js, over each way in which a tool is reached: `createAgent` invoked and streamed, and a
 * LangGraph `ToolNode`.
 */
import { describe, expect, it } from 'vitest'

import type { JsonObject } from '../../../src/index.ts'
import type { AdapterUnderTest, AdapterWorld, CallOptions, Seen } from '../../../src/testing/index.ts'
import { loadFramework, toolMessages, type Agent, type Model, type Native } from './framework.ts'

const native = await loadFramework()

type Way = 'invoke' | 'stream' | 'ToolNode'
const WAYS: readonly Way[] = ['invoke', 'stream', 'ToolNode']

describe.skipIf(native === undefined).each(WAYS)('the adapter contract on LangChain.js by %s', (way) => {
  const make = async (world: AdapterWorld): Promise<AdapterUnderTest> => {
    if (native === undefined) throw new Error('not installed')
    return makeAgent(native, way, world)
  }
  const cases = native?.testing.adapterContract({ make, traits: ['ids', 'progress', 'deadline'] }) ?? []
  it.each(cases)('$name', async ({ run }) => {
    await expect(run()).resolves.toBeUndefined()
  })
})

const NO_CALL = 'no tool was called'

function makeAgent(using: Native, way: Way, world: AdapterWorld): AdapterUnderTest {
  const agent = { name: 'contract-agent', jkt: 'contract-agent' }
  const task = using.host.createHostTask({ pep: world.pep, task: world.task, agent, claimCall: world.claimCall })
  const originals = world.tools.map(({ name, description, schema, execute }) =>
    using.langchain.tool(
      async (args, { writer }) => {
        const emit = (text: string): void => {
          writer?.(text)
          using.langgraph.getWriter()?.(text)
        }
        return execute(JSON.parse(JSON.stringify(args)), emit)
      },
      { name, description, schema },
    ),
  )
  const tools = using.adapter.guardTools(originals, {
    upstream: 'contract',
    deadlineMs: 500,
    ...(way === 'ToolNode' ? { task } : {}),
  })
  const emitted: unknown[] = []
  let count = 0
  return {
    async call(name: string, args: JsonObject, options: CallOptions = {}) {
      const { intent = 'write: the user asked for exactly this' } = options
      const id = options.id ?? `generated-${(count += 1)}`
      const call = { id, name, args: { ...(intent === null ? {} : { unbearer_intent: intent }), ...args } }
      const model = using.fakeModel().respondWithTools([call]).respond(new using.messages.AIMessage('done'))
      const running =
        way === 'ToolNode'
          ? toGraph(using, model, tools)
          : using.langchain.createAgent({ model, tools, middleware: [using.adapter.enforceTools(task)] })
      const seen = await turn(using, way, running, model, options, emitted)
      emitted.push(seen.text)
      return seen
    },
    emitted: () => JSON.stringify(emitted),
    close: async () => undefined,
  }
}

async function turn(
  using: Native,
  way: Way,
  running: Agent,
  model: Model,
  { signal }: CallOptions,
  emitted: unknown[],
): Promise<Seen> {
  const input = { messages: [new using.messages.HumanMessage('go')] }
  try {
    if (way === 'invoke') await running.invoke(input, { signal })
    else {
      const modes = ['updates', 'custom', 'messages', 'values']
      for await (const chunk of await running.stream(input, { signal, streamMode: modes })) emitted.push(chunk)
    }
  } catch (fault) {
    return { ok: false, text: fault instanceof Error ? fault.message : 'failed' }
  }
  const message = toolMessages(model).at(-1)
  const text = typeof message?.content === 'string' ? message.content : NO_CALL
  return { ok: message?.status !== 'error' && text !== NO_CALL, text }
}

function toGraph(using: Native, model: Model, tools: readonly object[]): Agent {
  const ask = async (state: { readonly messages: readonly object[] }): Promise<object> => {
    const answer: unknown = await Reflect.get(model, 'invoke').call(model, state.messages)
    return { messages: [answer] }
  }
  return new using.langgraph.StateGraph(using.langgraph.MessagesAnnotation)
    .addNode('agent', ask)
    .addNode('tools', new using.ToolNode(tools))
    .addEdge('__start__', 'agent')
    .addConditionalEdges('agent', ({ messages }) => {
      const calls: unknown = Reflect.get(messages.at(-1) ?? {}, 'tool_calls')
      return Array.isArray(calls) && calls.length > 0 ? 'tools' : '__end__'
    })
    .addEdge('tools', 'agent')
    .compile()
}

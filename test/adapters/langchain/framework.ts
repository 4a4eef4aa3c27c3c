/**
 * @module
 * LangChain.js as its tests use it, with types of our own, because it is not installed at the root. It is loaded by Node and
 * not by the test runner, in one module graph with our sources, so that both see the same classes.
 */
import { createRequire, registerHooks } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

import { installFramework } from '../install-framework.ts'

export interface ToolCall {
  readonly id: string
  readonly name: string
  readonly args: object
}

export interface Message {
  readonly content: unknown
  readonly status?: string
  readonly tool_call_id?: string
  getType(): string
}

export interface Model {
  readonly calls: readonly { readonly messages: readonly Message[] }[]
  respondWithTools(calls: readonly ToolCall[]): Model
  respond(message: object): Model
}

export interface State {
  readonly messages: readonly Message[]
  readonly __interrupt__?: readonly { readonly id: string; readonly value: unknown }[]
}

export interface Agent {
  readonly options: object
  invoke(input: object, config?: object): Promise<State>
  stream(input: object, config?: object): Promise<AsyncIterable<unknown>>
}

export interface Graph extends Agent {
  addNode(name: string, node: unknown): Graph
  addEdge(from: string, to: string): Graph
  addConditionalEdges(from: string, next: (state: State) => string): Graph
  compile(options?: object): Agent
}

type Class = new (options?: unknown) => object
type Run = (args: Record<string, unknown>, config: { readonly writer?: (chunk: unknown) => void }) => unknown

export interface Native {
  readonly langchain: {
    createAgent(options: object): Agent
    createMiddleware(options: object): object
    tool(run: Run, fields: object): import('../../../src/adapters/langchain/index.ts').LangChainTool
  }
  fakeModel(): Model
  readonly messages: { readonly AIMessage: Class; readonly HumanMessage: Class; readonly ToolMessage: Class }
  readonly langgraph: {
    readonly StateGraph: new (annotation: unknown) => Graph
    readonly MessagesAnnotation: unknown
    readonly MemorySaver: Class
    readonly Command: Class
    getWriter(): ((chunk: unknown) => void) | undefined
    interrupt(value: unknown): unknown
  }
  readonly ToolNode: new (tools: readonly object[]) => { invoke(input: object): Promise<unknown> }
  dispatchCustomEvent(name: string, data: unknown, config?: object): Promise<void>
  readonly BaseCallbackHandler: Class
  readonly z: { object(shape: object): object; string(): object }
  readonly adapter: typeof import('../../../src/adapters/langchain/index.ts')
  readonly host: typeof import('../../../src/index.ts')
  readonly testing: typeof import('../../../src/testing/index.ts')
}

/** Undefined, with a printed notice, where it cannot be installed. */
export async function loadFramework(): Promise<Native | undefined> {
  const dir = await installFramework(import.meta.dirname)
  if (dir === undefined) return undefined
  const parentURL = pathToFileURL(join(dir, 'package.json')).href
  registerHooks({
    resolve: (specifier, context, next) =>
      /^(@langchain\/|langchain$|zod$)/.test(specifier) && context.parentURL?.includes('/node_modules/') !== true
        ? next(specifier, { ...context, parentURL })
        : next(specifier, context),
  })
  const loaded: unknown = createRequire(import.meta.url)('./native.mjs')
  if (isNative(loaded)) return loaded
  throw new Error('the framework did not load')
}

function isNative(value: unknown): value is Native {
  return typeof value === 'object' && value !== null && 'langchain' in value && 'adapter' in value
}

/** Everything that a stream gave out, as text. */
export async function collect(stream: AsyncIterable<unknown>): Promise<string> {
  const chunks: unknown[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return JSON.stringify(chunks)
}

/** What the model was told of its calls at its last turn. */
export function toolMessages(model: Model): readonly Message[] {
  return (model.calls.at(-1)?.messages ?? []).filter((message) => message.getType() === 'tool')
}

/** What a run waits for. */
export function interruptsOf(state: State): NonNullable<State['__interrupt__']> {
  return state['__interrupt__'] ?? []
}

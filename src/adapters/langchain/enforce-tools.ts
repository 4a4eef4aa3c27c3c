/**
 * @module
 * The middleware for `createAgent`: it brings the task and the conversation to the guarded tools, refuses tools that are not
 * guarded, and does not go on where another middleware lies between it and them.
 */
import type { AgentMiddleware, ToolCallRequest } from 'langchain'
import type { ToolMessage } from '@langchain/core/messages'

import { ConfigError, type HostTask } from '../../index.ts'
import { INTENT_KEY } from '../intent.ts'
import { toRefusedMessage, toToolMessage } from './messages.ts'
import { assertNamed, assertRanNamed, isClientTool } from './provider-tools.ts'
import { toClaimed } from './reasoning.ts'
import { runInScope, type CallScope } from './scope.ts'
import { guardOf, isCallLike } from './tools.ts'
import { member, toItems } from './loose.ts'

export interface EnforceToolsOptions {
  /** Names or types of tools that the model's provider runs and that you accept without any decision. Default none. */
  readonly providerTools?: readonly string[]
}

type FindTask = HostTask | (() => HostTask | undefined)

/** What `createAgent` recognises a middleware by. */
const BRAND = Symbol.for('AgentMiddleware')
const NAME = 'UnbearerEnforceTools'

/** What `enforceTools` made: anybody can take its name. */
const made = new WeakSet<object>()

/**
 * The last middleware of `createAgent({ tools: guardTools(…), middleware: [..., enforceTools(task)] })`. Rejects the run
 * (`ConfigError`) before the model is asked when a tool is not guarded or runs at the provider unnamed, and before anything is
 * executed when a later middleware changes or answers a call. Does not gate by itself: the tools do.
 */
export function enforceTools(task: FindTask, { providerTools = [] }: EnforceToolsOptions = {}): AgentMiddleware {
  const middleware: AgentMiddleware = {
    name: NAME,
    wrapModelCall: async (request, handler) => {
      assertNamed(request.tools, providerTools)
      assertAllGuarded(request.tools)
      const message = await handler(request)
      assertRanNamed(message, providerTools)
      return message
    },
    wrapToolCall: async (request, handler) => wrapCall(task, request, handler),
  }
  made.add(middleware)
  return Object.freeze(Object.assign(middleware, { [BRAND]: true }))
}

/**
 * Refuses an agent that is not guarded in full, before its first run: `assertGuarded(createAgent(…))` returns the agent, or
 * throws `ConfigError` unless `enforceTools` is its last middleware and all its tools are guarded or named.
 */
export function assertGuarded<T extends { readonly options: object }>(
  agent: T,
  { providerTools = [] }: EnforceToolsOptions = {},
): T {
  const middleware = toItems(Reflect.get(agent.options, 'middleware'))
  const ours = middleware.findIndex((one) => typeof one === 'object' && one !== null && made.has(one))
  if (ours < 0) throw new ConfigError('this agent has no `enforceTools` among its middleware')
  if (ours !== middleware.length - 1)
    throw new ConfigError(`\`enforceTools\` must be the last middleware, \`${nameOf(middleware.at(-1))}\` is`)
  const tools = [
    ...toItems(Reflect.get(agent.options, 'tools')),
    ...middleware.flatMap((one) => toItems(member(one, 'tools'))),
  ]
  assertNamed(tools, providerTools)
  assertAllGuarded(tools)
  return agent
}

function assertAllGuarded(tools: readonly unknown[]): void {
  const found = tools.find((tool) => isClientTool(tool) && guardOf(tool) === undefined)
  if (found !== undefined)
    throw new ConfigError(`the tool \`${nameOf(found)}\` is not guarded, give it to \`guardTools\``)
}

async function wrapCall(
  task: FindTask,
  request: ToolCallRequest,
  handler: (request: ToolCallRequest) => ToolMessage | Promise<ToolMessage>,
): Promise<ToolMessage> {
  const { toolCall, tool, state, runtime } = request
  const guarded = guardOf(tool)
  if (guarded === undefined) return toRefusedMessage('scope.unknown-tool', toolCall.name, toolCall.id ?? '')
  const scope: CallScope = {
    task: typeof task === 'function' ? task() : task,
    seen: JSON.stringify(toolCall.args),
    claimed: toClaimed(state.messages, toolCall.id),
  }
  if (!hasIntent(toolCall.args) || isCallLike(toolCall.args)) {
    // The framework would refuse it by its schema, unrecorded and without saying what to do, or read another call in it.
    const named = { ...(scope.task === undefined ? {} : { task: scope.task }), claimed: scope.claimed }
    const result = await guarded.call(toolCall.args, {
      ...named,
      ...(toolCall.id === undefined ? {} : { toolCallId: toolCall.id }),
      ...(runtime.signal === undefined ? {} : { signal: runtime.signal }),
    })
    return toToolMessage(result, toolCall.name, toolCall.id ?? '')
  }
  const answer = await runInScope(scope, async () => handler(request))
  if (answer === scope.answer) return answer
  throw new ConfigError('another middleware answered in place of the guarded tool; `enforceTools` must be the last')
}

function hasIntent(args: unknown): boolean {
  const intent = member(args, INTENT_KEY)
  return typeof intent === 'string' && intent.length >= 8
}

function nameOf(value: unknown): string {
  const name = member(value, 'name')
  return typeof name === 'string' ? name : 'unnamed'
}

/**
 * @module
 * LangChain tools as guarded shells: what `createAgent` and a LangGraph `ToolNode` are given. The original is reachable only
 * through a decision, whatever calls the shell.
 */
import { AsyncLocalStorageProviderSingleton } from '@langchain/core/singletons'
import { DynamicStructuredTool, ToolInputParsingException } from '@langchain/core/tools'
import { toJsonSchema } from '@langchain/core/utils/json_schema'
import type { ToolMessage } from '@langchain/core/messages'
import { interrupt } from '@langchain/langgraph'

import {
  ConfigError,
  currentTask,
  isJsonObject,
  parseJson,
  type HostTask,
  type JsonObject,
  type ToolDescriptor,
} from '../../index.ts'
import { guardTool, type GuardedResult, type GuardedTool } from '../guard-tool.ts'
import { toPlain, toToolMessage } from './messages.ts'
import type { ReasoningTap } from './reasoning.ts'
import { currentScope, runOutsideScope } from './scope.ts'
import { member } from './loose.ts'

/** What is needed of a tool of LangChain. */
export interface LangChainTool {
  readonly name: string
  readonly description: string
  readonly schema: unknown
  readonly returnDirect?: boolean
  invoke(input: unknown, config?: unknown): Promise<unknown>
}

export interface GuardToolsOptions {
  /** The `server` of the tools' manifest. */
  readonly upstream: string
  /** For a `ToolNode`; in `createAgent` the middleware brings it. Default: the task of `runInTask`. */
  readonly task?: HostTask | (() => HostTask | undefined)
  /**
   * What happens to a call that a person has to approve. `message` (default): the model reads the ticket and may retry.
   * `interrupt`: the graph stops (it needs a checkpointer) and resumes when it is told to; resuming approves nothing.
   */
  readonly approvals?: 'message' | 'interrupt'
  /** Where there is no middleware: the reasoning around each call, as evidence. */
  readonly reasoning?: ReasoningTap
  /** Milliseconds until the action must have begun. Default 10,000. */
  readonly deadlineMs?: number
}

/** The value of an interrupt. Whoever resumes only says "try again": approving takes an approver's key. */
export interface ApprovalInterrupt {
  readonly unbearer: 'approval'
  readonly tool: string
  readonly toolCallId: string
  readonly ticket: string | undefined
  readonly help: string
}

const guardedTools = new WeakMap<object, GuardedTool>()

/** The guard behind a shell of `guardTools`. */
export function guardOf(tool: unknown): GuardedTool | undefined {
  return typeof tool === 'object' && tool !== null ? guardedTools.get(tool) : undefined
}

/** What an operator accepts of guarded tools: one line of `unbearer tools scan --tools FILE.jsonl` for each. */
export function toToolDescriptors(tools: readonly object[]): readonly ToolDescriptor[] {
  return tools.flatMap((tool) => guardedTools.get(tool)?.descriptor ?? [])
}

/**
 * Guards tools. Throws `ConfigError` for a schema that cannot carry the intent argument. A guarded tool is cut off from the
 * run around it: nothing that it writes to a stream, to callbacks or through a model of its own gets out before its result.
 * Does not promise that nobody else holds the originals.
 */
export function guardTools(tools: readonly LangChainTool[], options: GuardToolsOptions): DynamicStructuredTool[] {
  return tools.map((tool) => guardOne(tool, options))
}

function guardOne(tool: LangChainTool, options: GuardToolsOptions): DynamicStructuredTool {
  const { name, description, returnDirect } = tool
  const guarded = guardTool({
    upstream: options.upstream,
    name,
    description,
    schema: toSchema(tool),
    // The shell finds the task. Where it finds none, an outer task must not step in.
    task: () => undefined,
    execute: async (args, { signal }) => run(tool, args, signal),
    isHarmless: (fault) => fault instanceof NotBegunError,
    ...(options.deadlineMs === undefined ? {} : { deadlineMs: options.deadlineMs }),
  })
  const held = new Map<string, ApprovalInterrupt>()
  const shell = new DynamicStructuredTool({
    name,
    description,
    schema: guarded.schema,
    ...(returnDirect === undefined ? {} : { returnDirect }),
    func: async (input, _run, config) => answer(guarded, options, held, input, config),
  })
  guardedTools.set(shell, guarded)
  // Otherwise a `func` that is put in its place would run under its name.
  return Object.freeze(shell)
}

/** The tool refused the arguments before it did anything. */
class NotBegunError extends Error {}

/**
 * True for arguments that LangChain takes for a whole call: it would run what lies in their own `args`, which nobody decided.
 */
export function isCallLike(args: unknown): boolean {
  return member(args, 'type') === 'tool_call'
}

async function run(tool: LangChainTool, args: JsonObject, signal: AbortSignal): Promise<unknown> {
  if (isCallLike(args)) throw new NotBegunError('the argument `type` cannot be `tool_call`')
  try {
    return toPlain(await runCutOff(async () => tool.invoke(args, { signal })))
  } catch (fault) {
    // One of other arguments comes from a tool that this one called, after it had begun.
    const isRefusal = fault instanceof ToolInputParsingException && fault.output === JSON.stringify(args)
    throw isRefusal ? new NotBegunError(fault.message, { cause: fault }) : fault
  }
}

function toSchema({ name, schema }: LangChainTool): JsonObject {
  try {
    const found = parseJson(JSON.stringify(toJsonSchema(schema)))
    if (isJsonObject(found)) return found
  } catch {
    // Falls through: what the converter says is about its own types.
  }
  throw new ConfigError(`the schema of \`${name}\` has no JSON Schema`)
}

/**
 * Without the framework's context: `config.writer`, callbacks and nested models would stream past the labels. The empty run
 * within is one that is not traced: LangSmith, switched on by the environment, would be sent what nobody has labelled.
 */
function runCutOff<T>(work: () => T): T {
  const provider = AsyncLocalStorageProviderSingleton
  return runOutsideScope(() => provider.getInstance().run(undefined, () => provider.runWithConfig({}, work)))
}

interface ShellConfig {
  readonly id: string | undefined
  readonly signal: AbortSignal | undefined
}

/** What the shell does when it is called, by whomever. */
async function answer(
  guarded: GuardedTool,
  options: GuardToolsOptions,
  held: Map<string, ApprovalInterrupt>,
  input: unknown,
  config: unknown,
): Promise<ToolMessage> {
  const scope = currentScope()
  const { id, signal } = toShellConfig(config)
  if (scope !== undefined && JSON.stringify(input) !== scope.seen) {
    throw new ConfigError('another middleware changed the call after `enforceTools`, which must be the last')
  }
  const task = scope === undefined ? findTask(options) : scope.task
  const key = JSON.stringify([task?.txn, id])
  const before = held.get(key)
  // Asked first in a replay, so that each call meets the answer that is meant for it.
  if (before !== undefined) interrupt(before)
  const result = await decide(
    guarded,
    { task, id, signal, claimed: scope?.claimed ?? options.reasoning?.of(id ?? '') },
    input,
  )
  const question = options.approvals === 'interrupt' ? toQuestion(result, guarded.name, id) : undefined
  if (question !== undefined && before === undefined) {
    held.set(key, question)
    interrupt(question)
  }
  held.delete(key)
  const message = toToolMessage(result, guarded.name, id ?? '')
  if (scope !== undefined) scope.answer = message
  return message
}

interface DecideOptions extends ShellConfig {
  readonly task: HostTask | undefined
  readonly claimed: JsonObject | undefined
}

/** Asks the guard; without a task it refuses by itself. */
async function decide(
  guarded: GuardedTool,
  { task, id, signal, claimed }: DecideOptions,
  input: unknown,
): Promise<GuardedResult> {
  return guarded.call(input, {
    ...(task === undefined ? {} : { task }),
    ...(id === undefined ? {} : { toolCallId: id }),
    ...(signal === undefined ? {} : { signal }),
    ...(claimed === undefined || Object.keys(claimed).length === 0 ? {} : { claimed }),
  })
}

function findTask({ task }: GuardToolsOptions): HostTask | undefined {
  if (task === undefined) return currentTask()
  return typeof task === 'function' ? task() : task
}

function toQuestion(result: GuardedResult, tool: string, id: string | undefined): ApprovalInterrupt | undefined {
  if (result.kind !== 'refused' || result.refusal.decision !== 'challenge' || id === undefined) return undefined
  const { ticket, help } = result.refusal
  return { unbearer: 'approval', tool, toolCallId: id, ticket, help }
}

function toShellConfig(config: unknown): ShellConfig {
  const call = member(config, 'toolCall')
  const id = [member(call, 'id'), member(config, 'toolCallId')].find(
    (found) => typeof found === 'string' && found !== '',
  )
  const signal = member(config, 'signal')
  return { id: typeof id === 'string' ? id : undefined, signal: signal instanceof AbortSignal ? signal : undefined }
}

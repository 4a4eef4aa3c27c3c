/**
 * @module
 * A tool of the AI SDK as we read it: which parts of it run, and where. Structural, because `ai` is not installed here.
 */
import { ConfigError, type HostTask } from '../../index.ts'
import { isRecord } from './schema.ts'

/** A set of tools as `generateText` takes it. */
export type ToolSet = Readonly<Record<string, object>>

/** What the AI SDK hands to `execute` (`ToolExecutionOptions`). */
export interface ExecutionOptions {
  readonly toolCallId?: string
  readonly messages?: readonly unknown[]
  readonly abortSignal?: AbortSignal
  readonly [key: string]: unknown
}

/** `task` is the one in which the call was decided; the tool itself is not given it. */
export type Execute = (input: unknown, options: ExecutionOptions, task: HostTask) => unknown

/** Code mode and its like: a tool that calls other tools, which are bound to it for each step. */
export interface LocalCaller {
  readonly definition: Readonly<Record<string, unknown>>
  readonly bind: (tools: ToolSet) => object
}

export interface ToolParts {
  readonly description: string
  readonly inputSchema: unknown
  /** Absent: the provider or the client runs it. */
  readonly execute?: Execute
  readonly caller?: LocalCaller
}

/** App code that runs on input before anything is decided. */
const INPUT_CALLBACKS = ['onInputStart', 'onInputDelta', 'onInputAvailable'] as const

/** Why a tool does not run wholly inside the guard; undefined when it does. */
export function findOutside(tool: object): string | undefined {
  const parts = toRecord(tool)
  if (parts['type'] === 'provider') return 'is declared by the provider, which may run it itself'
  if (typeof parts['execute'] !== 'function') return 'has no `execute`: somebody else runs it'
  const callback = INPUT_CALLBACKS.find((name) => parts[name] !== undefined)
  return callback === undefined ? undefined : `has \`${callback}\`, which runs before anything is decided`
}

/** Reads a tool. Throws `ConfigError` for a description that is not text, because nobody could have accepted it. */
export function readTool(name: string, tool: object): ToolParts {
  const { description = '', inputSchema, execute } = toRecord(tool)
  if (typeof description !== 'string') throw new ConfigError(`the description of \`${name}\` is not fixed text`)
  const caller = readCaller(tool)
  return {
    description,
    inputSchema,
    ...(typeof execute === 'function' ? { execute: toExecute(tool, execute) } : {}),
    ...(caller === undefined ? {} : { caller }),
  }
}

const CALLER = 'experimental_toolCaller'

/** The AI SDK keeps it in a property that a copy of the tool loses. */
function readCaller(tool: object): LocalCaller | undefined {
  const definition: unknown = Reflect.get(tool, CALLER)
  if (!isRecord(definition) || definition['type'] !== 'local') return undefined
  const { bind } = definition
  if (typeof bind !== 'function') throw new ConfigError('a tool that calls tools cannot bind them')
  return { definition, bind: (tools) => toObject(Reflect.apply(bind, definition, [tools])) }
}

/** Puts the definition of a caller onto a tool in the way of the AI SDK. */
export function withCaller(tool: object, { definition }: LocalCaller, bind: LocalCaller['bind']): object {
  return Object.defineProperty({ ...tool }, CALLER, { value: { ...definition, bind } })
}

function toExecute(tool: object, execute: object): Execute {
  return (input, options): unknown =>
    typeof execute === 'function' ? Reflect.apply(execute, tool, [input, options]) : undefined
}

function toObject(value: unknown): object {
  if (typeof value === 'object' && value !== null) return value
  throw new ConfigError('a tool that calls tools was bound to nothing')
}

function toRecord(tool: object): Readonly<Record<string, unknown>> {
  return isRecord(tool) ? tool : {}
}

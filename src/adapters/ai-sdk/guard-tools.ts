/**
 * @module
 * `guardTools`: every tool of a set becomes a shell whose implementation only `enforce` reaches.
 */
import { ConfigError, RefusedError, REASONS, type HostTask, type ToolDescriptor } from '../../index.ts'
import { toGuardedSchema, readSchema } from './schema.ts'
import { takeRefusals } from './nested.ts'
import { createShell, HarmlessError, type Shell, type TaskSource } from './shell.ts'
import {
  findOutside,
  readTool,
  withCaller,
  type Execute,
  type ExecutionOptions,
  type LocalCaller,
  type ToolParts,
  type ToolSet,
} from './tool-parts.ts'

export interface GuardToolsOptions {
  /** The `server` of the manifest of these tools, the first part of `upstream/tool` in grants. */
  readonly upstream: string
  /**
   * Names of tools of which a part runs outside the guard, and which are taken nonetheless: run by the provider or the client
   * (not guarded at all), or with callbacks that see input before it is decided.
   */
  readonly admit?: readonly string[]
  /** Milliseconds from a call to the start of its action, after which it never begins. Default 10,000. */
  readonly deadlineMs?: number
}

/** The shell behind each `execute` that we made. The AI SDK copies tools, never their functions. */
const shells = new WeakMap<object, Shell>()

/**
 * Guards a set of tools. Throws `ConfigError` for a tool of which a part runs elsewhere unless `admit` names it, and for a
 * schema that cannot carry `unbearer_intent`. Does not promise that nobody else in the process holds the tools it was given.
 */
export function guardTools<T extends ToolSet>(task: TaskSource, tools: T, options: GuardToolsOptions): T
export function guardTools(task: TaskSource, tools: ToolSet, options: GuardToolsOptions): ToolSet {
  const guarded = Object.entries(tools).map(([name, tool]) => [name, guardOne(task, name, tool, options)] as const)
  return Object.fromEntries(guarded)
}

/** What an operator accepts of guarded tools: one line of `unbearer tools scan --tools FILE.jsonl` for each. */
export function toToolDescriptors(tools: ToolSet): readonly ToolDescriptor[] {
  return Object.values(tools).flatMap((tool) => {
    const shell = findShell(tool)
    return shell === undefined ? [] : [shell.guarded.descriptor]
  })
}

/** The shell of a guarded tool, also of a copy of it; undefined for any other. */
export function findShell(tool: object | undefined): Shell | undefined {
  if (tool === undefined || !('execute' in tool)) return undefined
  const { execute } = tool
  return typeof execute === 'function' ? shells.get(execute) : undefined
}

function guardOne(task: TaskSource, name: string, tool: object, options: GuardToolsOptions): object {
  const { upstream, deadlineMs, admit = [] } = options
  if (findShell(tool) !== undefined) throw new ConfigError(`\`${name}\` is guarded already`)
  const outside = findOutside(tool)
  const isAdmitted = admit.includes(name)
  if (outside !== undefined && !isAdmitted)
    throw new ConfigError(`\`${name}\` ${outside}; name it in \`admit\` to take it unguarded in that part`)
  const parts = readTool(name, tool)
  if (parts.execute === undefined) return tool
  const input = readSchema(name, parts.inputSchema)
  const shell = createShell({
    task,
    upstream,
    name,
    description: parts.description,
    input,
    ...(deadlineMs === undefined ? {} : { deadlineMs }),
  })
  return toShellTool(tool, parts, shell)
}

function toShellTool(tool: object, { execute, caller }: ToolParts, shell: Shell): object {
  if (execute === undefined) throw new ConfigError('a tool without `execute` cannot be guarded')
  const made = {
    ...tool,
    inputSchema: toGuardedSchema(shell.guarded.schema, shell.input),
    execute: toRun(shell, execute),
  }
  // Frozen: otherwise an `execute` that is put in its place would run under its name. The AI SDK makes copies.
  if (caller === undefined) return Object.freeze(made)
  return Object.freeze(withCaller(made, caller, (tools) => bindGuarded(shell, caller, tools)))
}

function toRun(shell: Shell, execute: Execute): (input: unknown, options?: ExecutionOptions) => Promise<unknown> {
  const runGuarded = async (input: unknown, options?: ExecutionOptions): Promise<unknown> =>
    shell.run(input, options, execute)
  shells.set(runGuarded, shell)
  return runGuarded
}

/** Code mode gets nothing but guarded tools, and is itself decided as the tool that the operator accepted. */
function bindGuarded(shell: Shell, caller: LocalCaller, tools: ToolSet): object {
  const bare = Object.entries(tools).find(([, tool]) => findShell(tool) === undefined)
  if (bare !== undefined)
    throw new RefusedError('scope.unknown-tool', `\`${bare[0]}\` is not guarded: ${REASONS['scope.unknown-tool'].help}`)
  const tool = caller.bind(tools)
  const { execute, ...parts } = readTool(shell.guarded.name, tool)
  if (execute === undefined) throw new ConfigError(`\`${shell.guarded.name}\` cannot be executed once it is bound`)
  const { caller: _again, ...rest } = parts
  return toShellTool(tool, { ...rest, execute: async (...call) => runCaller(execute, ...call) }, shell)
}

/** Whatever a caller does it does through guarded tools, so that its own failure did nothing; the model reads why. */
async function runCaller(
  execute: Execute,
  input: unknown,
  options: ExecutionOptions,
  task: HostTask,
): Promise<unknown> {
  const id = options.toolCallId ?? ''
  try {
    return await execute(input, options, task)
  } catch (fault) {
    const refusals = takeRefusals(task, id)
    const why = fault instanceof Error ? fault.message : 'the program failed'
    throw new HarmlessError(refusals.length > 0 ? refusals.join('; ') : why, { cause: fault })
  } finally {
    // What the program caught itself is not the answer of a later call with this id.
    takeRefusals(task, id)
  }
}

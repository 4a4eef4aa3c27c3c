/**
 * @module
 * The shell of one tool: decides a call, at `execute` or earlier at `toolApproval`, and runs it once both have happened.
 * A call that was decided early waits inside `enforce` for its `execute`, so that one call is one decision and one record.
 */
import { randomUUID } from 'node:crypto'

import { hashOf, REASONS, RefusedError, type HostTask, type JsonObject, type Reason } from '../../index.ts'
import { guardTool, toCallClaim, type GuardedResult, type GuardedTool } from '../guard-tool.ts'
import { takeIntent } from '../intent.ts'
import { findEvidence } from './evidence.ts'
import { hold, isFromHistory, wasHeld } from './history.ts'
import { keepRefusal } from './nested.ts'
import { parseArguments, type InputSchema } from './schema.ts'
import type { Execute, ExecutionOptions } from './tool-parts.ts'

/** The task itself, or how to find it when a call arrives (`currentTask`). */
export type TaskSource = HostTask | (() => HostTask | undefined)

/** A refusal as the model and the AI SDK see it. */
export interface Stopped {
  readonly decision: 'challenge' | 'defer' | 'deny'
  readonly reason: Reason
  readonly text: string
}

/** A call before `execute`. Without an id it is found again by its arguments. */
export interface EarlyCall {
  readonly toolCallId?: string
  readonly messages?: readonly unknown[]
}

export interface Shell {
  readonly guarded: GuardedTool
  readonly input: InputSchema
  /** Decides without running; undefined when permitted. What is permitted and not executed within 10 s never runs. */
  decide(input: unknown, call: EarlyCall): Promise<Stopped | undefined>
  /** Decides, or takes up what was decided early, and runs `execute`. Throws `RefusedError`. */
  run(input: unknown, options: ExecutionOptions | undefined, execute: Execute): Promise<unknown>
}

export interface ShellOptions {
  readonly task: TaskSource
  readonly upstream: string
  readonly name: string
  readonly description: string
  readonly input: InputSchema
  readonly deadlineMs?: number
}

/** How long a permitted call may wait for its `execute`; below the life of its credential. */
const PARKED_MS = 10_000

type Run = (args: JsonObject, signal: AbortSignal) => unknown

/** One call under way: `entered` once it is permitted and redeemed, `run` once `execute` has come. */
interface Turn {
  readonly entered: PromiseWithResolvers<undefined>
  readonly run: PromiseWithResolvers<Run>
}

/** A fault after which it is known that nothing was done; the model reads its message. */
export class HarmlessError extends Error {}

/** The call was permitted, and nobody executed it. */
class NeverExecutedError extends HarmlessError {}

interface State {
  readonly options: ShellOptions
  readonly guarded: GuardedTool
  readonly turns: Map<string, Turn>
  /** Keys of calls that were decided early without an id, by their arguments. */
  readonly parked: Map<string, string[]>
}

/** Creates the shell of one tool. Throws `ConfigError` for a schema that cannot carry the intent argument. */
export function createShell(options: ShellOptions): Shell {
  const turns = new Map<string, Turn>()
  const guarded = guardTool({
    upstream: options.upstream,
    name: options.name,
    description: options.description,
    schema: options.input.json,
    ...(options.deadlineMs === undefined ? {} : { deadlineMs: options.deadlineMs }),
    execute: async (args, { signal, toolCallId }) => takeTurn(turns, args, signal, toolCallId),
    isHarmless: (fault) => fault instanceof HarmlessError,
  })
  const state: State = { options, guarded, turns, parked: new Map() }
  return {
    guarded,
    input: options.input,
    decide: async (input, early) => decide(state, input, early),
    run: async (input, given, execute) => run(state, input, given, execute),
  }
}

/** The implementation that only `enforce` reaches: waits for the `execute` of this very call. */
async function takeTurn(
  turns: ReadonlyMap<string, Turn>,
  args: JsonObject,
  signal: AbortSignal,
  key: string,
): Promise<unknown> {
  const turn = turns.get(key)
  if (turn === undefined) throw new NeverExecutedError('the call was given up')
  turn.entered.resolve(undefined)
  const stop = (): void => turn.run.reject(new NeverExecutedError('the call was stopped before it was executed'))
  signal.addEventListener('abort', stop, { once: true })
  if (signal.aborted) stop()
  try {
    return (await turn.run.promise)(args, signal)
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

/** What is asked, read once: with the tool's own schema applied, so that defaults are decided too. */
interface Asked {
  readonly task: HostTask
  readonly args: JsonObject
  readonly withIntent: JsonObject
}

async function ask({ options }: State, input: unknown): Promise<Asked> {
  const { task: source, input: schema } = options
  const task = typeof source === 'function' ? source() : source
  if (task === undefined) throw refused('identity.unknown-task')
  const given = parseArguments(input)
  if (given === undefined) throw refused('system.malformed')
  const { rest, intent } = takeIntent(given)
  const validated = await schema.validate(rest)
  const args = validated.success ? parseArguments(validated.value) : undefined
  if (args === undefined) throw refused('system.malformed')
  return { task, args, withIntent: intent === undefined ? args : { unbearer_intent: intent.text, ...args } }
}

async function decide(state: State, input: unknown, { toolCallId, messages }: EarlyCall): Promise<Stopped | undefined> {
  try {
    const asked = await ask(state, input)
    const { task, args } = asked
    if (toolCallId !== undefined) await assertOurs(state, asked, toolCallId, messages)
    const key = toKey(task, toolCallId ?? randomUUID())
    const turn = openTurn(state.turns, key)
    const result = call(state, asked, key, toolCallId)
    const stopped = await Promise.race([turn.entered.promise, result])
    if (stopped === undefined) {
      if (toolCallId === undefined) park(state.parked, toDigest(task, args), key)
      setTimeout(() => giveUp(state.turns, key, turn), PARKED_MS).unref()
      return undefined
    }
    state.turns.delete(key)
    return stopped.kind === 'performed' ? undefined : await toStopped(state, asked, stopped)
  } catch (fault) {
    const reason = fault instanceof RefusedError ? fault.reason : 'system.indeterminate'
    return { decision: 'deny', reason, text: `refused (${reason}): ${REASONS[reason].help}` }
  }
}

async function run(
  state: State,
  input: unknown,
  given: ExecutionOptions | undefined,
  execute: Execute,
): Promise<unknown> {
  const asked = await ask(state, input)
  const options = { ...given, toolCallId: given?.toolCallId ?? randomUUID() }
  await assertOurs(state, asked, options.toolCallId, options.messages)
  const key = await findKey(state, asked, options.toolCallId)
  const turn = openTurn(state.turns, key)
  if (options.abortSignal?.aborted === true) turn.run.reject(new NeverExecutedError('the call was cancelled'))
  else {
    const begin: Run = (args, signal) =>
      execute(args, { ...options, abortSignal: join(signal, options.abortSignal) }, asked.task)
    turn.run.resolve(begin)
  }
  try {
    const result = await call(state, asked, key, options.toolCallId, options.abortSignal)
    if (result.kind === 'performed') return toOutput(result)
    const { decision, reason, text } = await toStopped(state, asked, result)
    keepRefusal(asked.task, options.toolCallId, text)
    throw new RefusedError(reason, text, { retryable: decision !== 'deny' || result.refusal.retry })
  } finally {
    state.turns.delete(key)
  }
}

/**
 * Under which the call was decided, or will be. One that was decided without its id takes its id now: the same id again,
 * decided early again, is not a second call.
 */
async function findKey({ parked, options }: State, { task, args }: Asked, toolCallId: string): Promise<string> {
  const own = toKey(task, toolCallId)
  const early = unpark(parked, toDigest(task, args))
  if (early === undefined) return own
  if (!(await task.claimCall(toCallClaim(options, own)))) throw refused('credential.replayed')
  return early
}

/** A call that comes out of a history, which a client may have written, must be one that we held. */
async function assertOurs(
  { options }: State,
  { task, args }: Asked,
  toolCallId: string,
  messages: readonly unknown[] | undefined,
): Promise<void> {
  if (!isFromHistory(messages, toolCallId)) return
  const action = { upstream: options.upstream, tool: options.name, arguments: args }
  if (!(await wasHeld(task, action))) throw refused('policy.approval-required')
}

async function call(
  { guarded }: State,
  { task, withIntent }: Asked,
  key: string,
  toolCallId: string | undefined,
  signal?: AbortSignal,
): Promise<GuardedResult> {
  const claimed = toolCallId === undefined ? undefined : findEvidence(task, toolCallId)
  return guarded.call(withIntent, {
    toolCallId: key,
    task,
    ...(signal === undefined ? {} : { signal }),
    ...(claimed === undefined ? {} : { claimed }),
  })
}

async function toStopped(
  { options }: State,
  { task, args }: Asked,
  { refusal, message }: Extract<GuardedResult, { kind: 'refused' }>,
): Promise<Stopped> {
  const { decision, reason } = refusal
  if (decision === 'challenge') await hold(task, { upstream: options.upstream, tool: options.name, arguments: args })
  return { decision, reason, text: message.text }
}

/** A tool that failed harmlessly fails for the AI SDK too, which shows the model why. */
function toOutput({ output, failed }: Extract<GuardedResult, { kind: 'performed' }>): unknown {
  if (!failed) return output
  const why = typeof output === 'object' && output !== null && 'error' in output ? output.error : undefined
  throw new Error(typeof why === 'string' ? why : 'the tool failed')
}

function giveUp(turns: Map<string, Turn>, key: string, turn: Turn): void {
  turn.run.reject(new NeverExecutedError('the call was never executed'))
  if (turns.get(key) === turn) turns.delete(key)
}

function openTurn(turns: Map<string, Turn>, key: string): Turn {
  const known = turns.get(key)
  if (known !== undefined) return known
  const turn: Turn = { entered: Promise.withResolvers(), run: Promise.withResolvers() }
  // A turn that ends before anybody waits for it is no fault.
  turn.run.promise.catch(() => undefined)
  turns.set(key, turn)
  return turn
}

function park(parked: Map<string, string[]>, digest: string, key: string): void {
  parked.set(digest, [...(parked.get(digest) ?? []), key])
  setTimeout(() => unpark(parked, digest, key), PARKED_MS).unref()
}

/** Takes up the call that was parked first, or exactly `key`. */
function unpark(parked: Map<string, string[]>, digest: string, key?: string): string | undefined {
  const keys = parked.get(digest) ?? []
  const taken = key === undefined ? keys[0] : keys.find((each) => each === key)
  const rest = keys.filter((each) => each !== taken)
  if (rest.length === 0) parked.delete(digest)
  else parked.set(digest, rest)
  return taken
}

function toKey({ txn }: HostTask, toolCallId: string): string {
  return JSON.stringify([txn, toolCallId])
}

function toDigest({ txn }: HostTask, args: JsonObject): string {
  return hashOf([txn, args])
}

function join(signal: AbortSignal, other: AbortSignal | undefined): AbortSignal {
  return other === undefined ? signal : AbortSignal.any([signal, other])
}

function refused(reason: Reason): RefusedError {
  return new RefusedError(reason, `refused (${reason}): ${REASONS[reason].help}`, { retryable: REASONS[reason].retry })
}

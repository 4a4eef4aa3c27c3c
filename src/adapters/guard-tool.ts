/**
 * @module
 * `guardTool`: the one way in which every in-process adapter runs a tool. The implementation lives in a closure that only
 * `enforce` reaches; what a framework holds is a shell without it.
 */
import { randomUUID } from 'node:crypto'

import {
  ConfigError,
  currentTask,
  hashOf,
  InvariantError,
  isJsonObject,
  parseJson,
  REASONS,
  RefusedError,
  toRefusal,
  toRefusalMessage,
  type Enforced,
  type HostCall,
  type HostTask,
  type IntentClaim,
  type Json,
  type JsonObject,
  type PerformContext,
  type Performed,
  type Reason,
  type Refusal,
  type RefusalMessage,
  type ToolDescriptor,
} from '../index.ts'
import { createCallLedger, type CallLedger } from './call-ledger.ts'
import { drain, toJson } from './drain.ts'
import { addIntent, canCarryIntent, takeIntent } from './intent.ts'

export interface ExecuteOptions {
  /** Aborted when the framework cancels, or when what permits the action is revoked while it is under way. */
  readonly signal: AbortSignal
  readonly toolCallId: string
}

export interface GuardToolOptions {
  /** The task in which it acts; default the one of `runInTask`. None when a call arrives: refused. */
  readonly task?: HostTask | (() => HostTask | undefined)
  /** The `server` of the tool's manifest. */
  readonly upstream: string
  readonly name: string
  readonly description: string
  /** JSON Schema of the arguments: an object that does not use the name `unbearer_intent`. */
  readonly schema: JsonObject
  /**
   * The implementation. Gets a copy of the arguments as decided. Its result must be JSON; of a generator or an async iterable
   * only the returned (or else the last) value is released, after all of it was read.
   */
  readonly execute: (args: JsonObject, options: ExecuteOptions) => unknown
  /**
   * True for a fault that says that nothing was done (the arguments were refused): then the agent reads its message. Of a tool
   * with the accepted effect `read` that holds for every fault; otherwise the outcome counts as unknown.
   */
  readonly isHarmless?: (fault: unknown) => boolean
  /** Milliseconds from the call to the start of the action, after which it is never begun. Default 10,000. */
  readonly deadlineMs?: number
}

/** What the framework knows of one call beside its arguments. */
export interface GuardedCallOptions {
  /** The framework's id of the call. The same id with the same arguments is one call; without one each is its own. */
  readonly toolCallId?: string
  readonly signal?: AbortSignal
  /** Goes before the task of the tool. */
  readonly task?: HostTask
  /** For a framework that carries the intent elsewhere; the argument goes before it. */
  readonly intent?: IntentClaim
  /** Evidence that is only claimed, for example the reasoning around the call. */
  readonly claimed?: JsonObject
}

export type GuardedResult =
  | { readonly kind: 'performed'; readonly output: Json; readonly failed: boolean; readonly entry: string }
  /** `message.text` is what the model should read; a challenge carries its ticket in it. */
  | { readonly kind: 'refused'; readonly refusal: Refusal; readonly message: RefusalMessage }

export interface GuardedTool {
  readonly upstream: string
  readonly name: string
  readonly description: string
  /** With `unbearer_intent` first and required: what the model is shown. */
  readonly schema: JsonObject
  /** Without it: what an operator pins, one line of `unbearer tools scan --tools FILE.jsonl`. */
  readonly descriptor: ToolDescriptor
  /** Decides, and only then runs. Never throws. */
  call(args: unknown, options?: GuardedCallOptions): Promise<GuardedResult>
}

interface Guard {
  readonly options: GuardToolOptions
  readonly descriptor: ToolDescriptor
  readonly ledger: CallLedger<Attempted>
}

interface Attempted {
  readonly result: GuardedResult
  /** Whether the action was begun: then the result stands, whatever it is. */
  readonly begun: boolean
}

const DEADLINE_MS = 10_000

/**
 * Guards a tool. Throws `ConfigError` for a schema that cannot carry the intent argument. Does not promise that nobody else
 * in the process holds `execute`: hand it over and keep no other reference.
 */
export function guardTool(given: GuardToolOptions): GuardedTool {
  // A copy: whoever changes what was handed over must not change what runs for a descriptor that was accepted.
  const options = { ...given, schema: structuredClone(given.schema) }
  const { upstream, name, description, schema } = options
  if (!canCarryIntent(schema))
    throw new ConfigError(`the schema of \`${name}\` is not that of an object without \`unbearer_intent\``)
  const descriptor = { name, description, inputSchema: schema }
  const guard: Guard = { options, descriptor, ledger: createCallLedger() }
  return Object.freeze({
    upstream,
    name,
    description,
    schema: addIntent(schema),
    descriptor,
    call: async (args: unknown, call: GuardedCallOptions = {}) => callGuarded(guard, args, call),
  })
}

async function callGuarded(guard: Guard, args: unknown, call: GuardedCallOptions): Promise<GuardedResult> {
  try {
    const task = call.task ?? findTask(guard.options)
    if (task === undefined) return refuse('identity.unknown-task')
    const parsed = parseArguments(args)
    if (parsed === undefined) return refuse('system.malformed')
    const { rest, intent = call.intent } = takeIntent(parsed)
    const request = toHostCall(guard, rest, intent, call.claimed)
    const id = call.toolCallId
    if (id === undefined) return (await attempt(guard, task, request, { ...call, toolCallId: randomUUID() })).result
    const key = JSON.stringify([task.txn, id])
    const recorded = guard.ledger.once(
      key,
      hashOf(rest),
      async () => attempt(guard, task, request, { ...call, toolCallId: id }),
      isFinal,
    )
    return recorded.kind === 'other' ? refuse('credential.mismatch') : (await recorded.result).result
  } catch {
    return refuse('system.indeterminate')
  }
}

function findTask({ task }: GuardToolOptions): HostTask | undefined {
  if (task === undefined) return currentTask()
  return typeof task === 'function' ? task() : task
}

/** Reads the arguments once, into a copy that nobody else holds; undefined when they are not an object of JSON. */
function parseArguments(args: unknown): JsonObject | undefined {
  try {
    const parsed = parseJson(JSON.stringify(args ?? {}))
    return isJsonObject(parsed) ? parsed : undefined
  } catch {
    return undefined
  }
}

function toHostCall(
  guard: Guard,
  args: JsonObject,
  intent: IntentClaim | undefined,
  claimed: JsonObject | undefined,
): HostCall {
  return {
    upstream: guard.options.upstream,
    descriptor: guard.descriptor,
    arguments: args,
    ...(intent === undefined ? {} : { intent }),
    ...(claimed === undefined ? {} : { claimed }),
  }
}

/** A result stands once something was begun, or when trying again cannot help. */
function isFinal({ result, begun }: Attempted): boolean {
  return begun || result.kind === 'performed' || (result.refusal.decision === 'deny' && !result.refusal.retry)
}

type Call = GuardedCallOptions & { readonly toolCallId: string }

/** How far one call has come. */
interface Progress {
  /** Nobody waits for it any more: it must not begin. */
  closed: boolean
  begun: boolean
  /** The implementation was entered. */
  ran: boolean
}

async function attempt(guard: Guard, task: HostTask, request: HostCall, call: Call): Promise<Attempted> {
  const progress: Progress = { closed: false, begun: false, ran: false }
  const enforced = enforce(guard, task, request, call, progress)
  const result = await withDeadline(enforced, guard.options.deadlineMs ?? DEADLINE_MS, progress)
  return { result, begun: progress.begun }
}

async function enforce(
  guard: Guard,
  task: HostTask,
  request: HostCall,
  call: Call,
  progress: Progress,
): Promise<GuardedResult> {
  try {
    if (call.signal?.aborted === true) return refuse('system.indeterminate')
    const enforced = await task.enforce(request, async (context) => perform(guard, task, context, call, progress))
    return toResult(enforced, progress)
  } catch {
    return refuse(progress.ran ? 'system.upstream' : 'system.indeterminate')
  }
}

function toResult(enforced: Enforced, { ran }: Progress): GuardedResult {
  if (enforced.kind === 'refused') return toRefused(enforced.refusal)
  // A PEP that says "performed" without having performed is broken, and what it brings is not the tool's.
  if (!ran) return refuse('system.indeterminate')
  const { output, failed, entry } = enforced
  return { kind: 'performed', output, failed, entry }
}

/** Answers `system.deadline` when the action has not begun in time, and keeps it from beginning afterwards. */
async function withDeadline(enforced: Promise<GuardedResult>, ms: number, progress: Progress): Promise<GuardedResult> {
  const late = Promise.withResolvers<GuardedResult>()
  const timer = setTimeout(() => {
    if (progress.begun) return
    progress.closed = true
    late.resolve(refuse('system.deadline'))
  }, ms)
  try {
    return await Promise.race([enforced, late.promise])
  } finally {
    clearTimeout(timer)
  }
}

/** The effect: the decided arguments, once, and only with a credential that was redeemed for exactly them. */
async function perform(
  { options, descriptor }: Guard,
  task: HostTask,
  context: PerformContext,
  call: Call,
  progress: Progress,
): Promise<Performed> {
  if (progress.closed || progress.begun)
    throw new InvariantError('an action is begun once, and while somebody waits for it')
  progress.begun = true
  const args = toDecided(options.name, context)
  const signal = call.signal === undefined ? context.signal : AbortSignal.any([call.signal, context.signal])
  assertWanted(signal)
  const isFirst = await task.claimCall(toCallClaim(options, call.toolCallId))
  if (!isFirst) throw refused('credential.replayed')
  assertWanted(signal)
  const body = { method: 'tools/call', name: options.name, arguments: structuredClone(args) }
  const redemption = await context.redeem(body)
  if (!redemption.ok) throw refused(redemption.reason)
  progress.ran = true
  try {
    return { output: toJson(await drain(options.execute(args, { signal, toolCallId: call.toolCallId }), signal)) }
  } catch (fault) {
    if (!isHarmless(options, task, descriptor, fault)) throw fault
    return { output: { error: fault instanceof Error ? fault.message : 'the tool failed' }, failed: true }
  }
}

/** Under which `HostTask.claimCall` keeps that a call of this tool was begun. */
export function toCallClaim(
  { upstream, name }: Pick<GuardToolOptions, 'upstream' | 'name'>,
  toolCallId: string,
): string {
  return hashOf([upstream, name, toolCallId])
}

/** The arguments of the decided action, as a copy: what is decided is what is run. */
function toDecided(name: string, { body }: PerformContext): JsonObject {
  const args = body['arguments']
  if (body['method'] !== 'tools/call' || body['name'] !== name || !isJsonObject(args)) {
    throw new InvariantError('the decided action is another one')
  }
  return structuredClone(args)
}

/** What nobody waits for any more, or what was revoked meanwhile, is not begun. */
function assertWanted(signal: AbortSignal): void {
  if (signal.aborted) throw refused('system.indeterminate')
}

function isHarmless(options: GuardToolOptions, task: HostTask, descriptor: ToolDescriptor, fault: unknown): boolean {
  if (options.isHarmless?.(fault) === true) return true
  const facts = task.toolFacts(options.upstream, descriptor)
  return facts.status === 'accepted' && facts.tool.effect === 'read'
}

function refused(reason: Reason): RefusedError {
  return new RefusedError(reason, REASONS[reason].help)
}

/** A refusal of our own, for what never reached a decision or was not begun. */
function refuse(reason: Reason): GuardedResult {
  const kind = REASONS[reason].decision === 'defer' ? 'defer' : 'deny'
  return toRefused(toRefusal({ kind, reason, reasons: [reason] }))
}

function toRefused(refusal: Refusal): GuardedResult {
  return { kind: 'refused', refusal, message: toRefusalMessage(refusal) }
}

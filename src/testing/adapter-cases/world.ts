/**
 * @module
 * What the cases of the adapter contract are made of: a scripted PEP, tools that log what reaches them, one adapter.
 */
import assert from 'node:assert/strict'

import type { JsonObject, Task } from '../../index.ts'
import { createScriptedPep, type ScriptedPep } from '../scripted-pep.ts'

/** One tool behind the adapter. */
export interface ContractTool {
  readonly name: string
  readonly description: string
  /** JSON Schema without the intent argument. */
  readonly schema: JsonObject
  /** The implementation. `emit` is whatever the host has for progress: partial results, a custom stream, notifications. */
  readonly execute: (args: JsonObject, emit: (text: string) => void) => Promise<string>
}

export interface AdapterWorld {
  readonly pep: ScriptedPep
  /** The task in which the agent acts, for adapters that are given one. */
  readonly task: Task
  readonly tools: readonly ContractTool[]
  /** True for the first claim of an id; outlives `make`, as a store outlives a process. */
  readonly claimCall: (id: string) => Promise<boolean>
}

/** What the model was given for one call, or would be given at its next turn. */
export interface Seen {
  readonly ok: boolean
  readonly text: string
}

export interface CallOptions {
  /** The host's id of the call, where it has one. */
  readonly id?: string
  readonly signal?: AbortSignal
  /** Default: a well-formed intent. Null: none. */
  readonly intent?: string | null
}

export interface AdapterUnderTest {
  /** Calls as the agent would. Resolves for refusals as well; may reject when `signal` was aborted. */
  call(tool: string, args: JsonObject, options?: CallOptions): Promise<Seen>
  /** Everything that came out to the agent or to any stream of the host, released results included. */
  emitted(): string
  close(): Promise<void>
}

/**
 * `ids`: calls have ids that come again when the host replays. `progress`: a tool can emit before its result. `deadline`: the
 * adapter answers by itself when no decision comes (the harness sets it to at most a second).
 */
export type AdapterTrait = 'ids' | 'progress' | 'deadline'

export interface AdapterHarness {
  /** A fresh adapter over this world; called again with the same world for a restart. */
  readonly make: (world: AdapterWorld) => Promise<AdapterUnderTest>
  readonly traits: readonly AdapterTrait[]
}

export interface AdapterCase {
  readonly name: string
  readonly needs?: readonly AdapterTrait[]
  readonly run: (scene: Scene) => Promise<void>
}

export interface Execution {
  readonly tool: string
  readonly arguments: JsonObject
}

export interface Scene {
  readonly pep: ScriptedPep
  readonly adapter: AdapterUnderTest
  readonly executions: readonly Execution[]
  /** Ends a tool that waits. */
  readonly finish: () => void
  /** Throws the adapter away and makes another one over the same state. */
  readonly restart: () => Promise<AdapterUnderTest>
}

export const INTENT = 'write: the user asked for exactly this'
/** What the tool `fail` throws. */
export const FAULT = 'fault-7c1d'
/** What the tool `progress` emits before its result. */
export const PARTIAL = 'partial-93ae'

const TASK: Task = {
  txn: 'contract-task',
  purpose: 'to hold an adapter to its contract',
  principal: { type: 'user', id: 'alice' },
  actor: 'contract-agent',
  openedBy: { role: 'host' },
  openedAt: 0,
  expires: Number.MAX_SAFE_INTEGER,
}

const SCHEMA: JsonObject = { type: 'object', properties: { text: { type: 'string' } } }

export async function openWorld(make: AdapterHarness['make'], run: (scene: Scene) => Promise<void>): Promise<void> {
  const executions: Execution[] = []
  const waiting: (() => void)[] = []
  const claimed = new Set<string>()
  const world: AdapterWorld = {
    pep: createScriptedPep(),
    task: TASK,
    tools: toTools(executions, waiting),
    claimCall: async (id) => !claimed.has(id) && claimed.add(id).has(id),
  }
  let adapter = await make(world)
  const restart = async (): Promise<AdapterUnderTest> => {
    await adapter.close()
    adapter = await make(world)
    return adapter
  }
  try {
    await run({ pep: world.pep, adapter, executions, finish: () => waiting.splice(0).forEach((go) => go()), restart })
  } finally {
    world.pep.release()
    waiting.splice(0).forEach((go) => go())
    await adapter.close()
  }
}

function toTools(executions: Execution[], waiting: (() => void)[]): readonly ContractTool[] {
  const toTool = (
    name: string,
    act: (args: JsonObject, emit: (text: string) => void) => Promise<string>,
  ): ContractTool => ({
    name,
    description: `Does ${name}.`,
    schema: SCHEMA,
    execute: async (args, emit) => {
      executions.push({ tool: name, arguments: args })
      return act(args, emit)
    },
  })
  return [
    toTool('echo', async ({ text }) => `echo ${typeof text === 'string' ? text : ''}`),
    toTool('slow', async () => {
      await new Promise<void>((resolve) => waiting.push(resolve))
      return 'slow is done'
    }),
    toTool('progress', async (_args, emit) => {
      emit(PARTIAL)
      return 'progress is done'
    }),
    toTool('fail', async () => {
      throw new Error(FAULT)
    }),
  ]
}

/** Waits until `test` holds; fails after ten seconds, because a host may be slow and must not be for ever. */
export async function until(test: () => boolean, what: string): Promise<void> {
  const end = Date.now() + 10_000
  while (!test()) {
    assert.ok(Date.now() < end, `waited in vain: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

/** Long enough for anything that should not happen to have happened. */
export async function settle(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 40))
}

/** A refusal as the model must see it: not a success, with its reason and what to do about it. */
export function assertRefused(seen: Seen, reason: RegExp): void {
  assert.equal(seen.ok, false)
  assert.match(seen.text, reason)
  assert.ok(seen.text.length > 30, `a refusal that helps: ${seen.text}`)
}

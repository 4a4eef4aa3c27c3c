/**
 * @module
 * What the middleware hands to the shell of a tool through whatever other middleware lies between: carried beside the call,
 * so that nothing in between can change it.
 */
import { AsyncLocalStorage } from 'node:async_hooks'

import type { ToolMessage } from '@langchain/core/messages'

import type { HostTask, JsonObject } from '../../index.ts'

export interface CallScope {
  readonly task: HostTask | undefined
  /** The arguments as the middleware saw them, as text. */
  readonly seen: string
  readonly claimed: JsonObject
  /** What the shell answered; absent when it was never reached. */
  answer?: ToolMessage
}

const scopes = new AsyncLocalStorage<CallScope | undefined>()

/** Runs `work` in the scope of one call. */
export function runInScope<T>(scope: CallScope, work: () => T): T {
  return scopes.run(scope, work)
}

/** Runs `work` outside of any call: a tool that calls other guarded tools does not lend them its task. */
export function runOutsideScope<T>(work: () => T): T {
  return scopes.run(undefined, work)
}

export function currentScope(): CallScope | undefined {
  return scopes.getStore()
}

/**
 * @module
 * The calls that wait for an answer on one shared channel: each answer settles the call with its id, once; an answer
 * with any other id is dropped.
 */
import { InvariantError, UnavailableError } from '../../index.ts'
import { findProgressId, toIdKey, type JsonRpcId } from './message.ts'
import {
  toAborted,
  type CallOptions,
  type ConnectionOptions,
  type ServerNotification,
  type UpstreamAnswer,
} from './upstream.ts'

/** Calls of one connection that were given up and not answered yet; with more nothing can be asked any longer. */
const ABANDONED = 4096
/** Notifications of one call that may wait to be labelled; more are dropped. */
const WAITING = 256

interface Pending {
  readonly progressId: JsonRpcId | undefined
  readonly options: CallOptions
  readonly resolve: (answer: UpstreamAnswer) => void
  readonly reject: (fault: Error) => void
  waiting: number
  tail: Promise<void>
}

export interface PendingCalls {
  /** `onAbort` tells the server; it is called at most once, before the call rejects. */
  add(
    key: string,
    progressId: JsonRpcId | undefined,
    options: CallOptions,
    onAbort: () => void,
  ): Promise<UpstreamAnswer>
  settle(answer: UpstreamAnswer): void
  progress(message: ServerNotification): void
  failAll(message: string): void
}

export function createPendingCalls({ onProblem }: ConnectionOptions): PendingCalls {
  const pending = new Map<string, Pending>()
  // By id, with the progress marker: what still comes under one of them is not for a later call that took its name.
  const abandoned = new Map<string, JsonRpcId | undefined>()
  return {
    add: async (key, progressId, options, onAbort) => {
      if (pending.has(key)) throw new InvariantError('two calls under one id')
      if (abandoned.has(key) || abandoned.size >= ABANDONED) {
        throw new UnavailableError('a call under this id was given up, its answer may still come')
      }
      let isAnswered = false
      const { promise, resolve, reject } = Promise.withResolvers<UpstreamAnswer>()
      const abort = (): void => {
        onAbort()
        reject(toAborted())
      }
      pending.set(key, { progressId, options, resolve, reject, waiting: 0, tail: Promise.resolve() })
      options.signal.addEventListener('abort', abort, { once: true })
      try {
        const answer = await promise
        isAnswered = true
        return answer
      } finally {
        if (!isAnswered) abandoned.set(key, progressId)
        options.signal.removeEventListener('abort', abort)
        pending.delete(key)
      }
    },
    settle: (answer) => {
      const key = toIdKey(answer.id)
      const found = pending.get(key)
      if (abandoned.delete(key)) return
      if (found === undefined) return onProblem('system.upstream', 'the tool server answered a call that nobody made')
      pending.delete(key)
      // What came before the answer is labelled and relayed before it.
      found.tail.then(() => found.resolve(answer), found.reject)
    },
    progress: (message) => {
      const id = findProgressId({ _meta: message.params })
      if (id === undefined || abandoned.values().some((each) => each === id)) return
      const owners = [...pending.values()].filter((each) => each.progressId === id)
      // With two that chose one marker nobody can tell whose it is, and so not how to label it.
      const [owner] = owners
      if (owner !== undefined && owners.length === 1) queue(owner, message, onProblem)
    },
    failAll: (message) => {
      for (const each of pending.values()) each.reject(new UnavailableError(message))
      pending.clear()
    },
  }
}

function queue(owner: Pending, message: ServerNotification, onProblem: ConnectionOptions['onProblem']): void {
  const { onNotification } = owner.options
  if (onNotification === undefined || owner.waiting >= WAITING) return
  owner.waiting += 1
  owner.tail = owner.tail
    .then(() => onNotification(message))
    .catch(() => onProblem('system.indeterminate', 'a notification could not be labelled and was dropped'))
    .finally(() => (owner.waiting -= 1))
}

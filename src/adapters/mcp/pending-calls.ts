/**
 * @module
 * The calls that wait for an answer on one shared channel: each answer settles the call with its id, once; an answer
 * with any other id is dropped.
 */
import { InvariantError, UnavailableError } from '../../index.ts'
import { findProgressId, type JsonRpcId } from './message.ts'
import {
  toAborted,
  type CallOptions,
  type ConnectionOptions,
  type ServerNotification,
  type UpstreamAnswer,
} from './upstream.ts'

/** Ids of calls that were given up which are remembered, so that their late answers are no news to the operator. */
const ABANDONED = 4096
/** Notifications of one call that may wait to be labelled; more are dropped. */
const WAITING = 256

interface Pending {
  readonly options: CallOptions
  readonly resolve: (answer: UpstreamAnswer) => void
  readonly reject: (fault: Error) => void
  waiting: number
  tail: Promise<void>
}

export interface PendingCalls {
  /** `onAbort` tells the server; it is called at most once, before the call rejects. No id may be used twice. */
  add(id: number, options: CallOptions, onAbort: () => void): Promise<UpstreamAnswer>
  settle(answer: UpstreamAnswer): void
  /** Progress goes to the call that it names; anything else only to a call that is alone. */
  notify(message: ServerNotification): void
  failAll(message: string): void
}

export function createPendingCalls({ onProblem }: ConnectionOptions): PendingCalls {
  const pending = new Map<JsonRpcId, Pending>()
  const abandoned = new Set<JsonRpcId>()
  const abandon = (id: number): void => {
    abandoned.add(id)
    const [oldest] = abandoned
    if (abandoned.size > ABANDONED && oldest !== undefined) abandoned.delete(oldest)
  }
  return {
    add: async (id, options, onAbort) => {
      if (pending.has(id)) throw new InvariantError('two calls under one id')
      let isAnswered = false
      const { promise, resolve, reject } = Promise.withResolvers<UpstreamAnswer>()
      const abort = (): void => {
        onAbort()
        reject(toAborted())
      }
      pending.set(id, { options, resolve, reject, waiting: 0, tail: Promise.resolve() })
      options.signal.addEventListener('abort', abort, { once: true })
      try {
        const answer = await promise
        isAnswered = true
        return answer
      } finally {
        if (!isAnswered) abandon(id)
        options.signal.removeEventListener('abort', abort)
        pending.delete(id)
      }
    },
    settle: (answer) => {
      const found = pending.get(answer.id)
      if (abandoned.delete(answer.id)) return
      if (found === undefined) return onProblem('system.upstream', 'the tool server answered a call that nobody made')
      pending.delete(answer.id)
      // What came before the answer is labelled and relayed before it.
      found.tail.then(() => found.resolve(answer), found.reject)
    },
    notify: (message) => {
      const owner = findOwner(pending, message)
      if (owner !== undefined) queue(owner, message, onProblem)
    },
    failAll: (message) => {
      for (const each of pending.values()) each.reject(new UnavailableError(message))
      pending.clear()
    },
  }
}

/** With two calls under way nobody can tell whose a log message is, and so not how to label it. */
function findOwner(
  pending: ReadonlyMap<JsonRpcId, Pending>,
  { method, params }: ServerNotification,
): Pending | undefined {
  const marker = findProgressId({ _meta: params })
  if (method === 'notifications/progress') return marker === undefined ? undefined : pending.get(marker)
  // A subscription is no call that a server would speak about.
  const [only, ...others] = [...pending.values()].filter(({ options }) => options.onNumbered === undefined)
  return others.length === 0 ? only : undefined
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

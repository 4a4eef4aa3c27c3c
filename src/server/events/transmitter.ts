/**
 * @module
 * Sends revocations to receivers of security events by push (RFC 8935): in sequence, each until it was taken, at least once. What
 * is still to be sent is no queue of its own: it is what was revoked after the number that a receiver has taken.
 */
import { setTimeout } from 'node:timers/promises'

import { eventCursorRecord, fromRecord } from '../../core/records.ts'
import type { IssuerKeys } from '../../crypto/issuer-keys.ts'
import { signEvent } from '../../crypto/security-event.ts'
import { UnavailableError } from '../../index.ts'
import type { Revocation } from '../../ports/revocations.ts'
import type { Store } from '../../ports/store.ts'
import type { Revocations } from '../revocations.ts'
import { toEventClaims } from './outgoing.ts'

export interface EventReceiver {
  readonly name: string
  readonly url: URL
  /** `aud` of what is sent there. */
  readonly audience: string
  /** The value of the header `Authorization`, where it asks for one. */
  readonly authorization?: () => string
}

export interface TransmitterOptions {
  readonly issuer: string
  readonly keys: Pick<IssuerKeys, 'current'>
  readonly store: Store
  readonly revocations: Revocations
  readonly receivers: readonly EventReceiver[]
  readonly fetch?: typeof globalThis.fetch
  readonly report: (where: string, fault: unknown) => void
  /** Milliseconds between tries: the first, and the longest. */
  readonly retryMs?: readonly [first: number, last: number]
}

export interface Transmitter {
  /** How many revocations a receiver has yet to take, by its name. */
  waiting(): Readonly<Record<string, number>>
  /** Ends it; what was not taken is sent after the next start. */
  close(): Promise<void>
}

const RETRY_MS = [1_000, 5 * 60_000] as const
const TIMEOUT_MS = 10_000

interface Line {
  readonly receiver: EventReceiver
  /** The number up to which everything was taken; absent until the store has said. */
  taken?: number
  wake: PromiseWithResolvers<undefined>
}

/** Begins to send at once. A receiver that is new is told of what is revoked from now on. */
export function createTransmitter(options: TransmitterOptions): Transmitter {
  const closing = new AbortController()
  const lines = options.receivers.map((receiver): Line => ({ receiver, wake: Promise.withResolvers() }))
  const stop = options.revocations.subscribe(() => {
    for (const { wake } of lines) wake.resolve(undefined)
  })
  const ended = Promise.all(lines.map(async (line) => run(options, line, closing.signal)))
  return {
    waiting: () => Object.fromEntries(lines.map((line) => [line.receiver.name, toWaiting(options, line).length])),
    async close() {
      stop()
      closing.abort()
      for (const { wake } of lines) wake.resolve(undefined)
      await ended
    },
  }
}

function toWaiting({ revocations }: TransmitterOptions, { taken }: Line): readonly Revocation[] {
  return taken === undefined ? [] : revocations.list().filter(({ rev }) => rev > taken)
}

/** Never rejects. */
async function run(options: TransmitterOptions, line: Line, signal: AbortSignal): Promise<void> {
  const [first, last] = options.retryMs ?? RETRY_MS
  const isOver = (): boolean => signal.aborted
  let delay: number = first
  while (!isOver()) {
    line.wake = Promise.withResolvers()
    try {
      line.taken ??= await readCursor(options, line.receiver)
      await sendAll(options, line, signal)
      delay = first
      if (toWaiting(options, line).length === 0) await line.wake.promise
    } catch (fault) {
      if (isOver()) return
      options.report('events', fault)
      await setTimeout(delay * (0.5 + Math.random() / 2), undefined, { signal, ref: false }).catch(() => undefined)
      delay = Math.min(delay * 2, last)
    }
  }
}

async function readCursor({ store, revocations }: TransmitterOptions, { name }: EventReceiver): Promise<number> {
  const key = eventCursorRecord(name)
  const [record] = await store.get([key])
  const taken = fromRecord<number>(record)
  if (taken !== undefined) return taken
  const now = revocations.rev()
  await store.commit({ writes: [{ key, value: now }] })
  return now
}

async function sendAll(options: TransmitterOptions, line: Line, signal: AbortSignal): Promise<void> {
  const waiting = toWaiting(options, line)
  try {
    for (const revocation of waiting) {
      if (signal.aborted) return
      await sendOne(options, line.receiver, revocation, signal)
      line.taken = revocation.rev
    }
  } finally {
    // Once for all of them: what is sent again after a crash has the same `jti`.
    if (waiting.length > 0 && line.taken !== undefined)
      await options.store.commit({ writes: [{ key: eventCursorRecord(line.receiver.name), value: line.taken }] })
  }
}

/** Throws where it has to be sent again. What the receiver refuses for good is reported and passed over: the next may be taken. */
async function sendOne(
  { issuer, keys, report, fetch = globalThis.fetch }: TransmitterOptions,
  { name, url, audience, authorization }: EventReceiver,
  revocation: Revocation,
  signal: AbortSignal,
): Promise<void> {
  const headers = {
    'content-type': 'application/secevent+jwt',
    accept: 'application/json',
    ...(authorization === undefined ? {} : { authorization: authorization() }),
  }
  const body = signEvent(keys, toEventClaims({ issuer, audience, revocation }))
  const limit = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)])
  const response = await fetch(url, { method: 'POST', headers, body, redirect: 'error', signal: limit })
  await response.body?.cancel()
  if (response.status === 400) {
    report('events', new UnavailableError(`the receiver \`${name}\` refuses revocation ${revocation.rev} for good`))
  } else if (!response.ok) {
    throw new UnavailableError(`the receiver \`${name}\` answered with status ${response.status}`)
  }
}

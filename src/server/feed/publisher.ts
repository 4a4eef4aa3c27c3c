/**
 * @module
 * Publishes revocations to PEPs elsewhere: one stream for each, in sequence, under signed and numbered heartbeats (design §5).
 * Pushed before and without the log, so that a full disk cannot keep the kill switch from anybody.
 *
 * A heartbeat is signed once for all who listen. What one subscriber holds back is bounded, and one that does not read is cut:
 * it becomes stale by itself, and stale denies.
 */
import { digestOfLines, signHeartbeat, type Heartbeat } from '../../crypto/heartbeat.ts'
import type { IssuerKeys } from '../../crypto/issuer-keys.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Revocation } from '../../ports/revocations.ts'
import type { Revocations } from '../revocations.ts'
import { createCanaries, type Canaries } from './canaries.ts'
import { createSink, type Sink } from './sink.ts'

export interface PublisherOptions {
  readonly issuer: string
  readonly keys: Pick<IssuerKeys, 'current'>
  readonly revocations: Revocations
  readonly clock: Clock
  readonly newId: () => string
  /** Milliseconds between heartbeats, and without one after which a subscriber is stale. */
  readonly beatMs?: number
  readonly staleMs?: number
}

export interface Subscriber {
  /** Of the PEP's key. */
  readonly jkt: string
  readonly name: string
  /** Which of those that share the key; it keeps it over streams. */
  readonly instance: string
  /** Up to where it knows everything, `FEED.REV`: numbers of another feed may mean other revocations. */
  readonly since?: string
  readonly challenge?: string
}

export interface Publisher {
  /**
   * A stream of server-sent events from `since` on; undefined when there are too many, of this key or in all. `cut` is called
   * when it was ended for not reading; it should take the connection down.
   */
  subscribe(subscriber: Subscriber, cut: () => void): ReadableStream<Uint8Array> | undefined
  /** Asks everybody who listens, or did a moment ago, to refuse this credential. */
  readonly canaries: Canaries
  size(): number
  /** Ends every stream. */
  close(): void
}

/** One a second, and stale after five: how long a feed that was cut may go unnoticed. */
const BEAT_MS = 1_000
const STALE_MS = 5_000
const MAX_SUBSCRIBERS = 256
const MAX_OF_ONE_KEY = 16
/** A stream ends after this; its reader has opened the next one by then, and was authenticated anew. */
const LIFE_MS = 10 * 60_000

interface Stream {
  readonly subscriber: Subscriber
  readonly sink: Sink
  readonly until: number
}

interface State extends Required<PublisherOptions> {
  readonly feed: string
  readonly began: number
  readonly streams: Set<Stream>
  readonly canaries: Canaries
  /** What was revoked since the last heartbeat. */
  waiting: Revocation[]
  n: number
  /** The number that the last heartbeat said. */
  rev: number
  snapshot?: Snapshot
}

/** Everything from a number on, encoded once for all who ask for the same. */
interface Snapshot {
  readonly since: number
  readonly rev: number
  readonly bytes: Uint8Array
  readonly digest: string
}

export function createPublisher(options: PublisherOptions): Publisher {
  const staleMs = options.staleMs ?? STALE_MS
  const state: State = {
    ...options,
    beatMs: options.beatMs ?? BEAT_MS,
    staleMs,
    feed: options.newId(),
    began: performance.now(),
    streams: new Set(),
    canaries: createCanaries({ newId: options.newId, lingerMs: staleMs }),
    waiting: [],
    n: 0,
    rev: options.revocations.rev(),
  }
  const stop = options.revocations.subscribe((revocation) => {
    state.waiting.push(revocation)
    // Several that are revoked at once go out under one signature.
    if (state.waiting.length === 1) queueMicrotask(() => beat(state))
  })
  const timer = setInterval(() => beat(state), state.beatMs)
  timer.unref()
  return {
    canaries: state.canaries,
    size: () => state.streams.size,
    subscribe: (subscriber, cut) => open(state, subscriber, cut),
    close() {
      stop()
      clearInterval(timer)
      for (const stream of state.streams) stream.sink.end()
    },
  }
}

function open(state: State, subscriber: Subscriber, cut: () => void): ReadableStream<Uint8Array> | undefined {
  const ofKey = [...state.streams].filter((each) => each.subscriber.jkt === subscriber.jkt).length
  if (state.streams.size >= MAX_SUBSCRIBERS || ofKey >= MAX_OF_ONE_KEY) return undefined
  // Whoever listens already hears first what is on its way, so that one number means the same to all.
  if (state.waiting.length > 0) beat(state)
  const { since, rev, bytes, digest } = toSnapshot(state, subscriber.since)
  const { challenge } = subscriber
  const claims = { ...toBeat(state, since, rev, digest), ...(challenge === undefined ? {} : { challenge }) }
  const first = Buffer.concat([bytes, toEvent('heartbeat', `${state.feed}.${rev}`, signHeartbeat(state.keys, claims))])
  const sink = createSink({
    first,
    onEnd(isSlow) {
      state.streams.delete(stream)
      leave()
      if (isSlow) cut()
    },
  })
  const stream: Stream = { subscriber, sink, until: performance.now() + LIFE_MS }
  state.streams.add(stream)
  const leave = state.canaries.join(subscriber, (id, credential) => {
    sink.write(toEvent('canary', undefined, JSON.stringify({ id, credential })))
  })
  return sink.readable
}

/** Whoever was not told by this feed before is told everything: what could not be recorded before a crash had a number too. */
function toSnapshot(state: State, asked = ''): Snapshot {
  const { rev, feed } = state
  const number = asked.startsWith(`${feed}.`) ? Number(asked.slice(feed.length + 1)) : 0
  const since = Number.isSafeInteger(number) && number > 0 && number <= rev ? number : 0
  if (state.snapshot?.since === since && state.snapshot.rev === rev) return state.snapshot
  const lines = state.revocations
    .list()
    .filter((each) => each.rev > since)
    .map((each) => JSON.stringify(each))
  const bytes = Buffer.concat(lines.map((line) => toEvent('revocation', undefined, line)))
  state.snapshot = { since, rev, bytes, digest: digestOfLines(lines) }
  return state.snapshot
}

/** Everything that was revoked since the last one, and a heartbeat over it, to everybody. */
function beat(state: State): void {
  const revocations = state.waiting
  state.waiting = []
  const prev = state.rev
  state.rev = state.revocations.rev()
  dropOver(state)
  if (state.streams.size === 0) return
  state.n += 1
  const lines = revocations.map((each) => JSON.stringify(each))
  const signed = signHeartbeat(state.keys, toBeat(state, prev, state.rev, digestOfLines(lines)))
  const bytes = Buffer.concat([
    ...lines.map((line) => toEvent('revocation', undefined, line)),
    toEvent('heartbeat', `${state.feed}.${state.rev}`, signed),
  ])
  for (const { sink } of state.streams) sink.write(bytes)
  // Told of its own end, and of nothing after it.
  const stopped = revocations.flatMap(({ dimension, id }) => (dimension === 'actor' ? [id] : []))
  for (const { sink, subscriber } of state.streams) if (stopped.includes(subscriber.jkt)) sink.end()
}

function dropOver({ streams }: State): void {
  const now = performance.now()
  for (const { sink, until } of streams) if (now > until) sink.end()
}

function toBeat(state: State, prev: number, rev: number, digest: string): Heartbeat {
  return {
    iss: state.issuer,
    iat: Math.floor(state.clock.now() / 1000),
    feed: state.feed,
    n: state.n,
    elapsed: Math.floor(performance.now() - state.began),
    prev,
    rev,
    digest,
    fresh: state.revocations.fresh(),
    stale_ms: state.staleMs,
  }
}

/** Only what is covered by a signature is a place to go on from. None of the data has a line break in it: it is JSON in one line, or a JWT. */
function toEvent(event: string, id: string | undefined, data: string): Uint8Array {
  return Buffer.from(`${id === undefined ? '' : `id: ${id}\n`}event: ${event}\ndata: ${data}\n\n`)
}

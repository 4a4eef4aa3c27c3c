/**
 * @module
 * What a PEP makes of the feed of revocations (design §5): a state machine without I/O. Everything that could be an attack on
 * the way is one thing here: the stream is given up, and what was known goes stale.
 *
 * A stream begins with our challenge, so that no old one passes for it. From then on its age is counted by our own monotonic
 * clock against that of the server: neither a wrong clock on either side nor somebody who holds the stream back can make
 * old news look fresh.
 */
import { REVOCATION_DIMENSIONS, type RevocationDimension } from '../core/evidence.ts'
import { isJsonObject } from '../core/json.ts'
import { parseJson } from '../core/parse-json.ts'
import { ISSUED, RESUMED } from '../core/revoked.ts'
import { digestOfLines, verifyHeartbeat, type Heartbeat } from '../crypto/heartbeat.ts'
import type { IssuerKeys } from '../crypto/issuer-keys.ts'
import type { Revocation, RevocationFeed } from '../ports/revocations.ts'
import type { ServerEvent } from './event-stream.ts'

export interface ReaderOptions {
  readonly issuer: string
  readonly keys: Pick<IssuerKeys, 'find'>
  /** Milliseconds of a clock that nobody sets. */
  readonly monotonic: () => number
  /** Stale after so many milliseconds without a heartbeat, where that is sooner than what the server says. */
  readonly staleMs?: number
}

/** One stream of the feed. */
export interface Reading {
  readonly challenge: string
  /** Where it should go on: `FEED.REV` of the stream before; absent: from the beginning. */
  readonly since?: string
  /** Takes the next event. False: it does not fit, and the stream must be given up. */
  take(event: ServerEvent): boolean
  /** It has ended: what was known is stale at once, unless another stream is live. */
  end(): void
}

export interface RevocationReader extends RevocationFeed {
  /** Begins a stream; the one before stays in force until this one is live. */
  begin(challenge: string): Reading
  /** Milliseconds for which it can still be fresh without another heartbeat; 0 when it is not. */
  remaining(): number
}

/** More than this before a heartbeat is nobody's list of revocations. */
const MAX_UNSIGNED = 64 * 1024 * 1024

interface Stream {
  readonly challenge: string
  /** What was in force when it was asked for: a number means the same within one feed only. */
  readonly after: { readonly feed: string; readonly rev: number } | undefined
  readonly askedAt: number
  lines: string[]
  size: number
  /** The first heartbeat and the last, and when that came. */
  first?: Heartbeat
  last?: Heartbeat
  lastAt: number
}

interface State extends ReaderOptions {
  readonly inForce: Map<string, Revocation>
  readonly listeners: Set<(revocation: Revocation) => void>
  /** The highest number ever heard: a feed that is behind it has lost something. */
  rev: number
  /** Up to where everything of a feed was heard. */
  known?: { readonly feed: string; readonly rev: number }
  current?: Stream
}

export function createRevocationReader(options: ReaderOptions): RevocationReader {
  const state: State = { ...options, inForce: new Map(), listeners: new Set(), rev: 0 }
  return {
    rev: () => state.rev,
    fresh: () => remaining(state) > 0,
    find: (dimension, id) => state.inForce.get(toKey(dimension, id)),
    subscribe(listener) {
      state.listeners.add(listener)
      return () => void state.listeners.delete(listener)
    },
    remaining: () => remaining(state),
    begin(challenge) {
      const after = state.known
      const stream: Stream = { challenge, after, askedAt: state.monotonic(), lastAt: 0, lines: [], size: 0 }
      return {
        challenge,
        ...(after === undefined ? {} : { since: `${after.feed}.${after.rev}` }),
        take: (event) => take(state, stream, event),
        end() {
          if (state.current === stream) delete state.current
        },
      }
    },
  }
}

const toKey = (dimension: RevocationDimension, id: string): string => `${dimension}/${id}`
const STOP = toKey('all', '*')
const NEWEST: readonly string[] = [toKey('all', ISSUED), toKey('all', RESUMED)]

/**
 * The server cannot be further on than this, so that the age can only come out too high. Our own clock may have stood still, with
 * the machine that it is in, while that of the server did not: then the time since the last heartbeat came is what counts.
 */
function remaining({ current, rev, monotonic, staleMs = Infinity }: State): number {
  const { first, last } = current ?? {}
  if (current === undefined || first === undefined || last === undefined) return 0
  if (!last.fresh || last.rev < rev) return 0
  const now = monotonic()
  const age = Math.max(now - current.lastAt, first.elapsed + (now - current.askedAt) - last.elapsed)
  return Math.max(0, Math.min(last.stale_ms, staleMs) - age)
}

function take(state: State, stream: Stream, { event, data }: ServerEvent): boolean {
  if (event === 'revocation') {
    stream.lines.push(data)
    stream.size += data.length
    return stream.size <= MAX_UNSIGNED
  }
  return event === 'heartbeat' ? beat(state, stream, data) : true
}

function beat(state: State, stream: Stream, compact: string): boolean {
  const heartbeat = verifyHeartbeat(state.keys, state.issuer, compact)
  const { lines } = stream
  if (heartbeat === undefined || !isNext(stream, heartbeat) || heartbeat.digest !== digestOfLines(lines)) return false
  const revocations = lines.map(parseRevocation)
  if (!isInSequence(revocations, heartbeat)) return false
  stream.lines = []
  stream.size = 0
  stream.first ??= heartbeat
  stream.last = heartbeat
  stream.lastAt = state.monotonic()
  state.current = stream
  state.known = { feed: heartbeat.feed, rev: heartbeat.rev }
  state.rev = Math.max(state.rev, heartbeat.rev)
  for (const revocation of revocations) enforce(state, revocation)
  return true
}

/** The first answers our challenge and goes on where we were, or from the beginning; every other follows the one before. */
function isNext({ challenge, after, last }: Stream, next: Heartbeat): boolean {
  const goesOn = next.feed === after?.feed && next.prev === after.rev
  if (last === undefined) return next.challenge === challenge && (goesOn || next.prev === 0)
  const follows = next.feed === last.feed && next.n === last.n + 1 && next.prev === last.rev
  return follows && next.challenge === undefined && next.elapsed >= last.elapsed
}

function isInSequence(
  revocations: readonly (Revocation | undefined)[],
  { prev, rev }: Heartbeat,
): revocations is readonly Revocation[] {
  let before = prev
  for (const revocation of revocations) {
    if (revocation === undefined || revocation.rev <= before || revocation.rev > rev) return false
    before = revocation.rev
  }
  return prev <= rev
}

/** What was heard once stays in force, also when the server has forgotten it; but for a stop of everything that was ended. */
function enforce(state: State, revocation: Revocation): void {
  const key = toKey(revocation.dimension, revocation.id)
  const known = state.inForce.get(key)
  // Of what was issued the newest loss counts, of everything else the first time that it was revoked.
  const isNew = known === undefined || (NEWEST.includes(key) && revocation.rev > known.rev)
  if (!isNew) return
  state.inForce.set(key, revocation)
  const stop = state.inForce.get(STOP)
  if (key === toKey('all', RESUMED) && stop !== undefined && stop.rev < revocation.rev) state.inForce.delete(STOP)
  for (const listener of state.listeners) {
    try {
      listener(revocation)
    } catch {
      // One listener that fails must not keep the others from stopping what they hold.
    }
  }
}

function parseRevocation(line: string): Revocation | undefined {
  try {
    const value = parseJson(line)
    const { rev, dimension, id, at, ...rest } = isJsonObject(value) ? value : {}
    const known = REVOCATION_DIMENSIONS.find((each) => each === dimension)
    if (known === undefined || !isCount(rev) || !isCount(at) || typeof id !== 'string') return undefined
    return Object.keys(rest).length === 0 ? { rev, dimension: known, id, at } : undefined
  } catch {
    return undefined
  }
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

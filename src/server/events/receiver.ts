/**
 * @module
 * Receives security events by push (RFC 8935): verifies, narrows, records, and only then says that it was received. An event that
 * comes twice is received twice and counts once.
 */
import { EVENT_PREFIX, eventRecord } from '../../core/records.ts'
import { toAsked } from '../../core/security-event.ts'
import type { OutsideAlgorithm, OutsideKey } from '../../crypto/outside-keys.ts'
import {
  EVENT_AGE_MS,
  findEventRule,
  verifyEvent,
  type EventFault,
  type SecurityEvent,
} from '../../crypto/security-event.ts'
import { hashOf, UnavailableError, type Reason } from '../../index.ts'
import type { ReceivedRequest } from '../../pdp/authenticate.ts'
import { toControlUnit } from '../../pdp/log-entries.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Store, Write } from '../../ports/store.ts'
import { toNamed, type EventIssuer } from './namespace.ts'
import { narrow, type Narrowed, type NarrowingOptions } from './narrowing.ts'
import { toSignOutWrites } from './sign-outs.ts'

/** An issuer of events, and where its keys are. */
export interface TrustedEventIssuer extends EventIssuer {
  /** Throws `UnavailableError` when the issuer cannot be asked: an event is never refused for good because of that. */
  readonly findKey: (kid: string | undefined, alg: OutsideAlgorithm) => Promise<OutsideKey | undefined>
}

export interface ReceiverOptions extends Omit<NarrowingOptions, 'now'> {
  readonly issuers: readonly TrustedEventIssuer[]
  readonly clock: Clock
  /** Counts what was refused. */
  readonly counted: (reason: Reason | EventFault) => void
  readonly report: (where: string, fault: unknown) => void
}

export type ReceiveEvent = (received: ReceivedRequest) => Promise<Response>

const TYPE = 'application/secevent+jwt'
/** Longer ones are not even decoded, nor held while keys are fetched. */
const MOST_BYTES = 16_384
/** Events of one issuer that may wait for their turn; more of them are sent again. */
const MOST_WAITING = 64
/** How often what anybody can bring about is reported, at most, in milliseconds. */
const REPORT_MS = 60_000
/** How many that are too old to come again go with each that is received. */
const SWEEP = 16

interface Receiving extends ReceiverOptions {
  /** Runs one after the other: each looks through tasks and grants. Undefined: too many of this issuer wait already. */
  readonly inTurn: (issuer: string, run: () => Promise<Response>) => Promise<Response> | undefined
  /** For faults of which a caller is the cause that nobody knows. */
  readonly reportSeldom: (fault: unknown) => void
}

/**
 * Answers 202 for what was received and has done what it asks for, also where that is nothing; 400 with the words of RFC 8935
 * §2.4; 503 when it could not be judged or recorded, and should come again. Never throws. Never says whether a subject is known.
 * What is not verified waits for nobody and keeps nobody waiting.
 */
export function createEventReceiver(options: ReceiverOptions): ReceiveEvent {
  const receiving: Receiving = {
    ...options,
    inTurn: createTurns(),
    reportSeldom: createSeldom((fault) => options.report('events', fault)),
  }
  return async (received) => {
    const verified = await verify(receiving, received)
    if (verified instanceof Response) return verified
    const answer = receiving.inTurn(verified.rule.issuer, async () => {
      try {
        return await take(receiving, verified)
      } catch (fault) {
        options.report('events', fault)
        return unavailable(options)
      }
    })
    return answer ?? unavailable(options)
  }
}

function createTurns(): Receiving['inTurn'] {
  let tail: Promise<unknown> = Promise.resolve()
  const waiting = new Map<string, number>()
  return (issuer, run) => {
    const before = waiting.get(issuer) ?? 0
    if (before >= MOST_WAITING) return undefined
    waiting.set(issuer, before + 1)
    const turn = tail.then(run).finally(() => waiting.set(issuer, (waiting.get(issuer) ?? 1) - 1))
    tail = turn
    return turn
  }
}

function createSeldom(report: (fault: unknown) => void): (fault: unknown) => void {
  let last = -Infinity
  return (fault) => {
    const now = performance.now()
    if (now - last < REPORT_MS) return
    last = now
    report(fault)
  }
}

interface Verified {
  readonly rule: TrustedEventIssuer
  readonly event: SecurityEvent
}

async function verify(options: Receiving, { header, body }: ReceivedRequest): Promise<Verified | Response> {
  const type = [header('content-type') ?? []].flat()
  if (type.length !== 1 || type[0]?.split(';')[0]?.trim().toLowerCase() !== TYPE || body.length > MOST_BYTES)
    return fail(options, 'invalid_request')
  const compact = Buffer.from(body).toString('latin1')
  const found = findEventRule(options.issuers, compact)
  if (!found.ok) return fail(options, found.fault)
  const { rule, kid, alg } = found.header
  try {
    const verdict = verifyEvent(found.header, await rule.findKey(kid, alg), compact, options.clock.now())
    return verdict.ok ? { rule, event: verdict.event } : fail(options, verdict.fault)
  } catch (fault) {
    options.reportSeldom(fault)
    return unavailable(options)
  }
}

async function take(options: ReceiverOptions, { rule, event }: Verified): Promise<Response> {
  const key = eventRecord(Math.floor(event.issuedAt / 1000), hashOf([event.issuer, event.jti]))
  const [before] = await options.store.get([key])
  if (before !== undefined) return accepted()
  const named = toNamed(rule, event.subject)
  const asked = event.events.map(([name, said]) => toAsked(name, said, rule.risk))
  if (named === undefined && asked.some((each) => each !== 'nothing')) return fail(options, 'access_denied')
  const narrowed: Narrowed[] = []
  for (const each of named === undefined ? [] : asked)
    narrowed.push(
      ...(await narrow(
        { ...options, now: () => options.clock.now() },
        { rule, named: named ?? { principals: [] }, asked: each, issuedAt: event.issuedAt },
      )),
    )
  const signedOut = asked.some((each) => each !== 'nothing') && event.subject.session === undefined
  await record(options, event, { key, narrowed, principals: signedOut ? (named?.principals ?? []) : [] })
  return accepted()
}

/** Recorded after it is in force: what comes again after a crash in between finds nothing left to do. */
async function record(
  { store, clock }: ReceiverOptions,
  event: SecurityEvent,
  done: { readonly key: string; readonly narrowed: readonly Narrowed[]; readonly principals: readonly string[] },
): Promise<void> {
  const now = clock.now()
  const types = event.events.map(([type]) => type)
  const narrowed = done.narrowed.map(({ dimension, id }) => ({ dimension, id }))
  const detail = { issuer: event.issuer, jti: hashOf(event.jti), types, narrowed }
  const result = await store.commit({
    reads: { [done.key]: 0 },
    writes: [
      { key: done.key, value: now },
      ...(await toSignOutWrites(store, done.principals, event.issuedAt)),
      ...(await toSweep(store, now)),
    ],
    ...toControlUnit({ act: 'event.receive', by: event.issuer, subject: 'system', detail, now }),
  })
  if (result.status !== 'applied') throw new UnavailableError('another change came in between')
  await result.durable
}

/** A few of those that are too old to come again. */
async function toSweep(store: Store, now: number): Promise<readonly Write[]> {
  const oldest = await store.list(EVENT_PREFIX, { limit: SWEEP })
  const before = eventRecord(Math.max(0, Math.floor((now - EVENT_AGE_MS) / 1000) - 1), '')
  return oldest.flatMap(({ key }) => (key < before ? [{ key }] : []))
}

function accepted(): Response {
  return new Response(null, { status: 202 })
}

function unavailable({ counted }: ReceiverOptions): Response {
  counted('system.indeterminate')
  return Response.json({ error: 'temporarily_unavailable' }, { status: 503, headers: { 'retry-after': '30' } })
}

const SAID: Readonly<Record<EventFault, string>> = {
  invalid_request: 'not a security event that is understood here, or too old',
  invalid_key: 'no key of the issuer is for this',
  invalid_issuer: 'this issuer is not known here',
  invalid_audience: 'this is for somebody else',
  authentication_failed: 'the signature does not verify',
  access_denied: 'this issuer may not speak of this subject',
}

function fail({ counted }: ReceiverOptions, err: EventFault): Response {
  counted(err)
  const headers = { 'cache-control': 'no-store', 'content-language': 'en' }
  return Response.json({ err, description: SAID[err] }, { status: 400, headers })
}

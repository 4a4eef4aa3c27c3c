/**
 * @module
 * The second half of `enforce`: the credential, the effect itself, labels on what comes back, and the recorded outcome.
 */
import { digestOf } from '../core/bind.ts'
import type { ActionClaims } from '../core/credential.ts'
import type { Obligation } from '../core/decision.ts'
import { isConsequential } from '../core/effect.ts'
import type { OutcomeEntry } from '../core/entry.ts'
import { LateError, RefusedError, UnavailableError } from '../core/errors.ts'
import type { Json } from '../core/json.ts'
import { joinLabel, UNDETERMINED } from '../core/manifest.ts'
import { discharge } from '../core/obligations.ts'
import { createLabeller } from '../core/output-label.ts'
import type { Reason } from '../core/reasons.ts'
import { begunRecord } from '../core/records.ts'
import { toRefusal } from '../core/refusal.ts'
import { toArguments, type ActionBody } from '../core/request.ts'
import { debitsOf } from '../core/verify/scope.ts'
import { toActionClaims } from '../crypto/credential.ts'
import type { ActionCredential, Redemption } from '../ports/credentials.ts'
import type { Enforced, Perform, PerformContext, Performed } from '../ports/pep.ts'
import type { CommitUnit, Write } from '../ports/store.ts'
import type { Decided } from './commit.ts'
import type { EnforcerOptions } from './enforcer.ts'
import type { Flight } from './in-flight.ts'
import { newId, toOutcomeUnit } from './log-entries.ts'

/** `flight` began with the decision; it is landed here. */
export type Performer = (decided: Decided, flight: Flight, perform: Perform) => Promise<Enforced>

/** How often an outcome is tried against neighbours of the same task before it is left unknown. */
const OUTCOME_ATTEMPTS = 8

/** Where an action stands; decides what its outcome is when something throws. */
interface Progress {
  redeemed: boolean
}

export function createPerformer(options: EnforcerOptions): Performer {
  return async (decided, flight, perform) => {
    const progress: Progress = { redeemed: false }
    const started = performance.now()
    try {
      const performed = await untilAborted(flight, perform(toContext(options, decided, flight, progress)))
      options.telemetry.time('perform', performance.now() - started)
      return await release(options, decided, flight, performed)
    } catch (fault) {
      if (!flight.signal.aborted) options.report('perform', fault)
      // The outcome is on its way to the disk; a second one would contradict it.
      if (fault instanceof LateError) return refused(decided, 'system.log-unavailable')
      return await fail(options, decided, toFailure(flight, progress, fault))
    } finally {
      if (decided.jti !== undefined) options.reserved.delete(decided.jti)
      flight.land()
    }
  }
}

/** How long what is aborted may take to end by itself, with a cleaner fault of its own. */
const GRACE_MS = 50

/**
 * What does not stop when it is told to is not waited for: the agent hears at once that it was revoked, and what still comes
 * reaches nobody. Whatever it goes on to do is not undone.
 */
async function untilAborted<T>({ signal }: Flight, work: Promise<T>): Promise<T> {
  const given = Promise.withResolvers<never>()
  let timer: NodeJS.Timeout | undefined
  const abort = (): void => {
    timer = setTimeout(() => given.reject(new UnavailableError('the action was revoked while it ran')), GRACE_MS)
  }
  signal.addEventListener('abort', abort, { once: true })
  if (signal.aborted) abort()
  try {
    return await Promise.race([work, given.promise])
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', abort)
    work.catch(() => undefined)
  }
}

function toContext(options: EnforcerOptions, decided: Decided, flight: Flight, progress: Progress): PerformContext {
  const credential = issue(options, decided)
  return {
    ...(credential === undefined ? {} : { credential }),
    body: decided.request.action.body,
    signal: flight.signal,
    async redeem(body) {
      const redemption = await redeem(options, decided, credential, body)
      const stopped = flight.signal.aborted
      if (redemption.ok && !stopped) progress.redeemed = true
      return stopped ? { ok: false, reason: 'credential.revoked' } : redemption
    },
    observe: async (value) => label(options, decided, value),
  }
}

/** `none` never mints (invariant 3); everything else gets a credential for this action alone. */
function issue(options: EnforcerOptions, decided: Decided): ActionCredential | undefined {
  if (decided.jti === undefined || decided.request.actor.jkt === undefined) return undefined
  const credential = options.authority.issue(
    toClaims(options, decided, decided.jti, decided.request.actor.jkt),
    'object',
  )
  options.reserved.add(decided.jti)
  return credential
}

function toClaims(options: EnforcerOptions, decided: Decided, jti: string, jkt: string): ActionClaims {
  const { request, gathered } = decided
  const { evidence } = gathered
  return toActionClaims({
    issuer: options.issuer,
    request,
    evidence,
    jti,
    jkt,
    ttlSeconds: options.credentialTtlSeconds,
    now: options.clock.now(),
  })
}

async function redeem(
  options: EnforcerOptions,
  decided: Decided,
  credential: ActionCredential | undefined,
  body: ActionBody,
): Promise<Redemption> {
  const { request, gathered } = decided
  if (credential !== undefined) {
    return options.authority.redeem({ credential, aud: request.context.aud, body, jkt: request.actor.jkt ?? '' })
  }
  // Nothing was minted (proof `none`, mode `observe`): the action must still be the decided one, and not revoked since.
  const salt = new Uint8Array(16)
  if (digestOf(body, salt) !== digestOf(request.action.body, salt)) return { ok: false, reason: 'credential.mismatch' }
  const revoked = gathered.dimensions.some(([dimension, id]) => options.feed.find(dimension, id) !== undefined)
  return revoked || !options.feed.fresh() ? { ok: false, reason: 'credential.revoked' } : { ok: true }
}

/** Obligations, then labels and the outcome in one commit, then the agent. */
async function release(
  options: EnforcerOptions,
  decided: Decided,
  flight: Flight,
  performed: Performed,
): Promise<Enforced> {
  const { request } = decided
  const output = dischargeAll(decided, performed.output)
  const aborted = flight.signal.aborted
  const outcome = aborted ? 'aborted' : performed.failed === true ? 'failed' : 'done'
  await settleOutcome(options, decided, { outcome, output })
  if (aborted) return refused(decided, 'credential.revoked')
  return { kind: 'performed', entry: request.id, output, failed: performed.failed === true }
}

function dischargeAll(decided: Decided, output: Json): Json {
  const obligations: readonly Obligation[] = decided.decision.kind === 'permit' ? decided.decision.obligations : []
  return obligations.length === 0 ? output : discharge(obligations, output)
}

interface Failure {
  readonly reason: Reason
  readonly outcome: OutcomeEntry['outcome']
}

/** Before redemption nothing was done and the reservation is given back; after it nobody knows. */
function toFailure({ signal }: Flight, { redeemed }: Progress, fault: unknown): Failure {
  if (signal.aborted) return { reason: 'credential.revoked', outcome: redeemed ? 'aborted' : 'refused' }
  if (redeemed) return { reason: 'system.upstream', outcome: 'unknown' }
  return { reason: fault instanceof RefusedError ? fault.reason : 'system.upstream', outcome: 'refused' }
}

async function fail(options: EnforcerOptions, decided: Decided, { reason, outcome }: Failure): Promise<Enforced> {
  try {
    await settleOutcome(options, decided, { outcome, reason })
  } catch (fault) {
    // The outcome could not be recorded: the action stays marked as begun, which is the truth.
    options.report('outcome', fault)
  }
  return refused(decided, reason)
}

function refused(decided: Decided, reason: Reason): Enforced {
  return {
    kind: 'refused',
    refusal: toRefusal({ kind: 'deny', reason, reasons: [reason] }, { entry: decided.request.id }),
  }
}

interface Outcome {
  readonly outcome: OutcomeEntry['outcome']
  readonly reason?: Reason
  readonly output?: Json
}

async function settleOutcome(options: EnforcerOptions, decided: Decided, outcome: Outcome): Promise<void> {
  const { request, gathered } = decided
  const { durable } = await options.lanes.run(request.actor.jkt ?? request.context.txn ?? '', async () => {
    for (let tries = 0; tries < OUTCOME_ATTEMPTS; tries += 1) {
      const result = await options.store.commit(await toOutcomeCommit(options, decided, outcome))
      // Wrapped, so that the lane is free again before the disk answers.
      if (result.status === 'applied') return { durable: result.durable }
    }
    throw new RangeError('the outcome met too many conflicts')
  })
  // The label is in force once applied; what must not be lost waits for the disk as well (invariant 1).
  durable.catch(() => options.histories.clear())
  if (isConsequential(gathered.evidence.effect.effect) || isTelling(decided)) await durable
}

/** Confidential or untrusted, or after something that was: without its label a later action would be judged too kindly. */
function isTelling({ gathered }: Decided): boolean {
  const { tool, provenance } = gathered.evidence
  const output = tool.status === 'accepted' ? createLabeller(tool.tool.output).worst : UNDETERMINED
  const { trust, confidentiality } = joinLabel(output, provenance.taint)
  const isPlain = (trust === 'own' || trust === 'internal') && ['public', 'internal'].includes(confidentiality)
  return !isPlain
}

async function toOutcomeCommit(options: EnforcerOptions, decided: Decided, outcome: Outcome): Promise<CommitUnit> {
  const { request } = decided
  const log = toOutcomeUnit(
    { id: newId(), time: options.clock.now(), of: request.id, outcome: outcome.outcome, ...withReason(outcome.reason) },
    outcome.output === undefined ? {} : { output: outcome.output },
    `${request.subject.type}/${request.subject.id}`,
  )
  const labelled = outcome.output === undefined ? undefined : await toLabelled(options, decided, outcome.output)
  const settling = await toSettling(options, decided, outcome.outcome)
  return {
    reads: { ...labelled?.reads, ...settling.reads },
    writes: [...(labelled?.writes ?? []), ...settling.writes],
    entries: log.entries,
    evidence: log.evidence,
  }
}

function withReason(reason: Reason | undefined): { reason?: Reason } {
  return reason === undefined ? {} : { reason }
}

interface Change {
  readonly reads: Record<string, number>
  readonly writes: readonly Write[]
}

/** Ends the reservation: a refused action gets its budget back, an unknown one stays begun and debited. */
async function toSettling(options: EnforcerOptions, decided: Decided, outcome: Outcome['outcome']): Promise<Change> {
  const { request, gathered } = decided
  const reads: Record<string, number> = {}
  const writes: Write[] = []
  if (outcome === 'unknown' || outcome === 'aborted') return { reads, writes }
  if (isConsequential(gathered.evidence.effect.effect))
    writes.push({ key: begunRecord(gathered.evidence.bind, request.id) })
  if (outcome !== 'refused') return { reads, writes }
  for (const { key, amount } of debitsOf(request, gathered.evidence)) {
    const [record] = await options.store.get([key])
    if (typeof record?.value === 'number') {
      reads[key] = record.version
      writes.push({ key, value: Math.max(0, record.value - amount) })
    }
  }
  return { reads, writes }
}

async function toLabelled(options: EnforcerOptions, decided: Decided, value: Json): Promise<Change> {
  const { txn } = decided.request.context
  if (txn === undefined) return { reads: {}, writes: [] }
  const { tool, provenance, effect } = decided.gathered.evidence
  const loaded = await options.histories.load(txn)
  const writes = options.histories.toWrites(txn, loaded, {
    subject: `${decided.request.subject.type}/${decided.request.subject.id}`,
    source: `${decided.request.context.upstream}/${decided.request.context.tool}`,
    entry: decided.request.id,
    time: options.clock.now(),
    value,
    output: tool.status === 'accepted' ? tool.tool.output : undefined,
    call: {
      arguments: toArguments(decided.request.action.body),
      provenance,
      consequential: isConsequential(effect.effect),
      ...(effect.renamed === undefined ? {} : { renamed: effect.renamed }),
      ...(effect.mentioned === undefined ? {} : { mentioned: effect.mentioned }),
    },
  })
  return { reads: { [loaded.key]: loaded.version }, writes }
}

/** Labels something that is emitted before the result. */
async function label(options: EnforcerOptions, decided: Decided, value: Json): Promise<void> {
  const { durable } = await options.lanes.run(
    decided.request.actor.jkt ?? decided.request.context.txn ?? '',
    async () => {
      for (let tries = 0; tries < OUTCOME_ATTEMPTS; tries += 1) {
        const result = await options.store.commit(await toLabelled(options, decided, value))
        if (result.status === 'applied') {
          result.durable.catch(() => options.histories.clear())
          // Wrapped, so that the lane is free again before the disk answers.
          return { durable: result.durable }
        }
      }
      throw new RangeError('the label met too many conflicts')
    },
  )
  if (isTelling(decided)) await durable
}

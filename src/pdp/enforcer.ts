/**
 * @module
 * The order of one action, readable in a minute: gather, verify, evaluate, decide, commit, issue, perform, label, settle.
 * Everything that can go wrong before `perform` is a refusal; nothing is released before its decision is on the disk.
 */
import { canonicalize } from '../core/canonical.ts'
import { decide } from '../core/decide.ts'
import type { Decision } from '../core/decision.ts'
import { toKinds } from '../core/effect.ts'
import { InputError, UnavailableError } from '../core/errors.ts'
import type { Evidence } from '../core/evidence.ts'
import { asJson, isJsonObject } from '../core/json.ts'
import { isModifyAllowed } from '../core/decide.ts'
import { parseJson } from '../core/parse-json.ts'
import { REASONS, type Reason } from '../core/reasons.ts'
import { toRefusal, type Stopping } from '../core/refusal.ts'
import type { AccessRequest, ActionBody } from '../core/request.ts'
import { verifyAll } from '../core/verify/index.ts'
import { toActionClaims } from '../crypto/credential.ts'
import type { Clock } from '../ports/clock.ts'
import type { CredentialAuthority } from '../ports/credentials.ts'
import type { EffectComputer } from '../ports/effects.ts'
import type { Engine } from '../ports/engine.ts'
import type { Enforced, Perform, Refusal } from '../ports/pep.ts'
import type { RevocationFeed } from '../ports/revocations.ts'
import type { Store } from '../ports/store.ts'
import type { Admission } from './admission.ts'
import type { ApprovalLimits } from './approval-quota.ts'
import { toCommitUnit, type Decided } from './commit.ts'
import { evaluateAll, toPolicyVersion, withDeadline } from './evaluate.ts'
import type { Gather, Gathered } from './gather.ts'
import type { Histories } from './histories.ts'
import type { Dimensions, Flight, InFlight } from './in-flight.ts'
import type { Lanes } from './lanes.ts'
import { newId, toDecisionUnit } from './log-entries.ts'
import type { Modes } from './modes.ts'
import { createPerformer } from './perform.ts'
import type { Suspensions } from './suspensions.ts'
import type { Telemetry } from './telemetry.ts'

export interface EnforcerOptions {
  readonly store: Store
  readonly clock: Clock
  readonly feed: RevocationFeed
  readonly engines: readonly Engine[]
  readonly effects: EffectComputer
  readonly gather: Gather
  readonly histories: Histories
  readonly lanes: Lanes
  readonly inFlight: InFlight
  readonly authority: CredentialAuthority
  /** The `jti`s that a decision's commit has burned and that wait for their one redemption in this process. */
  readonly reserved: Set<string>
  readonly telemetry: Telemetry
  readonly issuer: string
  readonly modes: Pick<Modes, 'look'>
  readonly deployment: Evidence['deployment']
  readonly limits: ApprovalLimits & { readonly deadlineMs: number }
  readonly admission: Pick<Admission, 'enter'>
  readonly suspensions: Pick<Suspensions, 'count'>
  readonly credentialTtlSeconds: number
  /** Changes whenever something that is not in the store but was read may have changed (manifests, policies). */
  readonly generation: () => number
  /** Told of every fault, for the operator's log. Must not write out what the fault carries beyond its own message. */
  readonly report: (where: string, fault: unknown) => void
}

export type Enforce = (request: AccessRequest, perform: Perform) => Promise<Enforced>

/** A conflict is gathered again at most this often, then deferred (design §3). */
const ATTEMPTS = 3

/** What is settled once the decision is recorded. */
type Settled =
  | { readonly kind: 'permit'; readonly decided: Decided; readonly flight: Flight }
  | { readonly kind: 'refused'; readonly refusal: Refusal }

export function createEnforcer(options: EnforcerOptions): Enforce {
  const performer = createPerformer(options)
  const decideRecorded = createDecider(options, 'inside')
  return async (request, perform) =>
    decideRecorded(request, async ({ decided, flight }) => performer(decided, flight, perform))
}

/** Where what a permit mints will be redeemed: in this process, at once, or by somebody else (`issuer.ts`). */
type Redeemer = 'inside' | 'outside'

type Options = EnforcerOptions & { readonly redeemer: Redeemer }

type Refused = Extract<Settled, { readonly kind: 'refused' }>

/** What goes on with a permit; lands its flight. */
type Go<T> = (permit: Extract<Settled, { readonly kind: 'permit' }>) => Promise<T>

/** Decides and records whatever is not turned away, and goes on with what is permitted. */
export type Decide = <T>(request: AccessRequest, go: Go<T>) => Promise<T | Refused>

export function createDecider(given: EnforcerOptions, redeemer: Redeemer): Decide {
  const options: Options = { ...given, redeemer }
  return async (request, go) => {
    const entered = options.admission.enter(request.context.proof.jkt)
    if (!entered.ok) return { kind: 'refused', refusal: toRefusal(toStop(entered.reason)) }
    try {
      return await decideOne(options, request, go)
    } finally {
      entered.leave()
    }
  }
}

async function decideOne<T>(options: Options, request: AccessRequest, go: Go<T>): Promise<T | Refused> {
  const lane = request.actor.jkt ?? request.context.txn ?? ''
  const settled = await options.lanes
    .run(lane, async () => settle(options, request))
    .then(waitForDisk, async (fault: unknown) => {
      options.report('decide', fault)
      return recordFault(options, request, fault)
    })
  count(options, request, settled)
  if (settled.kind === 'permit') return go(settled)
  const { refusal } = settled
  if (refusal.decision === 'deny') await options.suspensions.count(request, refusal.reason)
  return { kind: 'refused', refusal }
}

interface Recorded {
  readonly settled: Settled
  readonly durable: Promise<void>
}

async function waitForDisk({ settled, durable }: Recorded): Promise<Settled> {
  try {
    await durable
    return settled
  } catch {
    if (settled.kind === 'permit') settled.flight.land()
    return { kind: 'refused', refusal: toRefusal(toDeny('system.log-unavailable'), {}) }
  }
}

/**
 * Any fault before `perform` is a refusal, recorded with the request alone, because nothing else is known to hold. What
 * failed is told to operators elsewhere, never to the agent.
 */
async function recordFault(options: EnforcerOptions, request: AccessRequest, fault: unknown): Promise<Settled> {
  const isKnown = fault instanceof InputError || fault instanceof UnavailableError
  const reason: Reason = isKnown ? fault.reason : 'system.indeterminate'
  const decision = toStop(reason)
  const { mode, from } = options.modes.look({ upstream: request.context.upstream })
  try {
    const result = await options.store.commit(
      toDecisionUnit(
        {
          id: request.id,
          time: options.clock.now(),
          plane: request.plane,
          mode,
          modeFrom: from,
          advisory: options.deployment === 'same-user',
          decision: decision.kind,
          reason,
          proof: request.context.proof.grade,
          policy: toPolicyVersion(options.engines),
          rev: options.feed.rev(),
        },
        { request: asJson(request), evidence: null, findings: [], verdicts: [] },
        `${request.subject.type}/${request.subject.id}`,
      ),
    )
    if (result.status !== 'applied') return { kind: 'refused', refusal: toRefusal(decision) }
    await result.durable
    return { kind: 'refused', refusal: toRefusal(decision, { entry: request.id }) }
  } catch {
    return { kind: 'refused', refusal: toRefusal(decision) }
  }
}

/** The refusal that the table names for a reason. */
function toStop(reason: Reason): Decision & { kind: 'deny' | 'defer' } {
  return REASONS[reason].decision === 'defer' ? toDefer(reason) : toDeny(reason)
}

function toDeny(reason: Reason): Decision & { kind: 'deny' } {
  return { kind: 'deny', reason, reasons: [reason] }
}

function toDefer(reason: Reason): Decision & { kind: 'defer' } {
  return { kind: 'defer', reason, reasons: [reason] }
}

/** Decides and commits; a `modify` starts again at parsing, once. */
async function settle(options: Options, request: AccessRequest): Promise<Recorded> {
  const first = await attempt(options, request)
  if (first.next === undefined) return first.recorded
  const second = await attempt(options, first.next)
  return second.next === undefined ? second.recorded : record(options, await denyModified(options, second.next))
}

interface Attempt {
  readonly recorded: Recorded
  /** The rewritten request of a `modify`. */
  readonly next?: AccessRequest
}

async function attempt(options: Options, request: AccessRequest): Promise<Attempt> {
  for (let tries = 0; tries < ATTEMPTS; tries += 1) {
    const generation = options.generation()
    const decided = await decideOnce(options, request)
    const current =
      options.generation() === generation && options.feed.rev() === decided.gathered.evidence.revocation.rev
    const recorded = current ? await recordDecided(options, decided) : undefined
    if (recorded !== undefined) {
      const rewritten =
        decided.decision.kind === 'modify' ? toRewritten(decided.request, decided.decision.body) : undefined
      return rewritten === undefined ? { recorded } : { recorded, next: rewritten }
    }
  }
  const decided = await decideOnce(options, request)
  return { recorded: await record(options, { ...decided, decision: toDefer('system.conflict') }) }
}

async function decideOnce(options: Options, request: AccessRequest): Promise<Decided> {
  const { telemetry, limits } = options
  const started = performance.now()
  const gathered = await withDeadline(options.gather(request), limits.deadlineMs, () => {
    throw new InputError('gathering took too long', 'system.deadline')
  })
  const { evidence } = gathered
  const afterGather = performance.now()
  const findings = verifyAll(request, evidence)
  const afterVerify = performance.now()
  const verdicts = await evaluateAll(options.engines, request, evidence, findings, limits.deadlineMs)
  const afterEvaluate = performance.now()
  const decision = refuseRise(options, gathered, decide({ request, evidence, findings, verdicts }))
  telemetry.time('gather', afterGather - started)
  telemetry.time('verify', afterVerify - afterGather)
  telemetry.time('evaluate', afterEvaluate - afterVerify)
  const mints = decision.kind === 'permit' && request.context.proof.grade !== 'none'
  const policy = toPolicyVersion(options.engines)
  return {
    request,
    gathered,
    findings,
    verdicts,
    decision,
    policy,
    ...(mints ? toMinted(options, request, gathered) : {}),
  }
}

/** What leaves the process is registered with its decision, so that all of its claims stand before. */
function toMinted(options: Options, request: AccessRequest, { evidence }: Gathered): Pick<Decided, 'jti' | 'outside'> {
  const jti = newId()
  if (options.redeemer === 'inside') return { jti }
  const { issuer, credentialTtlSeconds: ttlSeconds } = options
  const { jkt } = request.actor
  if (jkt === undefined) throw new InputError('a credential is for a key', 'identity.missing')
  return { jti, outside: toActionClaims({ issuer, request, evidence, jti, jkt, ttlSeconds, now: evidence.now }) }
}

/** A rewritten action may not rise in the lattice. */
function refuseRise(options: Options, gathered: Gathered, decision: Decision): Decision {
  if (decision.kind !== 'modify') return decision
  // The agent has made the bytes already, and the credential is for them.
  if (options.redeemer === 'outside') return toDeny('scope.argument')
  const after = options.effects.compute(decision.body, gathered.evidence.tool)
  return isModifyAllowed(gathered.evidence.effect, after) ? decision : toDeny(decision.reason)
}

/** Starts again at parsing: the rewritten body is read back from its own bytes, under an id of its own. */
function toRewritten(request: AccessRequest, body: ActionBody): AccessRequest {
  const parsed = parseJson(canonicalize(body))
  if (!isJsonObject(parsed)) throw new InputError('rewritten action is not an object')
  return { ...request, id: newId(), action: { ...request.action, body: parsed } }
}

async function denyModified(options: Options, request: AccessRequest): Promise<Decided> {
  return { ...(await decideOnce(options, request)), decision: toDeny('scope.argument') }
}

async function record(options: EnforcerOptions, decided: Decided): Promise<Recorded> {
  const { jti: _jti, ...unminted } = decided
  // What was read no longer matters for a refusal: the entry is appended whatever changed meanwhile.
  const gathered = { ...decided.gathered, evidence: { ...decided.gathered.evidence, reads: {} } }
  const recorded = await recordRefusal(options, { ...unminted, gathered })
  if (recorded === undefined) throw new InputError('the refusal could not be recorded', 'system.log-unavailable')
  return recorded
}

async function recordDecided(options: EnforcerOptions, decided: Decided): Promise<Recorded | undefined> {
  return decided.decision.kind === 'permit' ? recordPermit(options, decided) : recordRefusal(options, decided)
}

/**
 * Commits a permit that is under way already: from the moment at which nothing stood revoked, a revocation finds it. Nothing
 * may be awaited between that look and this call.
 */
async function recordPermit(options: EnforcerOptions, decided: Decided): Promise<Recorded | undefined> {
  const { jti, request, gathered } = decided
  const credential: Dimensions = jti === undefined ? [] : [['credential', jti]]
  const flight = options.inFlight.begin(request.id, [...gathered.dimensions, ...credential])
  try {
    const committed = await tryCommit(options, decided)
    if (committed !== undefined) return { settled: { kind: 'permit', decided, flight }, durable: committed.durable }
  } catch (fault) {
    flight.land()
    throw fault
  }
  flight.land()
  return undefined
}

async function recordRefusal(options: EnforcerOptions, decided: Decided): Promise<Recorded | undefined> {
  const committed = await tryCommit(options, decided)
  if (committed === undefined) return undefined
  const { ticket, decision, durable } = committed
  const marks = { entry: decided.request.id, ...(ticket === undefined ? {} : { ticket }) }
  return { settled: { kind: 'refused', refusal: toRefusal(toStopping(decision), marks) }, durable }
}

/** A `modify` that nobody goes on with is a denial, and so is a permit that came too late. */
function toStopping(decision: Decision): Stopping {
  if (decision.kind === 'permit') return toDeny('system.indeterminate')
  return decision.kind === 'modify' ? toDeny(decision.reason) : decision
}

interface Committed {
  readonly decision: Decision
  readonly ticket?: string
  readonly durable: Promise<void>
}

/** Commits; undefined on a conflict. */
async function tryCommit(options: EnforcerOptions, decided: Decided): Promise<Committed | undefined> {
  const started = performance.now()
  const prepared = await toCommitUnit(options.store, decided, options.limits)
  if (prepared === 'approval-limit')
    return tryCommit(options, { ...decided, decision: toDeny('policy.approval-limit') })
  const result = await options.store.commit(prepared.unit)
  if (result.status !== 'applied') return undefined
  const durable = result.durable.then(() => options.telemetry.time('commit', performance.now() - started))
  durable.catch(() => options.histories.clear())
  const { ticket } = prepared
  return { decision: decided.decision, durable, ...(ticket === undefined ? {} : { ticket }) }
}

function count({ telemetry, modes }: EnforcerOptions, request: AccessRequest, settled: Settled): void {
  const decision = settled.kind === 'permit' ? 'permit' : settled.refusal.decision
  const reason = settled.kind === 'permit' ? 'none' : settled.refusal.reason
  const { mode } =
    settled.kind === 'permit' ? settled.decided.gathered.evidence : modes.look({ upstream: request.context.upstream })
  telemetry.count('unbearer_decisions_total', { decision, reason, plane: request.plane, mode })
  if (settled.kind === 'permit') {
    const kinds = toKinds(settled.decided.gathered.evidence.effect.effect)
    telemetry.count('unbearer_permitted_effects_total', { effect: kinds.join('+') })
  }
}

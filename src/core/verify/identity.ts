/**
 * @module
 * Identity: is this the agent it claims to be, for the principal it claims, right now? Design §4.
 */
import { isConsequential } from '../effect.ts'
import type { Evidence } from '../evidence.ts'
import type { Finding } from '../finding.ts'
import type { JsonObject } from '../json.ts'
import type { Reason } from '../reasons.ts'
import type { AccessRequest, ProofGrade } from '../request.ts'

/** One question; the reason when the answer is against the request. */
type Question = (request: AccessRequest, evidence: Evidence) => Reason | undefined

/** In this order: what was stopped is said first, so that a stopped agent learns nothing else. */
const QUESTIONS: readonly Question[] = [askRevocation, askProof, askBody, askTask]

/** The grades that are shown with a key. */
const KEYED: readonly ProofGrade[] = ['signature', 'hmac', 'mtls']

/**
 * Judges the proof that the PEP verified against the enrolled key, the task and what was revoked.
 * Pure; one finding, `pass` or `fail`. Never `concern`: a person cannot lend an identity.
 * Does not verify the proof itself (`crypto` did), does not burn a nonce, and does not look at the grant.
 */
export function verifyIdentity(request: AccessRequest, evidence: Evidence): Finding {
  const facts = toFacts(request, evidence)
  for (const ask of QUESTIONS) {
    const reason = ask(request, evidence)
    if (reason !== undefined) return { stage: 'identity', outcome: 'fail', reason, facts }
  }
  return { stage: 'identity', outcome: 'pass', facts }
}

function toFacts(request: AccessRequest, evidence: Evidence): JsonObject {
  const { grade, bodyBound } = request.context.proof
  const revoked = evidence.revocation.revoked.map(({ dimension }) => dimension)
  return {
    grade,
    assurance: evidence.identity.assurance,
    bodyBound,
    attested: evidence.provenance.attested,
    ...(revoked.length === 0 ? {} : { revoked }),
  }
}

function askRevocation(_request: AccessRequest, { revocation }: Evidence): Reason | undefined {
  if (!revocation.fresh) return 'system.stale-revocations'
  return revocation.revoked.length > 0 ? 'identity.revoked' : undefined
}

function askProof(request: AccessRequest, evidence: Evidence): Reason | undefined {
  const { grade } = request.context.proof
  if (KEYED.includes(grade)) return askKey(request, evidence)
  if (grade === 'none') return askUnproved(request, evidence)
  if (grade === 'process') return askProcess(request, evidence)
  return 'identity.weak-proof'
}

/** The key that proved the request is enrolled for an agent and is the one that the request names. */
function askKey({ actor, context }: AccessRequest, { identity }: Evidence): Reason | undefined {
  const enrolled = identity.actor
  if (enrolled === undefined) return 'identity.unknown-key'
  if (enrolled.role !== 'agent') return 'identity.key-role'
  const isOne = context.proof.jkt === enrolled.jkt && actor.jkt === enrolled.jkt
  // The id is what policies and people read, so that it must not be another agent's.
  const isNamed = actor.id === enrolled.name || actor.id === enrolled.jkt
  return isOne && isNamed ? undefined : 'identity.bad-proof'
}

/** Without proof only `observe` goes on, and no key may be named: that would act under another agent's profile. */
function askUnproved({ actor, context }: AccessRequest, { mode, identity }: Evidence): Reason | undefined {
  const claimsKey = actor.jkt !== undefined || context.proof.jkt !== undefined || identity.actor !== undefined
  return mode === 'observe' && !claimsKey ? undefined : 'identity.missing'
}

/** The host's own process vouches; where a key is named all the same, it must be one agent's key throughout. */
function askProcess({ actor, context }: AccessRequest, { identity }: Evidence): Reason | undefined {
  if (identity.actor !== undefined && identity.actor.role !== 'agent') return 'identity.key-role'
  const named = [context.proof.jkt, identity.actor?.jkt].filter((jkt) => jkt !== undefined)
  return named.every((jkt) => jkt === actor.jkt) ? undefined : 'identity.bad-proof'
}

/** A proof on the wire that leaves the body open proves who asked, not what: reads only. */
function askBody({ context }: AccessRequest, { effect }: Evidence): Reason | undefined {
  const { grade, bodyBound } = context.proof
  return KEYED.includes(grade) && !bodyBound && isConsequential(effect.effect) ? 'identity.weak-proof' : undefined
}

function askTask({ subject, actor, context }: AccessRequest, { task, now }: Evidence): Reason | undefined {
  if (task === undefined || !(now < task.expires)) return 'identity.unknown-task'
  const isPrincipals = subject.type === task.principal.type && subject.id === task.principal.id
  // A task without actor is an unproved connection's own; a key never acts in it, nor does anything unproved in an agent's.
  return isPrincipals && context.txn === task.txn && actor.jkt === task.actor ? undefined : 'identity.task-mismatch'
}

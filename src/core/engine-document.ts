/**
 * @module
 * The engine document: the one encoding in which every policy engine, of any language, sees a request (contracts,
 * "Encoding"; AuthZEN Authorization API 1.0 §5). Only verified facts stand outside `context.claimed`.
 */
import { toHeadline, toKinds, type EffectReport } from './effect.ts'
import type { ArgumentProvenance, BehaviourFacts, Evidence, ProvenanceFacts } from './evidence.ts'
import { STAGES, type Finding } from './finding.ts'
import type { Json, JsonObject } from './json.ts'
import type { ToolFacts } from './manifest.ts'
import type { AccessRequest, Actor, IntentClaim, Proof } from './request.ts'
import { toArguments } from './request.ts'

/** AuthZEN-shaped. `docs/reference/encoding.md` lists every member; engines ignore what they do not know. */
export interface EngineDocument {
  readonly subject: { readonly type: string; readonly id: string; readonly properties: JsonObject }
  readonly action: { readonly name: string; readonly properties: JsonObject }
  readonly resource: { readonly type: string; readonly id: string; readonly properties: JsonObject }
  readonly context: JsonObject
}

/**
 * Builds the document. Deterministic: the same three inputs give the same document, lists that mean sets are sorted.
 * It carries the arguments and the stated intent, and no purpose, prompt, row or credential.
 * Does not judge anything, and does not promise that an engine can represent the arguments.
 */
export function toEngineDocument(
  request: AccessRequest,
  evidence: Evidence,
  findings: readonly Finding[],
): EngineDocument {
  const { subject, action, resource, actor } = request
  return {
    subject: {
      type: subject.type,
      id: subject.id,
      properties: { assurance: evidence.identity.assurance, act: fromActor(actor) },
    },
    action: { name: action.name, properties: fromEffect(evidence.effect) },
    resource: { type: resource.type, id: resource.id, properties: fromTool(request, evidence.tool) },
    context: toContext(request, evidence, findings),
  }
}

/**
 * The same document as it would be with a valid approval, to tell "a person may permit this" from "nobody may".
 * What an engine answers to it is never a permit by itself.
 */
export function approvedHypothetically(document: EngineDocument): EngineDocument {
  return { ...document, context: { ...document.context, approved: true } }
}

function toContext(request: AccessRequest, evidence: Evidence, findings: readonly Finding[]): JsonObject {
  return {
    arguments: toArguments(request.action.body),
    intent: fromIntent(request.context.intent),
    provenance: fromProvenance(evidence.provenance),
    anomaly: fromBehaviour(evidence.behaviour, findings),
    grant: fromGrant(evidence, findings),
    task: fromTask(evidence),
    proof: fromProof(request.context.proof),
    mode: evidence.mode,
    time: evidence.now,
    deployment: evidence.deployment,
    approved: isApproved(evidence),
    findings: Object.fromEntries(STAGES.map((stage) => [stage, toOutcome(findings, stage)])),
    reasons: sorted(findings.flatMap((finding) => (finding.outcome === 'pass' ? [] : [finding.reason]))),
    claimed: toClaimed(request),
  }
}

/** The chain of `act` with the key that proved this request (RFC 8693 §4.1: only the outermost drives decisions). */
function fromActor(actor: Actor): JsonObject {
  return compact({
    type: actor.type,
    id: actor.id,
    jkt: actor.jkt,
    act: actor.act === undefined ? undefined : fromActor(actor.act),
  })
}

function fromEffect(report: EffectReport): JsonObject {
  return {
    effect: toHeadline(report.effect),
    effects: toKinds(report.effect),
    reversible: report.reversible,
    bounded: report.bounded,
    destinations: sorted(report.destinations),
    objects: sorted(report.objects),
    source: report.source,
  }
}

function fromTool(request: AccessRequest, facts: ToolFacts): JsonObject {
  const { upstream, tool } = request.context
  if (facts.status === 'unknown') return { upstream, tool, status: facts.status }
  const { trust, confidentiality } = facts.tool.output
  const { idempotent } = facts.tool
  return { upstream, tool, status: facts.status, idempotent, output: { trust, confidentiality } }
}

function fromIntent(intent: IntentClaim | undefined): JsonObject {
  return intent === undefined ? { stated: false } : { stated: true, text: intent.text, source: intent.source }
}

/** `roles` are those present; `unvouched` those of which at least one leaf is neither the principal's word nor our own. */
function fromProvenance(facts: ProvenanceFacts): JsonObject {
  return {
    attested: facts.attested,
    taint: { trust: facts.taint.trust, confidentiality: facts.taint.confidentiality },
    length: facts.length,
    roles: sorted(facts.arguments.map((leaf) => leaf.role)),
    unvouched: sorted(facts.arguments.filter((leaf) => !isVouched(leaf)).map((leaf) => leaf.role)),
    arguments: facts.arguments.map(fromLeaf),
  }
}

function fromLeaf(leaf: ArgumentProvenance): JsonObject {
  const { path, role, origin, trust, confidentiality } = leaf
  return { path, role, origin, trust, confidentiality, sources: sorted(leaf.sources) }
}

/** Named by the principal in the purpose, or found in records that only we write. */
function isVouched(leaf: ArgumentProvenance): boolean {
  return leaf.origin === 'purpose' || (leaf.origin === 'observed' && leaf.trust === 'own')
}

/** Chances as whole millionths, rounded down, because not every engine has fractions. The least of each name counts. */
function fromBehaviour(facts: BehaviourFacts, findings: readonly Finding[]): JsonObject {
  const signals: Record<string, number> = {}
  for (const { name, p } of facts.signals) signals[name] = Math.min(signals[name] ?? 1_000_000, toMillionths(p))
  return { outcome: toOutcome(findings, 'anomaly'), events: facts.events, signals }
}

/** A chance that is not a number counts as 0, the most unusual. */
function toMillionths(p: number): number {
  return p >= 0 ? Math.min(Math.floor(p * 1_000_000), 1_000_000) : 0
}

/** `covered`: a grant exists and the scope verifier found this action wholly inside it, or narrowed it so that it is. */
function fromGrant(evidence: Evidence, findings: readonly Finding[]): JsonObject {
  const leaf = evidence.grant?.chain[0]
  if (leaf === undefined) return { covered: false }
  return { covered: isCovered(findings), id: leaf.id, issuedBy: leaf.issuedBy.role, expires: leaf.expires }
}

/**
 * An action that has to be narrowed is never released as it is: `decide` answers `modify` and asks again about the
 * narrower one. Policy has to speak about it as covered, or its silence would deny before that.
 */
function isCovered(findings: readonly Finding[]): boolean {
  const scope = findings.filter((finding) => finding.stage === 'scope')
  return scope.length > 0 && scope.every((finding) => finding.outcome === 'pass' || isNarrowed(finding))
}

function isNarrowed(finding: Finding): boolean {
  return finding.outcome === 'concern' && finding.reason === 'scope.clamped' && finding.rewrite !== undefined
}

/** The purpose itself stays out: it is the principal's prompt. */
function fromTask(evidence: Evidence): JsonObject {
  const { task } = evidence
  if (task === undefined) return { open: false, attested: false }
  return { open: true, attested: task.purpose !== undefined, txn: task.txn, openedBy: task.openedBy.role }
}

function fromProof(proof: Proof): JsonObject {
  return compact({ grade: proof.grade, bodyBound: proof.bodyBound, jkt: proof.jkt })
}

/** True only for an answered, unexpired approval of exactly this bind in exactly this task (invariant 5). */
function isApproved({ approval, bind, task, now }: Evidence): boolean {
  if (approval === undefined || task === undefined) return false
  return approval.status === 'approved' && approval.bind === bind && approval.txn === task.txn && now < approval.expires
}

const GRAVITY = ['pass', 'insufficient', 'concern', 'fail'] as const

/** The gravest outcome of a stage; `missing` where no verifier spoke, which no policy should read as a pass. */
function toOutcome(findings: readonly Finding[], stage: Finding['stage']): string {
  const spoken = findings
    .filter((finding) => finding.stage === stage)
    .map((finding) => GRAVITY.indexOf(finding.outcome))
  return GRAVITY[Math.max(...spoken)] ?? 'missing'
}

/** What the PEP put beside the facts, and the properties that it gave to subject and resource: claims, all of them. */
function toClaimed(request: AccessRequest): JsonObject {
  return compact({
    ...request.context.claimed,
    subject: request.subject.properties,
    resource: request.resource.properties,
  })
}

function compact(members: Readonly<Record<string, Json | undefined>>): JsonObject {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined))
}

function sorted(values: readonly string[]): readonly string[] {
  return [...new Set(values)].toSorted()
}

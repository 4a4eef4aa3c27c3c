/**
 * @module
 * Findings in words, for operators: what each of the five stages asked, what it found, and what it rests on. Says thresholds
 * and names that a refusal never says.
 */
import { toKinds } from '../../core/effect.ts'
import type { ArgumentProvenance, Evidence } from '../../core/evidence.ts'
import type { Finding } from '../../core/finding.ts'
import { isJsonObject, type Json, type JsonObject } from '../../core/json.ts'
import { REASONS } from '../../core/reasons.ts'
import type { AccessRequest } from '../../core/request.ts'
import { sayUncovered } from './grant.ts'
import { toShown, toShownList } from './shown.ts'

/** What a finding is about. */
export interface About {
  readonly request: AccessRequest
  readonly evidence: Evidence
}

/** One finding in one line of plain words. Never empty, also for a reason of a newer version. */
export function sayFinding(finding: Finding, about: About): string {
  if (finding.outcome === 'pass') return SAY_PASS[finding.stage](finding, about)
  const say = SAY_AGAINST[finding.reason]
  return say === undefined ? toFallback(finding.reason) : say(finding, about)
}

type Say = (finding: Finding, about: About) => string

function toFallback(reason: string): string {
  return Object.entries(REASONS).find(([known]) => known === reason)?.[1].help ?? `\`${reason}\` speaks against it`
}

const SAY_PASS: Readonly<Record<Finding['stage'], Say>> = {
  identity: (_finding, { request, evidence }) =>
    `proved by ${request.context.proof.grade}${request.context.proof.bodyBound ? ' over the whole body' : ''}, as the enrolled key of ${toAgent(request, evidence)}; the principal is ${ASSURANCE[evidence.identity.assurance]}`,
  intent: ({ facts }) =>
    `the intent claims ${toWords(facts['claimed'])} and the call does ${toWords(facts['computed'])}${sayUnnamed(facts)}`,
  scope: (_finding, { evidence }) => `grant \`${evidence.grant?.chain[0]?.id ?? ''}\` covers it`,
  context: (_finding, { evidence }) =>
    evidence.effect.effect.level === 'read' && evidence.effect.effect.beside.length === 0
      ? 'a plain read: where its arguments come from decides nothing'
      : 'no argument that decides where this goes or what it does comes from an untrusted source',
  anomaly: (_finding, { evidence }) => `not unusual: ${sayBehaviour(evidence)}`,
}

const ASSURANCE: Readonly<Record<Evidence['identity']['assurance'], string>> = {
  signed: 'known by a grant that they signed',
  granted: 'known by a grant that an operator issued',
  asserted: 'only named by the host, without a grant: reads only, by default',
  none: 'not known: nobody named one',
}

const SAY_AGAINST: Readonly<Record<string, Say>> = {
  'identity.missing': () => 'the request carried no proof, and only `observe` goes on without one',
  'identity.unknown-key': () => 'the key that proved the request is not enrolled',
  'identity.key-role': (_finding, { evidence }) =>
    `the key is enrolled for the role ${evidence.identity.actor?.role ?? 'unknown'}, and only keys of agents act`,
  'identity.bad-proof': (_finding, { request, evidence }) =>
    `the request names ${toShown(request.actor.id)}, and the proof is by the key of ${toAgent(request, evidence)}`,
  'identity.weak-proof': (_finding, { request }) =>
    `the proof is \`${request.context.proof.grade}\`${request.context.proof.bodyBound ? '' : ' and leaves the body open'}, which is enough for plain reads only`,
  'identity.revoked': (_finding, { evidence }) =>
    `revoked before this was decided: ${evidence.revocation.revoked.map(({ dimension, rev }) => `${dimension} (revocation ${rev})`).join(', ')}`,
  'identity.unknown-task': (_finding, { evidence }) =>
    evidence.task === undefined ? 'there is no such task' : `the task was over since ${toTime(evidence.task.expires)}`,
  'identity.task-mismatch': () => 'the task belongs to another agent or another principal',
  'system.stale-revocations': () => 'it was not known what stood revoked, and that denies',
  'system.indeterminate': ({ stage }) => `the verifier of ${stage} failed: this is a bug of ours`,
  'intent.missing': () => 'the call stated no intent',
  'intent.malformed': (_finding, { request }) =>
    `the stated intent is no sentence of at least 8 characters: ${toShown(request.context.intent?.text ?? '')}`,
  'intent.effect-mismatch': ({ facts }) =>
    `the intent claims no more than ${toWords(facts['claimed'])}, and the call does ${toWords(facts['computed'])}`,
  'intent.object-mismatch': ({ facts }) =>
    `neither the intent nor the purpose of the task names ${toShownList(toTexts(facts['unnamed']))}`,
  'scope.unknown-tool': (_finding, { request, evidence }) =>
    evidence.tool.status === 'unknown'
      ? `${toTool(request)} is in no manifest`
      : `nobody whose key is enrolled accepted the manifest of ${toShown(request.context.upstream)} as it stands`,
  'scope.tool-changed': (_finding, { request }) =>
    `${toTool(request)} shows a descriptor other than the one that was accepted`,
  'scope.no-grant': sayNoGrant,
  'scope.grant-expired': (_finding, { evidence }) =>
    (evidence.grant?.chain ?? [])
      .filter(({ notBefore, expires }) => !(evidence.now >= notBefore && evidence.now < expires))
      .map(({ id, notBefore, expires }) => `grant \`${id}\` is valid from ${toTime(notBefore)} to ${toTime(expires)}`)
      .join('; '),
  'scope.operation': (_finding, about) => sayUncovered(about),
  'scope.argument': (_finding, about) => sayUncovered(about),
  'scope.budget': (_finding, about) => sayUncovered(about),
  'scope.clamped': (_finding, about) => `a number is above what was granted and was narrowed: ${sayUncovered(about)}`,
  'context.exfiltration': (finding, about) =>
    `something confidential was read in this task, and ${sayLeaves(finding, about)} would take it out`,
  'context.untrusted-destination': (finding, about) =>
    `where this goes stands in content that anybody could have written: ${sayLeaves(finding, about)}`,
  'context.untrusted-argument': (finding, about) =>
    `an argument that decides comes from an untrusted source: ${sayLeaves(finding, about)}`,
  'context.unattested': () => 'nobody attested what this task is for, so that nothing vouches for this action',
  'anomaly.unusual': (_finding, { evidence }) => `unusual for this agent: ${sayBehaviour(evidence)}`,
  'anomaly.insufficient': (_finding, { evidence }) =>
    `cannot be told: the profile of this agent rests on ${evidence.behaviour.events} actions`,
}

function sayNoGrant(_finding: Finding, { request, evidence }: About): string {
  const chain = evidence.grant?.chain ?? []
  if (chain.length > 0) return `grant \`${chain[0]?.id ?? ''}\` is not for this agent, this principal or this task`
  if (evidence.task?.grant !== undefined)
    return `the grant \`${evidence.task.grant}\` of the task is gone, or a parent of it`
  return `no grant of ${toShown(`${request.subject.type}/${request.subject.id}`)} stands behind this task`
}

/** The leaves that a context finding rests on, each with what it is. */
function sayLeaves({ facts }: Finding, { evidence }: About): string {
  const paths = toTexts(facts['because'])
  const leaves = evidence.provenance.arguments.filter(({ path }) => paths.includes(path))
  return leaves.map((leaf) => `\`${toShown(leaf.path)}\` (${leaf.role}, ${sayOrigin(leaf, evidence)})`).join(', ')
}

/** Where a leaf comes from and what it is therefore worth. */
export function sayOrigin(leaf: ArgumentProvenance, { provenance }: Evidence): string {
  const label = `${leaf.trust}, ${leaf.confidentiality}`
  if (leaf.origin === 'purpose') return `named as a whole in the purpose of the task: ${label}`
  if (leaf.origin === 'observed') return `found in what ${toShownList(leaf.sources)} returned: ${label}`
  if (!provenance.attested) return `matches nothing observed, and nobody attested a purpose: ${label}`
  if (provenance.length === 0) return `matches nothing, and nothing had been read yet: ${label}`
  return `matches nothing observed, so takes the join of everything read in this task: ${label}`
}

function sayUnnamed(facts: JsonObject): string {
  const unnamed = toTexts(facts['unnamed'])
  return unnamed.length === 0 ? '' : `; it does not name ${toShownList(unnamed)}, which is of no weight for this effect`
}

function sayBehaviour({ behaviour }: Evidence): string {
  const signals = behaviour.signals.map(({ name, p, why }) => `${name} p=${p.toPrecision(2)} (${toShown(why)})`)
  return `${behaviour.events} actions known, threshold ${behaviour.threshold}; ${signals.join('; ')}`
}

/** The computed effect as kinds in words. */
export function sayEffect({ effect }: Evidence): string {
  return toKinds(effect.effect).join(' + ')
}

function toAgent(request: AccessRequest, { identity }: Evidence): string {
  return `\`${toShown(identity.actor?.name ?? request.actor.id)}\``
}

export function toTool({ context }: AccessRequest): string {
  return `\`${toShown(`${context.upstream}/${context.tool}`)}\``
}

function toWords(value: Json | undefined): string {
  return toTexts(value).join(' + ')
}

function toTexts(value: Json | undefined): readonly string[] {
  if (!Array.isArray(value)) return []
  return value.filter((each: Json): each is string => typeof each === 'string' && !isJsonObject(each))
}

/** ISO 8601 to the second, UTC. */
export function toTime(milliseconds: number): string {
  const date = new Date(milliseconds)
  return Number.isNaN(date.getTime()) ? String(milliseconds) : date.toISOString().replace(/\.\d+Z$/, 'Z')
}

/**
 * @module
 * Decides a labelled case again under what is configured now: policies, manifests, thresholds, and grants where they are
 * given. What cannot be decided again is said, never guessed (invariant 10).
 */
import { coverBy } from '../core/operation-cover.ts'
import type { Evidence } from '../core/evidence.ts'
import { STAGES, type Finding } from '../core/finding.ts'
import type { Grant } from '../core/grant.ts'
import type { Label, ToolFacts, ToolManifest } from '../core/manifest.ts'
import { budgetRecord } from '../core/records.ts'
import { roleOf } from '../core/provenance.ts'
import { isVouched, tracePurpose } from '../core/purpose.ts'
import { pointTo } from '../core/leaves.ts'
import { parsePointer } from '../core/pointer.ts'
import { toArguments, type AccessRequest } from '../core/request.ts'
import type { Case } from '../core/case.ts'
import { relabelled } from '../core/relabel.ts'
import { isComplete } from '../core/recorded.ts'
import { createJudge, findUnreplayed, inEnforce, reasonOf, type JudgeOptions, type Judgement } from './replay.ts'

/** What cases are decided under. */
export interface CaseConditions extends JudgeOptions {
  /** The tool as the manifests say now; undefined where there is no manifest of its upstream here. */
  readonly tool: (upstream: string, tool: string, descriptorHash: string | undefined) => ToolFacts | undefined
  /** The label of what a source (`upstream/tool`) returns, as the manifests say now. */
  readonly output: (source: string) => ToolManifest['output'] | undefined
  /** Grants in place of the recorded ones, for those whom they name. */
  readonly grants: (request: AccessRequest) => readonly Grant[]
  /** `anomaly.falsePositivesPerTask` */
  readonly anomalyThreshold: number
}

/** How one stage changed. */
export interface StageChange {
  readonly stage: Finding['stage']
  /** Outcome and reason, for example `fail scope.operation`. */
  readonly was: string
  readonly now: string
}

export interface CaseResult {
  readonly verdict: 'pass' | 'fail' | 'skip'
  readonly now?: { readonly decision: string; readonly reason?: string }
  readonly changes: readonly StageChange[]
  readonly policies: { readonly was: readonly string[]; readonly now: readonly string[] }
  readonly unreplayed: readonly string[]
}

interface Facts {
  readonly request: AccessRequest
  readonly evidence: Evidence
}

/** Decides one case again. Never throws for what a case holds; a case without evidence is skipped. */
export async function testCase(tested: Case, conditions: CaseConditions): Promise<CaseResult> {
  const { recorded, expected } = tested
  if (recorded === undefined || !isComplete(recorded)) {
    const unreplayed = ['its evidence was gone, or never complete: nothing can be decided again']
    return { verdict: 'skip', changes: [], policies: { was: [], now: [] }, unreplayed }
  }
  const notes: string[] = []
  const facts = withGrants(withManifests(inEnforce(recorded), tested, conditions, notes), conditions)
  const judgement = await createJudge(conditions)({ ...settled(facts, conditions), verdicts: recorded.verdicts })
  const reason = reasonOf(judgement.decision)
  return {
    verdict: judgement.decision.kind === expected ? 'pass' : 'fail',
    now: { decision: judgement.decision.kind, ...(reason === undefined ? {} : { reason }) },
    changes: toChanges(recorded.findings, judgement.findings),
    policies: { was: idsOf(recorded.verdicts), now: idsOf(judgement.verdicts) },
    unreplayed: [...findUnreplayed(tested.was, recorded), ...notes, ...judgement.unreplayed],
  }
}

/** An approval that was asked for is no fact about policy; one that was given is what this decision rested on. */
function settled({ request, evidence }: Facts, { anomalyThreshold }: CaseConditions): Facts {
  const { approval, ...rest } = evidence
  const kept = approval?.status === 'approved' ? { approval } : {}
  return { request, evidence: { ...rest, ...kept, behaviour: { ...rest.behaviour, threshold: anomalyThreshold } } }
}

function withManifests(facts: Facts, tested: Case, conditions: CaseConditions, notes: string[]): Facts {
  const { request, evidence } = facts
  const { upstream, tool: name, descriptorHash } = request.context
  const tool = conditions.tool(upstream, name, descriptorHash)
  if (tool === undefined) {
    notes.push(`there is no manifest of \`${upstream}\` here: tool, effect and roles are as recorded`)
    return facts
  }
  const effect = conditions.effects.compute(request.action.body, tool)
  const labelled = relabelled(evidence.provenance, tested.observed, toRelabel(tested, conditions, notes))
  const provenance = {
    ...labelled,
    arguments: labelled.arguments.map((leaf) => withRole(leaf, tool, facts, labelled.taint, notes)),
  }
  return { request, evidence: { ...evidence, tool, effect, provenance } }
}

type Leaf = Evidence['provenance']['arguments'][number]

/** A leaf under the role that it has now: what the purpose vouches for depends on it. */
function withRole(leaf: Leaf, tool: ToolFacts, { request, evidence }: Facts, taint: Label, notes: string[]): Leaf {
  const role = leaf.path === '' ? leaf.role : roleOf(tool, parsePointer(leaf.path.slice(1)) ?? [])
  if (role === leaf.role) return leaf
  const value = pointTo(toArguments(request.action.body), leaf.path)
  const isScalar = typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
  const purpose = evidence.task?.purpose
  if (isScalar && purpose !== undefined && isVouched(tracePurpose(purpose), role, String(value))) {
    return { ...leaf, role, origin: 'purpose', trust: 'own', confidentiality: 'internal', sources: ['purpose'] }
  }
  if (leaf.origin === 'purpose') {
    const trust = evidence.provenance.attested ? taint.trust : 'attacker-writable'
    return { ...leaf, role, origin: 'none', trust, confidentiality: taint.confidentiality, sources: [] }
  }
  if (leaf.origin === 'observed')
    notes.push(`\`${leaf.path}\` has another role now: where it comes from is as recorded`)
  return { ...leaf, role }
}

/**
 * The labels of sources as they are now. Only where a whole output had one label then and has one now: which field of an
 * output a value stood in was not recorded, so that it cannot be decided again.
 */
function toRelabel({ outputs }: Case, { output }: CaseConditions, notes: string[]) {
  return (source: string, recorded: Label): Label => {
    const before = Object.hasOwn(outputs, source) ? outputs[source] : undefined
    const now = output(source)
    if (before === undefined || now === undefined || isSame(before, now)) return recorded
    if (before.fields === undefined && now.fields === undefined && isLabel(before, recorded)) {
      return { trust: now.trust, confidentiality: now.confidentiality }
    }
    const note = `the labels of \`${source}\` have changed by field, or under a command: they are as recorded`
    if (!notes.includes(note)) notes.push(note)
    return recorded
  }
}

function isSame(a: ToolManifest['output'], b: ToolManifest['output']): boolean {
  return isLabel(a, b) && JSON.stringify(a.fields ?? {}) === JSON.stringify(b.fields ?? {})
}

function isLabel(a: Label, b: Label): boolean {
  return a.trust === b.trust && a.confidentiality === b.confidentiality
}

const DAY = 86_400_000

/** The given grant that reaches furthest for this call, as if it had been issued just before and nothing were used of it. */
function withGrants({ request, evidence }: Facts, { grants }: CaseConditions): Facts {
  const [first, ...rest] = grants(request)
  const { task, now } = evidence
  if (first === undefined || task === undefined) return { request, evidence }
  const { upstream, tool } = request.context
  const asked = { upstream, tool, effect: evidence.effect.effect, arguments: toArguments(request.action.body) }
  const best = [first, ...rest].find((grant) => coverBy(grant, asked).kind !== 'none') ?? first
  const grant: Grant = { ...best, notBefore: now - 1, expires: now + DAY }
  const used = Object.fromEntries(
    grant.budgets.flatMap(({ id, per }) => [
      [budgetRecord(grant.id, id, per === 'task' ? request.context.txn : undefined), 0] as const,
    ]),
  )
  return {
    request,
    evidence: {
      ...evidence,
      identity: { ...evidence.identity, assurance: grant.issuedBy.role === 'principal' ? 'signed' : 'granted' },
      task: { ...task, grant: grant.id },
      grant: { chain: [grant], used },
    },
  }
}

function toChanges(was: readonly Finding[], now: readonly Finding[]): readonly StageChange[] {
  return STAGES.flatMap((stage) => {
    const [before, after] = [toOutcome(was, stage), toOutcome(now, stage)]
    return before === after ? [] : [{ stage, was: before, now: after }]
  })
}

function toOutcome(findings: readonly Finding[], stage: Finding['stage']): string {
  const finding = findings.find((each) => each.stage === stage)
  if (finding === undefined) return 'missing'
  return finding.outcome === 'pass' ? 'pass' : `${finding.outcome} ${finding.reason}`
}

/** The policies that determined the verdicts, with what each engine said. */
function idsOf(verdicts: Judgement['verdicts']): readonly string[] {
  return verdicts.flatMap(({ outcome, policies }) =>
    policies.length === 0 ? [outcome] : policies.map((id) => `${outcome} ${id}`),
  )
}

/**
 * @module
 * Proposals about where things come from: a purpose that names what the principal wants, and labels and roles of the
 * manifest where those are wrong. A label is corrected because it is wrong, never to let something pass: each says so.
 */
import type { ArgumentProvenance } from '../../core/evidence.ts'
import { isJsonObject, type Json } from '../../core/json.ts'
import { pointTo } from '../../core/leaves.ts'
import type { Label, ToolManifest } from '../../core/manifest.ts'
import { roleOf } from '../../core/provenance.ts'
import { isVouched, tracePurpose } from '../../core/purpose.ts'
import { toArguments } from '../../core/request.ts'
import { relabelled } from '../../core/relabel.ts'
import type { Facts, Proposal, Propose, Situation } from './proposal.ts'
import { toQuoted, toShown } from './shown.ts'

/** An argument that decides comes from where anybody could have put it. */
export const proposeSource: Propose = (situation, reason) => {
  const leaves = leavesBehind(situation, reason)
  return [
    ...proposePurpose(situation, reason, leaves),
    ...proposeRole(situation, reason, leaves),
    ...proposeLabel(situation, reason, leaves, 'trust'),
    ...(reason === 'context.exfiltration' ? proposeLabel(situation, reason, leaves, 'confidentiality') : []),
  ]
}

/** Nobody attested a purpose. */
export const proposeAttested: Propose = ({ request }, reason) => [
  {
    kind: 'purpose',
    for: [reason],
    what: 'a task that the host opens with what the principal asked for, instead of the connection’s own',
    how: `unbearer task open --purpose TEXT --principal ${toShown(request.subject.id)} --actor ${toShown(request.actor.id)}`,
    apply: ({ request: asked, evidence }) => {
      const purpose = evidence.task?.purpose ?? 'as the principal asked'
      const provenance = relabelled({ ...evidence.provenance, attested: true }, undefined, (_source, label) => label)
      const task = evidence.task === undefined ? {} : { task: { ...evidence.task, purpose } }
      return { request: asked, evidence: { ...evidence, ...task, provenance } }
    },
  },
]

/** The leaves that the context finding names. */
function leavesBehind({ findings, evidence }: Situation, reason: string): readonly ArgumentProvenance[] {
  const paths = findings.flatMap((finding) =>
    finding.stage === 'context' && finding.outcome !== 'pass' && finding.reason === reason
      ? toTexts(finding.facts['because'])
      : [],
  )
  return evidence.provenance.arguments.filter(({ path }) => paths.includes(path))
}

function proposePurpose(situation: Situation, reason: Proposal['for'][number], leaves: readonly ArgumentProvenance[]) {
  const { request, evidence } = situation
  const args = toArguments(request.action.body)
  const named = leaves.flatMap((leaf) => {
    const value = toScalar(pointTo(args, leaf.path))
    const words = value === undefined ? undefined : [value, `"${value}"`].find((text) => isNamedBy(text, leaf, value))
    return words === undefined ? [] : [{ path: leaf.path, words }]
  })
  if (named.length === 0 || named.length < leaves.length) return []
  const added = named.map(({ words }) => words).join(', ')
  const proposal: Proposal = {
    kind: 'purpose',
    for: [reason],
    what: 'a purpose in which the principal names this themselves, if it is what they asked for',
    how: `unbearer task open --purpose '… ${toShown(added)} …' --principal ${toShown(request.subject.id)} --actor ${toShown(request.actor.id)}`,
    apply: (facts) =>
      withPurpose(
        facts,
        added,
        named.map(({ path }) => path),
      ),
  }
  return evidence.task === undefined ? [] : [proposal]
}

function isNamedBy(purpose: string, { role }: ArgumentProvenance, value: string): boolean {
  return isVouched(tracePurpose(`please do it for ${purpose} now`), role, value)
}

function withPurpose({ request, evidence }: Facts, added: string, paths: readonly string[]): Facts {
  const { task, provenance } = evidence
  if (task === undefined) return { request, evidence }
  const purpose = `${task.purpose ?? ''} ${added}`.trim()
  const vouched = provenance.arguments.map((leaf): ArgumentProvenance =>
    paths.includes(leaf.path)
      ? { ...leaf, origin: 'purpose', trust: 'own', confidentiality: 'internal', sources: ['purpose'] }
      : leaf,
  )
  return {
    request,
    evidence: {
      ...evidence,
      task: { ...task, purpose },
      provenance: { ...provenance, attested: true, arguments: vouched },
    },
  }
}

const UNTRUSTED: readonly string[] = ['external', 'attacker-writable']
const SECRET: readonly string[] = ['confidential', 'secret']

/** The sources whose label speaks against this: of the leaves themselves, and of all that was read where a leaf takes the join. */
function sourcesBehind({ observed = [] }: Situation, leaves: readonly ArgumentProvenance[], member: keyof Label) {
  const against = member === 'trust' ? UNTRUSTED : SECRET
  const own = leaves.flatMap(({ origin, sources }) => (origin === 'observed' && member === 'trust' ? sources : []))
  const takesJoin = member === 'confidentiality' || leaves.some(({ origin }) => origin === 'none')
  const read = takesJoin ? observed.filter((each) => against.includes(each[member])).map(({ source }) => source) : []
  return [...new Set([...own, ...read])].filter((source) => source !== 'purpose')
}

function proposeLabel(
  situation: Situation,
  reason: Proposal['for'][number],
  leaves: readonly ArgumentProvenance[],
  member: keyof Label,
): readonly Proposal[] {
  const sources = sourcesBehind(situation, leaves, member)
  if (sources.length === 0) return []
  const claim = member === 'trust' ? 'can be written by nobody outside' : 'is not confidential'
  return [
    {
      kind: 'manifest',
      for: [reason],
      what: `another label of ${sources.map(toQuoted).join(', ')}, if what it returns (or the one field, under \`output.fields\`) ${claim}`,
      how: sources.map((source) => toLabelLine(source, member)).join('\n'),
      apply: ({ request, evidence }) => ({
        request,
        evidence: {
          ...evidence,
          provenance: relabelled(evidence.provenance, situation.observed, (source, label) =>
            sources.includes(source) ? { ...label, [member]: 'internal' } : label,
          ),
        },
      }),
    },
  ]
}

function toLabelLine(source: string, member: keyof Label): string {
  const slash = source.indexOf('/')
  const [server, tool] = [source.slice(0, slash), source.slice(slash + 1)]
  return `manifest of ${toShown(server)}: tools.${toShown(tool)}.output.${member}: internal`
}

/** An argument that no manifest describes counts as a destination. */
function proposeRole(
  { request, evidence, effects }: Situation,
  reason: Proposal['for'][number],
  leaves: readonly ArgumentProvenance[],
): readonly Proposal[] {
  const { tool } = evidence
  if (tool.status !== 'accepted') return []
  const undescribed = leaves.filter(
    ({ path, role }) => role === 'destination' && path !== '' && !isDescribed(tool.tool, path),
  )
  if (undescribed.length === 0 || undescribed.length < leaves.length) return []
  const names = [...new Set(undescribed.map(({ path }) => path.split('/')[1] ?? ''))]
  const roles = Object.fromEntries(names.map((name) => [name, { role: 'content' }] as const))
  const described: ToolManifest = { ...tool.tool, arguments: { ...tool.tool.arguments, ...roles } }
  return [
    {
      kind: 'manifest',
      for: [reason],
      what: 'the role of an argument that the manifest does not describe and that therefore counts as a destination',
      how: names
        .map(
          (name) =>
            `manifest of ${toShown(request.context.upstream)}: tools.${toShown(request.context.tool)}.arguments.${toShown(name)}: { role: content }`,
        )
        .join('\n'),
      apply: (facts) => withTool(facts, { ...tool, tool: described }, effects),
    },
  ]
}

function isDescribed(tool: ToolManifest, path: string): boolean {
  const first = path.split('/')[1] ?? ''
  return Object.keys(tool.arguments).some((name) => name.replace(/^\//, '').split('/')[0] === first)
}

/** The facts with another tool: its effect, and the roles of the arguments. */
export function withTool(
  { request, evidence }: Facts,
  tool: Facts['evidence']['tool'],
  effects: Situation['effects'],
): Facts {
  const { provenance } = evidence
  const leaves = provenance.arguments.map((leaf) => ({
    ...leaf,
    role: leaf.path === '' ? leaf.role : roleOf(tool, toSegments(leaf.path)),
  }))
  return {
    request,
    evidence: {
      ...evidence,
      tool,
      effect: effects.compute(request.action.body, tool),
      provenance: { ...provenance, arguments: leaves },
    },
  }
}

/** The segments of an RFC 6901 pointer. */
function toSegments(pointer: string): readonly string[] {
  return pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
}

function toScalar(value: Json | undefined): string | undefined {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : undefined
}

function toTexts(value: Json | undefined): readonly string[] {
  if (!Array.isArray(value)) return []
  return value.filter((each: Json): each is string => typeof each === 'string' && !isJsonObject(each))
}

/**
 * @module
 * Proposals about what is left: the stated intent, tools that nobody accepted, approvals, policies, keys and tasks, and the
 * machinery. None says "turn it off".
 */
import { LEVELS, toKinds } from '../../core/effect.ts'
import { REVOCATION_DIMENSIONS } from '../../core/evidence.ts'
import type { Reason } from '../../core/reasons.ts'
import { proposeGrant } from './propose-grant.ts'
import { withTool } from './propose-context.ts'
import type { Facts, Proposal, Propose, RemedyKind, Situation } from './proposal.ts'
import { toQuoted, toShown, toShownList } from './shown.ts'

/** A proposal of fixed words, whose effect on a recorded decision cannot be computed. */
export function say(kind: RemedyKind, what: string, how: string): Propose {
  return (_situation, reason) => [{ kind, for: [reason], what, how }]
}

/** An intent that says all that the call does. */
export const proposeIntent: Propose = (situation, reason) => {
  const { request, evidence } = situation
  const text = toIntent(evidence)
  const proposal: Proposal = {
    kind: 'intent',
    for: [reason],
    what: 'an intent of the agent that says what the call does, if that is what it means to do',
    how: `unbearer_intent: ${toQuoted(text)}`,
    apply: (facts) => ({
      ...facts,
      request: { ...request, context: { ...facts.request.context, intent: { text, source: 'argument' } } },
    }),
  }
  return [proposal, ...proposeEffect(situation, reason)]
}

function toIntent({ effect }: Facts['evidence']): string {
  const kinds = toKinds(effect.effect).filter((kind) => kind !== 'read')
  const named = [...new Set([...effect.objects, ...effect.destinations])].filter((each) => each !== '*')
  const things = named.length === 0 ? 'what the user asked for' : named.join(', ')
  const words = kinds.map((kind) => (kind === 'admin' ? 'administer' : kind))
  if (kinds.length === 0) return `read: look at ${things}`
  // One stated effect holds writing too; two beside each other have to be said as verbs.
  const stated = kinds.length === 1 ? kinds[0] : kinds.length === 2 && kinds[0] === 'write' ? kinds[1] : undefined
  return stated === undefined ? `${words.join(' and ')} ${things}` : `${stated}: ${words.join(' and ')} ${things}`
}

/** The manifest may say more than the tool does. */
function proposeEffect({ request, evidence, effects }: Situation, reason: Reason): readonly Proposal[] {
  const { tool, effect } = evidence
  if (reason !== 'intent.effect-mismatch' || tool.status !== 'accepted' || effect.source !== 'manifest') return []
  const level = LEVELS.indexOf(effect.effect.level)
  const less = effect.effect.beside.length === 0 ? (LEVELS[level - 1] ?? 'read') : effect.effect.level
  return [
    {
      kind: 'manifest',
      for: [reason],
      what: 'the effect of the tool in its manifest, if it really does less than it says there',
      how: `manifest of ${toShown(request.context.upstream)}: tools.${toShown(request.context.tool)}.effect: ${less}`,
      apply: (facts) => withTool(facts, { ...tool, tool: { ...tool.tool, effect: less } }, effects),
    },
  ]
}

/** A tool that is unknown, not accepted, or has changed. */
export const proposeTool: Propose = ({ request, evidence, effects }, reason) => {
  const { tool } = evidence
  const upstream = toShown(request.context.upstream)
  return [
    {
      kind: 'manifest',
      for: [reason],
      what: 'a manifest that a person has read, corrected and signed for the tool as it is now; everything about it is then judged anew',
      how: `unbearer tools scan ${upstream} --out ${upstream}.draft.yaml, then unbearer tools accept ${upstream}.draft.yaml`,
      ...(tool.status === 'unknown'
        ? {}
        : { apply: (facts: Facts): Facts => withTool(facts, { ...tool, status: 'accepted' }, effects) }),
    },
  ]
}

/** The same action was begun before: for a tool that may be repeated, the manifest can say so. */
export const proposeIdempotent: Propose = (situation, reason) => {
  const { request, evidence, effects } = situation
  const { tool } = evidence
  if (tool.status !== 'accepted') return proposeApproval(situation, reason)
  return [
    ...proposeApproval(situation, reason),
    {
      kind: 'manifest',
      for: [reason],
      what: 'a manifest that says that doing it twice is doing it once, if the tool takes an idempotency key or is so by nature',
      how: `manifest of ${toShown(request.context.upstream)}: tools.${toShown(request.context.tool)}.idempotent: true`,
      apply: (facts) => withTool(facts, { ...tool, tool: { ...tool.tool, idempotent: true } }, effects),
    },
  ]
}

/** An approval of this one action. */
export const proposeApproval: Propose = ({ ticket }, reason) => [
  {
    kind: 'approval',
    for: [reason],
    what: 'the approval of this one action by a person',
    how:
      ticket === undefined
        ? 'the agent repeats the call, which is then held under a ticket: unbearer approvals list, unbearer approvals approve TICKET'
        : `unbearer approvals approve ${ticket}`,
    apply: withApproval,
  },
]

/** The facts with this very action approved. */
function withApproval({ request, evidence }: Facts): Facts {
  const { now, bind } = evidence
  const approval = {
    id: 'what-if',
    bind,
    txn: request.context.txn ?? '',
    status: 'approved' as const,
    createdAt: now,
    expires: now + 1,
    answered: { by: 'what-if', at: now },
  }
  return { request, evidence: { ...evidence, approval } }
}

/** The policies that said no, by their ids; and a grant where the principal is only named. */
export const proposePolicy: Propose = (situation, reason) => {
  const { verdicts, evidence } = situation
  const ids = verdicts
    .filter(({ outcome }) => outcome === 'deny' || outcome === 'challenge')
    .flatMap(({ policies }) => policies)
  const isNamedOnly = !['signed', 'granted'].includes(evidence.identity.assurance)
  return [
    ...(isNamedOnly ? proposeGrant(situation, reason) : []),
    {
      kind: 'policy',
      for: [reason],
      what: `an exception, written and reviewed, in ${toShownList(ids, 'the policy that forbids it')}`,
      how: `an \`unless\` in the policy with @id(${ids.map(toQuoted).join(', ')}), then \`unbearer policy test\``,
    },
  ]
}

/** No policy permits it. */
export const proposePermit: Propose = (situation, reason) => {
  const { request, texts, evidence, findings } = situation
  const permits = texts.filter(({ effect }) => effect === 'permit').map(({ id }) => id)
  const scope = findings.find(({ stage }) => stage === 'scope')
  return [
    ...(scope?.outcome === 'pass' || evidence.grant !== undefined ? [] : proposeGrant(situation, reason)),
    {
      kind: 'policy',
      for: [reason],
      what: `a permit that speaks about this; those that there are (${toShownList(permits, 'none')}) do not apply`,
      how: `permit (principal, action, resource) when { resource.upstream == ${toQuoted(request.context.upstream)} && resource.tool == ${toQuoted(request.context.tool)} && … };`,
    },
  ]
}

/** What was revoked stays revoked: each dimension has another way on. */
export const proposeRevoked: Propose = ({ evidence }, reason) => {
  const ways: Readonly<Record<(typeof REVOCATION_DIMENSIONS)[number], string>> = {
    credential: 'the agent makes the call again, and gets another credential',
    actor: 'unbearer agents enrol NAME --new FILE.jwk',
    subject: 'grants for another principal; this one was stopped as a whole',
    grant: 'unbearer grant create -f FILE.yaml',
    task: 'unbearer task open --purpose TEXT --principal ID --actor NAME',
    tool: 'the tool under another name, scanned and accepted anew',
    all: 'everything was stopped: see `unbearer audit tail` for who did it',
  }
  return evidence.revocation.revoked.map(({ dimension }) => ({
    kind: 'identity',
    for: [reason],
    what: `a new ${dimension} in place of the one that was revoked, once what led to that is settled: a revocation is never taken back`,
    how: ways[dimension],
  }))
}

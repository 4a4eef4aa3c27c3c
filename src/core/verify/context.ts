/**
 * @module
 * The context verifier: is this consistent with the conversation? Reads only the provenance of the arguments and the
 * computed effect. The first row that applies is the finding; rows that fail come before rows of concern.
 *
 * *Target*: a leaf of role recipient, destination or credential. *Untrusted*: external or attacker-writable. *Confidential*:
 * what was observed, or a leaf of role content, command or selector, is confidential or secret, so that it may leave.
 *
 * | row | effect                    | leaf                                                      | and                                  | finding                             |
 * | --- | ------------------------- | --------------------------------------------------------- | ------------------------------------ | ----------------------------------- |
 * | 1   | plain read                | any                                                       |                                      | pass                                |
 * | 2   | send, spend               | a target observed in untrusted content                    | confidential                         | fail context.exfiltration           |
 * | 3   | send                      | a target or command that matches nothing                  | confidential, taint attacker-writable | fail context.exfiltration           |
 * | 4   | send, spend, execute, admin | a target observed in untrusted content                  |                                      | fail context.untrusted-destination  |
 * | 5   | write, delete             | a target observed in untrusted content                    |                                      | concern context.untrusted-argument  |
 * | 6   | any other                 | a target that matches nothing and is untrusted            |                                      | concern context.untrusted-argument  |
 * | 7   | any other                 | an amount or command that is untrusted                    |                                      | concern context.untrusted-argument  |
 * | 8   | delete                    | a selector that is untrusted                              |                                      | concern context.untrusted-argument  |
 * | 9   | send                      | a target that only `internal` records name                | confidential, taint untrusted        | concern context.untrusted-argument  |
 * | 10  | any other                 | any                                                       | nobody attested a purpose            | concern context.unattested          |
 * | 11  | any other                 | any                                                       |                                      | pass                                |
 *
 * Row 3 takes a command as its own target, because the address is somewhere within it. Row 9: everybody whom an
 * organisation's records name, an attacker among its customers too, is not yet somebody whom the principal named; the
 * principal's `own` records are taken at their word. What the purpose names as a whole passes, with confidential content
 * too: the principal said so.
 */
import { isConsequential } from '../effect.ts'
import type { ArgumentProvenance, Evidence, ProvenanceFacts } from '../evidence.ts'
import type { Finding } from '../finding.ts'
import type { JsonObject } from '../json.ts'
import type { ArgumentRole, Confidentiality, Trust } from '../manifest.ts'
import type { Reason } from '../reasons.ts'
import type { AccessRequest } from '../request.ts'

interface Situation {
  readonly kinds: ReadonlySet<string>
  readonly leaves: readonly ArgumentProvenance[]
  readonly targets: readonly ArgumentProvenance[]
  readonly provenance: ProvenanceFacts
  readonly confidential: boolean
}

interface Row {
  readonly outcome: 'fail' | 'concern'
  readonly reason: Reason
  /** The leaves that this row speaks of; it applies where there are any. */
  leaves(situation: Situation): readonly ArgumentProvenance[]
}

/** The most leaves that the facts of a finding list; the evidence holds them all. */
const MAX_FACTS = 100

/**
 * Judges provenance against effect by the table above. Does not read values, does not look at what a content says, and
 * does not promise that a recipient whom the principal named is the one whom they meant.
 */
export function verifyContext(_request: AccessRequest, evidence: Evidence): Finding {
  const { provenance, effect } = evidence
  if (!isConsequential(effect.effect)) return { stage: 'context', outcome: 'pass', facts: toFacts(provenance, []) }
  const situation = toSituation(evidence)
  for (const row of ROWS) {
    const because = row.leaves(situation)
    if (because.length > 0) return toFinding(row, provenance, because)
  }
  if (provenance.attested) return { stage: 'context', outcome: 'pass', facts: toFacts(provenance, []) }
  return { stage: 'context', outcome: 'concern', reason: 'context.unattested', facts: toFacts(provenance, []) }
}

const ROWS: readonly Row[] = [
  {
    outcome: 'fail',
    reason: 'context.exfiltration',
    leaves: (now) => (has(now, 'send', 'spend') && now.confidential ? now.targets.filter(isPlanted) : []),
  },
  {
    outcome: 'fail',
    reason: 'context.exfiltration',
    leaves: (now) =>
      has(now, 'send') && now.confidential && now.provenance.taint.trust === 'attacker-writable'
        ? [...now.targets, ...ofRole(now, 'command')].filter((leaf) => leaf.origin === 'none')
        : [],
  },
  {
    outcome: 'fail',
    reason: 'context.untrusted-destination',
    leaves: (now) => (has(now, 'send', 'spend', 'execute', 'admin') ? now.targets.filter(isPlanted) : []),
  },
  {
    outcome: 'concern',
    reason: 'context.untrusted-argument',
    leaves: (now) => now.targets.filter((leaf) => isUntrusted(leaf.trust)),
  },
  {
    outcome: 'concern',
    reason: 'context.untrusted-argument',
    leaves: (now) => ofRole(now, 'amount', 'command').filter((leaf) => isUntrusted(leaf.trust)),
  },
  {
    outcome: 'concern',
    reason: 'context.untrusted-argument',
    leaves: (now) => (has(now, 'delete') ? ofRole(now, 'selector').filter((leaf) => isUntrusted(leaf.trust)) : []),
  },
  {
    outcome: 'concern',
    reason: 'context.untrusted-argument',
    leaves: (now) =>
      has(now, 'send') && now.confidential && isUntrusted(now.provenance.taint.trust)
        ? now.targets.filter((leaf) => leaf.origin === 'observed' && leaf.trust === 'internal')
        : [],
  },
]

function toSituation({ provenance, effect }: Evidence): Situation {
  const leaves = provenance.arguments
  const carriers = leaves.filter(({ role }) => role === 'content' || role === 'command' || role === 'selector')
  return {
    kinds: new Set<string>([effect.effect.level, ...effect.effect.beside]),
    leaves,
    targets: leaves.filter(({ role }) => role === 'recipient' || role === 'destination' || role === 'credential'),
    provenance,
    confidential: [provenance.taint, ...carriers].some(({ confidentiality }) => isConfidential(confidentiality)),
  }
}

function has({ kinds }: Situation, ...wanted: readonly string[]): boolean {
  return wanted.some((kind) => kinds.has(kind))
}

function ofRole({ leaves }: Situation, ...roles: readonly ArgumentRole[]): readonly ArgumentProvenance[] {
  return leaves.filter(({ role }) => roles.includes(role))
}

function isPlanted(leaf: ArgumentProvenance): boolean {
  return leaf.origin === 'observed' && isUntrusted(leaf.trust)
}

// Anything that is not known to be trusted is not.
function isUntrusted(trust: Trust): boolean {
  return trust !== 'own' && trust !== 'internal'
}

function isConfidential(confidentiality: Confidentiality): boolean {
  return confidentiality !== 'public' && confidentiality !== 'internal'
}

function toFinding(
  { outcome, reason }: Row,
  provenance: ProvenanceFacts,
  because: readonly ArgumentProvenance[],
): Finding {
  return { stage: 'context', outcome, reason, facts: toFacts(provenance, because) }
}

function toFacts(provenance: ProvenanceFacts, because: readonly ArgumentProvenance[]): JsonObject {
  const { attested, taint, length } = provenance
  return {
    attested,
    taint: { trust: taint.trust, confidentiality: taint.confidentiality },
    observed: length,
    because: because.slice(0, MAX_FACTS).map(({ path }) => path),
    arguments: provenance.arguments
      .slice(0, MAX_FACTS)
      .map(({ path, role, origin, trust, confidentiality }) => ({ path, role, origin, trust, confidentiality })),
  }
}

/**
 * @module
 * The decision: its rules one by one, and what must hold of every input.
 */
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decide, type DecideInput, isModifyAllowed } from './decide.ts'
import type { Decision, Obligation, PolicyVerdict } from './decision.ts'
import { BESIDE, type EffectReport, LEVELS } from './effect.ts'
import type { Approval, Evidence } from './evidence.ts'
import { type Finding, type FindingAgainst, STAGES } from './finding.ts'
import { isReason, REASONS, type Reason } from './reasons.ts'
import { makeEvidence, makeRequest, NOW, report } from './verify/scenario.test-data.ts'
import { scaled } from '../../test/support/scale.ts'

const passes: readonly Finding[] = STAGES.map((stage) => ({ stage, outcome: 'pass', facts: {} }))
const permit: PolicyVerdict = { engine: 'cedar', version: 'v', outcome: 'permit', policies: [], obligations: [] }
const approval: Approval = {
  id: 'A1',
  bind: 'sha-256:bind',
  txn: 'T1',
  status: 'approved',
  createdAt: NOW - 1,
  expires: NOW + 1,
  answered: { by: 'jkt-approver', at: NOW - 1 },
}

function against(
  stage: Finding['stage'],
  outcome: FindingAgainst['outcome'],
  reason: Reason,
  rewrite?: FindingAgainst['rewrite'],
): Finding {
  return { stage, outcome, reason, facts: {}, ...(rewrite === undefined ? {} : { rewrite }) }
}

interface Scene {
  readonly findings?: readonly Finding[]
  readonly verdicts?: readonly PolicyVerdict[]
  readonly evidence?: Partial<Evidence>
}

/** The scene in which all speaks for the action, and `findings` in the place of the stages that they are of. */
function toInput({ findings = [], verdicts = [permit], evidence = {} }: Scene): DecideInput {
  const silent = passes.filter(({ stage }) => !findings.some((finding) => finding.stage === stage))
  return { request: makeRequest(), evidence: makeEvidence(evidence), findings: [...silent, ...findings], verdicts }
}

function say(decision: Decision): string {
  if (decision.kind === 'permit') return ['permit', ...decision.suspended].join(' ')
  return `${decision.kind} ${decision.reason}`
}

const verdict = (outcome: PolicyVerdict['outcome'], obligations: readonly Obligation[] = []): PolicyVerdict => ({
  ...permit,
  outcome,
  obligations,
})
const clamped = against('scope', 'concern', 'scope.clamped', { n: 10 })
const unusual = against('anomaly', 'concern', 'anomaly.unusual')
const drift = against('intent', 'fail', 'intent.effect-mismatch')
const read = against('scope', 'insufficient', 'scope.no-grant')
const observe: Partial<Evidence> = { mode: 'observe' }
const known = makeEvidence().tool
const idempotent: Partial<Evidence> =
  known.status === 'accepted' ? { tool: { ...known, tool: { ...known.tool, idempotent: true } } } : {}
const assured = (assurance: Evidence['identity']['assurance']): Partial<Evidence> => ({ identity: { assurance } })
const approved = (change: Partial<Approval> = {}): Partial<Evidence> => ({ approval: { ...approval, ...change } })

const rows: readonly [string, Scene, string][] = [
  ['nothing against it', {}, 'permit'],
  ['no verdict', { verdicts: [] }, 'deny policy.undefined'],
  ['no verdict in observe', { verdicts: [], evidence: observe }, 'deny policy.undefined'],
  ['a failed stage', { findings: [drift] }, 'deny intent.effect-mismatch'],
  ['a failed stage, approved', { findings: [drift], evidence: approved() }, 'deny intent.effect-mismatch'],
  [
    'identity before all',
    { findings: [drift, against('identity', 'fail', 'identity.revoked')] },
    'deny identity.revoked',
  ],
  [
    'a drift before the missing grant',
    { findings: [against('scope', 'fail', 'scope.operation'), drift] },
    'deny intent.effect-mismatch',
  ],
  [
    'an unknown tool before the drift it looks like',
    { findings: [drift, against('scope', 'fail', 'scope.unknown-tool')] },
    'deny scope.unknown-tool',
  ],
  ['a stage before policy', { findings: [drift], verdicts: [verdict('deny')] }, 'deny intent.effect-mismatch'],
  [
    'a failure before a concern of an earlier stage',
    {
      findings: [
        against('intent', 'concern', 'intent.object-mismatch'),
        against('context', 'fail', 'context.exfiltration'),
      ],
    },
    'deny context.exfiltration',
  ],
  [
    'a bug of a verifier',
    { findings: [against('anomaly', 'fail', 'system.indeterminate')] },
    'deny system.indeterminate',
  ],
  [
    'a bug of a verifier in observe',
    { findings: [against('anomaly', 'fail', 'system.indeterminate')], evidence: observe },
    'deny system.indeterminate',
  ],
  ['too little history', { findings: [against('anomaly', 'insufficient', 'anomaly.insufficient')] }, 'permit'],
  [
    'too little context',
    { findings: [against('context', 'insufficient', 'context.unattested')] },
    'deny context.unattested',
  ],
  [
    'too little identity',
    { findings: [against('identity', 'insufficient', 'identity.missing')] },
    'deny identity.missing',
  ],
  ['a read without grant, asserted', { findings: [read], evidence: assured('asserted') }, 'permit'],
  ['a read without grant, nobody named', { findings: [read], evidence: assured('none') }, 'deny scope.no-grant'],
  ['a write without grant', { findings: [read], evidence: { effect: report(['write']) } }, 'deny scope.no-grant'],
  [
    'another insufficiency of scope',
    { findings: [against('scope', 'insufficient', 'scope.budget')] },
    'deny scope.budget',
  ],
  ['a concern', { findings: [unusual] }, 'challenge anomaly.unusual'],
  ['a concern, approved', { findings: [unusual], evidence: approved() }, 'permit'],
  [
    'a concern, approved for another action',
    { findings: [unusual], evidence: approved({ bind: 'sha-256:other' }) },
    'challenge anomaly.unusual',
  ],
  [
    'a concern, approved in another task',
    { findings: [unusual], evidence: approved({ txn: 'T2' }) },
    'challenge anomaly.unusual',
  ],
  [
    'a concern, approved too long ago',
    { findings: [unusual], evidence: approved({ expires: NOW }) },
    'challenge anomaly.unusual',
  ],
  [
    'a concern, approved without end',
    { findings: [unusual], evidence: approved({ expires: NaN }) },
    'challenge anomaly.unusual',
  ],
  [
    'a concern, consumed',
    { findings: [unusual], evidence: approved({ status: 'consumed' }) },
    'challenge anomaly.unusual',
  ],
  [
    'a concern, expired',
    { findings: [unusual], evidence: approved({ status: 'expired' }) },
    'challenge anomaly.unusual',
  ],
  [
    'a concern, pending',
    { findings: [unusual], evidence: approved({ status: 'pending' }) },
    'challenge policy.approval-pending',
  ],
  [
    'a concern, pending for too long',
    { findings: [unusual], evidence: approved({ status: 'pending', expires: NOW }) },
    'challenge anomaly.unusual',
  ],
  [
    'a concern, refused',
    { findings: [unusual], evidence: approved({ status: 'denied' }) },
    'deny policy.approval-denied',
  ],
  [
    'a concern, refused long ago',
    { findings: [unusual], evidence: approved({ status: 'denied', expires: 0 }) },
    'deny policy.approval-denied',
  ],
  [
    'a concern, refused for another action',
    { findings: [unusual], evidence: approved({ status: 'denied', bind: 'x' }) },
    'challenge anomaly.unusual',
  ],
  [
    'a concern about identity',
    { findings: [against('identity', 'concern', 'identity.weak-proof')] },
    'deny identity.weak-proof',
  ],
  [
    'a concern about the grant',
    { findings: [against('scope', 'concern', 'scope.budget')], evidence: approved() },
    'deny scope.budget',
  ],
  ['a narrower action', { findings: [clamped] }, 'modify scope.clamped'],
  ['a narrower action, the wide one approved', { findings: [clamped], evidence: approved() }, 'modify scope.clamped'],
  ['a narrower action beside a concern', { findings: [clamped, unusual] }, 'modify scope.clamped'],
  ['a narrower action beside a failure', { findings: [clamped, drift] }, 'deny intent.effect-mismatch'],
  [
    'a failure that brings a narrower action',
    { findings: [against('scope', 'fail', 'scope.clamped', { n: 1 })] },
    'deny scope.clamped',
  ],
  ['a denying engine', { verdicts: [permit, verdict('deny')] }, 'deny policy.denied'],
  ['a failing engine', { verdicts: [verdict('error'), permit] }, 'deny policy.error'],
  ['a silent engine', { verdicts: [verdict('undefined'), permit] }, 'deny policy.undefined'],
  ['an absent engine', { verdicts: [permit, verdict('unavailable')] }, 'deny policy.unavailable'],
  ['an asking engine', { verdicts: [permit, verdict('challenge')] }, 'challenge policy.approval-required'],
  ['an asking engine, approved', { verdicts: [verdict('challenge')], evidence: approved() }, 'permit'],
  ['a denying engine, approved', { verdicts: [verdict('deny')], evidence: approved() }, 'deny policy.denied'],
  [
    'an unknown obligation',
    { verdicts: [verdict('permit', [{ type: 'encrypt', properties: {} }])] },
    'deny policy.unknown-obligation',
  ],
  ['an unknown outcome before', { evidence: { outcomeUnknown: true } }, 'challenge system.outcome-unknown'],
  [
    'an unknown outcome before, in observe',
    { evidence: { outcomeUnknown: true, ...observe } },
    'challenge system.outcome-unknown',
  ],
  ['an unknown outcome before, approved', { evidence: { outcomeUnknown: true, ...approved() } }, 'permit'],
  ['an unknown outcome of what may be repeated', { evidence: { outcomeUnknown: true, ...idempotent } }, 'permit'],
  [
    'observe: a drift',
    { findings: [drift, unusual], verdicts: [verdict('deny')], evidence: observe },
    'permit intent.effect-mismatch anomaly.unusual policy.denied',
  ],
  ['observe: a narrower action', { findings: [clamped], evidence: observe }, 'permit scope.clamped'],
  [
    'observe: a refusal by a person',
    { findings: [unusual], evidence: { ...observe, ...approved({ status: 'denied' }) } },
    'permit anomaly.unusual',
  ],
  [
    'observe: revocation',
    { findings: [drift, against('identity', 'fail', 'identity.revoked')], evidence: observe },
    'deny identity.revoked',
  ],
  [
    'observe: stale revocations',
    { findings: [against('identity', 'fail', 'system.stale-revocations')], evidence: observe },
    'deny system.stale-revocations',
  ],
  [
    'observe: a credential',
    { findings: [against('context', 'fail', 'credential.replayed')], evidence: observe },
    'deny credential.replayed',
  ],
]

describe('decide', () => {
  for (const [name, scene, expected] of rows) {
    it(`${name}: ${expected}`, () => expect(say(decide(toInput(scene)))).toBe(expected))
  }
  for (const stage of STAGES) {
    it(`denies when ${stage} is silent, in every mode`, () => {
      const findings = passes.filter((finding) => finding.stage !== stage)
      for (const mode of ['enforce', 'observe'] as const) {
        expect(say(decide({ ...toInput({ evidence: { mode } }), findings }))).toBe('deny system.no-finding')
      }
    })
  }
  it('carries what has to be done, the rewritten action, and every reason', () => {
    const notify: Obligation = { type: 'notify', properties: { topic: 'a' } }
    const encrypt: Obligation = { type: 'encrypt', properties: {} }
    expect(decide(toInput({ verdicts: [verdict('permit', [notify]), permit] }))).toMatchObject({
      obligations: [notify],
    })
    expect(decide(toInput({ verdicts: [verdict('permit', [notify, encrypt])], evidence: observe }))).toEqual({
      kind: 'permit',
      obligations: [notify],
      suspended: ['policy.unknown-obligation'],
    })
    expect(decide(toInput({ findings: [clamped] }))).toMatchObject({ body: { n: 10 } })
    expect(decide(toInput({ findings: [unusual, drift], verdicts: [verdict('challenge')] }))).toMatchObject({
      reasons: ['intent.effect-mismatch', 'anomaly.unusual', 'policy.approval-required'],
    })
  })
})

const reason = fc.constantFrom(...Object.keys(REASONS).filter(isReason))
const finding: fc.Arbitrary<Finding> = fc
  .tuple(fc.constantFrom(...STAGES), fc.constantFrom('pass', 'concern', 'fail', 'insufficient'), reason, fc.boolean())
  .map(([stage, outcome, why, rewritten]) =>
    outcome === 'pass' ? { stage, outcome, facts: {} } : against(stage, outcome, why, rewritten ? { n: 1 } : undefined),
  )
const anyVerdict = fc
  .constantFrom<PolicyVerdict['outcome']>(
    'permit',
    'permit',
    'permit',
    'challenge',
    'deny',
    'undefined',
    'error',
    'unavailable',
  )
  .map((outcome) => verdict(outcome))
const anyApproval = fc.record({
  ...Object.fromEntries([['id', fc.constant('A1')]]),
  bind: fc.constantFrom('sha-256:bind', 'sha-256:bind', 'x', ''),
  txn: fc.constantFrom('T1', 'T1', 'T2'),
  status: fc.constantFrom<Approval['status']>('pending', 'approved', 'approved', 'denied', 'consumed', 'expired'),
  expires: fc.constantFrom(NOW + 1, NOW),
})
const evidence: fc.Arbitrary<Partial<Evidence>> = fc
  .record({
    mode: fc.constantFrom<Evidence['mode']>('enforce', 'observe'),
    outcomeUnknown: fc.boolean(),
    approval: fc.option(anyApproval, { nil: undefined }),
    effect: fc.constantFrom(report(['read']), report(['write'])),
  })
  .map(({ approval: found, ...rest }) => ({
    ...rest,
    ...(found === undefined ? {} : { approval: { ...approval, ...found } }),
  }))
/** Five findings that may speak against, more often than not mildly, so that every kind of decision is met. */
const input: fc.Arbitrary<DecideInput> = fc
  .record({
    findings: fc.oneof(
      { weight: 2, arbitrary: fc.array(finding, { maxLength: 2 }) },
      fc.array(fc.constantFrom(clamped, unusual, read), { maxLength: 2 }),
    ),
    verdicts: fc.array(anyVerdict, { minLength: 1, maxLength: 3 }),
    evidence,
  })
  .map((scene) => ({ ...toInput(scene), findings: [...passes, ...scene.findings] }))

/** Holds of every input, and of enough inputs of the kind that the property is about. */
function holds<T>(arbitrary: fc.Arbitrary<T>, property: (value: T) => boolean): () => void {
  return () => fc.assert(fc.property(arbitrary, property), { numRuns: scaled(2000) })
}

describe('of every input', () => {
  it('meets every kind of decision', () => {
    const kinds = new Set(fc.sample(input, 2000).map((each) => decide(each).kind))
    expect(kinds).toEqual(new Set(['permit', 'modify', 'challenge', 'deny']))
  })
  it('deny absorbs: one more failure or denying verdict is a deny in enforce', () => {
    const worse = fc.tuple(input, fc.constantFrom(...STAGES), reason, fc.boolean())
    expect(
      holds(worse, ([given, stage, why, isPolicy]) => {
        const harder = isPolicy
          ? { ...given, verdicts: [...given.verdicts, verdict('deny')] }
          : { ...given, findings: [...given.findings, against(stage, 'fail', why)] }
        return decide({ ...harder, evidence: { ...harder.evidence, mode: 'enforce' } }).kind === 'deny'
      }),
    ).not.toThrow()
  })
  it('one more finding or verdict never helps', () => {
    const more = fc.tuple(input, fc.array(finding, { maxLength: 3 }), fc.array(anyVerdict, { maxLength: 2 }))
    expect(
      holds(more, ([given, findings, verdicts]) => {
        const before = decide(given)
        const after = decide({
          ...given,
          findings: [...given.findings, ...findings],
          verdicts: [...given.verdicts, ...verdicts],
        })
        return (
          (after.kind !== 'permit' || before.kind === 'permit') && (before.kind !== 'deny' || after.kind === 'deny')
        )
      }),
    ).not.toThrow()
  })
  it('the order of findings and verdicts changes nothing but the order of equals', () => {
    expect(
      holds(input, (given) => {
        const turned = { ...given, findings: given.findings.toReversed(), verdicts: given.verdicts.toReversed() }
        return decide(turned).kind === decide(given).kind
      }),
    ).not.toThrow()
  })
  it('no finding of a stage is a deny', () => {
    expect(
      holds(fc.tuple(input, fc.constantFrom(...STAGES)), ([given, stage]) => {
        const findings = given.findings.filter((each) => each.stage !== stage)
        return decide({ ...given, findings }).kind === 'deny'
      }),
    ).not.toThrow()
  })
  it('taking the approval away never permits', () => {
    expect(
      holds(input, (given) => {
        const { approval: _approval, ...unapproved } = given.evidence
        return decide({ ...given, evidence: unapproved }).kind !== 'permit' || decide(given).kind === 'permit'
      }),
    ).not.toThrow()
  })
  it('an approval lifts challenges and nothing else', () => {
    expect(
      holds(input, (given) => {
        const { approval: _approval, ...unapproved } = given.evidence
        const before = decide({ ...given, evidence: unapproved })
        const after = decide({ ...given, evidence: { ...unapproved, approval } })
        return before.kind === 'challenge' ? after.kind === 'permit' : after.kind === before.kind
      }),
    ).not.toThrow()
  })
  it('observe never gets past identity, the system or a credential', () => {
    const failed = fc.tuple(input, fc.constantFrom(...STAGES), reason)
    expect(
      holds(failed, ([given, stage, why]) => {
        const findings = [...given.findings, against(stage, 'fail', why)]
        const { kind } = decide({ ...given, findings, evidence: { ...given.evidence, mode: 'observe' } })
        return kind === 'deny' || (stage !== 'identity' && !/^(?:identity|system|credential)\./.test(why))
      }),
    ).not.toThrow()
  })
  it('a permit in enforce suspends nothing', () => {
    expect(
      holds(input, (given) => {
        const decision = decide({ ...given, evidence: { ...given.evidence, mode: 'enforce' } })
        return decision.kind !== 'permit' || decision.suspended.length === 0
      }),
    ).not.toThrow()
  })
})

/** Judged apart from the code: something new, and what was there did not hold everything. */
function widens(inner: readonly string[], outer: readonly string[]): boolean {
  return !outer.includes('*') && inner.some((each) => !outer.includes(each))
}

describe('isModifyAllowed', () => {
  const names = fc.subarray(['a', 'b', '*'])
  const anyReport: fc.Arbitrary<EffectReport> = fc
    .tuple(fc.constantFrom(...LEVELS), fc.subarray([...BESIDE]), names, names, fc.boolean(), fc.boolean())
    .map(([level, beside, destinations, objects, reversible, bounded]) =>
      report(['read'], { effect: { level, beside }, destinations, objects, reversible, bounded }),
    )
  it('never rises', () => {
    expect(
      holds(fc.tuple(anyReport, anyReport), ([before, after]) => {
        const rises =
          LEVELS.indexOf(after.effect.level) > LEVELS.indexOf(before.effect.level) ||
          after.effect.beside.some((kind) => !before.effect.beside.includes(kind)) ||
          (before.reversible && !after.reversible) ||
          (before.bounded && !after.bounded) ||
          widens(after.destinations, before.destinations) ||
          widens(after.objects, before.objects)
        return isModifyAllowed(before, after) === !rises
      }),
    ).not.toThrow()
  })
})

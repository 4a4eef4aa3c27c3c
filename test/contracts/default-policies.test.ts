/**
 * @module
 * The default policies, from the attack first: what each rule keeps out, then what must still go through.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { PolicyVerdict } from '../../src/core/decision.ts'
import { BESIDE, type Effect } from '../../src/core/effect.ts'
import type { Assurance, Evidence } from '../../src/core/evidence.ts'
import type { Finding } from '../../src/core/finding.ts'
import type { ToolFacts } from '../../src/core/manifest.ts'
import type { ProofGrade, RequestContext } from '../../src/core/request.ts'
import { createCedarEngine } from '../../src/engines/cedar.ts'
import { defaultPolicyFolder, loadPolicyFolder } from '../../src/engines/policy-files.ts'
import type { Engine } from '../../src/ports/engine.ts'
import { approved, evidence, leaf, toDocument, withEffect, type Variation } from '../fixtures/engine-request.ts'

let engine: Engine
beforeAll(async () => {
  engine = await createCedarEngine({ policies: await loadPolicyFolder(defaultPolicyFolder) })
})
afterAll(async () => {
  await engine.close()
})

async function outcome(variation: Variation): Promise<PolicyVerdict['outcome']> {
  return (await engine.evaluate(toDocument(variation))).outcome
}

const WRITE: Effect = { level: 'write', beside: [] }
const SEND: Effect = { level: 'read', beside: ['send'] }
const DROP: Effect = { level: 'delete', beside: ['admin'] }
const notCovered: readonly Finding[] = [{ stage: 'scope', outcome: 'fail', reason: 'scope.operation', facts: {} }]
const consequential: readonly Effect[] = [
  WRITE,
  { level: 'delete', beside: [] },
  ...BESIDE.map((kind): Effect => ({ level: 'read', beside: [kind] })),
]

function sent(to: Evidence['provenance']['arguments'], effect: Effect = SEND): Partial<Evidence> {
  return { ...withEffect(effect), provenance: { ...evidence.provenance, arguments: to } }
}
const vouched = [leaf('recipient', 'purpose'), leaf('content', 'none')]

function proof(grade: ProofGrade, bodyBound = true): Partial<RequestContext> {
  return { proof: { grade, bodyBound } }
}

/** With and without an approval. */
async function outcomes(variation: Variation): Promise<ReadonlySet<string>> {
  const both = [variation, { ...variation, evidence: { ...variation.evidence, ...approved } }]
  return new Set(await Promise.all(both.map(outcome)))
}

describe('goes through', () => {
  it('a read under a grant, and one by a principal who is only named', async () => {
    expect(await outcome({})).toBe('permit')
    expect(await outcome({ evidence: { identity: { assurance: 'asserted' } }, findings: notCovered })).toBe('permit')
  })

  it('a bounded write covered by the grant', async () => {
    for (const grade of ['signature', 'hmac', 'mtls', 'process'] as const) {
      expect(await outcome({ context: proof(grade), evidence: withEffect(WRITE) })).toBe('permit')
    }
  })

  it('a message to somebody the purpose names, or who stands in our own records', async () => {
    expect(await outcome({ evidence: sent(vouched) })).toBe('permit')
    expect(await outcome({ evidence: sent([leaf('destination', 'observed', 'own')]) })).toBe('permit')
  })

  it('everything that was challenged, once approved', async () => {
    expect(await outcome({ evidence: { ...withEffect(DROP, { bounded: false }), ...approved } })).toBe('permit')
    expect(await outcome({ evidence: { ...sent([leaf('recipient', 'none')]), ...approved } })).toBe('permit')
  })
})

describe('is asked', () => {
  it.each<[string, Effect, boolean]>([
    ['a delete', { level: 'delete', beside: [] }, true],
    ['an unbounded write', WRITE, false],
    ['code', { level: 'read', beside: ['execute'] }, true],
    ['administration', { level: 'write', beside: ['admin'] }, true],
    ['a dropped table', DROP, false],
    ['a delete that also sends to a vouched address', { level: 'delete', beside: ['send'] }, true],
  ])('%s', async (_name, effect, bounded) => {
    expect(await outcome({ evidence: { ...sent(vouched, effect), ...withEffect(effect, { bounded }) } })).toBe(
      'challenge',
    )
  })

  it.each<[string, Evidence['provenance']['arguments']]>([
    ['made up', [leaf('recipient', 'none')]],
    ['found where others write', [leaf('recipient', 'observed', 'attacker-writable')]],
    ['found in records that are not ours alone', [leaf('destination', 'observed', 'internal')]],
    ['not to be seen', [leaf('content', 'purpose')]],
    ['vouched for, beside one that is not', [leaf('recipient', 'purpose'), leaf('destination', 'none')]],
    ['vouched for, with an amount that is not', [leaf('recipient', 'purpose'), leaf('amount', 'none')]],
  ])('about a destination %s', async (_name, to) => {
    expect(await outcome({ evidence: sent(to) })).toBe('challenge')
    expect(await outcome({ evidence: sent(to, { level: 'read', beside: ['spend'] }) })).toBe('challenge')
  })

  it('about a vouched message that was not signed', async () => {
    expect(await outcome({ context: proof('process'), evidence: sent(vouched) })).toBe('challenge')
    expect(await outcome({ context: proof('cookie'), evidence: sent(vouched) })).toBe('challenge')
  })
})

describe('never goes through, approved or not', () => {
  it.each(consequential)('without a proof: %j', async (effect) => {
    expect(await outcomes({ context: proof('none'), evidence: sent(vouched, effect) })).toEqual(new Set(['deny']))
  })

  it.each(consequential)('with a signature that does not cover the body: %j', async (effect) => {
    const variation = { context: proof('signature', false), evidence: sent(vouched, effect) }
    expect(await outcomes(variation)).toEqual(new Set(['deny']))
  })

  it.each(consequential)('for a principal who is only named, or not at all: %j', async (effect) => {
    for (const assurance of ['asserted', 'none'] as const satisfies readonly Assurance[]) {
      const found = await outcomes({ evidence: { ...sent(vouched, effect), identity: { assurance } } })
      expect(found).toEqual(new Set(['deny']))
    }
  })

  it.each(consequential)('outside the grant: %j', async (effect) => {
    const found = await outcomes({ evidence: sent(vouched, effect), findings: notCovered })
    expect(found).not.toContain('permit')
    expect(found).not.toContain('challenge')
  })

  it.each<ToolFacts>([{ status: 'unknown' }, { ...evidence.tool, status: 'changed' }])(
    'through a tool that is $status',
    async (tool) => {
      expect(await outcomes({ evidence: { tool } })).toEqual(new Set(['undefined']))
      expect(await outcomes({ evidence: { ...withEffect(WRITE), tool } })).toEqual(new Set(['undefined']))
    },
  )

  it('a read for nobody, outside a grant', async () => {
    expect(await outcomes({ evidence: { identity: { assurance: 'none' } }, findings: notCovered })).toEqual(
      new Set(['undefined']),
    )
  })
})

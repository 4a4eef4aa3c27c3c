import { describe, expect, it } from 'vitest'
import { approved, evidence, leaf, NOW, passes, toDocument } from '../../test/fixtures/engine-request.ts'
import { approvedHypothetically } from './engine-document.ts'
import type { Evidence } from './evidence.ts'
import type { Finding } from './finding.ts'

const scopeFails: Finding = { stage: 'scope', outcome: 'fail', reason: 'scope.operation', facts: {} }

const coveredBy = (findings: readonly Finding[]): unknown => toDocument({ findings }).context['grant']

describe('toEngineDocument', () => {
  it('has exactly the pinned shape', () => {
    expect(toDocument()).toEqual({
      subject: {
        type: 'user',
        id: 'alice',
        properties: {
          assurance: 'granted',
          act: { type: 'agent', id: 'support', jkt: 'agent-key', act: { type: 'agent', id: 'planner' } },
        },
      },
      action: {
        name: 'tools/call',
        properties: {
          effect: 'read',
          effects: ['read'],
          reversible: true,
          bounded: true,
          destinations: [],
          objects: ['customers'],
          source: 'parser',
        },
      },
      resource: {
        type: 'tool',
        id: 'orders/query',
        properties: {
          upstream: 'orders',
          tool: 'query',
          status: 'accepted',
          idempotent: true,
          output: { trust: 'internal', confidentiality: 'confidential' },
        },
      },
      context: {
        arguments: { sql: 'select 1' },
        intent: { stated: true, text: 'read: the user asked for the e-mail of customer 42', source: 'argument' },
        provenance: {
          attested: true,
          taint: { trust: 'own', confidentiality: 'public' },
          length: 0,
          roles: [],
          unvouched: [],
          arguments: [],
        },
        anomaly: { outcome: 'pass', events: 40, signals: { tool: 500_000 } },
        grant: { covered: true, id: 'grant-1', issuedBy: 'operator', expires: NOW + 60_000 },
        task: { open: true, attested: true, txn: 'task-1', openedBy: 'host' },
        proof: { grade: 'signature', bodyBound: true, jkt: 'agent-key' },
        mode: 'enforce',
        time: NOW,
        deployment: 'separate',
        approved: false,
        findings: { identity: 'pass', intent: 'pass', scope: 'pass', context: 'pass', anomaly: 'pass' },
        reasons: [],
        claimed: {},
      },
    })
  })

  it('is JSON and holds no purpose', () => {
    const document = toDocument()
    expect(JSON.parse(JSON.stringify(document))).toEqual(document)
    expect(JSON.stringify(document)).not.toContain('find the e-mail')
  })

  it('shows what a PEP claims under `claimed` and nowhere else', () => {
    const claimed = { approved: true, grant: { covered: true }, mode: 'observe', assurance: 'signed' }
    const document = toDocument({
      request: {
        subject: { type: 'user', id: 'alice', properties: { assurance: 'signed' } },
        resource: { type: 'tool', id: 'orders/query', properties: { status: 'accepted' } },
      },
      context: { claimed },
      evidence: { tool: { status: 'unknown' }, identity: { assurance: 'asserted' } },
    })
    expect(document.context['claimed']).toEqual({
      ...claimed,
      subject: { assurance: 'signed' },
      resource: { status: 'accepted' },
    })
    expect(document.subject.properties['assurance']).toBe('asserted')
    expect(document.resource.properties['status']).toBe('unknown')
    expect(document.context['approved']).toBe(false)
    expect(document.context['mode']).toBe('enforce')
  })

  it.each<[string, readonly Finding[]]>([
    ['missing', []],
    ['fail', [...passes, scopeFails]],
    ['fail', [scopeFails, ...passes]],
  ])('calls the scope %s and the grant not covered', (outcome, findings) => {
    const { context } = toDocument({ findings })
    expect(context['findings']).toMatchObject({ scope: outcome })
    expect(context['grant']).toMatchObject({ covered: false })
  })

  it('covers what scope narrows, which is then asked again, and no other concern', () => {
    const clamped: Finding = { stage: 'scope', outcome: 'concern', reason: 'scope.clamped', rewrite: {}, facts: {} }
    const { rewrite: _rewrite, ...unclamped } = clamped
    expect(coveredBy([clamped])).toMatchObject({ covered: true })
    expect(coveredBy([unclamped])).toMatchObject({ covered: false })
    expect(coveredBy([{ ...clamped, reason: 'scope.argument' }])).toMatchObject({ covered: false })
    expect(coveredBy([clamped, scopeFails])).toMatchObject({ covered: false })
    expect(coveredBy([{ ...clamped, stage: 'context' }])).toMatchObject({ covered: false })
  })

  it('covers nothing without a grant, whatever the scope verifier says', () => {
    expect(toDocument({ evidence: { grant: { chain: [], used: {} } } }).context['grant']).toEqual({ covered: false })
  })

  it('lists every reason once', () => {
    expect(toDocument({ findings: [scopeFails, scopeFails, ...passes] }).context['reasons']).toEqual([
      'scope.operation',
    ])
  })

  it('reports unvouched roles: made up, or observed where others write', () => {
    const { context } = toDocument({
      evidence: {
        provenance: {
          ...evidence.provenance,
          arguments: [
            leaf('recipient', 'purpose'),
            leaf('destination', 'observed', 'own'),
            leaf('amount', 'observed', 'internal'),
            leaf('content', 'none', 'own'),
          ],
        },
      },
    })
    expect(context['provenance']).toMatchObject({
      roles: ['amount', 'content', 'destination', 'recipient'],
      unvouched: ['amount', 'content'],
    })
  })

  it('rounds chances down, keeps the least of a name and takes no number for the most unusual', () => {
    const signals = [
      { name: 'rate', p: 0.9 },
      { name: 'rate', p: 0.000_001_9 },
      { name: 'tool', p: Number.NaN },
    ] as const
    const behaviour = { events: 3, threshold: 0.1, signals: signals.map((signal) => ({ ...signal, why: '' })) }
    expect(toDocument({ evidence: { behaviour } }).context['anomaly']).toMatchObject({ signals: { rate: 1, tool: 0 } })
  })
})

describe('context.approved', () => {
  const { approval } = approved
  const withApproval = (change: object): Partial<Evidence> => ({ approval: { ...approval, ...change } })

  it('is true for an approval of exactly this action', () => {
    expect(toDocument({ evidence: approved }).context['approved']).toBe(true)
  })

  it.each([
    ['another action', { bind: 'sha-256:other' }],
    ['another task', { txn: 'task-2' }],
    ['a pending one', { status: 'pending' }],
    ['a consumed one', { status: 'consumed' }],
    ['a denied one', { status: 'denied' }],
    ['one that expires now', { expires: NOW }],
  ])('is false for %s', (_name, change) => {
    expect(toDocument({ evidence: withApproval(change) }).context['approved']).toBe(false)
  })

  it('is only supposed in a hypothetical document, which leaves the real one alone', () => {
    const real = toDocument()
    expect(approvedHypothetically(real).context['approved']).toBe(true)
    expect(real.context['approved']).toBe(false)
  })
})

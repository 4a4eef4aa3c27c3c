/**
 * @module
 * Identity, from the attack: each row is a request that someone else than the agent would like to pass.
 */
import { describe, expect, it } from 'vitest'
import type { EnrolledKey, Evidence, Task } from '../evidence.ts'
import type { AccessRequest } from '../request.ts'
import { verifyIdentity } from './identity.ts'
import { JKT, makeEvidence, makeRequest, NOW, report } from './scenario.test-data.ts'

const base = makeEvidence()
const task: Task | undefined = base.task
const key: EnrolledKey | undefined = base.identity.actor

function withTask(change: Partial<Task>): Evidence {
  return task === undefined ? base : makeEvidence({ task: { ...task, ...change } })
}

function withKey(change: Partial<EnrolledKey>): Evidence {
  return key === undefined ? base : makeEvidence({ identity: { actor: { ...key, ...change }, assurance: 'granted' } })
}

/** A connection that proved nothing, in a task of its own. */
const { actor: _actor, ...unowned } = withTask({}).task ?? { actor: '' }
const unproved = makeRequest({
  actor: { type: 'agent', id: 'unproved' },
  context: { proof: { grade: 'none', bodyBound: false } },
})
const connection = (change: Partial<Evidence> = {}): Evidence => {
  const { task: _task, ...rest } = makeEvidence({ identity: { assurance: 'none' }, ...change })
  return 'txn' in unowned ? { ...rest, task: { ...unowned } } : rest
}

function reasonOf(request: AccessRequest, evidence: Evidence): string {
  const finding = verifyIdentity(request, evidence)
  return finding.outcome === 'pass' ? 'pass' : `${finding.outcome} ${finding.reason}`
}

const write = report(['write'])
const proof = (change: Partial<AccessRequest['context']['proof']>): AccessRequest =>
  makeRequest({ context: { proof: { grade: 'signature', jkt: JKT, bodyBound: true, ...change } } })
const { task: _none, ...taskless } = base
const { identity: _identity, ...keyless } = base

const rows: readonly [string, AccessRequest, Evidence, string][] = [
  ['the agent itself', makeRequest(), base, 'pass'],
  ['the agent under an HMAC session', proof({ grade: 'hmac' }), base, 'pass'],
  [
    'a stale revocation feed',
    makeRequest(),
    makeEvidence({ revocation: { rev: 1, fresh: false, revoked: [] } }),
    'fail system.stale-revocations',
  ],
  [
    'staleness before revocation',
    makeRequest(),
    makeEvidence({ revocation: { rev: 1, fresh: false, revoked: [{ dimension: 'task', rev: 1 }] } }),
    'fail system.stale-revocations',
  ],
  [
    'a revoked dimension',
    makeRequest(),
    makeEvidence({ revocation: { rev: 1, fresh: true, revoked: [{ dimension: 'tool', rev: 1 }] } }),
    'fail identity.revoked',
  ],
  [
    'revocation in observe',
    makeRequest(),
    makeEvidence({ mode: 'observe', revocation: { rev: 1, fresh: true, revoked: [{ dimension: 'all', rev: 1 }] } }),
    'fail identity.revoked',
  ],
  [
    'a key that is not enrolled',
    makeRequest(),
    { ...keyless, identity: { assurance: 'granted' } },
    'fail identity.unknown-key',
  ],
  ['a host key', makeRequest(), withKey({ role: 'host' }), 'fail identity.key-role'],
  ['an operator key', makeRequest(), withKey({ role: 'operator' }), 'fail identity.key-role'],
  ['a proof of another key', proof({ jkt: 'jkt-other' }), base, 'fail identity.bad-proof'],
  [
    'a proof without key',
    makeRequest({ context: { proof: { grade: 'mtls', bodyBound: true } } }),
    base,
    'fail identity.bad-proof',
  ],
  [
    'another actor than the key',
    makeRequest({ actor: { type: 'agent', id: 'support-agent', jkt: 'jkt-other' } }),
    base,
    'fail identity.bad-proof',
  ],
  [
    'an actor without key',
    makeRequest({ actor: { type: 'agent', id: 'support-agent' } }),
    base,
    'fail identity.bad-proof',
  ],
  [
    "another agent's name",
    makeRequest({ actor: { type: 'agent', id: 'admin-agent', jkt: JKT } }),
    base,
    'fail identity.bad-proof',
  ],
  ['a cookie', proof({ grade: 'cookie' }), makeEvidence({ mode: 'observe' }), 'fail identity.weak-proof'],
  ['nothing proved, in enforce', unproved, connection(), 'fail identity.missing'],
  ['nothing proved, in observe', unproved, connection({ mode: 'observe' }), 'pass'],
  ['nothing proved, a write in observe', unproved, connection({ mode: 'observe', effect: write }), 'pass'],
  [
    'nothing proved, a key named, in observe',
    makeRequest({ context: { proof: { grade: 'none', bodyBound: false } } }),
    makeEvidence({ mode: 'observe' }),
    'fail identity.missing',
  ],
  [
    "nothing proved, in an agent's task",
    unproved,
    { ...keyless, identity: { assurance: 'none' }, mode: 'observe' },
    'fail identity.task-mismatch',
  ],
  [
    'the own process without key',
    makeRequest({ actor: { type: 'agent', id: 'a' }, context: { proof: { grade: 'process', bodyBound: true } } }),
    connection(),
    'pass',
  ],
  [
    'the own process in the task of a key',
    makeRequest({ context: { proof: { grade: 'process', bodyBound: true } } }),
    base,
    'pass',
  ],
  [
    "the own process without key in an agent's task",
    makeRequest({ actor: { type: 'agent', id: 'a' }, context: { proof: { grade: 'process', bodyBound: true } } }),
    { ...keyless, identity: { assurance: 'none' } },
    'fail identity.task-mismatch',
  ],
  ['the own process with another key', proof({ grade: 'process', jkt: 'jkt-other' }), base, 'fail identity.bad-proof'],
  [
    'a write whose body is open',
    proof({ bodyBound: false }),
    makeEvidence({ effect: write }),
    'fail identity.weak-proof',
  ],
  [
    'a send whose body is open',
    proof({ bodyBound: false }),
    makeEvidence({ effect: report(['send']) }),
    'fail identity.weak-proof',
  ],
  ['a read whose body is open', proof({ bodyBound: false }), base, 'pass'],
  ['no task', makeRequest(), taskless, 'fail identity.unknown-task'],
  ['an expired task', makeRequest(), withTask({ expires: NOW }), 'fail identity.unknown-task'],
  ['a task without end', makeRequest(), withTask({ expires: NaN }), 'fail identity.unknown-task'],
  ["another agent's task", makeRequest(), withTask({ actor: 'jkt-other' }), 'fail identity.task-mismatch'],
  ["a connection's task", makeRequest(), { ...connection(), identity: base.identity }, 'fail identity.task-mismatch'],
  ['another principal', makeRequest({ subject: { type: 'user', id: 'bob' } }), base, 'fail identity.task-mismatch'],
  [
    'another type of principal',
    makeRequest({ subject: { type: 'group', id: 'alice' } }),
    base,
    'fail identity.task-mismatch',
  ],
  ['another txn', makeRequest({ context: { txn: 'T2' } }), base, 'fail identity.task-mismatch'],
]

describe('verifyIdentity', () => {
  for (const [name, request, evidence, expected] of rows) {
    it(`${name}: ${expected}`, () => expect(reasonOf(request, evidence)).toBe(expected))
  }
  it('says how far it goes', () => {
    expect(verifyIdentity(makeRequest(), base).facts).toEqual({
      grade: 'signature',
      assurance: 'granted',
      bodyBound: true,
      attested: true,
    })
  })
})

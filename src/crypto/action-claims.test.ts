import { describe, expect, it } from 'vitest'

import { digestOf } from '../core/bind.ts'
import { InvariantError } from '../core/errors.ts'
import type { Evidence } from '../core/evidence.ts'
import { asJson } from '../core/json.ts'
import type { AccessRequest } from '../core/request.ts'
import { parseActionClaims, toActionClaims, type ActionInput } from './action-claims.ts'

const REQUEST: AccessRequest = {
  id: 'e1',
  plane: 'mcp',
  subject: { type: 'user', id: 'alice/x' },
  actor: { type: 'agent', id: 'support-agent', jkt: 'agent-key' },
  action: { name: 'tools/call', body: { method: 'tools/call', name: 'query', arguments: {} } },
  resource: { type: 'tool', id: 'orders/query' },
  context: {
    aud: 'https://unbearer.example/mcp/orders',
    upstream: 'orders',
    tool: 'query',
    txn: 't1',
    proof: { grade: 'signature', jkt: 'agent-key', bodyBound: true },
  },
}

const EVIDENCE: Evidence = {
  now: 1_790_000_000_500,
  mode: 'observe',
  deployment: 'same-user',
  identity: { assurance: 'granted' },
  task: {
    txn: 't1',
    purposeHash: 'sha-256:p',
    principal: { type: 'user', id: 'alice/x' },
    grant: 'g1',
    openedBy: { role: 'host' },
    openedAt: 0,
    expires: 2e12,
  },
  revocation: { rev: 7, fresh: true, revoked: [] },
  tool: { status: 'unknown' },
  effect: {
    effect: { level: 'read', beside: [] },
    reversible: true,
    bounded: true,
    destinations: [],
    objects: [],
    why: [],
    source: 'parser',
  },
  provenance: { attested: true, arguments: [], taint: { trust: 'own', confidentiality: 'public' }, length: 0 },
  behaviour: { events: 0, signals: [], threshold: 0.01 },
  approval: { id: 'a1', bind: 'b', txn: 't1', status: 'approved', createdAt: 0, expires: 2e12 },
  outcomeUnknown: false,
  bind: 'sha-256:b',
  reads: {},
}

const INPUT: ActionInput = {
  issuer: 'https://unbearer.example',
  request: REQUEST,
  evidence: EVIDENCE,
  jti: 'j1',
  jkt: 'agent-key',
  ttlSeconds: 30,
  now: 1_790_000_000_999,
}

const GRANT = {
  id: 'g1',
  principal: { type: 'user', id: 'alice/x' },
  actor: 'agent-key',
  issuedBy: { role: 'operator', jkt: 'operator-key' },
  notBefore: 0,
  expires: 2e12,
  operations: [],
  budgets: [],
  depth: 0,
} as const

describe('claims of an action', () => {
  it('say what was decided', () => {
    const claims = toActionClaims(INPUT)
    const [detail] = claims.authorization_details
    expect(claims).toMatchObject({
      iat: 1_790_000_000,
      exp: 1_790_000_030,
      txn: 't1',
      sub: 'user/alice/x',
      act: { sub: 'support-agent' },
      cnf: { jkt: 'agent-key' },
      grant: 'g1',
      rev: 7,
      mode: 'observe',
      tctx: { evaluation_id: 'e1', approval_id: 'a1', purpose: 'sha-256:p' },
      rctx: { proof: 'signature' },
    })
    expect(detail).toMatchObject({
      identifier: 'orders/query',
      locations: [REQUEST.context.aud],
      actions: ['tools/call'],
    })
    expect(detail.digest).toBe(digestOf(REQUEST.action.body, Buffer.from(detail.salt, 'base64url')))
    expect(parseActionClaims(asJson(claims))).toEqual(claims)
  })

  it('have a fresh salt each time', () => {
    expect(toActionClaims(INPUT).authorization_details).not.toEqual(toActionClaims(INPUT).authorization_details)
  })

  it('name what their grant was delegated from, so that whoever redeems elsewhere knows when it is revoked', () => {
    const [leaf, parent, root] = ['g1', 'g0', 'g-root'].map((id) => ({ ...GRANT, id }))
    if (leaf === undefined || parent === undefined || root === undefined) throw new Error('no grants')
    const claims = toActionClaims({
      ...INPUT,
      evidence: { ...EVIDENCE, grant: { chain: [leaf, parent, root], used: {} } },
    })
    expect(claims.tctx.delegated_from).toEqual(['g0', 'g-root'])
    expect(parseActionClaims(asJson(claims))).toEqual(claims)
    const tctx = { ...claims.tctx, delegated_from: ['g0', 1] }
    expect(parseActionClaims({ ...asJson(claims), tctx })).toBeUndefined()
  })

  it('name no approval that was not given', () => {
    const approval = {
      ...EVIDENCE.approval,
      id: 'a1',
      bind: 'b',
      txn: 't1',
      createdAt: 0,
      expires: 0,
      status: 'pending',
    } as const
    expect(toActionClaims({ ...INPUT, evidence: { ...EVIDENCE, approval } }).tctx).not.toHaveProperty('approval_id')
  })

  it('are not made for ids that would make two things look alike, or without a task', () => {
    const { txn: _t, ...context } = REQUEST.context
    const { task: _k, ...evidence } = EVIDENCE
    const make =
      (request: AccessRequest, given = EVIDENCE) =>
      () =>
        toActionClaims({ ...INPUT, request, evidence: given })
    expect(make({ ...REQUEST, subject: { type: 'user/alice', id: 'x' } })).toThrow(InvariantError)
    expect(make({ ...REQUEST, context: { ...REQUEST.context, upstream: 'orders/query', tool: 'x' } })).toThrow(
      InvariantError,
    )
    expect(make({ ...REQUEST, context }, evidence)).toThrow(InvariantError)
  })
})

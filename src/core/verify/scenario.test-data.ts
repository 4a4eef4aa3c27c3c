/**
 * @module
 * One harmless scene for the tests of the core: alice's support agent reads customer 42 of the shop.
 */
import type { EffectReport, EffectKind } from '../effect.ts'
import { joinEffect, toEffect } from '../effect.ts'
import type { Evidence } from '../evidence.ts'
import type { Grant } from '../grant.ts'
import type { JsonObject } from '../json.ts'
import type { AccessRequest, RequestContext } from '../request.ts'

export const NOW = 1_800_000_000_000
export const JKT = 'jkt-agent'

export const GRANT: Grant = {
  id: 'G1',
  principal: { type: 'user', id: 'alice' },
  actor: JKT,
  issuedBy: { role: 'operator', jkt: 'jkt-operator' },
  notBefore: NOW - 1000,
  expires: NOW + 1000,
  operations: [{ upstream: 'shop', tool: 'query', effects: ['read'], where: {} }],
  budgets: [],
  depth: 0,
}

/** A report of the given kinds on `customers`, with whatever else is changed. */
export function report(kinds: readonly EffectKind[], change: Partial<EffectReport> = {}): EffectReport {
  return {
    effect: kinds.map(toEffect).reduce(joinEffect),
    reversible: true,
    bounded: true,
    destinations: [],
    objects: ['customers'],
    why: [],
    source: 'parser',
    ...change,
  }
}

export function makeRequest(
  change: Partial<Omit<AccessRequest, 'context'>> & { readonly context?: Partial<RequestContext> } = {},
  args: JsonObject = { sql: 'select email from customers where id = 42' },
): AccessRequest {
  const { context, ...rest } = change
  return {
    id: 'R1',
    plane: 'mcp',
    subject: { type: 'user', id: 'alice' },
    actor: { type: 'agent', id: 'support-agent', jkt: JKT },
    action: { name: 'tools/call', body: { method: 'tools/call', name: 'query', arguments: args } },
    resource: { type: 'tool', id: 'shop/query' },
    ...rest,
    context: {
      aud: 'https://shop.example',
      upstream: 'shop',
      tool: 'query',
      txn: 'T1',
      intent: { text: 'read: the user asked for the e-mail of customer 42', source: 'argument' },
      proof: { grade: 'signature', jkt: JKT, bodyBound: true },
      ...context,
    },
  }
}

export function makeEvidence(change: Partial<Evidence> = {}): Evidence {
  return {
    now: NOW,
    mode: 'enforce',
    deployment: 'separate',
    identity: {
      actor: { jkt: JKT, name: 'support-agent', role: 'agent', jwk: {}, enrolledAt: 0, by: 'jkt-operator' },
      assurance: 'granted',
    },
    task: {
      txn: 'T1',
      purpose: 'answer the question of customer 42',
      principal: { type: 'user', id: 'alice' },
      actor: JKT,
      grant: 'G1',
      openedBy: { role: 'host', jkt: 'jkt-host' },
      openedAt: NOW - 1000,
      expires: NOW + 1000,
    },
    grant: { chain: [GRANT], used: {} },
    revocation: { rev: 0, fresh: true, revoked: [] },
    tool: {
      status: 'accepted',
      manifest: 'sha-256:m',
      tool: {
        hash: 'sha-256:h',
        effect: { from: 'sql', argument: 'sql' },
        arguments: { sql: { role: 'command' } },
        output: { trust: 'internal', confidentiality: 'internal' },
        idempotent: false,
      },
    },
    effect: report(['read']),
    provenance: { attested: true, arguments: [], taint: { trust: 'own', confidentiality: 'internal' }, length: 0 },
    behaviour: { events: 100, signals: [], threshold: 0.01 },
    outcomeUnknown: false,
    bind: 'sha-256:bind',
    reads: {},
    ...change,
  }
}

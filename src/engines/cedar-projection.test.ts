import {
  isAuthorized,
  policyToJson,
  schemaToJson,
  type AuthorizationAnswer,
  type Schema,
} from '@cedar-policy/cedar-wasm/nodejs'
import { describe, expect, it } from 'vitest'
import { approved, leaf, toDocument, withEffect, evidence } from '../../test/fixtures/engine-request.ts'
import type { EngineDocument } from '../core/engine-document.ts'
import { toCedarCall, type CedarCall } from './cedar-encoding.ts'
import { parseCedarSchema } from './cedar-policies.ts'
import { projectCall, projectSchema, toUsage, type Usage } from './cedar-projection.ts'
import { loadDefaultSchema } from './policy-files.ts'

const schema = await loadDefaultSchema()

function toPolicy(condition: string): string {
  return `permit (principal, action, resource) when { ${condition} };`
}

function usageOf(condition: string): Usage {
  const parsed = policyToJson(toPolicy(condition))
  expect(parsed.type).toBe('success')
  return toUsage([parsed.type === 'success' ? parsed.json : undefined])
}

function ask(call: CedarCall, against: Schema, policy: string): AuthorizationAnswer {
  const { principal, action, resource, context, entities } = call
  const policies = { staticPolicies: policy }
  return isAuthorized({
    principal,
    action,
    resource,
    context,
    entities: [...entities],
    schema: against,
    validateRequest: true,
    policies,
  })
}

/** What decides: answers also carry places in the text of the schema, which differ. */
function decisionOf(answer: AuthorizationAnswer): unknown {
  return answer.type === 'success'
    ? [answer.response.decision, answer.response.diagnostics.errors.length]
    : answer.errors
}

const documents: readonly EngineDocument[] = [
  toDocument(),
  toDocument({ findings: [], evidence: { ...withEffect({ level: 'delete', beside: ['send'] }), ...approved } }),
  toDocument({
    evidence: { tool: { status: 'unknown' }, grant: { chain: [], used: {} }, identity: { assurance: 'none' } },
  }),
  toDocument({
    context: { claimed: { deep: [{ a: 1 }] } },
    evidence: { provenance: { ...evidence.provenance, arguments: [leaf('recipient', 'none')] } },
    request: {
      subject: { type: 'user', id: 'bob' },
      action: { name: '/a', body: { arguments: { a: 'x', '': null } } },
    },
  }),
]

const conditions = [
  'true',
  'context.grant.covered',
  'context["grant"]["covered"] && !context.approved',
  'context.grant has id && context.grant.id == "grant-1"',
  'context has grant.id',
  'context has task.txn && context.task.txn like "task*"',
  'context.provenance.taint == {trust: "own", confidentiality: "public"}',
  'context.provenance.taint.trust == "own" && context.provenance == context.provenance',
  'context.anomaly.signals has tool && context.anomaly.signals.tool > 1000',
  'principal.assurance == "granted" && resource.status == "accepted"',
  'resource has output && resource.output.trust == "internal"',
  'resource has output.trust',
  '(if context.approved then principal else principal).assurance == "granted"',
  '(if context.approved then context.grant else context.grant).covered',
  '{a: context.grant}.a.covered',
  '[context.action.name, context.mode].contains("/a")',
  'principal == Unbearer::Subject::"user/bob"',
  'context.actor == Unbearer::Actor::"agent/support"',
  'context.arguments.hasTag("/sql") && context.arguments.getTag("/sql").kind == "string"',
  'context.arguments.hasTag("/a") && context.arguments.getTag("/a") has text',
  'context.arguments.hasTag(context.action.name) && context.arguments.getTag(context.action.name).kind == "string"',
  'context.claimed.hasTag("/deep/0/a") && context.claimed.getTag("/deep/0/a") == {kind: "integer", integer: 1}',
  '(if context.approved then context.arguments else context.arguments).hasTag("/a")',
  '{getTag: 1}.getTag == 1',
  'context.time * 9223372036854775807 > 0',
]

describe('projection', () => {
  it.each(conditions)('changes no answer to: %s', (condition) => {
    const projected = projectSchema(parseCedarSchema(schema), usageOf(condition))
    for (const document of documents) {
      const full = toCedarCall(document)
      const shown = projectCall(toCedarCall(document, projected.usage.tags), projected.usage)
      const policy = toPolicy(condition)
      expect(decisionOf(ask(shown, projected.schema, policy))).toEqual(decisionOf(ask(full, schema, policy)))
    }
  })

  it('decides something in these cases', () => {
    const answers = conditions.flatMap((condition) =>
      documents.map((one) => JSON.stringify(decisionOf(ask(toCedarCall(one), schema, toPolicy(condition))))),
    )
    expect(new Set(answers)).toEqual(new Set(['["allow",0]', '["deny",0]', '["deny",1]']))
  })

  it('names what is read, and no more', () => {
    const usage = usageOf(
      'context has task.txn && context.grant.covered && context.arguments.hasTag("/to") && principal.assurance == "signed"',
    )
    expect(usage).toEqual({
      context: { task: { txn: 'whole' }, grant: { covered: 'whole' }, arguments: 'whole' },
      principal: { assurance: 'whole' },
      resource: {},
      tags: new Set(['/to']),
    })
  })

  it.each([
    'context == context',
    '{a: context}.a.approved',
    '(if context.approved then principal else principal).assurance == "granted"',
    'context.arguments.hasTag(context.mode)',
    '{getTag: 1}.getTag == 1',
  ])('shows everything where the use cannot be told: %s', (condition) => {
    expect(usageOf(condition)).toEqual({ context: 'whole', principal: 'whole', resource: 'whole', tags: 'all' })
  })

  it('shows everything under a schema that is written otherwise', () => {
    const other = schemaToJson('entity Subject; action look appliesTo { principal: Subject, resource: Subject };')
    const { usage } = projectSchema(other.type === 'success' ? other.json : {}, usageOf('context.approved'))
    expect(usage.tags).toBe('all')
  })
})

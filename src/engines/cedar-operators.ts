/**
 * @module
 * The policies of operators: who may call what on the control plane, in Cedar. The schema is made from the table of methods,
 * so that a policy about a method or a role that does not exist refuses to start.
 */
import { statefulIsAuthorized, type StatefulAuthorizationCall } from '@cedar-policy/cedar-wasm/nodejs'

import { CONTROL_ACTIONS, CONTROL_GROUPS } from '../core/control-actions.ts'
import { ConfigError } from '../core/errors.ts'
import { CONTROL_ROLES, rolesOf } from '../core/operator-roles.ts'
import type { OperatorPolicy, OperatorQuestion } from '../ports/operator-policy.ts'
import { parseCedarPolicies, toPolicyVersion } from './cedar-policies.ts'
import { prepareSlot, type CedarSlot } from './cedar-slots.ts'
import type { PolicyFile } from './policy-files.ts'

/** The schema in Cedar's own format; `policies/operators/schema.cedarschema` is a copy for editors. */
export function toOperatorSchema(): string {
  const methods = Object.entries(CONTROL_ACTIONS).map(
    ([name, { group }]) =>
      `  action "${name}" in ["${group}"] appliesTo { principal: [Key], resource: [Resource], context: { time: Long } };`,
  )
  return [
    '// Made from src/core/control-actions.ts. Who may call what on the control plane.',
    'namespace Control {',
    `  entity Role enum [${CONTROL_ROLES.map((role) => `"${role}"`).join(', ')}];`,
    '',
    '  // The key that calls: Key::"THUMBPRINT". `role` is that of its enrolment; the roles of an operator are its parents.',
    '  entity Key in [Role] = { name: String, role: String };',
    '',
    '  // What the parameters say is touched: Resource::"TYPE/ID", of which TYPE is percent-encoded. `role` and `roles` are those',
    '  // that a key would have; `own` is true for the key that calls.',
    '  entity Resource = { "type": String, "id": String, role?: String, roles: Set<String>, own: Bool };',
    '',
    '  // Groups of methods. `time` is in milliseconds since the epoch.',
    `  action ${CONTROL_GROUPS.map((group) => `"${group}"`).join(', ')};`,
    '',
    ...methods,
    '}',
    '',
  ].join('\n')
}

/**
 * Parses and validates the policies of operators. Throws `ConfigError` that names the file or the policy for everything that
 * Cedar objects to, warnings too, and for `@challenge` and `@obligation`, which mean nothing here. A policy that fails while
 * it is evaluated makes the verdict `error`, as does any other fault. Does not judge whether anybody is left who may do
 * anything: whoever loads it does.
 */
export function createOperatorPolicy(files: readonly PolicyFile[]): OperatorPolicy {
  const schema = toOperatorSchema()
  const rules = parseCedarPolicies(files, schema)
  const strange = rules.find(({ challenge, obligations }) => challenge || obligations.length > 0)
  if (strange !== undefined)
    throw new ConfigError(`policy \`${strange.id}\`: \`@challenge\` and \`@obligation\` have no meaning for operators`)
  const slot = prepareSlot(schema, rules)
  return {
    version: toPolicyVersion(schema, rules),
    decide: (question) => decide(slot, question),
    close: () => slot.free(),
  }
}

function decide(slot: CedarSlot, question: OperatorQuestion): ReturnType<OperatorPolicy['decide']> {
  try {
    // Cedar would put a substitute in the place of half a character, and two ids would become one.
    if (!question.resource.id.isWellFormed() || !question.resource.type.isWellFormed()) return 'error'
    const answer = statefulIsAuthorized(toCall(slot.name, question))
    if (answer.type !== 'success' || answer.warnings.length > 0) return 'error'
    const { decision, diagnostics } = answer.response
    if (diagnostics.errors.length > 0) return 'error'
    return decision === 'allow' ? 'permit' : 'deny'
  } catch {
    return 'error'
  }
}

function toCall(slot: string, { key, method, resource, time }: OperatorQuestion): StatefulAuthorizationCall {
  const principal = { type: 'Control::Key', id: key.jkt }
  const touched = { type: 'Control::Resource', id: `${encodeURIComponent(resource.type)}/${resource.id}` }
  return {
    principal,
    action: { type: 'Control::Action', id: method },
    resource: touched,
    context: { time },
    entities: [
      {
        uid: principal,
        attrs: { name: key.name, role: key.role },
        parents: rolesOf(key).map((id) => ({ type: 'Control::Role', id })),
      },
      {
        uid: touched,
        attrs: {
          type: resource.type,
          id: resource.id,
          ...(resource.role === undefined ? {} : { role: resource.role }),
          roles: [...resource.roles],
          own: resource.own,
        },
        parents: [],
      },
    ],
    preparsedSchemaName: slot,
    preparsedPolicySetId: slot,
    validateRequest: true,
  }
}

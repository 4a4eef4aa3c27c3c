/**
 * @module
 * Reads Cedar policies strictly at start: everything that could make a rule silently not count refuses to start. That is
 * a policy that does not fit the schema, one that can never apply, a template, and an annotation that nobody reads.
 */
import {
  policySetTextToParts,
  policyToJson,
  schemaToJson,
  validate as validatePolicies,
  type DetailedError,
  type PolicyJson,
  type SchemaJson,
} from '@cedar-policy/cedar-wasm/nodejs'
import { createHash } from 'node:crypto'

import type { Obligation } from '../core/decision.ts'
import { ConfigError } from '../core/errors.ts'
import { isKnownObligation } from '../core/obligations.ts'
import type { PolicyFile } from './policy-files.ts'

/** One policy as the engine needs it beside Cedar's own. */
export interface CedarRule {
  readonly id: string
  readonly text: string
  readonly effect: 'permit' | 'forbid'
  /** A forbid that a person's approval may lift. */
  readonly challenge: boolean
  readonly obligations: readonly Obligation[]
  /** Cedar's own JSON of it. */
  readonly json: PolicyJson
}

const ANNOTATIONS = ['id', 'description', 'challenge', 'obligation']

/**
 * Parses and validates policies against `schema`, in the order of the files. Throws `ConfigError` that names the file or
 * policy and says what Cedar said. Does not promise that a policy cannot fail while it is evaluated (overflow).
 */
export function parseCedarPolicies(files: readonly PolicyFile[], schema: string): readonly CedarRule[] {
  const rules = files.flatMap(parseFile)
  if (rules.length === 0) throw new ConfigError('no policy: at least one Cedar policy is needed')
  const ids = rules.map((rule) => rule.id)
  const twice = ids.find((id, at) => ids.indexOf(id) !== at)
  if (twice !== undefined) throw new ConfigError(`two policies have the id \`${twice}\``)
  assertFits(rules, schema)
  return rules
}

/** The schema as Cedar's JSON. Throws `ConfigError` for text that is none. */
export function parseCedarSchema(text: string): SchemaJson<string> {
  const answer = schemaToJson(text)
  if (answer.type === 'failure') throw new ConfigError(`policy schema: ${toMessage(answer.errors)}`)
  return answer.json
}

/** The texts of `rules` by id, as Cedar takes them. */
export function toStaticPolicies(rules: readonly CedarRule[]): Record<string, string> {
  return Object.fromEntries(rules.map((rule) => [rule.id, rule.text]))
}

/** Over the schema and each policy with its id, in order of id: the same policies in other files are the same version. */
export function toPolicyVersion(schema: string, rules: readonly CedarRule[]): string {
  const policies = rules.map(({ id, text }) => [id, text]).toSorted(([a = ''], [b = '']) => (a < b ? -1 : 1))
  return `sha-256:${createHash('sha256')
    .update(JSON.stringify([schema, policies]))
    .digest('base64url')}`
}

function parseFile(file: PolicyFile): readonly CedarRule[] {
  const parts = policySetTextToParts(file.text)
  if (parts.type === 'failure') throw new ConfigError(`policy file \`${file.name}\`: ${toMessage(parts.errors)}`)
  if (parts.policy_templates.length > 0)
    throw new ConfigError(`policy file \`${file.name}\`: templates are not supported`)
  return parts.policies.map((text, at) => parseRule(text, `${file.name}#${at + 1}`))
}

function parseRule(text: string, place: string): CedarRule {
  const parsed = policyToJson(text)
  if (parsed.type === 'failure') throw new ConfigError(`policy \`${place}\`: ${toMessage(parsed.errors)}`)
  const { effect, annotations = {} } = parsed.json
  const id = annotations['id'] ?? ''
  if (id === '') throw new ConfigError(`policy \`${place}\` needs an annotation \`@id("…")\``)
  assertAnnotations(id, effect, Object.keys(annotations))
  const challenge = annotations['challenge'] !== undefined
  return {
    id,
    text,
    effect,
    challenge,
    obligations: parseObligations(id, annotations['obligation']),
    json: parsed.json,
  }
}

/** A misspelt `@obligation` would permit without it, and `@challenge` on a permit would promise a question nobody asks. */
function assertAnnotations(id: string, effect: PolicyJson['effect'], names: readonly string[]): void {
  const unknown = names.find((name) => !ANNOTATIONS.includes(name))
  if (unknown !== undefined) throw new ConfigError(`policy \`${id}\` has an unknown annotation \`@${unknown}\``)
  const misplaced = effect === 'permit' ? 'challenge' : 'obligation'
  if (names.includes(misplaced))
    throw new ConfigError(`policy \`${id}\`: \`@${misplaced}\` has no meaning on a ${effect}`)
}

const OBLIGATION = /^([a-z][a-z0-9-]*):(\S+)$/

/** Grammar: `type:value`, several separated by single spaces. What nobody could discharge is refused here, not later. */
function parseObligations(id: string, text: string | undefined): readonly Obligation[] {
  if (text === undefined) return []
  return text.split(' ').map((item) => {
    const [, type = '', value = ''] = OBLIGATION.exec(item) ?? []
    const obligation = toObligation(type, value)
    if (obligation !== undefined && isKnownObligation(obligation)) return obligation
    throw new ConfigError(
      `policy \`${id}\`: \`${item}\` is not an obligation, write \`redact:/path\` or \`notify:topic\``,
    )
  })
}

/** The value under the name that `core/obligations.ts` gives it. */
function toObligation(type: string, value: string): Obligation | undefined {
  if (type === 'redact') return { type, properties: { fields: [value] } }
  if (type === 'notify') return { type, properties: { topic: value } }
  return undefined
}

function assertFits(rules: readonly CedarRule[], schema: string): void {
  const answer = validatePolicies({
    schema,
    policies: { staticPolicies: toStaticPolicies(rules) },
    validationSettings: { mode: 'strict' },
  })
  if (answer.type === 'failure') throw new ConfigError(`policy schema: ${toMessage(answer.errors)}`)
  const [first] = [...answer.validationErrors, ...answer.validationWarnings]
  if (first !== undefined) throw new ConfigError(`policy \`${first.policyId}\`: ${toMessage([first.error])}`)
  if (answer.otherWarnings.length > 0) throw new ConfigError(`policies: ${toMessage(answer.otherWarnings)}`)
}

function toMessage(errors: readonly DetailedError[]): string {
  return errors.map((error) => (error.help === null ? error.message : `${error.message} (${error.help})`)).join('; ')
}

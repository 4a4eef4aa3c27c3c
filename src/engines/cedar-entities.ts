/**
 * @module
 * Cedar over entities whose attributes are not known beforehand, for the AuthZEN PDP: no schema, and natural names, so that
 * `principal.role == "admin"` and `action == Action::"read"` are written as anybody writes them. The encoding is injective;
 * `docs/reference/authzen.md` has the rules. Cedar skips a policy that errors, even a `forbid`: here any error denies.
 */
import {
  policySetTextToParts,
  policyToJson,
  preparsePolicySet,
  statefulIsAuthorized,
  type CedarValueJson,
  type EntityJson,
  type PolicyJson,
  type TypeAndId,
} from '@cedar-policy/cedar-wasm/nodejs'
import { createHash } from 'node:crypto'
import { ConfigError, InputError } from '../core/errors.ts'
import type { Json, JsonObject } from '../core/json.ts'
import { isJsonArray } from '../core/pointer.ts'
import type {
  EntityPolicies,
  PolicyAnswer,
  PolicyEntity,
  PolicyObligation,
  PolicyQuestion,
} from '../ports/entity-policies.ts'
import type { PolicyFile } from './policy-files.ts'

interface Rule {
  readonly id: string
  readonly text: string
  readonly effect: PolicyJson['effect']
  readonly obligations: readonly PolicyObligation[]
  readonly actions: readonly string[]
}

/**
 * Parses the policies. Throws `ConfigError` that names the file or policy for what Cedar cannot parse, for templates, for
 * two policies of one `@id`, for an `@obligation` that is not understood, and for no policy at all. Without a schema Cedar
 * cannot find a misspelt attribute beforehand: such a policy errors when it is evaluated, and that denies.
 */
export function createCedarEntityPolicies(files: readonly PolicyFile[]): EntityPolicies {
  const rules = files.flatMap(parseFile)
  if (rules.length === 0) throw new ConfigError('no policy: at least one Cedar policy is needed')
  const byId = new Map(rules.map((rule) => [rule.id, rule]))
  if (byId.size < rules.length) throw new ConfigError(`two policies have the id \`${toTwice(rules)}\``)
  const slot = takeSlot()
  const staticPolicies = Object.fromEntries(rules.map(({ id, text }) => [id, text]))
  const parsed = preparsePolicySet(slot, { staticPolicies })
  if (parsed.type === 'failure') {
    freeSlots.push(slot)
    throw new ConfigError(`cedar: ${parsed.errors.map(({ message }) => message).join('; ')}`)
  }
  let open = true
  return {
    version: toVersion(rules),
    actions: [...new Set(rules.flatMap(({ actions }) => actions))].toSorted(),
    evaluate(question) {
      try {
        return open ? evaluate(slot, byId, question) : FAILED
      } catch {
        return FAILED
      }
    },
    close() {
      if (open) freeSlots.push(slot)
      open = false
    },
  }
}

const FAILED: PolicyAnswer = { outcome: 'error', policies: [], obligations: [] }

function evaluate(slot: string, rules: ReadonlyMap<string, Rule>, question: PolicyQuestion): PolicyAnswer {
  const principal = toUid(question.subject)
  const resource = toUid(question.resource)
  const answer = statefulIsAuthorized({
    principal,
    action: { type: 'Action', id: question.action },
    resource,
    context: toRecord(question.context),
    entities: toEntities(principal, question.subject, resource, question.resource),
    preparsedPolicySetId: slot,
    validateRequest: false,
  })
  if (answer.type !== 'success') return FAILED
  const { decision, diagnostics } = answer.response
  const failed = diagnostics.errors.map(({ policyId }) => policyId)
  if (failed.length > 0) return { ...FAILED, policies: failed.toSorted() }
  const policies = diagnostics.reason.toSorted()
  if (decision !== 'allow') return { outcome: policies.length === 0 ? 'undefined' : 'deny', policies, obligations: [] }
  return { outcome: 'permit', policies, obligations: policies.flatMap((id) => rules.get(id)?.obligations ?? []) }
}

/** Somebody may act on themselves: one uid, one entity, and then what the resource says counts for both or not at all. */
function toEntities(
  principal: TypeAndId,
  subject: PolicyEntity,
  resource: TypeAndId,
  target: PolicyEntity,
): EntityJson[] {
  const first = toEntity(principal, subject)
  if (principal.type !== resource.type || principal.id !== resource.id) return [first, toEntity(resource, target)]
  const both = Object.entries(target.attributes).filter(([name]) => !Object.hasOwn(subject.attributes, name))
  return [{ ...first, attrs: { ...toRecord(Object.fromEntries(both)), ...first.attrs } }]
}

/** Whose attributes `type` and `id` say something else means it: they come from the operator. */
function toEntity(uid: TypeAndId, { type, id, attributes }: PolicyEntity): EntityJson {
  return { uid, attrs: { type, id, ...toRecord(attributes) }, parents: [] }
}

const RESERVED = ['true', 'false', 'if', 'then', 'else', 'in', 'is', 'like', 'has', '__cedar', 'Action', 'Unbearer']

/**
 * A type that is a name in Cedar keeps it, any other becomes `Unbearer::Entity` with the type percent-encoded in front of
 * the id. No type reaches into `Unbearer` or `Action`, so that no two pairs of type and id meet.
 */
function toUid({ type, id }: PolicyEntity): TypeAndId {
  const isName = type.split('::').every((part) => /^[A-Za-z_][A-Za-z0-9_]*$/.test(part) && !RESERVED.includes(part))
  return isName ? { type, id } : { type: 'Unbearer::Entity', id: `${encodeURIComponent(type)}/${id}` }
}

/** Cedar's JSON reads these as entities and extension values. */
const HOSTILE = ['__entity', '__extn', '__expr']
/** What encodes null and fractions; data may not use it, or it could pass for them. */
const OURS = 'unbearer:'

function toRecord(members: JsonObject): Record<string, CedarValueJson> {
  const entries = Object.entries(members).filter(([, value]) => value !== undefined)
  return Object.fromEntries(entries.map(([name, value]) => [toName(name), toValue(value ?? null)]))
}

function toName(name: string): string {
  if (HOSTILE.includes(name) || name.startsWith(OURS)) throw new InputError(`reserved key \`${name}\``)
  return name
}

function toValue(value: Json): CedarValueJson {
  if (value === null) return { [`${OURS}null`]: true }
  if (typeof value === 'number') return Number.isSafeInteger(value) ? value + 0 : { [`${OURS}number`]: String(value) }
  if (typeof value !== 'object') return value
  return isJsonArray(value) ? value.map((item) => toValue(item)) : toRecord(value)
}

function parseFile({ name, text }: PolicyFile): readonly Rule[] {
  const parts = policySetTextToParts(text)
  if (parts.type === 'failure')
    throw new ConfigError(`policy file \`${name}\`: ${parts.errors.map(({ message }) => message).join('; ')}`)
  if (parts.policy_templates.length > 0) throw new ConfigError(`policy file \`${name}\`: templates are not supported`)
  return parts.policies.map((policy, at) => parseRule(policy, `${name}#${at + 1}`))
}

function parseRule(text: string, place: string): Rule {
  const parsed = policyToJson(text)
  if (parsed.type === 'failure')
    throw new ConfigError(`policy \`${place}\`: ${parsed.errors.map(({ message }) => message).join('; ')}`)
  const { effect, annotations = {} } = parsed.json
  const id = annotations['id'] ?? place
  // A misspelt one would permit without it.
  const misspelt = Object.keys(annotations).find((name) => /^oblig/i.test(name) && name !== 'obligation')
  if (misspelt !== undefined) throw new ConfigError(`policy \`${id}\` has an unknown annotation \`@${misspelt}\``)
  return {
    id,
    text,
    effect,
    obligations: parseObligations(id, effect, annotations['obligation'] ?? undefined),
    actions: findActions(parsed.json),
  }
}

/** `notification:TOPIC` and `step-up:ACR`, several separated by single spaces (AuthZEN Obligations, draft). */
function parseObligations(id: string, effect: PolicyJson['effect'], text: string | undefined): PolicyObligation[] {
  if (text === undefined) return []
  if (effect !== 'permit') throw new ConfigError(`policy \`${id}\`: \`@obligation\` has no meaning on a forbid`)
  return text.split(' ').map((item, at) => {
    const [, type = '', value = ''] = /^(notification|step-up):(\S+)$/.exec(item) ?? []
    const member = { notification: 'topic', 'step-up': 'acr_value' }[type]
    if (member === undefined)
      throw new ConfigError(`policy \`${id}\`: \`${item}\` is none, write \`notification:TOPIC\` or \`step-up:ACR\``)
    return { id: `${id}/${at + 1}`, type, properties: { [member]: value } }
  })
}

/** Names in `Action::"…"` of the head, and texts that `context.action.name` is compared with. */
function findActions(policy: unknown): readonly string[] {
  const found: string[] = []
  const visit = (node: unknown): void => {
    if (typeof node !== 'object' || node === null) return
    if (Reflect.get(node, 'type') === 'Action') found.push(String(Reflect.get(node, 'id')))
    const compared: unknown = Reflect.get(node, '==') ?? Reflect.get(node, 'contains')
    if (isAboutName(compared)) found.push(...textsOf(compared))
    for (const child of Object.values(node)) visit(child)
  }
  visit(policy)
  return found
}

function isAboutName(compared: unknown): boolean {
  return compared !== undefined && JSON.stringify(compared).includes(NAME)
}

const NAME = JSON.stringify({ '.': { left: { '.': { left: { Var: 'context' }, attr: 'action' } }, attr: 'name' } })

function textsOf(node: unknown): readonly string[] {
  if (typeof node !== 'object' || node === null) return []
  const value: unknown = Reflect.get(node, 'Value')
  if (typeof value === 'string') return [value]
  return Object.values(node).flatMap(textsOf)
}

function toTwice(rules: readonly Rule[]): string {
  const ids = rules.map(({ id }) => id)
  return ids.find((id, at) => ids.indexOf(id) !== at) ?? ''
}

function toVersion(rules: readonly Rule[]): string {
  const policies = rules.map(({ id, text }) => [id, text]).toSorted(([a = ''], [b = '']) => (a < b ? -1 : 1))
  return `sha-256:${createHash('sha256').update(JSON.stringify(policies)).digest('base64url')}`
}

/** What Cedar has parsed stays in its memory for good, so that names of closed sets are used again. */
const freeSlots: string[] = []
let slots = 0

function takeSlot(): string {
  slots += freeSlots.length === 0 ? 1 : 0
  return freeSlots.pop() ?? `unbearer-entities-${slots}`
}

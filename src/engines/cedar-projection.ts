/**
 * @module
 * Shows Cedar only what the loaded policies read. A policy can reach data by nothing but `.`, `has`, `getTag` and
 * `hasTag`, so that what none of them names cannot change a verdict; leaving it out makes a decision three times as fast
 * and its cost independent of the size of the arguments. Where a use cannot be told, everything is shown.
 */
import type { CedarValueJson, EntityJson, Schema, SchemaJson } from '@cedar-policy/cedar-wasm/nodejs'
import { isJsonObject, type Json, type JsonObject } from '../core/json.ts'
import type { CedarCall, WantedTags } from './cedar-encoding.ts'

/** Members that are read; `whole` for everything below. */
export type Members = 'whole' | { readonly [member: string]: Members }

/** What policies read of the three things that they see, and which open-ended values by pointer. */
export interface Usage {
  readonly context: Members
  readonly principal: Members
  readonly resource: Members
  readonly tags: WantedTags
}

const EVERYTHING: Usage = { context: 'whole', principal: 'whole', resource: 'whole', tags: 'all' }

/** What policies, as Cedar's own JSON of them, read. */
export function toUsage(policies: readonly unknown[]): Usage {
  const found: Found = { context: {}, principal: {}, resource: {}, tags: new Set() }
  return policies.every((policy) => collect(policy, found)) ? found : EVERYTHING
}

/**
 * The schema without what `usage` does not name, and the usage that fits it: everything, where the schema is not written
 * in a way that can be projected. Requests are checked against this one, policies against the whole.
 */
export function projectSchema(
  schema: SchemaJson<string>,
  usage: Usage,
): { readonly schema: Schema; readonly usage: Usage } {
  const json: Json = JSON.parse(JSON.stringify(schema))
  const projected = isJsonObject(json) ? projectNamespace(json['Unbearer'], usage) : undefined
  const whole = { ...(isJsonObject(json) ? json : {}), Unbearer: projected }
  return projected !== undefined && isSchema(whole) ? { schema: whole, usage } : { schema, usage: EVERYTHING }
}

/** The call without what `usage` does not name. */
export function projectCall(call: CedarCall, usage: Usage): CedarCall {
  const { principal, resource } = call
  const membersOf = (uid: unknown): Members =>
    uid === principal ? usage.principal : uid === resource ? usage.resource : 'whole'
  const entities = call.entities.map((entity) => ({ ...entity, attrs: pick(entity.attrs, membersOf(entity.uid)) }))
  return { ...call, context: pick(call.context, usage.context), entities: entities.filter(isTelling) }
}

interface Found extends Usage {
  readonly context: Record<string, Members>
  readonly principal: Record<string, Members>
  readonly resource: Record<string, Members>
  readonly tags: Set<string>
}

/** False as soon as something is read in a way that cannot be told. */
function collect(node: unknown, found: Found): boolean {
  if (typeof node !== 'object' || node === null) return true
  return Object.entries(node).every(([key, child]) => {
    if (key === 'Var') return child !== 'context'
    if (key === '.' || key === 'has') return collectAccess(child, found)
    if ((key === 'getTag' || key === 'hasTag') && !addTag(child, found.tags)) return false
    return collect(child, found)
  })
}

/** An access `{left, attr}`: a chain that begins at a variable is noted; one that begins at a tag's value is whole anyway. */
function collectAccess(access: unknown, found: Found): boolean {
  const path: string[] = []
  let node: unknown = access
  while (isAccess(node)) {
    path.unshift(...(Array.isArray(node.attr) ? node.attr : [node.attr]).map(String))
    const { left } = node
    if ('Var' in left) return addPath(found, left.Var, path)
    if ('getTag' in left) return collect(left, found)
    node = left['.']
  }
  return false
}

function isAccess(node: unknown): node is { readonly left: Readonly<Record<string, unknown>>; readonly attr: unknown } {
  if (typeof node !== 'object' || node === null || !('left' in node) || !('attr' in node)) return false
  return typeof node.left === 'object' && node.left !== null
}

function addPath(found: Found, root: unknown, path: readonly string[]): boolean {
  if (root !== 'context' && root !== 'principal' && root !== 'resource') return false
  let at: Record<string, Members> = found[root]
  for (const [depth, member] of path.entries()) {
    const known = Object.hasOwn(at, member) ? at[member] : undefined
    if (known === 'whole') return true
    if (depth === path.length - 1) at[member] = 'whole'
    else at = at[member] = { ...known }
  }
  return true
}

function addTag(operands: unknown, tags: Set<string>): boolean {
  if (typeof operands !== 'object' || operands === null || !('right' in operands)) return false
  const { right } = operands
  if (typeof right !== 'object' || right === null || !('Value' in right)) return false
  if (typeof right.Value !== 'string') return false
  tags.add(right.Value)
  return true
}

function pick(members: Readonly<Record<string, CedarValueJson>>, wanted: Members): Record<string, CedarValueJson> {
  if (wanted === 'whole') return { ...members }
  const picked: Record<string, CedarValueJson> = {}
  for (const [member, inner] of Object.entries(wanted)) {
    const value = Object.hasOwn(members, member) ? members[member] : undefined
    if (value === undefined) continue
    picked[member] = inner !== 'whole' && isRecord(value) ? pick(value, inner) : value
  }
  return picked
}

function isRecord(value: CedarValueJson): value is Record<string, CedarValueJson> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** An entity without attributes and tags says nothing: Cedar reads an absent one in the same way. */
function isTelling({ attrs, tags = {} }: EntityJson): boolean {
  return Object.keys(attrs).length > 0 || Object.keys(tags).length > 0
}

function projectNamespace(namespace: Json | undefined, usage: Usage): JsonObject | undefined {
  if (!isJsonObject(namespace)) return undefined
  const { entityTypes, actions, commonTypes } = namespace
  const { Subject, Resource } = isJsonObject(entityTypes) ? entityTypes : {}
  const perform = isJsonObject(actions) ? actions['perform'] : undefined
  const appliesTo = isJsonObject(perform) ? perform['appliesTo'] : undefined
  if (!isJsonObject(entityTypes) || !isJsonObject(actions) || !isJsonObject(perform)) return undefined
  if (!isJsonObject(Subject) || !isJsonObject(Resource) || !isJsonObject(appliesTo)) return undefined
  const project = (type: Json | undefined, members: Members): Json | undefined =>
    projectType(type, members, commonTypes)
  return {
    ...namespace,
    entityTypes: {
      ...entityTypes,
      Subject: { ...Subject, shape: project(Subject['shape'], usage.principal) },
      Resource: { ...Resource, shape: project(Resource['shape'], usage.resource) },
    },
    actions: {
      ...actions,
      perform: { ...perform, appliesTo: { ...appliesTo, context: project(appliesTo['context'], usage.context) } },
    },
  }
}

/** Records, also behind the name of a common type, lose the attributes that are not wanted. */
function projectType(type: Json | undefined, members: Members, common: Json | undefined): Json | undefined {
  if (members === 'whole' || !isJsonObject(type)) return type
  // Cedar writes a reference as `{type: 'EntityOrCommon', name}`, and as `{type: name}` for a whole context.
  const name = type['name'] ?? type['type']
  const named =
    typeof name === 'string' && isJsonObject(common) && Object.hasOwn(common, name) ? common[name] : undefined
  const record = isJsonObject(named)
    ? { ...named, ...('required' in type ? { required: type['required'] } : {}) }
    : type
  const { attributes } = record
  if (!isJsonObject(attributes)) return type
  const kept = Object.entries(attributes).flatMap(([member, inner]) =>
    Object.hasOwn(members, member) ? [[member, projectType(inner, members[member] ?? 'whole', common)]] : [],
  )
  return { ...record, attributes: Object.fromEntries(kept) }
}

/** Cedar itself says whether it is one; this only tells the compiler. */
function isSchema(value: JsonObject): value is JsonObject & SchemaJson<string> {
  return isJsonObject(value['Unbearer'])
}

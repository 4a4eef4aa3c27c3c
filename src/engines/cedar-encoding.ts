/**
 * @module
 * Encodes the engine document for Cedar. Injective: two documents that differ in what Cedar is shown never encode alike,
 * and nothing in untrusted data can become an entity or an extension value. `docs/reference/encoding.md` has the rules,
 * `docs/reference/vectors/encoding.json` the vectors.
 */
import type { CedarValueJson, EntityJson, TypeAndId } from '@cedar-policy/cedar-wasm/nodejs'
import type { EngineDocument } from '../core/engine-document.ts'
import { InputError } from '../core/errors.ts'
import { isJsonObject, type Json, type JsonObject } from '../core/json.ts'
import { isJsonArray, parsePointer, valueAt } from '../core/pointer.ts'

/** What Cedar is asked. Every type of it is fixed; AuthZEN types and ids live inside entity ids. */
export interface CedarCall {
  readonly principal: TypeAndId
  readonly action: TypeAndId
  readonly resource: TypeAndId
  readonly context: Readonly<Record<string, CedarValueJson>>
  readonly entities: readonly EntityJson[]
}

/** Pointers of open-ended values that policies ask for; `all` where that cannot be told. */
export type WantedTags = ReadonlySet<string> | 'all'

/** Nesting of a whole document: 64 of parsed input (contracts, "Encoding") and what stands around it. */
const MAX_DEPTH = 72
/** Cedar costs about 15 µs for each value that it is shown. */
const MAX_VALUES = 1_000
const HOSTILE = ['__entity', '__extn', '__expr']

/**
 * Encodes `document`. Throws `InputError` for reserved keys anywhere, ill-formed text, members of the wrong type and
 * more than 1,000 values; the caller must deny then. Values that no policy asks for (`wanted`) are not sent.
 * Does not judge the document, and leaves out what policy must not rest on: the text of the intent.
 */
export function toCedarCall(document: EngineDocument, wanted: WantedTags = 'all'): CedarCall {
  const { subject, action, resource, context } = document
  assertPlain({ subject, action, resource, context }, 0)
  const act = isJsonObject(subject.properties['act']) ? subject.properties['act'] : {}
  const principal = toUid('Subject', subject)
  const target = toUid('Resource', resource)
  return {
    principal,
    action: { type: 'Unbearer::Action', id: 'perform' },
    resource: target,
    context: {
      actor: { __entity: toUid('Actor', act) },
      action: toRecord({ name: 'text', ...EFFECTS }, { ...action.properties, name: action.name }, 'action'),
      arguments: { __entity: ARGUMENTS },
      claimed: { __entity: CLAIMS },
      ...toRecord(CONTEXT, context, 'context'),
    },
    entities: [
      {
        uid: principal,
        attrs: toRecord(SUBJECT, { ...subject.properties, ...typed(subject) }, 'subject'),
        parents: [],
      },
      {
        uid: target,
        attrs: toRecord(RESOURCE, { ...resource.properties, ...typed(resource) }, 'resource'),
        parents: [],
      },
      ...toTagged(ARGUMENTS, context['arguments'], wanted),
      ...toTagged(CLAIMS, context['claimed'], wanted),
    ],
  }
}

const ARGUMENTS: TypeAndId = { type: 'Unbearer::Arguments', id: 'arguments' }
const CLAIMS: TypeAndId = { type: 'Unbearer::Claims', id: 'claimed' }

/** How a member is read. A trailing `?` marks what may be absent. Mirrors `policies/schema.cedarschema`. */
type Kind = 'text' | 'flag' | 'whole' | 'texts' | 'text?' | 'flag?' | 'whole?' | Shape | readonly [Shape]
interface Shape {
  readonly [member: string]: Kind
}

const LABEL: Shape = { trust: 'text', confidentiality: 'text' }
const SUBJECT: Shape = { type: 'text', id: 'text', assurance: 'text' }
const RESOURCE: Shape = {
  type: 'text',
  id: 'text',
  upstream: 'text',
  tool: 'text',
  status: 'text',
  idempotent: 'flag?',
  output: [LABEL],
}
const EFFECTS: Shape = {
  effect: 'text',
  effects: 'texts',
  reversible: 'flag',
  bounded: 'flag',
  destinations: 'texts',
  objects: 'texts',
  source: 'text',
}
const SIGNALS: Shape = {
  tool: 'whole?',
  transition: 'whole?',
  rate: 'whole?',
  resource: 'whole?',
  destination: 'whole?',
}
const CONTEXT: Shape = {
  intent: { stated: 'flag', source: 'text?' },
  provenance: { attested: 'flag', taint: LABEL, length: 'whole', roles: 'texts', unvouched: 'texts' },
  anomaly: { outcome: 'text', events: 'whole', signals: SIGNALS },
  grant: { covered: 'flag', id: 'text?', issuedBy: 'text?', expires: 'whole?' },
  task: { open: 'flag', attested: 'flag', txn: 'text?', openedBy: 'text?' },
  proof: { grade: 'text', bodyBound: 'flag', jkt: 'text?' },
  mode: 'text',
  time: 'whole',
  deployment: 'text',
  approved: 'flag',
  findings: { identity: 'text', intent: 'text', scope: 'text', context: 'text', anomaly: 'text' },
  reasons: 'texts',
}

/** `type/id` with the type percent-encoded, so that its first `/` always ends the type and the id is untouched. */
function toUid(kind: 'Subject' | 'Actor' | 'Resource', entity: object): TypeAndId {
  const type: unknown = Reflect.get(entity, 'type')
  const id: unknown = Reflect.get(entity, 'id')
  if (typeof type !== 'string' || typeof id !== 'string') throw wrong(kind, 'a type and an id')
  return { type: `Unbearer::${kind}`, id: `${encodeURIComponent(type)}/${id}` }
}

function typed(entity: { readonly type: string; readonly id: string }): { type: string; id: string } {
  return { type: entity.type, id: entity.id }
}

function toRecord(shape: Shape, source: Json | undefined, path: string): Record<string, CedarValueJson> {
  if (!isJsonObject(source)) throw wrong(path, 'an object')
  const members: Record<string, CedarValueJson> = {}
  for (const [member, kind] of Object.entries(shape)) {
    const value = Object.hasOwn(source, member) ? source[member] : undefined
    if (value === undefined && isOptional(kind)) continue
    members[member] = toMember(kind, value, `${path}.${member}`)
  }
  return members
}

function isOptional(kind: Kind): boolean {
  return typeof kind === 'string' ? kind.endsWith('?') : Array.isArray(kind)
}

function toMember(kind: Kind, value: Json | undefined, path: string): CedarValueJson {
  switch (kind) {
    case 'text':
    case 'text?':
      return toText(value, path)
    case 'flag':
    case 'flag?':
      if (typeof value !== 'boolean') throw wrong(path, 'a boolean')
      return value
    case 'whole':
    case 'whole?':
      if (typeof value !== 'number' || !Number.isSafeInteger(value)) throw wrong(path, 'a whole number')
      return value + 0
    case 'texts':
      return toTexts(value, path)
    default:
      return toRecord(isShape(kind) ? kind : kind[0], value, path)
  }
}

function isShape(kind: Shape | readonly [Shape]): kind is Shape {
  return !Array.isArray(kind)
}

function toText(value: Json | undefined, path: string): string {
  if (typeof value !== 'string') throw wrong(path, 'a string')
  return value
}

function toTexts(value: Json | undefined, path: string): CedarValueJson[] {
  if (!isJsonArray(value)) throw wrong(path, 'a list of strings')
  if (value.length > MAX_VALUES) throw tooLarge()
  return value.map((item) => toText(item, path))
}

function toTagged(uid: TypeAndId, value: Json | undefined, wanted: WantedTags): EntityJson[] {
  if (!isJsonObject(value)) throw wrong(uid.id, 'an object')
  const tags: Record<string, CedarValueJson> = {}
  const count = wanted === 'all' ? addAll(tags, '', value) : addWanted(tags, wanted, value)
  return count === 0 ? [] : [{ uid, attrs: {}, parents: [], tags }]
}

/** Adds every value below `pointer`, the root itself left out. Returns how many tags there are. */
function addAll(tags: Record<string, CedarValueJson>, pointer: string, value: Json, count = 0): number {
  if (count > MAX_VALUES) throw tooLarge()
  let total = count
  if (pointer !== '') {
    tags[pointer] = toValue(value)
    total += 1
  }
  if (typeof value !== 'object' || value === null) return total
  for (const [key, member] of Object.entries(value)) {
    if (member !== undefined) total = addAll(tags, `${pointer}/${escapeKey(key)}`, member, total)
  }
  return total
}

function addWanted(tags: Record<string, CedarValueJson>, wanted: ReadonlySet<string>, root: JsonObject): number {
  let count = 0
  for (const pointer of wanted) {
    const found = resolve(root, pointer)
    if (found === undefined) continue
    tags[pointer] = toValue(found)
    count += 1
  }
  return count
}

/** The value at an RFC 6901 pointer, found only under the one spelling that `addAll` gives it. */
function resolve(root: JsonObject, pointer: string): Json | undefined {
  const path = pointer.startsWith('/') ? parsePointer(pointer.slice(1)) : undefined
  return path === undefined ? undefined : valueAt(root, path)
}

function escapeKey(key: string): string {
  return key.replaceAll('~', '~0').replaceAll('/', '~1')
}

/** One JSON value as a tagged record: Cedar knows neither null nor fractions, and text must not pass for a number. */
function toValue(value: Json): CedarValueJson {
  if (value === null) return { kind: 'null' }
  if (typeof value === 'string') return { kind: 'string', text: value }
  if (typeof value === 'boolean') return { kind: 'boolean', truth: value }
  if (typeof value === 'number') return toNumber(value)
  if (isJsonArray(value)) return { kind: 'array', length: value.length }
  return { kind: 'object', length: Object.values(value).filter((member) => member !== undefined).length }
}

/** Whole numbers that JSON carries exactly are Cedar's Long; all others keep the text of RFC 8785. */
function toNumber(value: number): CedarValueJson {
  if (Number.isSafeInteger(value)) return { kind: 'integer', integer: value + 0 }
  return { kind: 'number', number: String(value) }
}

/** Refuses what Cedar's JSON would read as something else, wherever it stands, and what is not plain JSON. */
function assertPlain(value: unknown, depth: number): void {
  if (depth > MAX_DEPTH) throw new InputError('engine document is nested too deeply')
  if (typeof value === 'string') return assertText(value)
  if (value === null || value === undefined || typeof value === 'boolean') return
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new InputError('engine document has a number that is not finite')
    return
  }
  if (typeof value !== 'object') throw new InputError('engine document is not plain data')
  if (Array.isArray(value)) {
    for (const item of value) assertPlain(item ?? null, depth + 1)
    return
  }
  for (const [key, member] of Object.entries(value)) {
    if (HOSTILE.includes(key)) throw new InputError(`reserved key \`${key}\``)
    assertText(key)
    assertPlain(member, depth + 1)
  }
}

function assertText(value: string): void {
  if (!value.isWellFormed()) throw new InputError('engine document has a lone surrogate')
}

function wrong(path: string, expected: string): InputError {
  return new InputError(`engine document needs ${expected} at \`${path}\``)
}

function tooLarge(): InputError {
  return new InputError('engine document has more values than the policy engine is shown', 'system.too-large')
}

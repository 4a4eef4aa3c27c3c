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
import { readFacts } from './document-shape.ts'

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

/** Cedar costs about 15 µs for each value that it is shown. */
const MAX_VALUES = 1_000

/**
 * Encodes `document`. Throws `InputError` for reserved keys anywhere, ill-formed text, members of the wrong type and
 * more than 1,000 values; the caller must deny then. Values that no policy asks for (`wanted`) are not sent.
 * Does not judge the document, and leaves out what policy must not rest on: the text of the intent.
 */
export function toCedarCall(document: EngineDocument, wanted: WantedTags = 'all'): CedarCall {
  const { subject, resource, context } = document
  const facts = readFacts(document)
  const principal = toUid('Subject', subject)
  const target = toUid('Resource', resource)
  return {
    principal,
    action: { type: 'Unbearer::Action', id: 'perform' },
    resource: target,
    context: {
      actor: { __entity: toUid('Actor', facts.actor) },
      action: facts.action,
      arguments: { __entity: ARGUMENTS },
      claimed: { __entity: CLAIMS },
      ...facts.context,
    },
    entities: [
      { uid: principal, attrs: facts.subject, parents: [] },
      { uid: target, attrs: facts.resource, parents: [] },
      ...toTagged(ARGUMENTS, context['arguments'], wanted),
      ...toTagged(CLAIMS, context['claimed'], wanted),
    ],
  }
}

const ARGUMENTS: TypeAndId = { type: 'Unbearer::Arguments', id: 'arguments' }
const CLAIMS: TypeAndId = { type: 'Unbearer::Claims', id: 'claimed' }

/** `type/id` with the type percent-encoded, so that its first `/` always ends the type and the id is untouched. */
function toUid(kind: 'Subject' | 'Actor' | 'Resource', entity: object): TypeAndId {
  const type: unknown = Reflect.get(entity, 'type')
  const id: unknown = Reflect.get(entity, 'id')
  if (typeof type !== 'string' || typeof id !== 'string') throw wrong(kind, 'a type and an id')
  return { type: `Unbearer::${kind}`, id: `${encodeURIComponent(type)}/${id}` }
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

function wrong(path: string, expected: string): InputError {
  return new InputError(`engine document needs ${expected} at \`${path}\``)
}

function tooLarge(): InputError {
  return new InputError('engine document has more values than the policy engine is shown', 'system.too-large')
}

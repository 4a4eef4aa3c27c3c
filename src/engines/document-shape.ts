/**
 * @module
 * What every engine refuses before it looks further (`docs/reference/encoding.md`, "Refused, for every engine"): reserved
 * keys, ill-formed text, what is not plain data, and facts of the wrong type. Mirrors `policies/schema.cedarschema`.
 */
import type { EngineDocument } from '../core/engine-document.ts'
import { InputError } from '../core/errors.ts'
import { isJsonObject, type Json, type JsonObject } from '../core/json.ts'
import { isJsonArray } from '../core/pointer.ts'

/** How a member is read. A trailing `?` marks what may be absent. */
type Kind = 'text' | 'flag' | 'whole' | 'texts' | 'text?' | 'flag?' | 'whole?' | Shape | readonly [Shape]
interface Shape {
  readonly [member: string]: Kind
}

/** Values that every engine can represent. */
export type Plain = string | boolean | number | string[] | { [member: string]: Plain }

/** The facts of a document with their types asserted; open-ended values (arguments, claims) are not among them. */
export interface Facts {
  readonly subject: Record<string, Plain>
  readonly actor: Record<string, Plain>
  readonly action: Record<string, Plain>
  readonly resource: Record<string, Plain>
  readonly context: Record<string, Plain>
}

/** Nesting of a whole document: 64 of parsed input (contracts, "Encoding") and what stands around it. */
const MAX_DEPTH = 72
/** In lists of facts. */
const MAX_ITEMS = 1_000
const HOSTILE = ['__entity', '__extn', '__expr']

const LABEL: Shape = { trust: 'text', confidentiality: 'text' }
const SUBJECT: Shape = { type: 'text', id: 'text', assurance: 'text' }
const ACTOR: Shape = { type: 'text', id: 'text' }
const RESOURCE: Shape = {
  type: 'text',
  id: 'text',
  upstream: 'text',
  tool: 'text',
  status: 'text',
  idempotent: 'flag?',
  output: [LABEL],
}
const ACTION: Shape = {
  name: 'text',
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

/**
 * The facts of `document`. Throws `InputError` for what no engine may be shown; whoever asked must deny then.
 * Does not judge the facts, and does not limit how large open-ended values are.
 */
export function readFacts({ subject, action, resource, context }: EngineDocument): Facts {
  assertPlain({ subject, action, resource, context }, 0)
  const facts = {
    subject: toRecord(SUBJECT, { ...subject.properties, type: subject.type, id: subject.id }, 'subject'),
    actor: toRecord(ACTOR, subject.properties['act'], 'subject.properties.act'),
    action: toRecord(ACTION, { ...action.properties, name: action.name }, 'action'),
    resource: toRecord(RESOURCE, { ...resource.properties, type: resource.type, id: resource.id }, 'resource'),
    context: toRecord(CONTEXT, context, 'context'),
  }
  for (const member of ['arguments', 'claimed'])
    if (!isJsonObject(context[member])) throw wrong(`context.${member}`, 'an object')
  return facts
}

function toRecord(shape: Shape, source: Json | undefined, path: string): Record<string, Plain> {
  if (!isJsonObject(source)) throw wrong(path, 'an object')
  const members: Record<string, Plain> = {}
  for (const [member, kind] of Object.entries(shape)) {
    const value = memberOf(source, member)
    if (value === undefined && isOptional(kind)) continue
    members[member] = toMember(kind, value, `${path}.${member}`)
  }
  return members
}

function memberOf(source: JsonObject, member: string): Json | undefined {
  return Object.hasOwn(source, member) ? source[member] : undefined
}

function isOptional(kind: Kind): boolean {
  return typeof kind === 'string' ? kind.endsWith('?') : Array.isArray(kind)
}

function toMember(kind: Kind, value: Json | undefined, path: string): Plain {
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

function toTexts(value: Json | undefined, path: string): string[] {
  if (!isJsonArray(value)) throw wrong(path, 'a list of strings')
  if (value.length > MAX_ITEMS)
    throw new InputError('engine document has more values than a policy engine is shown', 'system.too-large')
  return value.map((item) => toText(item, path))
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

/**
 * @module
 * Engine documents for comparing engines: generated ones over everything that the default policies read, with values of
 * every kind in the arguments.
 */
import * as fc from 'fast-check'
import type { EngineDocument, JsonObject } from '../../src/index.ts'
import { toDocument } from '../fixtures/engine-request.ts'

const subset = (...values: readonly string[]): fc.Arbitrary<string[]> => fc.subarray([...values])
const oneOf = <T>(...values: readonly T[]): fc.Arbitrary<T> => fc.constantFrom(...values)

/** Two in three, so that documents to which most rules do not object are not rare. */
const often = <T>(value: T, other: fc.Arbitrary<T>): fc.Arbitrary<T> =>
  fc.oneof({ weight: 2, arbitrary: fc.constant(value) }, other)

const EFFECTS = ['read', 'write', 'delete', 'send', 'spend', 'execute', 'admin']
const ROLES = ['destination', 'recipient', 'amount', 'selector', 'command', 'credential', 'content']
const HOSTILE = [
  '__proto__',
  'constructor',
  'toString',
  'allow',
  'approved',
  'context',
  'a/b',
  '~1',
  '',
  '\u{1F600}',
  'ключ',
]

const scalar = fc.oneof(
  fc.constant(null),
  fc.boolean(),
  fc.string({ unit: 'grapheme', maxLength: 12 }),
  fc.maxSafeInteger(),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0),
  oneOf<string | number>('true', '1', 1, 0, Number.MAX_SAFE_INTEGER, 0.1, 1e300, 5e-324),
)
const key = fc.oneof(oneOf(...HOSTILE), fc.string({ unit: 'grapheme', maxLength: 8 }))
const open: fc.Arbitrary<JsonObject> = fc
  .letrec<{ readonly value: unknown; readonly object: Record<string, unknown> }>((tie) => ({
    value: fc.oneof({ depthSize: 'small' }, scalar, fc.array(tie('value'), { maxLength: 3 }), tie('object')),
    object: fc.dictionary(key, tie('value'), { maxKeys: 4 }),
  }))
  .object.map((object): JsonObject => JSON.parse(JSON.stringify(object)))

/** Half of them plain reads or small writes, so that permits are not rare. */
const effects = fc.oneof(oneOf(['read'], ['write'], ['read', 'write']), subset(...EFFECTS))

const choices = fc.record({
  effects,
  bounded: fc.boolean(),
  assurance: often('granted', oneOf('signed', 'asserted', 'none')),
  status: often('accepted', oneOf('unaccepted', 'changed', 'unknown')),
  covered: often(true, fc.constant(false)),
  grade: often('signature', oneOf('hmac', 'mtls', 'process', 'cookie', 'none')),
  bodyBound: often(true, fc.constant(false)),
  approved: oneOf(false, false, true),
  roles: subset(...ROLES),
  unvouched: subset(...ROLES),
  id: fc.oneof(
    oneOf('alice', 'bob', ' ', 'a/b', '"', "'; --"),
    fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 }),
  ),
  arguments: open,
  claimed: open,
})

/** `count` documents, the same for the same seed. */
export function generateDocuments(count: number, seed: number): readonly EngineDocument[] {
  return fc.sample(choices, { numRuns: count, seed }).map((choice) => {
    const base = toDocument()
    const { effects: kinds, bounded, assurance, status, covered, grade, bodyBound, roles, unvouched, id } = choice
    return {
      subject: { type: 'user', id, properties: { ...base.subject.properties, assurance } },
      action: {
        ...base.action,
        properties: { ...base.action.properties, effects: kinds, effect: kinds.at(-1) ?? 'read', bounded },
      },
      resource: { ...base.resource, properties: { ...base.resource.properties, status } },
      context: {
        ...base.context,
        arguments: choice.arguments,
        claimed: choice.claimed,
        grant: { covered, id: 'grant-1', issuedBy: 'operator', expires: 1 },
        proof: { grade, bodyBound, jkt: 'agent-key' },
        provenance: { ...Object(base.context['provenance']), roles, unvouched },
        approved: choice.approved,
      },
    }
  })
}

import { readFileSync } from 'node:fs'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { toDocument } from '../../test/fixtures/engine-request.ts'
import type { EngineDocument } from '../core/engine-document.ts'
import { InputError } from '../core/errors.ts'
import type { JsonObject } from '../core/json.ts'
import { toCedarCall } from './cedar-encoding.ts'
import { scaled } from '../../test/support/scale.ts'

interface Vector {
  readonly name: string
  readonly document: EngineDocument
  readonly cedar?: unknown
  readonly refused?: string
}

function isVectors(value: unknown): value is { readonly vectors: readonly Vector[] } {
  return typeof value === 'object' && value !== null && 'vectors' in value && Array.isArray(value.vectors)
}

function readVectors(): readonly Vector[] {
  const file = new URL('../../docs/reference/vectors/encoding.json', import.meta.url)
  const parsed: unknown = JSON.parse(readFileSync(file, 'utf8'))
  return isVectors(parsed) ? parsed.vectors : []
}

function reasonOf(document: EngineDocument): string | undefined {
  try {
    toCedarCall(document)
    return undefined
  } catch (fault) {
    return fault instanceof InputError ? fault.reason : String(fault)
  }
}

const withArguments = (values: JsonObject): EngineDocument => {
  const document = toDocument()
  return { ...document, context: { ...document.context, arguments: values } }
}
const withSubject = (type: string, id: string): EngineDocument => {
  const document = toDocument()
  return { ...document, subject: { ...document.subject, type, id } }
}
const text = fc.string({ unit: 'grapheme' })

describe('vectors', () => {
  const vectors = readVectors()
  it('are there', () => expect(vectors.length).toBeGreaterThan(15))

  it.each(vectors)('$name', ({ document, cedar, refused }) => {
    expect(reasonOf(document)).toBe(refused)
    expect(refused ?? toCedarCall(document)).toEqual(cedar ?? refused)
  })
})

describe('toCedarCall', () => {
  it('never encodes two types and ids alike', () => {
    fc.assert(
      fc.property(text, text, text, text, (type, id, otherType, otherId) => {
        fc.pre(type !== otherType || id !== otherId)
        const [one, other] = [toCedarCall(withSubject(type, id)), toCedarCall(withSubject(otherType, otherId))]
        expect(one.principal.id).not.toBe(other.principal.id)
      }),
    )
  })

  it('keeps apart what a naive joining confuses', () => {
    const ids = [
      ['a/b', 'c'],
      ['a', 'b/c'],
      ['a%2Fb', 'c'],
      ['', 'a/b/c'],
      ['a', ''],
      ['', 'a'],
      ['', ''],
    ] as const
    expect(new Set(ids.map(([type, id]) => toCedarCall(withSubject(type, id)).principal.id)).size).toBe(ids.length)
  })

  it('never encodes two arguments alike', () => {
    const values = fc.dictionary(
      fc.constantFrom('a', 'b', '0', 'a/b', 'a~1b', '__proto__', ''),
      fc.jsonValue({ maxDepth: 3 }),
      { maxKeys: 3 },
    )
    fc.assert(
      fc.property(values, values, (one, other) => {
        const [a, b] = [JSON.parse(JSON.stringify(one)), JSON.parse(JSON.stringify(other))]
        fc.pre(toSortedText(a) !== toSortedText(b))
        expect(toCedarCall(withArguments(a)).entities).not.toEqual(toCedarCall(withArguments(b)).entities)
      }),
      { numRuns: scaled(500) },
    )
  })

  it('finds a wanted value exactly where the full encoding names it', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string({ maxLength: 3 }), fc.jsonValue({ maxDepth: 3 })), (value) => {
        const document = withArguments(JSON.parse(JSON.stringify(value)))
        const all = toCedarCall(document).entities[2]?.tags ?? {}
        const wanted = toCedarCall(document, new Set(Object.keys(all))).entities[2]?.tags ?? {}
        expect(wanted).toEqual(all)
      }),
    )
  })

  it.each(['/a/01', '/a/-', '/a/length', '/a/', 'a/0', '/__proto__', '/constructor/name', '/a/~2', ''])(
    'finds nothing at %j',
    (pointer) => {
      expect(toCedarCall(withArguments({ a: ['x', 'y'] }), new Set([pointer])).entities).toHaveLength(2)
    },
  )

  it('refuses reserved keys at any depth of anything', () => {
    for (const key of ['__entity', '__extn', '__expr']) {
      expect(reasonOf(withArguments({ a: [{ b: { [key]: 1 } }] }))).toBe('system.malformed')
      const { subject, ...rest } = toDocument()
      expect(reasonOf({ ...rest, subject: { ...subject, properties: { ...subject.properties, [key]: 1 } } })).toBe(
        'system.malformed',
      )
    }
  })

  it('refuses what is not well-formed text, also in names', () => {
    expect(reasonOf(withArguments({ a: '\ud800' }))).toBe('system.malformed')
    expect(reasonOf(withArguments({ '\udfff': 1 }))).toBe('system.malformed')
    expect(reasonOf(withSubject('\ud800', 'a'))).toBe('system.malformed')
  })

  it('refuses endless nesting instead of running out of stack', () => {
    let deep: JsonObject = {}
    for (let depth = 0; depth < 100_000; depth += 1) deep = { a: deep }
    expect(reasonOf(withArguments(deep))).toBe('system.malformed')
  })

  it('refuses more values than it shows', () => {
    expect(reasonOf(withArguments({ a: Array.from({ length: 2_000 }, () => 0) }))).toBe('system.too-large')
  })
})

/** JSON with sorted members, and -0 as 0: what is equal for RFC 8785. */
function toSortedText(value: unknown): string {
  return JSON.stringify(value, (_key, member: unknown) =>
    typeof member === 'object' && member !== null && !Array.isArray(member)
      ? Object.fromEntries(Object.entries(member).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : member,
  )
}

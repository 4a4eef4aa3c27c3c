import { describe, expect, it } from 'vitest'
import type { JsonObject } from '../core/json.ts'
import { toDocument } from '../../test/fixtures/engine-request.ts'
import { arrange, createJsonEngine, parseResult, readObligations, type JsonAnswer } from './json-engine.ts'

const answer = (outcome: JsonAnswer['outcome']): JsonAnswer => ({ outcome, policies: ['p'], obligations: [] })

describe('arrange', () => {
  const document: JsonObject = { subject: { id: 'alice', 'a/b': 1 }, list: ['x'] }

  it.each([
    ['/subject/id', 'alice'],
    ['/', document],
    ['/subject/a~1b', 1],
    ['/list/0', 'x'],
    ['/subject/none', undefined],
    ['/constructor', undefined],
    ['/subject/toString', undefined],
    ['plain', 'plain'],
    [7, 7],
    [null, null],
  ])('puts %j there', (template, found) => {
    expect(arrange(template, document)).toEqual(found)
  })

  it('leaves out what is absent, and keeps lists in place', () => {
    const template = { a: '/subject/id', b: '/none', c: ['/none', { d: '/list' }] }
    expect(arrange(template, document)).toEqual({ a: 'alice', c: [null, { d: ['x'] }] })
  })

  it('makes no prototype of a member `__proto__`', () => {
    const made = arrange(JSON.parse('{"__proto__": "/subject"}'), document)
    expect(Object.getPrototypeOf(made)).toBe(Object.prototype)
    expect(Object.keys(made ?? {})).toEqual(['__proto__'])
  })
})

describe('a result of a policy', () => {
  it.each([
    [true, 'permit'],
    [false, 'deny'],
    [undefined, 'undefined'],
    [{ allow: true }, 'permit'],
    [{ allow: false, obligations: [] }, 'deny'],
  ])('%j is %s', (result, outcome) => {
    expect(parseResult(result).outcome).toBe(outcome)
  })

  it.each([
    null,
    'true',
    1,
    [],
    {},
    { allow: 'true' },
    { allow: 1 },
    { allowed: true },
    { allow: true, obligations: {} },
  ])('%j is no answer', (result) => {
    expect(() => parseResult(result)).toThrow(/result|obligations/)
  })

  it('brings obligations and policies', () => {
    const redact = { type: 'redact', properties: { fields: ['/a'] } }
    const made = parseResult({ allow: true, obligations: [{ id: 'o', ...redact }], policies: ['b', 'a', 'a', 1] })
    expect(made).toEqual({ outcome: 'permit', policies: ['a', 'b'], obligations: [redact] })
    expect(readObligations([{ type: 'x' }])).toEqual([{ type: 'x', properties: {} }])
    for (const broken of [[{}], [null], ['redact'], [{ type: 1 }], [{ type: 'x', properties: [] }]])
      expect(() => readObligations(broken)).toThrow('obligation')
  })
})

const engineThat = (ask: (approved: boolean) => JsonAnswer, input?: JsonObject) => {
  const asked: boolean[] = []
  const engine = createJsonEngine({
    kind: 'test',
    version: () => 'v',
    ...(input === undefined ? {} : { input }),
    ask: async (document) => {
      const approved = JSON.stringify(document).includes('"approved":true')
      asked.push(approved)
      return ask(approved)
    },
    close: () => {},
  })
  return { engine, asked }
}

describe('a denial that a person could lift', () => {
  it('is a challenge, found by asking again', async () => {
    const { engine, asked } = engineThat((approved) => answer(approved ? 'permit' : 'deny'))
    expect(await engine.evaluate(toDocument())).toMatchObject({
      outcome: 'challenge',
      policies: ['p'],
      obligations: [],
    })
    expect(asked).toEqual([false, true])
  })

  it('is a denial where the approved one is denied too', async () => {
    const { engine, asked } = engineThat(() => answer('deny'))
    expect((await engine.evaluate(toDocument())).outcome).toBe('deny')
    expect(asked).toEqual([false, true])
  })

  it('costs a permit nothing', async () => {
    const { engine, asked } = engineThat(() => answer('permit'))
    expect((await engine.evaluate(toDocument())).outcome).toBe('permit')
    expect(asked).toEqual([false])
  })

  it('is not asked about when it was approved, or when policies are not shown it', async () => {
    const { engine, asked } = engineThat(() => answer('deny'))
    const document = toDocument()
    await engine.evaluate({ ...document, context: { ...document.context, approved: true } })
    expect(asked).toEqual([true])
    const other = engineThat(() => answer('deny'), { user: '/subject/id', tool: '/resource/id' })
    await other.engine.evaluate(document)
    expect(other.asked).toEqual([false])
  })

  it('denies when the second question fails', async () => {
    const { engine } = engineThat((approved) => {
      if (approved) throw new TypeError('secret of somebody')
      return answer('deny')
    })
    const verdict = await engine.evaluate(toDocument())
    expect(verdict).toMatchObject({ outcome: 'error', fault: 'the engine failed' })
  })
})

/**
 * @module
 * What a PEP may send (AuthZEN Authorization API 1.0 §6 to §8), and what it may not.
 */
import { describe, expect, it } from 'vitest'
import type { Json, JsonObject } from '../../index.ts'
import { MAX_EVALUATIONS, parseBatch, parseEvaluation, parseSearch } from './requests.ts'

const subject = { type: 'user', id: 'alice' }
const action = { name: 'read' }
const resource = { type: 'record', id: 'r1' }
const whole: JsonObject = { subject, action, resource }

describe('an evaluation', () => {
  it('ignores what it does not know, and takes absent properties and context for empty', () => {
    const body = { ...whole, subject: { ...subject, x: 1 }, y: [] }
    const empty = { properties: {} }
    expect(parseEvaluation(body)).toEqual({
      subject: { ...subject, ...empty },
      action: { ...action, ...empty },
      resource: { ...resource, ...empty },
      context: {},
    })
  })

  it.each<[string, JsonObject]>([
    ['`subject` is missing', { action, resource }],
    ['`subject` must be an object', { ...whole, subject: 'alice' }],
    ['`subject` must be an object', { ...whole, subject: [subject] }],
    ['`subject.type` must be a text', { ...whole, subject: { id: 'alice' } }],
    ['`subject.id` must be a text', { ...whole, subject: { type: 'user', id: 1 } }],
    ['`subject.properties` must be an object', { ...whole, subject: { ...subject, properties: [] } }],
    ['`action` is missing', { subject, resource }],
    ['`action.name` must be a text', { ...whole, action: {} }],
    ['`resource.id` must be a text', { ...whole, resource: { type: 'record' } }],
    ['`context` must be an object', { ...whole, context: 'now' }],
  ])('is refused where %s', (said, body) => {
    expect(() => parseEvaluation(body)).toThrow(said)
  })

  it('takes any text for an id, the empty one and those with slashes, quotes and other scripts too', () => {
    for (const id of ['', ' ', 'a/b', '"', '日本', '../..', '__proto__'])
      expect(parseEvaluation({ ...whole, subject: { type: 'user', id } }).subject.id).toBe(id)
  })
})

describe('several evaluations', () => {
  it('are one where there is no list or an empty one, and then the semantic still has to be known', () => {
    expect(parseBatch(whole)).toBeUndefined()
    expect(parseBatch({ ...whole, evaluations: [] })).toBeUndefined()
    const options = { evaluations_semantic: 'first' }
    expect(() => parseBatch({ ...whole, options })).toThrow('`options.evaluations_semantic` must be one of')
  })

  it('replace a default whole, and do not mix it', () => {
    const top = { subject: { ...subject, properties: { a: 1 } }, action, context: { a: 1 } }
    const batch = parseBatch({ ...top, evaluations: [{ resource }, { resource, subject, context: {} }, {}] })
    expect(batch?.items).toEqual([
      { ...top, resource },
      { subject, action, resource, context: {} },
      { ...top, resource: undefined },
    ])
    expect(batch?.semantic).toBe('execute_all')
  })

  it('are bounded, and each is an object', () => {
    const many = Array.from({ length: MAX_EVALUATIONS + 1 }, () => ({}))
    expect(() => parseBatch({ evaluations: many })).toThrow('more than')
    for (const item of ['x', null, 1, []] satisfies Json[])
      expect(() => parseBatch({ evaluations: [item] })).toThrow('must be an object')
  })
})

describe('a search', () => {
  it('ignores the id of what is sought, and needs its type', () => {
    const sought = parseSearch('subject', { ...whole, subject: { type: 'user', id: 'ignored' } })
    expect(sought).toMatchObject({ type: 'user', resource: { id: 'r1' }, page: {} })
    expect(sought.subject).toBeUndefined()
    expect(() => parseSearch('resource', { ...whole, resource: {} })).toThrow('`resource.type` must be a text')
  })

  it('for actions needs neither an action nor minds one', () => {
    expect(parseSearch('action', whole).action).toBeUndefined()
  })

  it.each<[string, Json]>([
    ['`page.limit`', { limit: -1 }],
    ['`page.limit`', { limit: 1.5 }],
    ['`page.limit`', { limit: '1' }],
    ['`page.token`', { token: 1 }],
    ['`page` must be an object', 'next'],
  ])('is refused for a wrong %s', (said, page) => {
    expect(() => parseSearch('subject', { ...whole, page })).toThrow(said)
  })
})

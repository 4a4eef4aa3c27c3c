/**
 * @module
 * The file of entities: what it may hold, and how a wrong line is told.
 */
import { describe, expect, it } from 'vitest'
import { parseEntities } from './entities.ts'

const line = (value: unknown): string => JSON.stringify(value)

describe('entities', () => {
  it('are found by type and id, however odd, and listed in order of id', () => {
    const ids = ['b', 'a', 'Z', '', 'a/b', '"', '日本', '__proto__', 'constructor']
    const entities = parseEntities(ids.map((id) => line({ type: 'user', id })).join('\r\n\n'))
    expect(entities.size).toBe(ids.length)
    for (const id of ids) expect(entities.find('user', id)).toEqual({ type: 'user', id, properties: {} })
    expect(entities.ofType('user').map(({ id }) => id)).toEqual(ids.toSorted())
    expect([entities.find('user', 'nobody'), entities.find('__proto__', 'a')]).toEqual([undefined, undefined])
    expect(entities.ofType('toString')).toEqual([])
  })

  it('keep types and ids apart that are the same text together', () => {
    const entities = parseEntities(`${line({ type: 'a', id: 'b/c' })}\n${line({ type: 'a/b', id: 'c' })}`)
    expect([entities.find('a', 'b/c')?.type, entities.find('a/b', 'c')?.type]).toEqual(['a', 'a/b'])
  })

  it('may have a property `type` or `id` of their own', () => {
    const properties = { type: 'invoice', id: 'INV-1' }
    expect(parseEntities(line({ type: 'paper', id: 'p', properties })).find('paper', 'p')).toMatchObject({ properties })
  })

  it.each([
    ['not an object', '[]'],
    ['write', line({ type: 'user' })],
    ['write', line({ type: 'user', id: 1 })],
    ['write', line({ type: 'user', id: 'a', properties: [] })],
    ['unknown member `parents`', line({ type: 'user', id: 'a', parents: [] })],
    ['duplicate', '{"type":"user","id":"a","id":"b"}'],
    ['does not round-trip', '{"type":"user","id":"a","properties":{"n":9007199254740993}}'],
    ['this entity stood in an earlier line', `${line({ type: 'x', id: '2' })}\n${line({ type: 'x', id: '2' })}`],
  ])('are refused: %s', (said, text) => {
    const at = text.split('\n').length + 1
    expect(() => parseEntities(`${line({ type: 'x', id: '1' })}\n${text}`)).toThrow(
      new RegExp(`^entities, line ${at}: .*${said}`),
    )
  })
})

import { assert, jsonValue, property } from 'fast-check'
import { describe, expect, it } from 'vitest'

import type { Json } from '../core/json.ts'
import { toDifference } from './descriptor-diff.ts'

describe('how two descriptors differ', () => {
  it('is said by the path of each part', () => {
    const was = { name: 'a', inputSchema: { properties: { to: { type: 'string' }, n: {} } } }
    const now = { name: 'a', inputSchema: { properties: { to: { type: 'number' }, 'b.c': {} } } }
    expect(toDifference(was, now)).toEqual([
      '- inputSchema.properties.to.type: "string"',
      '+ inputSchema.properties.to.type: "number"',
      '- inputSchema.properties.n: {}',
      '+ inputSchema.properties."b.c": {}',
    ])
  })

  it('shows what cannot be seen, and a long text only around what differs', () => {
    const text = 'x'.repeat(1_000)
    const lines = toDifference({ description: `${text}.${text}` }, { description: `${text}.\u200b\u202e${text}` })
    expect(lines[1]).toContain('\\u{200b}\\u{202e}')
    expect(lines.every((line) => line.length < 300)).toBe(true)
    expect(toDifference({ d: 'a\nb' }, { d: 'a\u001b[2Jb' }).join('')).toMatch(/^\P{Cc}+$/u)
  })

  it('is bounded, whatever a server shows', () => {
    const many = Object.fromEntries(Array.from({ length: 5_000 }, (_each, index) => [`k${index}`, 'v'.repeat(5_000)]))
    const lines = toDifference({}, many)
    expect(lines).toHaveLength(61)
    expect(lines.join('').length).toBeLessThan(60 * 600)
  })

  it('takes no member for one that every object has', () => {
    expect(toDifference({}, { constructor: 1, valueOf: {} })).toEqual(['+ constructor: 1', '+ valueOf: {}'])
  })

  it('is nothing exactly where nothing differs', () => {
    assert(
      property(jsonValue(), jsonValue(), (a, b) => {
        const [was, now]: Json[] = JSON.parse(JSON.stringify([a, b]))
        expect(toDifference(was, was)).toEqual([])
        expect(toDifference(was, now).length === 0).toBe(JSON.stringify(was) === JSON.stringify(now))
      }),
    )
  })
})

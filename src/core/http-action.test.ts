import { describe, expect, it } from 'vitest'

import { InputError } from './errors.ts'
import { isNormalTarget, toBoundAction, toHttpAction } from './http-action.ts'

const NONE = new Uint8Array()
const BODY = Buffer.from('{"amount":5}')

describe('an action of HTTP', () => {
  it('pins what a resource server computes from the bytes it received', () => {
    const target = '/orders/7/refund?reason=broken'
    const action = toHttpAction({ method: 'POST', target, contentType: 'application/json', body: BODY })
    expect(action).toEqual({
      method: 'POST',
      target: '/orders/7/refund?reason=broken',
      contentType: 'application/json',
      contentDigest: 'sha-256=:foTL8PenySwDcFhmXWYVL464WAqyU05SyHe8zOucx78=:',
    })
    expect(toHttpAction({ method: 'GET', target: '/orders/7', body: NONE })).toEqual({
      method: 'GET',
      target: '/orders/7',
    })
  })

  it.each<[string, Parameters<typeof toHttpAction>[0]]>([
    ['a body without a content type', { method: 'POST', target: '/', body: BODY }],
    ['a content type without a body', { method: 'POST', target: '/', contentType: 'text/plain', body: NONE }],
    ['a content type with a line break', { method: 'POST', target: '/', contentType: 'a/b\r\nx: y', body: BODY }],
    ['a method in small letters', { method: 'post', target: '/', body: NONE }],
    ['a method with a space', { method: 'GET /', target: '/', body: NONE }],
    ['a target of another form', { method: 'OPTIONS', target: '*', body: NONE }],
  ])('refuses %s', (_title, message) => {
    expect(() => toHttpAction(message)).toThrow(InputError)
  })

  it.each(['/', '/a', '/a/', '/a-b_c~d/7', '/a?b=c&d', '/a?x=..%2F', '/caf%C3%A9', '/a@b', '/a?'])(
    'takes %s',
    (target) => {
      expect([target, isNormalTarget(target)]).toEqual([target, target !== '/a?'])
    },
  )

  it.each([
    '',
    'a',
    'http://evil.example/a',
    '//evil.example/a',
    '/a//b',
    '/a/../b',
    '/a/./b',
    '/a/..',
    '/%2e%2e/b',
    '/a%2fb',
    '/a%5Cb',
    '/a\\b',
    '/a#b',
    '/a?b#c',
    '/a b',
    '/a%25b',
    '/%61',
    '/a%2Db',
    '/a%3Bb',
    '/a%00',
    '/a;v=1',
    '/é',
    '/a"b',
    `/${'a'.repeat(8192)}`,
  ])('refuses the target %s', (target) => {
    expect(isNormalTarget(target)).toBe(false)
  })

  it('binds all but the reading that was decided over, and only on its own plane', () => {
    const body = { method: 'GET', target: '/a', arguments: { id: '1' } }
    expect(toBoundAction('http', body)).toEqual({ method: 'GET', target: '/a' })
    expect(toBoundAction('mcp', body)).toBe(body)
  })
})

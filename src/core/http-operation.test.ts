import { describe, expect, it } from 'vitest'

import { InputError } from './errors.ts'
import { assertDistinct, parseOperation, readHttp, toDescriptor } from './http-operation.ts'

const OPERATIONS = [
  parseOperation('read-order', 'GET /orders/{id}'),
  parseOperation('my-orders', 'GET /orders/mine'),
  parseOperation('refund', 'POST /orders/{id}/refund'),
  parseOperation('root', 'GET /'),
]
const NONE = new Uint8Array()

function reading(method: string, target: string, contentType?: string, text?: string | Uint8Array): unknown {
  const body = text === undefined ? NONE : Buffer.from(text)
  const found = readHttp(OPERATIONS, { method, target, body, ...(contentType === undefined ? {} : { contentType }) })
  return found === undefined ? undefined : [found.operation.name, found.arguments]
}

describe('what a request says', () => {
  it.each<[string, unknown, unknown]>([
    ['a parameter of the path', reading('GET', '/orders/7'), ['read-order', { id: '7' }]],
    ['the literal path first', reading('GET', '/orders/mine'), ['my-orders', {}]],
    ['the root', reading('GET', '/'), ['root', {}]],
    [
      'the query',
      reading('GET', '/orders/7?full=1&note=a+b%26c'),
      ['read-order', { id: '7', full: '1', note: 'a b&c' }],
    ],
    ['all of the query', reading('GET', '/orders/7?a=1?b=2'), ['read-order', { id: '7', a: '1?b=2' }]],
    ['a decoded parameter', reading('GET', '/orders/caf%C3%A9'), ['read-order', { id: 'café' }]],
    [
      'a JSON body',
      reading('POST', '/orders/7/refund', 'application/json; charset=utf-8', '{"amount":5,"to":{"iban":"x"}}'),
      ['refund', { id: '7', amount: 5, to: { iban: 'x' } }],
    ],
    ['a list', reading('POST', '/orders/7/refund', 'application/json', '[1]'), ['refund', { id: '7', body: [1] }]],
    [
      'a form',
      reading('POST', '/orders/7/refund', 'application/x-www-form-urlencoded', 'amount=5&why='),
      ['refund', { id: '7', amount: '5', why: '' }],
    ],
    ['a text', reading('POST', '/orders/7/refund', 'text/plain', 'all'), ['refund', { id: '7', body: 'all' }]],
    [
      'a member that objects have',
      reading('GET', '/orders/7?__proto__=x'),
      [
        'read-order',
        Object.fromEntries([
          ['id', '7'],
          ['__proto__', 'x'],
        ]),
      ],
    ],
    ['no operation: method', reading('DELETE', '/orders/7'), undefined],
    ['no operation: path', reading('GET', '/orders/7/'), undefined],
    ['no operation: longer', reading('GET', '/orders/7/items'), undefined],
    ['no operation: case', reading('GET', '/Orders/7'), undefined],
  ])('%s', (_title, found, expected) => {
    expect(found).toEqual(expected)
  })

  it.each<[string, readonly [string, string, (string | undefined)?, (string | Uint8Array)?]]>([
    ['a parameter of the path in the query too', ['GET', '/orders/7?id=8']],
    ['a parameter of the path in the body too', ['POST', '/orders/7/refund', 'application/json', '{"id":"8"}']],
    ['a name twice in the query', ['GET', '/orders/7?a=1&a=2']],
    ['a name twice, encoded', ['GET', '/orders/7?a=1&%61=2']],
    ['a member twice', ['POST', '/orders/7/refund', 'application/json', '{"a":1,"a":2}']],
    ['a semicolon', ['GET', '/orders/7?a=1;b=2']],
    ['a value without a name', ['GET', '/orders/7?=2']],
    ['what is not UTF-8 in the path', ['GET', '/orders/%ff']],
    ['what is not UTF-8 in the body', ['POST', '/orders/7/refund', 'text/plain', Uint8Array.of(255)]],
    ['another character set', ['POST', '/orders/7/refund', 'application/json; charset=utf-16', '{}']],
    ['another kind of body', ['POST', '/orders/7/refund', 'application/octet-stream', 'x']],
    ['several parts', ['POST', '/orders/7/refund', 'multipart/form-data; boundary=x', 'x']],
    ['a body without a type', ['POST', '/orders/7/refund', undefined, 'x']],
    ['a NUL in a name', ['GET', '/orders/7?a%00=1']],
    ['an encoded slash', ['GET', '/orders/7%2frefund']],
  ])('%s is refused', (_title, given) => {
    expect(() => reading(...given)).toThrow(InputError)
  })
})

describe('a route', () => {
  it.each([
    '',
    'GET',
    'GET orders',
    'get /orders',
    'GET /a//b',
    'GET /a?b',
    'GET /a{b}',
    'GET /{a}/{a}',
    'GET /../a',
    'GET /a/',
  ])('%s is refused', (route) => {
    expect(() => parseOperation('x', route)).toThrow(InputError)
  })

  it('must not be two', () => {
    expect(() => assertDistinct(OPERATIONS)).not.toThrow()
    expect(() => assertDistinct([...OPERATIONS, parseOperation('other', 'GET /orders/{number}')])).toThrow(InputError)
  })

  it('is shown to whoever accepts it', () => {
    expect(toDescriptor(parseOperation('refund', 'POST /orders/{id}/refund'))).toEqual({
      name: 'refund',
      method: 'POST',
      path: '/orders/{id}/refund',
      inputSchema: { type: 'object', properties: { id: { type: 'string' } } },
    })
  })
})

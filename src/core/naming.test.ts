/**
 * @module
 * Naming: objects by their words, destinations as a whole.
 */
import { describe, expect, it } from 'vitest'
import { isDestinationNamed, isObjectNamed } from './naming.ts'

describe('isObjectNamed', () => {
  const named: readonly [string, string][] = [
    ['customers', 'the customer 42'],
    ['customer', "the customers' addresses"],
    ['public.customers', 'customers of May'],
    ['order_items', 'the items of order 7'],
    ['orderItems', 'order item 7'],
    ['categories', 'its category'],
    ['addresses', 'the address'],
    ['purchases', 'a purchase'],
    ['status', 'all statuses'],
    ['/srv/data/report.txt', 'write report.txt'],
    ['shop/orders', 'an order'],
    ['Größen', 'die größen'],
  ]
  for (const [object, text] of named) it(`${object} in: ${text}`, () => expect(isObjectNamed(object, text)).toBe(true))
  const unnamed: readonly [string, string][] = [
    ['customers', 'the orders of May'],
    ['order_items', 'the order'],
    ['public.customers', 'the public schema'],
    ['customers', 'customerservice'],
    ['', 'anything'],
    ['---', '---'],
    ['/srv/data/secret.txt', 'srv data'],
  ]
  for (const [object, text] of unnamed) {
    it(`${object} not in: ${text}`, () => expect(isObjectNamed(object, text)).toBe(false))
  }
})

describe('isDestinationNamed', () => {
  const address = 'bob@x.test'
  for (const text of [
    'to bob@x.test',
    'Bob@X.test.',
    '<bob@x.test>',
    'mailto:bob@x.test?',
    'a@x.test,bob@x.test',
    "bob@x.test's",
  ]) {
    it(`in: ${text}`, () => expect(isDestinationNamed(address, text)).toBe(true))
  }
  for (const text of [
    'bob',
    'x.test',
    'bob@x.test.evil.test',
    'evilbob@x.test',
    'evil.bob@x.test',
    'bob@x.testing',
    'bob@x.test@evil.test',
    '',
  ]) {
    it(`not in: ${text}`, () => expect(isDestinationNamed(address, text)).toBe(false))
  }
  it('does not take the host of an address for a host', () => {
    expect(isDestinationNamed('x.test', 'bob@x.test')).toBe(false)
    expect(isDestinationNamed('x.test', 'https://x.test/a')).toBe(true)
    expect(isDestinationNamed(' ', 'a b')).toBe(false)
  })
})

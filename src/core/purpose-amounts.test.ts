import { describe, expect, it } from 'vitest'
import { isVouched, tracePurpose } from './purpose.ts'

const vouches = (purpose: string, amount: string): boolean => isVouched(tracePurpose(purpose), 'amount', amount)

describe('a number of the purpose', () => {
  it.each([
    ['refund 12.50 for order 1250', '1250'],
    ['refund order #1250', '1250'],
    ['refund #1250 with 12.50', '1250'],
    ['pay invoice no. 9900, at most 100', '9900'],
    ['refund 5 to customer 42', '42'],
    ['refund 5 to Customer ID: 42', '42'],
    ['Order 3 pizzas for orders 400', '400'],
    ['close tickets 12', '12'],
  ])('that says which one is no amount: %s, %s', (purpose, amount) => {
    expect(vouches(purpose, amount)).toBe(false)
    const selector = purpose.includes(`#${amount}`) ? `#${amount}` : amount
    expect(isVouched(tracePurpose(purpose), 'selector', selector)).toBe(true)
  })

  it.each([
    ['refund 12.50 for order 1250', '12.5'],
    ['Order 3 pizzas', '3'],
    ['please order 100 screws', '100'],
    ['pay 100 for invoice 100', '100'],
    ['transfer $1,250.00 to Bob', '1250'],
    ['pay the room for 80', '80'],
  ])('that says how much is: %s, %s', (purpose, amount) => {
    expect(vouches(purpose, amount)).toBe(true)
  })

  it('and its address, without a line break that a mail server could read', () => {
    const tokens = tracePurpose('tell ada@example.org')
    expect(isVouched(tokens, 'recipient', ' <ada@example.org>, ')).toBe(true)
    for (const value of ['\n\nada@example.org', 'ada@example.org\r\n', '\0ada@example.org'])
      expect(isVouched(tokens, 'recipient', value)).toBe(false)
  })
})

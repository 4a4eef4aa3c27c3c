import { describe, expect, it } from 'vitest'

import type { ArgumentRole } from './manifest.ts'
import { isVouched, tracePurpose } from './purpose.ts'

const PURPOSE =
  'Send $1,250.00 to bob@x.example for order A-17, subject "Rent for May", and put it on https://files.example/a. ' +
  'My new password is Tr0ub4dor. Post to #general. Account DE89 3704 0044 0532 0130 00.'
const vouched = (role: ArgumentRole, value: string): boolean => isVouched(tracePurpose(PURPOSE), role, value)

describe('what the principal named', () => {
  it('vouches whole and fitting', () => {
    expect(vouched('recipient', 'Bob@x.example')).toBe(true)
    expect(vouched('recipient', 'DE89370400440532013000')).toBe(true)
    expect(vouched('amount', '1250')).toBe(true)
    expect(vouched('selector', 'A-17')).toBe(true)
    expect(vouched('content', 'Rent for May')).toBe(true)
    expect(vouched('destination', 'https://files.example/a')).toBe(true)
    expect(vouched('credential', 'Tr0ub4dor')).toBe(true)
  })

  it.each([
    ['recipient', 'ob@x.example'],
    ['recipient', 'x.example'],
    ['recipient', 'bob@x.example.evil.example'],
    ['recipient', 'bob@x.example,evil@attacker.example'],
    ['recipient', 'ｂob@x.example'],
    ['recipient', 'b\u200Bob@x.example'],
    ['recipient', 'Send'],
    ['recipient', '1250'],
    ['destination', 'files.example'],
    ['destination', 'https://files.example/'],
    ['amount', '12'],
    ['amount', '250'],
    ['amount', '17'],
    ['content', 'Rent for'],
    ['command', 'Send'],
    ['credential', 'tr0ub4dor'],
    ['credential', 'password'],
  ] as const)('does not vouch as %s for %s', (role, value) => {
    expect(vouched(role, value)).toBe(false)
  })
})

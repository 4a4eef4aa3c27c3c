import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { elideCredentials, toShown, toShownValue } from './shown.ts'

describe('what is shown of recorded text', () => {
  it.each([
    'eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl',
    'AKIAIOSFODNN7EXAMPLE',
    'ghp_0123456789abcdefghij',
    'sk-proj-0123456789abcdef',
    '-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA\n-----END PRIVATE KEY-----',
    '-----BEGIN RSA PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA',
  ])('leaves out %s, wherever it stands', (secret) => {
    for (const text of [secret, `before ${secret} after`, `"${secret}"`, `x=${secret}`]) {
      const shown = toShown(text)
      expect(shown).toContain('elided')
      for (const part of secret.split(/[\n.-]+/).filter(({ length }) => length > 12)) expect(shown).not.toContain(part)
    }
  })

  it.each([
    ['https://bob:hunter22@db.example/x', 'hunter22'],
    ['Authorization: Bearer abcdef0123456789', 'abcdef0123456789'],
    ['password=hunter22&user=bob', 'hunter22'],
    ['{"apiKey": "zzz-yyy-xxx"}', 'zzz-yyy-xxx'],
    ['client_secret: correct-horse', 'correct-horse'],
  ])('leaves the secret out of %s and says what was there', (text, secret) => {
    expect(toShown(text)).not.toContain(secret)
    expect(toShown(text)).toMatch(/bob|Authorization|apiKey|client_secret/)
  })

  it.each([
    'please reset the password for bob',
    'basic understanding of tokens',
    'the token bus',
    'https://example.com:8443/x',
  ])('leaves plain words alone: %s', (text) => {
    expect(elideCredentials(text)).toBe(text)
  })

  it('never shows a value whose role or name says that it is a credential', () => {
    expect(toShownValue('hunter22', '/login', 'credential')).not.toContain('hunter22')
    expect(toShownValue(1234, '/card/pin', 'content')).not.toContain('1234')
    expect(toShownValue('hunter22', '/db/password', 'content')).not.toContain('hunter22')
    expect(toShownValue(100, '/max_tokens', 'content')).toBe('100')
  })

  it('shows nothing that paints over the line, whatever it was', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => {
        expect(toShown(text)).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u)
      }),
    )
  })

  it('cuts what is long, with its length, and does not take long about it', () => {
    const shown = toShown('a'.repeat(2_000_000))
    expect(shown).toMatch(/^a{2000} … \(2000000 characters, see `audit show`\)$/)
    // A credential that begins within what is shown is left out whole.
    expect(toShown(`${'a '.repeat(990)}eyJhbGciOiJFZERTQSJ9.${'b'.repeat(50_000)}.c`)).not.toContain('bbb')
  })
})

/**
 * Broken once on purpose, and the tests that fell: the header left out of the authenticated data, on sealing or on opening: opens
 * with its passphrase; is one that others open.
 */
import { compactDecrypt, CompactEncrypt } from 'jose'
import { describe, expect, it } from 'vitest'

import { generateKey } from './keys.ts'
import { isSealedKey, openSealedKey, sealKey } from './sealed-key.ts'

const PASSPHRASE = 'correct horse battery staple'
const jwk = { ...generateKey('Ed25519') }

describe('a sealed key', () => {
  it('opens with its passphrase, and says nothing of itself', async () => {
    const sealed = await sealKey(jwk, PASSPHRASE)
    expect(isSealedKey(`${sealed}\n`)).toBe(true)
    expect(sealed).not.toContain(jwk.d)
    expect(Buffer.from(sealed, 'base64url').toString('latin1')).not.toContain(jwk.d)
    expect(await openSealedKey(`${sealed}\n`, PASSPHRASE)).toEqual(jwk)
    expect(await sealKey(jwk, PASSPHRASE)).not.toBe(sealed)
  })

  it('is one that others open, and opens what others seal', async () => {
    const secret = Buffer.from(PASSPHRASE)
    const options = { keyManagementAlgorithms: ['PBES2-HS512+A256KW'], maxPBES2Count: 600_000 }
    const { plaintext } = await compactDecrypt(await sealKey(jwk, PASSPHRASE), secret, options)
    expect(JSON.parse(Buffer.from(plaintext).toString())).toEqual(jwk)
    const foreign = await new CompactEncrypt(Buffer.from(JSON.stringify(jwk)))
      .setProtectedHeader({ alg: 'PBES2-HS512+A256KW', enc: 'A256GCM' })
      .setKeyManagementParameters({ p2c: 5_000 })
      .encrypt(secret)
    expect(await openSealedKey(foreign, PASSPHRASE)).toEqual(jwk)
  })

  it('does not open with another passphrase or when any part was changed', async () => {
    const sealed = await sealKey(jwk, PASSPHRASE)
    await expect(openSealedKey(sealed, `${PASSPHRASE}.`)).rejects.toThrow('cannot be opened')
    const parts = sealed.split('.')
    for (const [at, part] of parts.entries()) {
      const bytes = Buffer.from(part, 'base64url')
      bytes.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1)
      const changed = parts.with(at, bytes.toString('base64url')).join('.')
      await expect(openSealedKey(changed, PASSPHRASE)).rejects.toThrow('cannot be opened')
    }
    const { p2s } = JSON.parse(Buffer.from(parts[0] ?? '', 'base64url').toString())
    const spaced = Buffer.from(
      JSON.stringify({ alg: 'PBES2-HS512+A256KW', enc: 'A256GCM', p2s, p2c: 600_000 }),
    ).toString('base64url')
    await expect(openSealedKey(parts.with(0, spaced).join('.'), PASSPHRASE)).rejects.toThrow('cannot be opened')
  })

  it.each([
    { alg: 'dir', enc: 'A256GCM' },
    { alg: 'PBES2-HS512+A256KW', enc: 'A128CBC-HS256' },
    { p2c: 1 },
    { p2c: 1e9 },
    { p2c: 1000.5 },
    { p2s: 'AAAA' },
    { crit: ['exp'] },
    { zip: 'DEF' },
  ])('is not one with %j', async (changed) => {
    const header = { alg: 'PBES2-HS512+A256KW', enc: 'A256GCM', p2s: 'A'.repeat(22), p2c: 1_000, ...changed }
    const text = [Buffer.from(JSON.stringify(header)).toString('base64url'), 'AAAA', 'AAAA', 'AAAA', 'AAAA'].join('.')
    await expect(openSealedKey(text, PASSPHRASE)).rejects.toThrow('cannot be opened')
  })

  it('needs a passphrase that is not too short, and does not repeat it', async () => {
    await expect(sealKey(jwk, 'short7!')).rejects.toThrow('at least 8')
    await expect(sealKey(jwk, 'short7!')).rejects.not.toThrow('short7!')
  })
})

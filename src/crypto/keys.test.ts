import { generateKeyPairSync } from 'node:crypto'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { ConfigError, InputError, InvariantError } from '../core/errors.ts'
import type { JsonObject } from '../core/json.ts'
import { toDer, toRaw } from './ecdsa-form.ts'
import { generateKey, importKey, importPublicKey, readKeyFile, signBytes, verifyBytes, writeKeyFile } from './keys.ts'

const ED = generateKey('Ed25519')
const EC = generateKey('ES256')
const MESSAGE = Buffer.from('message')
const N = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n

const toNumber = (bytes: Buffer): bigint => BigInt(`0x${bytes.toString('hex')}`)
const toBytes = (n: bigint): Buffer => Buffer.from(n.toString(16).padStart(64, '0'), 'hex')

function toJwk(key: { export(options: { format: 'jwk' }): object }): JsonObject {
  return JSON.parse(JSON.stringify(key.export({ format: 'jwk' })))
}

describe.each([
  ['Ed25519', ED],
  ['ES256', EC],
] as const)('%s', (alg, jwk) => {
  const key = importKey({ ...jwk })
  const { d: _d, ...open } = jwk

  it('signs and verifies 64 bytes, and only this message under this key', () => {
    const signature = signBytes(key, MESSAGE)
    expect(signature.length).toBe(64)
    expect(key.alg).toBe(alg)
    expect(verifyBytes(key, MESSAGE, signature)).toBe(true)
    expect(verifyBytes(importPublicKey(open), MESSAGE, signature)).toBe(true)
    expect(verifyBytes(key, Buffer.from('massage'), signature)).toBe(false)
    expect(verifyBytes(importKey({ ...generateKey(alg) }), MESSAGE, signature)).toBe(false)
  })

  it('refuses every flipped bit, and every other length', () => {
    const signature = signBytes(key, MESSAGE)
    for (let bit = 0; bit < 512; bit += 1) {
      const flipped = Buffer.from(signature)
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      expect(verifyBytes(key, MESSAGE, flipped)).toBe(false)
    }
    expect(verifyBytes(key, MESSAGE, signature.subarray(0, 63))).toBe(false)
    expect(verifyBytes(key, MESSAGE, Buffer.concat([signature, Buffer.of(0)]))).toBe(false)
    expect(verifyBytes(key, MESSAGE, new Uint8Array())).toBe(false)
    expect(verifyBytes(key, MESSAGE, new Uint8Array(64))).toBe(false)
  })

  it('shows only the public members', () => {
    expect(Object.keys(key.jwk)).not.toContain('d')
    expect(importKey({ ...jwk, kid: 'x', alg: alg }).jwk).toEqual(open)
    expect(importKey(open).privateKey).toBeUndefined()
    expect(importKey(open).jkt).toBe(key.jkt)
    expect(() => signBytes(importKey(open), MESSAGE)).toThrow(InvariantError)
  })
})

describe('what is not imported', () => {
  const { d: _d, ...edOpen } = ED
  const { d: _e, ...ecOpen } = EC
  const p384 = toJwk(generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey)
  const k256 = toJwk(generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey)
  const rsa = toJwk(generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey)
  const x25519 = toJwk(generateKeyPairSync('x25519').publicKey)
  const swapped = 'y' in EC ? { ...ecOpen, x: EC.y, y: EC.x } : {}
  // x = 31 zero bytes and a one; y zero: not on the curve.
  const one = toBytes(1n).toString('base64url')

  it.each<[string, JsonObject]>([
    ['nothing', {}],
    ['RSA', rsa],
    ['oct', { kty: 'oct', k: 'AAAA' }],
    ['P-384', p384],
    ['secp256k1', k256],
    ['X25519', x25519],
    ['Ed448', { kty: 'OKP', crv: 'Ed448', x: one }],
    ['another alg', { ...edOpen, alg: 'ES256' }],
    ['alg none', { ...ecOpen, alg: 'none' }],
    ['alg HS256', { ...ecOpen, alg: 'HS256' }],
    ['for encryption', { ...ecOpen, use: 'enc' }],
    ['x too short', { ...edOpen, x: edOpen.x.slice(0, -2) }],
    ['x too long', { ...edOpen, x: `${edOpen.x}AA` }],
    ['x padded', { ...edOpen, x: `${edOpen.x}=` }],
    ['x as base64', { ...edOpen, x: '+'.repeat(43) }],
    [
      'x with unused bits',
      {
        ...edOpen,
        x: `${toBytes(1n << 248n)
          .toString('base64url')
          .slice(0, -1)}B`,
      },
    ],
    ['x not a string', { ...edOpen, x: 1 }],
    ['y missing', { kty: 'EC', crv: 'P-256', x: ecOpen.x }],
    ['off the curve', { kty: 'EC', crv: 'P-256', x: one, y: one }],
    ['swapped', swapped],
    ['d of another key', { ...ED, d: generateKey('Ed25519').d }],
    ['d of another key (EC)', { ...EC, d: generateKey('ES256').d }],
    ['d too long', { ...EC, d: `${EC.d}AA` }],
    ['d zero', { ...EC, d: toBytes(0n).toString('base64url') }],
    ['d beyond the order', { ...EC, d: toBytes(N + 5n).toString('base64url') }],
    ['d not a string', { ...ED, d: true }],
  ])('%s', (_, jwk) => {
    expect(() => importKey(jwk)).toThrow(InputError)
  })

  it('a private key where a public one is expected, and the error does not show it', () => {
    for (const jwk of [ED, EC]) {
      expect(() => importPublicKey({ ...jwk })).toThrow(new InputError('a private key where a public key belongs'))
    }
    expect(() => importPublicKey({ ...edOpen, k: 'x' })).toThrow(InputError)
  })

  it('a point of small order, under which a signature that anybody can write verifies', () => {
    const points = [
      '0100000000000000000000000000000000000000000000000000000000000000',
      '0100000000000000000000000000000000000000000000000000000000000080',
      '0000000000000000000000000000000000000000000000000000000000000000',
      'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
      'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff',
      '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85',
    ]
    for (const point of points) {
      const x = Buffer.from(point, 'hex').toString('base64url')
      expect(() => importKey({ kty: 'OKP', crv: 'Ed25519', x })).toThrow('small order')
    }
  })
})

describe('ECDSA forms', () => {
  it('are inverse to one another for all lengths of r and s', () => {
    const part = fc.uint8Array({ minLength: 1, maxLength: 32 }).filter((bytes) => bytes.some((byte) => byte !== 0))
    const raw = fc.tuple(part, part).map(([r, s]) => {
      const bytes = Buffer.alloc(64)
      bytes.set(r, 32 - r.length)
      bytes.set(s, 64 - s.length)
      return bytes
    })
    const inverse = fc.property(raw, (bytes) => toRaw(toDer(bytes) ?? Buffer.alloc(0)).equals(bytes))
    expect(() => fc.assert(inverse)).not.toThrow()
  })

  it('numbers out of range do not verify', () => {
    const key = importKey({ ...EC })
    const signature = signBytes(key, MESSAGE)
    const [r, s] = [signature.subarray(0, 32), signature.subarray(32)]
    const wrong: readonly Buffer[] = [
      Buffer.concat([Buffer.alloc(32), s]),
      Buffer.concat([r, Buffer.alloc(32)]),
      Buffer.concat([r, toBytes(N)]),
      Buffer.concat([toBytes(N), s]),
      Buffer.concat([r, Buffer.alloc(32, 0xff)]),
    ]
    for (const bytes of wrong) expect(verifyBytes(key, MESSAGE, bytes)).toBe(false)
    // The mirror of s is a valid ECDSA signature, which is why no signature is ever used as an identifier.
    expect(verifyBytes(key, MESSAGE, Buffer.concat([r, toBytes(N - toNumber(s))]))).toBe(true)
    expect(verifyBytes(key, MESSAGE, toDer(signature) ?? Buffer.alloc(0))).toBe(false)
  })
})

describe('key files', () => {
  let folder = ''
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'unbearer-keys-'))
  })
  afterAll(async () => {
    await rm(folder, { recursive: true })
  })

  it('are written once, for the owner alone', async () => {
    const path = join(folder, 'agent.jwk')
    await writeKeyFile(path, { ...ED })
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect((await readKeyFile(path)).jkt).toBe(importKey({ ...ED }).jkt)
    await expect(writeKeyFile(path, { ...EC })).rejects.toThrow(ConfigError)
    expect(JSON.parse(await readFile(path, 'utf8'))).toEqual(ED)
  })

  it.each([
    ['not JSON', 'secret-material'],
    ['a duplicate member', '{"kty":"OKP","kty":"secret-material"}'],
    ['another kind of key', '{"kty":"oct","k":"secret-material"}'],
    ['a broken key', JSON.stringify({ ...ED, d: 'secret-material' })],
    ['no object', '["secret-material"]'],
  ])('never show their content: %s', async (_, content) => {
    const path = join(folder, `${Math.random()}.jwk`)
    await writeFile(path, content)
    const fault: unknown = await readKeyFile(path).catch((thrown: unknown) => thrown)
    expect(fault).toBeInstanceOf(ConfigError)
    expect(`${String(fault)} ${JSON.stringify(fault)}`).not.toContain('secret-material')
  })

  it('that are absent are a fault with the path', async () => {
    await expect(readKeyFile(join(folder, 'absent.jwk'))).rejects.toThrow('absent.jwk')
  })
})

import { readFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { readBundle } from './opa-bundle.ts'

const WASM = Buffer.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0])

function tar(files: readonly (readonly [string, Uint8Array])[], size?: string): Buffer {
  const blocks = files.flatMap(([name, bytes]) => {
    const header = Buffer.alloc(512)
    header.write(name, 0, 'latin1')
    header.write(size ?? bytes.length.toString(8).padStart(11, '0'), 124, 'latin1')
    return [header, Buffer.concat([bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)])]
  })
  return gzipSync(Buffer.concat([...blocks, Buffer.alloc(1024)]))
}

describe('a bundle', () => {
  it('is what `opa build` writes, or the policy in it', () => {
    const { wasm, data } = readBundle(readFileSync('test/fixtures/engines/contract.tar.gz'))
    expect([...wasm.subarray(0, 4)]).toEqual([0, 0x61, 0x73, 0x6d])
    expect(new TextDecoder().decode(data).trim()).toBe('{}')
    expect(readBundle(wasm).data).toBeUndefined()
  })

  it('is read by the names at its root only', () => {
    const files = [
      ['a/policy.wasm', Buffer.from('no')],
      ['/policy.wasm', WASM],
      ['../policy.wasm', Buffer.from('no')],
    ] as const
    expect(Buffer.from(readBundle(tar(files)).wasm)).toEqual(WASM)
  })

  it.each([
    ['has no policy', tar([['data.json', Buffer.from('{}')]]), 'no `policy.wasm`'],
    [
      'has two',
      tar([
        ['policy.wasm', WASM],
        ['/policy.wasm', WASM],
      ]),
      'twice',
    ],
    ['is cut off', tar([['policy.wasm', WASM]], '77777777777'), 'cut off'],
    ['has a size that is none', tar([['policy.wasm', WASM]], 'zzz'), 'cannot be unpacked'],
    ['is no archive', Buffer.from('hello'), 'neither'],
    ['is empty', Buffer.alloc(0), 'neither'],
    ['is broken gzip', Buffer.from([0x1f, 0x8b, 1, 2, 3]), 'cannot be unpacked'],
  ])('that %s is refused', (_what, bytes, message) => {
    expect(() => readBundle(bytes)).toThrow(new RegExp(message))
  })
})

/**
 * @module
 * The OPA engine in WebAssembly: what it refuses to load, what it names as version, and that an abort does not stay.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sampleDocument } from '../testing/index.ts'
import { createOpaWasmEngine } from './opa-wasm.ts'

const bundle = 'test/fixtures/engines/contract.tar.gz'
let dir: string
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'unbearer-wasm-'))
})
afterAll(() => rmSync(dir, { recursive: true }))

const write = (name: string, text: string | Uint8Array): string => {
  writeFileSync(join(dir, name), text)
  return join(dir, name)
}

describe('opa-wasm', () => {
  it.each([
    ['a file that is not there', () => 'no/such/bundle.tar.gz', 'cannot read `no/such/bundle.tar.gz`'],
    ['a file that is no bundle', () => write('text.wasm', 'allow'), 'neither a `.tar.gz` nor a `.wasm`'],
    [
      'WebAssembly that is no policy',
      () => write('bare.wasm', new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0])),
      'opa build',
    ],
  ])('refuses to load %s', async (_name, path, said) => {
    await expect(createOpaWasmEngine({ bundle: path(), entrypoint: 'a' })).rejects.toThrow(said)
  })

  it('names the entrypoints that there are, for one that is not there', async () => {
    const engine = createOpaWasmEngine({ bundle, entrypoint: 'contract/allow' })
    await expect(engine).rejects.toThrow(/no entrypoint `contract\/allow`, it has .*`contract\/permit\/allow`/)
    await expect(createOpaWasmEngine({ bundle, entrypoint: '__proto__' })).rejects.toThrow('no entrypoint `__proto__`')
  })

  it('tells data and entrypoints apart by its version, and refuses data that is no JSON', async () => {
    const entrypoint = 'contract/permit/allow'
    const versions = await Promise.all(
      [undefined, write('a.json', '{"a":1}'), write('b.json', '{"a":2}')].map(async (data) => {
        const engine = await createOpaWasmEngine({ bundle, entrypoint, ...(data === undefined ? {} : { data }) })
        await engine.close()
        return engine.version
      }),
    )
    expect(new Set(versions).size).toBe(3)
    const broken = createOpaWasmEngine({ bundle, entrypoint, data: write('c.json', '{"a":') })
    await expect(broken).rejects.toThrow('is not a policy that was built')
  })

  it('decides the next question with a fresh memory after one that aborted', async () => {
    const engine = await createOpaWasmEngine({ bundle, entrypoint: 'contract/conflicting/allow' })
    const bob = { ...sampleDocument, subject: { ...sampleDocument.subject, id: 'bob' } }
    const outcomes = []
    for (const document of [bob, sampleDocument, bob, sampleDocument, bob])
      outcomes.push((await engine.evaluate(document)).outcome)
    expect(outcomes).toEqual(['permit', 'error', 'permit', 'error', 'permit'])
    await engine.close()
  })
})

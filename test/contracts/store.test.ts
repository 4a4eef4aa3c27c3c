/**
 * @module
 * Both stores under the contract suite that `unbearer/testing` exports, bare and sealed.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { newMasterKey, parseMasterKey } from '../../src/crypto/vault.ts'
import { createSealedStore } from '../../src/pdp/sealed-store.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { createSqliteStore } from '../../src/stores/sqlite.ts'
import { type ContractCase, type MakeStore, storeContract } from '../../src/testing/index.ts'

const places: string[] = []

async function place(): Promise<MakeStore> {
  const dir = await mkdtemp(join(tmpdir(), 'unbearer-store-'))
  places.push(dir)
  return async (options) => createSqliteStore({ path: join(dir, 'unbearer.db'), ...options })
}

function run(cases: readonly ContractCase[]): void {
  it.each(cases)('$name', async (contract) => {
    await expect(contract.run()).resolves.toBeUndefined()
  })
}

afterAll(async () => {
  await Promise.all(places.map((dir) => rm(dir, { recursive: true })))
})

describe('memory store', () => {
  run(storeContract(async (options) => createMemoryStore(options)))
})
describe('sqlite store', () => {
  run(storeContract(async (options) => (await place())(options), { place }))
})

const master = parseMasterKey(newMasterKey())

async function sealedPlace(): Promise<MakeStore> {
  const make = await place()
  return async (options) => createSealedStore(await make(options), () => master)
}

describe('sealed memory store', () => {
  run(storeContract(async (options) => createSealedStore(createMemoryStore(options), () => master)))
})
describe('sealed sqlite store', () => {
  run(storeContract(async (options) => (await sealedPlace())(options), { place: sealedPlace }))
})

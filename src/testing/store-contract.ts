/**
 * @module
 * The contract of `Store` (`ports/store.ts`) as cases that any implementation runs, ours or other people's, under any test
 * runner. Each case makes its own store.
 */
import { burnCases } from './store-cases/burns.ts'
import { evidenceCases } from './store-cases/evidence.ts'
import { logCases } from './store-cases/log.ts'
import { placeCases } from './store-cases/places.ts'
import { recordCases } from './store-cases/records.ts'
import type { MakeStore } from './store-cases/support.ts'
import { unitCases } from './store-cases/units.ts'

export { createTestSeal, type MakeStore } from './store-cases/support.ts'

export interface ContractCase {
  readonly name: string
  readonly run: () => Promise<void>
}

/** What an implementation can do beyond making a store; each member adds cases. */
export interface StoreHarness {
  /** A fresh place for a persistent store, as a function that opens it, again and again. */
  readonly place?: () => Promise<MakeStore>
}

/** The cases. All must pass, in any order. Does not measure durability against a crash: that takes a second process. */
export function storeContract(make: MakeStore, { place }: StoreHarness = {}): readonly ContractCase[] {
  const fresh = [...recordCases, ...burnCases, ...unitCases, ...evidenceCases, ...logCases].map(({ name, run }) => ({
    name,
    run: () => run(make),
  }))
  if (place === undefined) return fresh
  return [...fresh, ...placeCases.map(({ name, run }) => ({ name, run: async () => run(await place()) }))]
}

/**
 * @module
 * `unbearer/testing`: the contract suites that every implementation of a port passes, and fakes for tests.
 */
export {
  createTestSeal,
  storeContract,
  type ContractCase,
  type MakeStore,
  type StoreHarness,
} from './store-contract.ts'
export { burnsContract, type MakeBurns } from './burns-contract.ts'
export { engineContract, sampleDocument, type EngineBehaviour, type MakeEngine } from './engine-contract.ts'
export { engineWireContract, type EngineWire } from './engine-wire-contract.ts'
export {
  adapterContract,
  type AdapterHarness,
  type AdapterTrait,
  type AdapterUnderTest,
  type AdapterWorld,
  type CallOptions,
  type ContractTool,
  type Seen,
} from './adapter-contract.ts'
export { createScriptedPep, type PepScript, type ScriptedPep } from './scripted-pep.ts'

/**
 * @module
 * Faults that a test turns on and off in the real composition: a store that fails, an engine that misbehaves. A test file
 * puts `faultyStores` and `faultyEngines` around the modules that the composition root imports (`vi.mock`).
 */
import type { CommitResult, CommitUnit, Engine, EngineDocument, PolicyVerdict, Store } from '../../src/index.ts'

export interface Faults {
  /** Stands in for `commit` of the store. */
  commit?: ((unit: CommitUnit, real: () => Promise<CommitResult>) => Promise<CommitResult>) | undefined
  /** Awaited before every read. */
  beforeGet?: (() => Promise<void>) | undefined
  /** Stands in for `evaluate` of the engine. */
  evaluate?: ((document: EngineDocument, real: () => Promise<PolicyVerdict>) => Promise<PolicyVerdict>) | undefined
}

export const faults: Faults = {}

export function clearFaults(): void {
  faults.commit = undefined
  faults.beforeGet = undefined
  faults.evaluate = undefined
}

export function toFaultyStore(store: Store): Store {
  return {
    log: store.log,
    async get(keys) {
      await faults.beforeGet?.()
      return store.get(keys)
    },
    list: async (prefix, options) => store.list(prefix, options),
    async commit(unit) {
      const real = async (): Promise<CommitResult> => store.commit(unit)
      return faults.commit === undefined ? real() : faults.commit(unit, real)
    },
    evidence: async (id) => store.evidence(id),
    listEvidence: async (options) => store.listEvidence(options),
    scrub: async (options) => store.scrub(options),
    check: async () => store.check(),
    close: async () => store.close(),
  }
}

export function toFaultyEngine(engine: Engine): Engine {
  return {
    kind: engine.kind,
    version: engine.version,
    async evaluate(document) {
      const real = async (): Promise<PolicyVerdict> => engine.evaluate(document)
      return faults.evaluate === undefined ? real() : faults.evaluate(document, real)
    },
    close: async () => engine.close(),
  }
}

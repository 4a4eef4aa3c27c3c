/**
 * @module
 * A store around the store that does not wait for ever: where the disk does not answer in time, `durable` rejects, so that
 * whoever waits is told and nothing is released. The unit may still become durable later: nobody knows.
 */
import { LateError } from '../core/errors.ts'
import type { CommitResult, Store } from '../ports/store.ts'
import { withDeadline } from './evaluate.ts'

/**
 * Wraps a store. Unlike `ports/store.ts` promises, a `durable` that rejects with `LateError` may have to be counted as done.
 * Does not help where the engine below blocks the process: then nothing runs, and nothing is released either.
 */
export function toPatientStore(store: Store, patienceMs: number): Store {
  return {
    log: store.log,
    get: async (keys) => store.get(keys),
    list: async (prefix, options) => store.list(prefix, options),
    async commit(unit): Promise<CommitResult> {
      const result = await store.commit(unit)
      if (result.status !== 'applied') return result
      const durable = withDeadline(result.durable, patienceMs, () => {
        throw new LateError('the disk does not answer; whether this was recorded is not known')
      })
      // Some callers do not wait for the disk; that must not end the process because of them.
      durable.catch(() => undefined)
      return { ...result, durable }
    },
    evidence: async (id) => store.evidence(id),
    listEvidence: async (options) => store.listEvidence(options),
    scrub: async (options) => store.scrub(options),
    check: async () => store.check(),
    close: async () => store.close(),
  }
}

/**
 * @module
 * What was read of a history is not read again, however many tasks take turns. Seen to fail: with a bound of 32 tasks each of 64
 * that take turns was built again from its first observation at every call.
 */
import { expect, it } from 'vitest'

import type { Store, StoredRecord, Write } from '../ports/store.ts'
import { createMemoryStore } from '../stores/memory.ts'
import { createHistories } from './histories.ts'

const TASKS = 64

function relay(n: number) {
  return {
    source: 's/t',
    subject: 'user/alice',
    entry: `e${n}`,
    time: n,
    value: { text: `note number ${n}` },
    output: undefined,
    call: {
      arguments: {},
      provenance: { attested: false, arguments: [], taint: LABEL, length: 0 },
      consequential: false,
    },
  }
}

const LABEL = { trust: 'own', confidentiality: 'public' } as const

it('reads each observation once, for as many tasks as there are agents', async () => {
  const inner = createMemoryStore({ seal: () => '', clock: Date })
  const read: StoredRecord[] = []
  const store: Store = {
    ...inner,
    get: async (keys) => inner.get(keys),
    commit: async (unit) => inner.commit(unit),
    async list(prefix, options) {
      const found = await inner.list(prefix, options)
      read.push(...found)
      return found
    },
  }
  const histories = createHistories(store)
  for (let round = 0; round < 5; round += 1) {
    for (let task = 0; task < TASKS; task += 1) {
      const loaded = await histories.load(`task-${task}`)
      expect(loaded.history.length).toBe(round)
      const writes: readonly Write[] = histories.toWrites(`task-${task}`, loaded, relay(round))
      await store.commit({ reads: {}, writes })
    }
  }
  expect(read).toHaveLength(TASKS * 4)
})

/**
 * @module
 * Evidence lies beside the log and can be forgotten; the log cannot.
 */
import assert from 'node:assert/strict'
import type { CommitUnit, Store } from '../../index.ts'
import {
  apply,
  type Case,
  createTestSeal,
  INPUT,
  persist,
  quiet,
  toBytes,
  toEntry,
  toText,
  UNAVAILABLE,
  using,
} from './support.ts'
import { verifyLog } from './tree.ts'

const toUnit = (id: string, text = `evidence ${id}`): CommitUnit => ({
  ...toEntry(id),
  evidence: [{ id, subject: `user/${id}`, bytes: toBytes(text) }],
})

async function idsOf(store: Store, options?: { after?: string; limit?: number }): Promise<readonly string[]> {
  return (await store.listEvidence(options)).map(({ id }) => id)
}

export const evidenceCases: readonly Case[] = [
  {
    name: 'drops evidence and keeps its entry, and the log verifies as before',
    run: (make) =>
      using(make, quiet, async (store) => {
        await persist(store, toUnit('a'))
        await persist(store, toUnit('b'))
        const checkpoint = await store.log.checkpoint()
        await persist(store, { drops: ['a', 'none'] })
        assert.equal(await store.evidence('a'), undefined)
        assert.equal(toText(await store.evidence('b')), 'evidence b')
        assert.deepEqual([await store.log.indexOf('a'), await store.log.checkpoint()], [0, checkpoint])
        await verifyLog(store)
      }),
  },
  {
    name: 'replaces evidence that the same unit drops, and no other',
    run: (make) =>
      using(make, quiet, async (store) => {
        await persist(store, toUnit('a'))
        const evidence = [{ id: 'a', subject: 'tag', bytes: toBytes('sealed') }]
        await persist(store, { drops: ['a'], evidence })
        assert.equal(toText(await store.evidence('a')), 'sealed')
        await assert.rejects(store.commit({ drops: ['b'], evidence }), INPUT)
        assert.deepEqual(await idsOf(store), ['a'])
      }),
  },
  {
    name: 'drops nothing in a unit that conflicts, fails, or whose group is undone',
    run: async (make) => {
      let broken = false
      const seal = createTestSeal(() => {
        if (broken) throw new Error('no key')
      })
      await using(make, { seal }, async (store) => {
        await persist(store, toUnit('a'))
        assert.equal((await store.commit({ drops: ['a'], reads: { k: 7 } })).status, 'conflict')
        await assert.rejects(store.commit({ drops: ['a'], ...toEntry('a') }), INPUT)
        assert.equal(toText(await store.evidence('a')), 'evidence a')
        broken = true
        const { durable } = await apply(store, { drops: ['a'], ...toEntry('b') })
        assert.equal(await store.evidence('a'), undefined)
        await assert.rejects(durable, UNAVAILABLE)
        broken = false
        assert.equal(toText(await store.evidence('a')), 'evidence a')
      })
    },
  },
  {
    name: 'lists evidence in code-unit order, after an id and no more than asked',
    run: (make) =>
      using(make, quiet, async (store) => {
        for (const id of ['b', 'a', '-', 'A', '_']) await persist(store, toUnit(id))
        assert.deepEqual(await idsOf(store), ['-', 'A', '_', 'a', 'b'])
        assert.deepEqual(await idsOf(store, { after: 'A', limit: 2 }), ['_', 'a'])
        assert.deepEqual(await idsOf(store, { limit: 0 }), [])
        assert.deepEqual(await idsOf(store, { after: 'b' }), [])
      }),
  },
  {
    name: 'scrubs and goes on',
    run: (make) =>
      using(make, quiet, async (store) => {
        await persist(store, toUnit('a'))
        const { durable } = await apply(store, { drops: ['a'] })
        assert.equal(await store.scrub(), true)
        await durable
        assert.equal(await store.scrub({ rewrite: true }), true)
        await persist(store, toUnit('b'))
        assert.deepEqual(await idsOf(store), ['b'])
        await verifyLog(store)
      }),
  },
]

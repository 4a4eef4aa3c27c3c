/**
 * @module
 * The Merkle log.
 */
import assert from 'node:assert/strict'
import { type Case, persist, put, quiet, toBytes, toEntry, toText, using } from './support.ts'
import { verifyLog, verifyHead, verifyNode } from './tree.ts'

export const logCases: readonly Case[] = [
  {
    name: 'is an empty log at first',
    run: (make) =>
      using(make, quiet, async (store) => {
        assert.deepEqual([await store.log.size(), await store.log.checkpoint()], [0, undefined])
        assert.deepEqual([await store.log.entries(0, 10), await store.log.node(0, 0)], [[], undefined])
        assert.deepEqual(await store.check(), [])
      }),
  },
  {
    name: 'groups 100 concurrent commits: consecutive indexes, few checkpoints, each of the true tree',
    run: async (make) => {
      const heads: string[] = []
      await using(make, { ...quiet, onSealed: (checkpoint) => void heads.push(checkpoint) }, async (store) => {
        const ids = Array.from({ length: 100 }, (_, i) => `id-${i}`)
        const indexes = await Promise.all(ids.map((id) => persist(store, toEntry(id))))
        assert.deepEqual(indexes.flat(), [...ids.keys()])
        assert.deepEqual(await Promise.all(ids.map((id) => store.log.indexOf(id))), [...ids.keys()])
        assert(heads.length >= 1 && heads.length <= 10, `${heads.length} checkpoints`)
        for (const head of heads) await verifyHead(store, head)
        await verifyLog(store)
      })
    },
  },
  {
    name: 'gives out copies, so that no reader can change the log',
    run: (make) =>
      using(make, quiet, async (store) => {
        await persist(store, toEntry('a'))
        const before = toText((await store.log.entries(0, 1))[0])
        ;(await store.log.entries(0, 1))[0]?.fill(0)
        ;(await store.log.node(0, 0))?.fill(0)
        assert.equal(toText((await store.log.entries(0, 1))[0]), before)
        await verifyNode(store, 0, 0, 1)
      }),
  },
  {
    name: 'puts several entries of one unit in their order',
    run: (make) =>
      using(make, quiet, async (store) => {
        await persist(store, toEntry('a'))
        const entries = ['b', 'c', 'd'].map((id) => ({ id, bytes: toBytes(id) }))
        assert.deepEqual(await persist(store, { entries }), [1, 2, 3])
        assert.deepEqual((await store.log.entries(1, 3)).map(toText), ['b', 'c'])
        assert.deepEqual((await store.log.entries(2, 99)).map(toText), ['c', 'd'])
      }),
  },
  {
    name: 'has the nodes of the true tree, and none that is incomplete',
    run: (make) =>
      using(make, quiet, async (store) => {
        for (let i = 0; i < 21; i += 1) await persist(store, toEntry(String(i)))
        for (let level = 0; level < 6; level += 1)
          for (let index = 0; index <= 21; index += 1) await verifyNode(store, level, index, 21)
      }),
  },
  {
    name: 'does not seal again when only records change',
    run: async (make) => {
      const heads: string[] = []
      await using(make, { ...quiet, onSealed: (checkpoint) => void heads.push(checkpoint) }, async (store) => {
        await persist(store, toEntry('a'))
        await put(store, 'k', 1)
        await persist(store, {})
        assert.equal(heads.length, 1)
        await verifyLog(store)
      })
    },
  },
]

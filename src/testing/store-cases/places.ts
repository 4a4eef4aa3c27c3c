/**
 * @module
 * What only a store that outlives its process can show.
 */
import assert from 'node:assert/strict'
import { type Case, persist, put, quiet, toBytes, toEntry, toText, UNAVAILABLE, using, version } from './support.ts'
import { verifyLog } from './tree.ts'

export const placeCases: readonly Case[] = [
  {
    name: 'keeps everything when it is opened again, and goes on',
    run: async (make) => {
      const burn = { domain: 'd', id: 'i', expires: Date.now() + 60_000 }
      let last = 0
      await using(make, quiet, async (store) => {
        for (let i = 0; i < 9; i += 1) await persist(store, toEntry(`e${i}`))
        const evidence = [{ id: 'e0', subject: 's', bytes: toBytes('x') }]
        await persist(store, { writes: [{ key: 'k', value: [1] }], burns: [burn], evidence })
        last = await version(store, 'k')
        await persist(store, { writes: [{ key: 'k', value: [2] }] })
        last = await version(store, 'k')
        await persist(store, { writes: [{ key: 'k' }, { key: 'stays', value: { a: null } }] })
      })
      await using(make, quiet, async (store) => {
        assert.deepEqual(
          (await store.get(['k', 'stays'])).map((record) => record?.value),
          [undefined, { a: null }],
        )
        assert.equal((await store.commit({ burns: [burn] })).status, 'burned')
        assert.equal(toText(await store.evidence('e0')), 'x')
        assert.deepEqual(await persist(store, toEntry('after')), [9])
        await put(store, 'k', [3])
        assert((await version(store, 'k')) > last, 'a version came back')
        assert.deepEqual(await store.check(), [])
        await verifyLog(store)
      })
    },
  },
  {
    name: 'refuses a second writer while the first lives, and takes one after it',
    run: async (make) => {
      const first = await make(quiet)
      await assert.rejects(make(quiet), UNAVAILABLE)
      await persist(first, toEntry('a'))
      await first.close()
      await using(make, quiet, async (store) => {
        assert.equal(await store.log.size(), 1)
      })
    },
  },
]

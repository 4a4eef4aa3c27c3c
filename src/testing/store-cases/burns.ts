/**
 * @module
 * What is used once.
 */
import assert from 'node:assert/strict'
import { type Case, persist, quiet, using } from './support.ts'

export const burnCases: readonly Case[] = [
  {
    name: 'burns an id once for each domain, however many race',
    run: (make) =>
      using(make, quiet, async (store) => {
        const burn = { domain: 'aud', id: 'jti', expires: Date.now() + 60_000 }
        const results = await Promise.all(Array.from({ length: 64 }, () => store.commit({ burns: [burn] })))
        assert.equal(results.filter(({ status }) => status === 'applied').length, 1)
        const lost = results.find(({ status }) => status === 'burned')
        assert(lost?.status === 'burned')
        assert.deepEqual(lost.burn, burn)
        await persist(store, { burns: [{ ...burn, domain: 'other' }] })
        await persist(store, { burns: [{ ...burn, domain: 'au', id: 'djti' }] })
        assert.equal((await store.commit({ burns: [burn] })).status, 'burned')
      }),
  },
  {
    name: 'refuses a unit that burns the same id twice',
    run: (make) =>
      using(make, quiet, async (store) => {
        const burn = { domain: 'aud', id: 'jti', expires: Date.now() + 60_000 }
        assert.equal((await store.commit({ burns: [burn, burn] })).status, 'burned')
        await persist(store, { burns: [burn] })
      }),
  },
  {
    name: 'forgets a burn only after it has expired, and refuses one that has expired already',
    run: async (make) => {
      let now = 1_000
      await using(make, { ...quiet, clock: { now: () => now } }, async (store) => {
        const burn = { domain: 'aud', id: 'jti', expires: 2_000 }
        await persist(store, { burns: [burn] })
        now = 1_999
        assert.equal((await store.commit({ burns: [{ ...burn, expires: 3_000 }] })).status, 'burned')
        now = 2_000
        assert.equal((await store.commit({ burns: [burn] })).status, 'burned')
        now = 1_000
        assert.equal((await store.commit({ burns: [burn] })).status, 'burned', 'the clock was set back')
        await persist(store, { burns: [{ ...burn, expires: 3_000 }] })
      })
    },
  },
]

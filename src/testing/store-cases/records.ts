/**
 * @module
 * Versions, reads and lists.
 */
import assert from 'node:assert/strict'
import type { ReadSet } from '../../index.ts'
import { apply, type Case, keysOf, persist, put, quiet, toEntry, using, version } from './support.ts'

export const recordCases: readonly Case[] = [
  {
    name: 'keeps values as they were given, null among them',
    run: (make) =>
      using(make, quiet, async (store) => {
        const value = { text: 'ä\u0000\ud83d\ude00', list: [1, -0.5, null, true], deep: { a: {} } }
        await put(store, 'a', value)
        await put(store, 'b', null)
        const [a, b, c] = await store.get(['a', 'b', 'c'])
        assert.deepEqual([a?.value, b?.value, c], [value, null, undefined])
      }),
  },
  {
    name: 'serialises: of two commits that read "2 of 3", one applies',
    run: (make) =>
      using(make, quiet, async (store) => {
        await put(store, 'count', 2)
        const reads = { count: await version(store, 'count') }
        const unit = { reads, writes: [{ key: 'count', value: 3 }] }
        const results = await Promise.all([store.commit(unit), store.commit(unit)])
        assert.deepEqual(results.map(({ status }) => status).toSorted(), ['applied', 'conflict'])
      }),
  },
  {
    name: 'names every key that conflicts and no other',
    run: (make) =>
      using(make, quiet, async (store) => {
        await put(store, 'a', 1)
        await put(store, 'b', 1)
        const reads: ReadSet = { a: await version(store, 'a'), b: 0, c: 7, d: 0 }
        const result = await store.commit({ reads, writes: [{ key: 'd', value: 1 }] })
        assert.equal(result.status, 'conflict')
        assert(result.status === 'conflict')
        assert.deepEqual(result.keys.toSorted(), ['b', 'c'])
        assert.equal(await version(store, 'd'), 0)
      }),
  },
  {
    name: 'counts an absent record as version 0, so that only one of two can create it',
    run: (make) =>
      using(make, quiet, async (store) => {
        const unit = { reads: { new: 0 }, writes: [{ key: 'new', value: 1 }] }
        await apply(store, unit)
        assert.equal((await store.commit(unit)).status, 'conflict')
      }),
  },
  {
    name: 'never gives a version again, also not after a delete',
    run: (make) =>
      using(make, quiet, async (store) => {
        const seen = new Set<number>()
        for (let i = 0; i < 5; i += 1) {
          await put(store, 'k', 'same')
          seen.add(await version(store, 'k'))
          await persist(store, { writes: [{ key: 'k' }] })
          assert.equal(await version(store, 'k'), 0)
        }
        assert.equal(seen.size, 5)
        assert(!seen.has(0))
      }),
  },
  {
    name: 'shows a unit to every later read as soon as it is applied',
    run: (make) =>
      using(make, quiet, async (store) => {
        const { durable } = await apply(store, { writes: [{ key: 'k', value: 1 }], ...toEntry('e') })
        const [record] = await store.get(['k'])
        assert.equal(record?.value, 1)
        assert.equal(await store.log.indexOf('e'), 0)
        await durable
      }),
  },
  {
    name: 'lists by prefix in code-unit order, whatever the keys hold',
    run: (make) =>
      using(make, quiet, async (store) => {
        const inside = [
          'p/%',
          'p/_',
          'p/',
          'p/a',
          'p/A',
          "p/'",
          'p/ä',
          'p/\uffff',
          'p/\u{1f600}',
          'p/\uffff\uffff',
          'p/\u0000',
        ]
        const outside = ['p', 'p0', 'q/', 'P/a', 'o/\uffff', 'p.', 'x%', 'x_']
        await persist(store, { writes: [...inside, ...outside].map((key) => ({ key, value: key })) })
        assert.deepEqual(await keysOf(store, 'p/'), inside.toSorted(byCodeUnits))
        assert.deepEqual(await keysOf(store, 'p/%'), ['p/%'])
        assert.deepEqual(await keysOf(store, 'p/_'), ['p/_'])
        assert.deepEqual(await keysOf(store, ''), [...inside, ...outside].toSorted(byCodeUnits))
        assert.deepEqual(await keysOf(store, 'p/\uffff'), ['p/\uffff', 'p/\uffff\uffff'])
        assert.deepEqual(await keysOf(store, 'none/'), [])
      }),
  },
  {
    name: 'lists on after a key and no more than asked',
    run: (make) =>
      using(make, quiet, async (store) => {
        const keys = Array.from({ length: 25 }, (_, i) => `n/${String(i).padStart(2, '0')}`)
        await persist(store, { writes: [...keys, 'm/99', 'o/00'].map((key) => ({ key, value: 0 })) })
        const pages: string[] = []
        for (let page = await keysOf(store, 'n/', { limit: 10 }); page.length > 0;) {
          assert(page.length <= 10)
          pages.push(...page)
          page = await keysOf(store, 'n/', { after: page.at(-1) ?? '', limit: 10 })
        }
        assert.deepEqual(pages, keys)
        assert.deepEqual(await keysOf(store, 'n/', { after: 'a', limit: 1 }), ['n/00'])
        assert.deepEqual(await keysOf(store, 'n/', { after: 'z' }), [])
        assert.deepEqual(await keysOf(store, 'n/', { limit: 0 }), [])
      }),
  },
]

function byCodeUnits(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}

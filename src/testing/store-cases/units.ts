/**
 * @module
 * All or nothing: the unit, the group, the end.
 */
import assert from 'node:assert/strict'
import type { CommitUnit } from '../../index.ts'
import {
  apply,
  type Case,
  INPUT,
  keysOf,
  persist,
  quiet,
  toBytes,
  toEntry,
  toText,
  UNAVAILABLE,
  using,
  version,
  createTestSeal,
} from './support.ts'
import { verifyLog } from './tree.ts'

export const unitCases: readonly Case[] = [
  {
    name: 'leaves nothing of a unit that conflicts or was burned',
    run: (make) =>
      using(make, quiet, async (store) => {
        const burn = { domain: 'd', id: 'spent', expires: Date.now() + 60_000 }
        await persist(store, { burns: [burn] })
        const rest: CommitUnit = { ...toEntry('e'), evidence: [{ id: 'e', subject: 's', bytes: toBytes('x') }] }
        const writes = [{ key: 'k', value: 1 }]
        const free = { ...burn, id: 'free' }
        assert.equal((await store.commit({ ...rest, writes, burns: [free], reads: { k: 9 } })).status, 'conflict')
        assert.equal((await store.commit({ ...rest, writes, burns: [free, burn] })).status, 'burned')
        assert.equal(await version(store, 'k'), 0)
        assert.equal(await store.log.size(), 0)
        assert.equal(await store.log.indexOf('e'), undefined)
        assert.equal(await store.evidence('e'), undefined)
        await persist(store, { ...rest, writes, burns: [free] })
      }),
  },
  {
    name: 'leaves nothing of a unit with an entry or evidence that exists already',
    run: (make) =>
      using(make, quiet, async (store) => {
        const evidence = [{ id: 'e', subject: 's', bytes: toBytes('first') }]
        await persist(store, { ...toEntry('e'), evidence })
        const more = { writes: [{ key: 'k', value: 1 }], ...toEntry('f') }
        await assert.rejects(
          store.commit({ ...more, entries: [...(more.entries ?? []), ...(toEntry('e').entries ?? [])] }),
          INPUT,
        )
        await assert.rejects(store.commit({ ...more, evidence }), INPUT)
        assert.deepEqual([await version(store, 'k'), await store.log.size()], [0, 1])
        assert.deepEqual(toText(await store.evidence('e')), 'first')
        assert.deepEqual(await persist(store, more), [1])
      }),
  },
  {
    name: 'refuses an entry of more than 65,535 bytes and takes one of exactly so many',
    run: (make) =>
      using(make, quiet, async (store) => {
        await assert.rejects(store.commit(toUnit(65_536)), INPUT)
        assert.equal(await store.log.size(), 0)
        await persist(store, toUnit(65_535))
        assert.equal((await store.log.entries(0, 1))[0]?.length, 65_535)
      }),
  },
  {
    name: 'undoes the whole group when it cannot be sealed, and works again afterwards',
    run: async (make) => {
      let broken = false
      const seal = createTestSeal(() => {
        if (broken) throw new Error('no key')
      })
      await using(make, { seal }, async (store) => {
        await persist(store, { ...toEntry('a'), writes: [{ key: 'k', value: 'old' }] })
        const before = await version(store, 'k')
        const checkpoint = await store.log.checkpoint()
        broken = true
        const evidence = [{ id: 'b', subject: 's', bytes: toBytes('x') }]
        const burns = [{ domain: 'd', id: 'i', expires: Date.now() + 60_000 }]
        const unit = {
          ...toEntry('b'),
          evidence,
          burns,
          writes: [
            { key: 'k', value: 'new' },
            { key: 'l', value: 1 },
          ],
        }
        const lost = [await apply(store, unit), await apply(store, { writes: [{ key: 'k' }] })]
        const undone = await version(store, 'l')
        for (const { durable } of lost) await assert.rejects(durable, UNAVAILABLE)
        assert.deepEqual([await version(store, 'k'), await version(store, 'l')], [before, 0])
        assert.deepEqual([await store.log.size(), await store.log.indexOf('b')], [1, undefined])
        assert.deepEqual([await store.evidence('b'), await store.log.checkpoint()], [undefined, checkpoint])
        assert.deepEqual(await keysOf(store, ''), ['k'])
        broken = false
        assert.deepEqual(await persist(store, unit), [1])
        assert((await version(store, 'l')) > undone, 'a version that was seen came back')
        await verifyLog(store)
      })
    },
  },
  {
    name: 'refuses a seal over anything but its own tree',
    run: (make) =>
      using(make, { seal: (size, root) => createTestSeal()(size + 1, root) }, async (store) => {
        const { durable } = await apply(store, toEntry('a'))
        await assert.rejects(durable, UNAVAILABLE)
        assert.deepEqual([await store.log.size(), await store.log.checkpoint()], [0, undefined])
      }),
  },
  {
    name: 'accepts nothing while the head outside cannot be kept',
    run: async (make) => {
      let broken = true
      const heads: string[] = []
      const onSealed = (checkpoint: string): void => {
        if (broken) throw new Error('disk full')
        heads.push(checkpoint)
      }
      await using(make, { ...quiet, onSealed }, async (store) => {
        await persist(store, toEntry('a'))
        await assert.rejects(store.commit(toEntry('b')), UNAVAILABLE)
        assert.equal(await store.log.size(), 1)
        broken = false
        await persist(store, toEntry('b'))
        assert.equal(heads.length, 2)
        assert.equal(heads.at(-1), await store.log.checkpoint())
      })
    },
  },
  {
    name: 'keeps evidence as it was given, and its own copy of it',
    run: (make) =>
      using(make, quiet, async (store) => {
        // A `Buffer` on purpose: its `slice` does not copy.
        const given = Buffer.from(Array.from({ length: 1_000 }, (_, i) => i % 256))
        const copy = Buffer.from(given)
        await persist(store, { ...toEntry('e'), evidence: [{ id: 'e', subject: 'user/alice', bytes: given }] })
        given.fill(0)
        assert.deepEqual(Buffer.from((await store.evidence('e')) ?? []), copy)
        ;(await store.evidence('e'))?.fill(1)
        assert.deepEqual(Buffer.from((await store.evidence('e')) ?? []), copy)
        assert.equal(await store.evidence('none'), undefined)
      }),
  },
  {
    name: 'refuses everything after it was closed, and closing loses nothing',
    run: async (make) => {
      const store = await make(quiet)
      const { durable } = await apply(store, toEntry('a'))
      await store.close()
      await durable
      await assert.rejects(store.commit(toEntry('b')), UNAVAILABLE)
      await assert.rejects(store.get(['k']), UNAVAILABLE)
      await assert.rejects(store.log.size(), UNAVAILABLE)
    },
  },
]

function toUnit(length: number): CommitUnit {
  return { entries: [{ id: 'big', bytes: new Uint8Array(length) }] }
}

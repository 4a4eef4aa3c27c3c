/**
 * @module
 * Permits and refusals, one at a time and many at once.
 */
import assert from 'node:assert/strict'

import { REWRITTEN } from '../scripted-pep.ts'
import { assertRefused, INTENT, settle, until, type AdapterCase } from './world.ts'

export const callCases: readonly AdapterCase[] = [
  {
    name: 'runs what was permitted once, with its arguments and without the intent',
    run: async ({ pep, adapter, executions }) => {
      const seen = await adapter.call('echo', { text: 'hello' })
      assert.equal(seen.ok, true)
      assert.match(seen.text, /echo hello/)
      assert.deepEqual(executions, [{ tool: 'echo', arguments: { text: 'hello' } }])
      const [request] = pep.requests
      assert.equal(request?.context.intent?.text, INTENT)
      assert.deepEqual(request.action.body['arguments'], { text: 'hello' })
    },
  },
  {
    name: 'makes up no intent',
    run: async ({ pep, adapter }) => {
      pep.script = 'refuse'
      await adapter.call('echo', { text: 'hello' }, { intent: null })
      assert.equal(
        pep.requests.every(({ context }) => context.intent === undefined),
        true,
      )
    },
  },
  {
    name: 'asks for every call, as the same agent in the same task',
    run: async ({ pep, adapter }) => {
      await adapter.call('echo', { text: 'a' }, { id: 'call-a' })
      await adapter.call('echo', { text: 'a' }, { id: 'call-b' })
      assert.equal(pep.requests.length, 2)
      assert.equal(new Set(pep.requests.map(({ id }) => id)).size, 2)
      assert.equal(new Set(pep.requests.map(({ actor, context }) => `${actor.jkt} ${context.txn}`)).size, 1)
    },
  },
  {
    name: 'runs nothing that was refused, and says why and what to do',
    run: async ({ pep, adapter, executions }) => {
      pep.script = 'refuse'
      assertRefused(await adapter.call('echo', { text: 'hello' }), /policy\.denied.*policy does not permit this/)
      assert.deepEqual(executions, [])
    },
  },
  {
    name: 'runs the arguments that were decided, not those that were sent',
    run: async ({ pep, adapter, executions }) => {
      pep.script = 'rewrite'
      await adapter.call('echo', { text: '/etc/shadow' })
      assert.ok(executions.length <= 1)
      for (const { arguments: given } of executions) assert.deepEqual(given, { text: REWRITTEN })
    },
  },
  {
    name: 'runs exactly what was permitted of many calls at once',
    run: async ({ pep, adapter, executions }) => {
      pep.refuses = ({ action }) => JSON.stringify(action.body).includes('odd')
      const names = Array.from({ length: 12 }, (_, i) => `${i % 2 === 0 ? 'even' : 'odd'}-${i}`)
      const seen = await Promise.all(names.map(async (text) => adapter.call('echo', { text }, { id: `call-${text}` })))
      const ran = executions.flatMap(({ arguments: { text } }) => (typeof text === 'string' ? [text] : [])).toSorted()
      assert.deepEqual(ran, names.filter((name) => name.startsWith('even')).toSorted())
      assert.deepEqual(
        seen.map(({ ok }) => ok),
        names.map((name) => name.startsWith('even')),
      )
      names.forEach(
        (name, i) => name.startsWith('even') && assert.match(seen[i]?.text ?? '', new RegExp(`echo ${name}\\b`)),
      )
      assert.equal(pep.permits.length, executions.length)
    },
  },
  {
    name: 'begins nothing that was cancelled while it was decided',
    run: async ({ pep, adapter, executions }) => {
      pep.script = 'late'
      pep.hold()
      const cancel = new AbortController()
      const call = adapter.call('echo', { text: 'late' }, { signal: cancel.signal }).catch(() => undefined)
      await until(() => pep.requests.length === 1, 'the request')
      cancel.abort()
      await settle()
      pep.release()
      await call
      await settle()
      assert.deepEqual(executions, [])
    },
  },
  {
    name: 'gives the same answer to the same call again, and runs it once',
    needs: ['ids'],
    run: async ({ adapter, executions }) => {
      const first = await adapter.call('echo', { text: 'once' }, { id: 'call-1' })
      const again = await adapter.call('echo', { text: 'once' }, { id: 'call-1' })
      assert.deepEqual(again, first)
      assert.equal(executions.length, 1)
    },
  },
  {
    name: 'runs a call once that arrives twice at the same time',
    needs: ['ids'],
    run: async ({ adapter, executions, finish }) => {
      const calls = [1, 2].map(async () => adapter.call('slow', {}, { id: 'call-1' }))
      await until(() => executions.length > 0, 'the execution')
      await settle()
      finish()
      const seen = await Promise.all(calls)
      assert.deepEqual(
        seen.map(({ ok }) => ok),
        [true, true],
      )
      assert.equal(executions.length, 1)
    },
  },
  {
    name: 'refuses the id of a call for other arguments',
    needs: ['ids'],
    run: async ({ adapter, executions }) => {
      await adapter.call('echo', { text: 'agreed' }, { id: 'call-1' })
      assertRefused(await adapter.call('echo', { text: 'other' }, { id: 'call-1' }), /credential\./)
      assert.equal(executions.length, 1)
    },
  },
]

/**
 * @module
 * Held actions: a ticket, an answer by somebody else, one execution, also over a restart in between.
 */
import assert from 'node:assert/strict'

import { assertRefused, type AdapterCase, type Seen } from './world.ts'

export const approvalCases: readonly AdapterCase[] = [
  {
    name: 'holds what has to be approved, runs it once when it was, and holds it again',
    run: async ({ pep, adapter, executions }) => {
      pep.script = 'challenge'
      const held = await adapter.call('echo', { text: 'pay' }, { id: 'call-1' })
      assertRefused(held, /policy\.approval-required/)
      assert.deepEqual(executions, [])
      assertRefused(await adapter.call('echo', { text: 'pay' }, { id: 'call-1' }), /policy\.approval-required/)
      assert.deepEqual(executions, [])
      pep.approve(toTicket(held))
      assert.equal((await adapter.call('echo', { text: 'pay' }, { id: 'call-1' })).ok, true)
      assert.equal((await adapter.call('echo', { text: 'pay' }, { id: 'call-2' })).ok, false)
      assert.equal(executions.length, 1)
    },
  },
  {
    name: 'takes the approval of one call for no other',
    run: async ({ pep, adapter, executions }) => {
      pep.script = 'challenge'
      pep.approve(toTicket(await adapter.call('echo', { text: 'pay bob' }, { id: 'call-1' })))
      assertRefused(await adapter.call('echo', { text: 'pay eve' }, { id: 'call-2' }), /policy\.approval-required/)
      assert.deepEqual(executions, [])
    },
  },
  {
    name: 'runs an approved call once over a restart in the middle of its approval',
    run: async ({ pep, adapter, executions, restart }) => {
      pep.script = 'challenge'
      const held = await adapter.call('echo', { text: 'pay' }, { id: 'call-1' })
      const second = await restart()
      assertRefused(await second.call('echo', { text: 'pay' }, { id: 'call-1' }), /policy\.approval-required/)
      pep.approve(toTicket(held))
      const third = await restart()
      assert.equal((await third.call('echo', { text: 'pay' }, { id: 'call-1' })).ok, true)
      assert.equal(executions.length, 1)
    },
  },
  {
    name: 'does not run a call again that is replayed after a restart',
    needs: ['ids'],
    run: async ({ adapter, executions, restart }) => {
      await adapter.call('echo', { text: 'sibling' }, { id: 'call-1' })
      const second = await restart()
      const seen = await second.call('echo', { text: 'sibling' }, { id: 'call-1' })
      assert.equal(executions.length, 1)
      if (!seen.ok) assertRefused(seen, /credential\.replayed/)
    },
  },
]

/** The model sees the ticket in words, so that it can name it to a person. */
function toTicket({ text }: Seen): string {
  return /ticket ([\w-]+)/.exec(text)?.[1] ?? assert.fail(`no ticket in: ${text}`)
}

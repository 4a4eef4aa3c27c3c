/**
 * @module
 * A decision point that is away, broken, slow or lying: nothing runs, and the model learns that much.
 */
import assert from 'node:assert/strict'

import type { PepScript } from '../scripted-pep.ts'
import { assertRefused, settle, type AdapterCase } from './world.ts'

function toClosed(script: PepScript, what: string): AdapterCase {
  return {
    name: `runs nothing when the decision point ${what}`,
    run: async ({ pep, adapter, executions }) => {
      pep.script = script
      const seen = await adapter.call('echo', { text: 'hello' })
      assert.equal(seen.ok, false)
      assert.deepEqual(executions, [])
      assert.ok(!seen.text.includes('decision point'), 'the fault itself is not for the agent')
    },
  }
}

export const failureCases: readonly AdapterCase[] = [
  toClosed('down', 'is away'),
  toClosed('throws', 'throws'),
  toClosed('unredeemable', 'permits but the credential is refused'),
  {
    name: 'does not take "performed" for an answer when nothing ran',
    run: async ({ pep, adapter, executions }) => {
      pep.script = 'lies'
      const seen = await adapter.call('echo', { text: 'hello' })
      assert.equal(seen.ok, false)
      assert.ok(!seen.text.includes('never happened'))
      assert.deepEqual(executions, [])
    },
  },
  {
    name: 'runs once when it is told to perform twice',
    run: async ({ pep, adapter, executions }) => {
      pep.script = 'twice'
      await adapter.call('echo', { text: 'hello' })
      assert.equal(executions.length, 1)
    },
  },
  {
    name: 'answers when no decision comes, and does not begin when it comes later',
    needs: ['deadline'],
    run: async ({ pep, adapter, executions }) => {
      pep.script = 'late'
      pep.hold()
      assertRefused(await adapter.call('echo', { text: 'late' }), /system\.deadline/)
      pep.release()
      await settle()
      assert.deepEqual(executions, [])
    },
  },
]

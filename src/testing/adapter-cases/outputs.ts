/**
 * @module
 * What comes back: nothing of it before it is labelled and obligations are discharged.
 */
import assert from 'node:assert/strict'

import { REDACTED } from '../scripted-pep.ts'
import { FAULT, PARTIAL, settle, until, type AdapterCase } from './world.ts'

export const outputCases: readonly AdapterCase[] = [
  {
    name: 'shows an output only once it is labelled',
    run: async ({ pep, adapter, executions }) => {
      pep.hold()
      let isAnswered = false
      const call = adapter.call('echo', { text: 'unlabelled' }).then((seen) => {
        isAnswered = true
        return seen
      })
      await until(() => executions.length === 1, 'the execution')
      await settle()
      assert.equal(isAnswered, false)
      assert.ok(!adapter.emitted().includes('echo unlabelled'))
      pep.release()
      assert.match((await call).text, /echo unlabelled/)
      assert.equal(JSON.stringify(pep.labelled).includes('echo unlabelled'), true)
    },
  },
  {
    name: 'shows nothing of an output that could not be labelled',
    run: async ({ pep, adapter, executions }) => {
      pep.script = 'unlabelled'
      const seen = await adapter.call('echo', { text: 'secret' })
      assert.equal(executions.length, 1)
      assert.equal(seen.ok, false)
      assert.ok(!seen.text.includes('echo secret'))
      assert.ok(!adapter.emitted().includes('echo secret'))
    },
  },
  {
    name: 'shows an output as the obligations left it',
    run: async ({ pep, adapter }) => {
      pep.script = 'redact'
      const seen = await adapter.call('echo', { text: 'secret' })
      assert.ok(seen.text.includes(REDACTED))
      assert.ok(!seen.text.includes('echo secret'))
      assert.ok(!adapter.emitted().includes('echo secret'))
    },
  },
  {
    name: 'shows nothing that a tool emits on its way before that is labelled',
    needs: ['progress'],
    run: async ({ pep, adapter, executions }) => {
      pep.hold()
      const call = adapter.call('progress', {})
      await until(() => executions.length === 1, 'the execution')
      await settle()
      assert.ok(!adapter.emitted().includes(PARTIAL))
      pep.release()
      assert.match((await call).text, /progress is done/)
      if (adapter.emitted().includes(PARTIAL)) assert.ok(JSON.stringify(pep.labelled).includes(PARTIAL))
    },
  },
  {
    name: 'shows nothing of the fault of a tool that was not labelled',
    run: async ({ pep, adapter, executions }) => {
      pep.script = 'unlabelled'
      const seen = await adapter.call('fail', {})
      assert.equal(executions.length, 1)
      assert.equal(seen.ok, false)
      assert.ok(!`${seen.text} ${adapter.emitted()}`.includes(FAULT))
    },
  },
  {
    name: 'does not call a tool that failed a success, nor run it again by itself',
    run: async ({ adapter, executions }) => {
      assert.equal((await adapter.call('fail', {})).ok, false)
      await settle()
      assert.equal(executions.length, 1)
    },
  },
]

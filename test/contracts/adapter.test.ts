/**
 * @module
 * `guardTool` and the MCP gateway under the contract suite that `unbearer/testing` exports.
 */
import { describe, expect, it } from 'vitest'

import { guardTool } from '../../src/adapters/index.ts'
import { createHostTask } from '../../src/index.ts'
import {
  adapterContract,
  type AdapterHarness,
  type AdapterUnderTest,
  type AdapterWorld,
} from '../../src/testing/index.ts'
import { makeMcpUnderTest } from '../fixtures/mcp-under-test.ts'

const INTENT = 'write: the user asked for exactly this'

async function makeGuarded({ pep, task, tools, claimCall }: AdapterWorld): Promise<AdapterUnderTest> {
  const agent = { name: 'agent', jkt: 'contract-agent' }
  const host = createHostTask({ pep, task, agent, claimCall })
  let emitted = ''
  const guarded = tools.map(({ name, description, schema, execute }) =>
    guardTool({
      upstream: 'contract',
      name,
      description,
      schema,
      deadlineMs: 500,
      task: host,
      execute: async function* (args) {
        const partial: string[] = []
        const result = await execute(args, (text) => partial.push(text))
        yield* partial
        return result
      },
    }),
  )
  return {
    async call(tool, args, { id, signal, intent = INTENT } = {}) {
      const found = guarded.find(({ name }) => name === tool)
      if (found === undefined) throw new Error('no such tool')
      const given = intent === null ? args : { unbearer_intent: intent, ...args }
      const result = await found.call(given, {
        ...(id === undefined ? {} : { toolCallId: id }),
        ...(signal === undefined ? {} : { signal }),
      })
      const text = result.kind === 'performed' ? JSON.stringify(result.output) : result.message.text
      emitted += text
      return { ok: result.kind === 'performed' && !result.failed, text }
    },
    emitted: () => emitted,
    close: async () => undefined,
  }
}

function run(harness: AdapterHarness): void {
  it.each(adapterContract(harness))('$name', async (contract) => {
    await expect(contract.run()).resolves.toBeUndefined()
  })
}

describe('guardTool', () => {
  run({ make: makeGuarded, traits: ['ids', 'progress', 'deadline'] })
})

describe('MCP gateway', () => {
  run({ make: makeMcpUnderTest, traits: ['progress'] })
})

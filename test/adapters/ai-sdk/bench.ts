/**
 * @module
 * What the adapter adds to a tool call, beside the bare framework, in one run: `node test/adapters/ai-sdk/bench.ts`.
 * `scripted` answers at once: what remains is the adapter. `installation` is the whole verification on a memory store.
 */
import { cpus } from 'node:os'

import { createToolApproval, guardTools } from '../../../src/adapters/ai-sdk/index.ts'
import { createHostTask, type HostTask, type Task } from '../../../src/index.ts'
import { createScriptedPep } from '../../../src/testing/index.ts'
import { createDesk, UPSTREAM } from './desk.ts'
import { DONE, loadFramework, toCall, toStep } from './framework.ts'

const ROUNDS = 400
const INPUT = { id: 'r1', unbearer_intent: 'read: the user asked for record r1' }

const framework = await loadFramework()
if (framework !== undefined) {
  const { ai, MockLanguageModelV4 } = framework
  const desk = await createDesk(ai)
  const scripted = createScriptedTask()
  let count = 0
  const measure = async (tools: object, extra: object = {}): Promise<number> => {
    const times: number[] = []
    for (let round = 0; round < ROUNDS; round += 1) {
      const model = new MockLanguageModelV4({
        doGenerate: [toStep(toCall(`b${(count += 1)}`, 'read_record', INPUT)), DONE],
      })
      const start = performance.now()
      // One after the other on purpose: it is the time of one call.
      await ai.generateText({ model, tools, prompt: 'go', stopWhen: ai.isStepCount(2), ...extra })
      times.push(performance.now() - start)
    }
    return toMedian(times.slice(ROUNDS / 4))
  }
  const overScripted = guardTools(scripted, desk.tools, { upstream: UPSTREAM })
  const overReal = guardTools(await desk.openTask(), desk.tools, { upstream: UPSTREAM })
  // The first pass warms everything up; its figures are thrown away.
  const passes = []
  for (let pass = 0; pass < 2; pass += 1) {
    passes.push({
      bare: await measure(desk.tools),
      adapter: await measure(overScripted),
      fronted: await measure(overScripted, { toolApproval: createToolApproval() }),
      installation: await measure(overReal),
    })
  }
  const { bare = NaN, adapter = NaN, fronted = NaN, installation = NaN } = passes.at(-1) ?? {}
  await desk.close()
  const rows = {
    bareGenerateTextUs: toUs(bare),
    adapterAddsUs: toUs(adapter - bare),
    adapterWithFrontAddsUs: toUs(fronted - bare),
    installationAddsUs: toUs(installation - bare),
  }
  console.log(JSON.stringify({ machine: cpus()[0]?.model, node: process.version, rounds: ROUNDS, median: rows }))
}

function createScriptedTask(): HostTask {
  const task: Task = {
    txn: 'bench',
    principal: { type: 'user', id: 'alice' },
    openedBy: { role: 'host' },
    openedAt: 0,
    expires: Number.MAX_SAFE_INTEGER,
  }
  const agent = { name: 'agent', jkt: 'agent' }
  return createHostTask({ pep: createScriptedPep(), task, agent, claimCall: async () => true })
}

function toUs(ms: number): number {
  return Math.round(ms * 1000)
}

function toMedian(times: readonly number[]): number {
  return times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)] ?? NaN
}

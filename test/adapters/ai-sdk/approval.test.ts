/**
 * @module
 * Approvals over a real installation: held in the way of the AI SDK, answered by an approver's key, run once.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'

import { createToolApproval, guardTools } from '../../../src/adapters/ai-sdk/index.ts'
import { currentTask, runInTask, type HostTask } from '../../../src/index.ts'
import { createDesk, UPSTREAM, type Desk } from './desk.ts'
import {
  DONE,
  loadFramework,
  toCall,
  toolOutputs,
  toStep,
  type Framework,
  type Message,
  type Model,
} from './framework.ts'

const framework = await loadFramework()
const DELETE = { id: 'r1', unbearer_intent: 'delete: the user asked to delete record r1' }
const READ = { id: 'r1', unbearer_intent: 'read: the user asked for record r1' }
const RAN = 'delete_record:{"id":"r1"}'

function use(): Framework {
  if (framework === undefined) throw new Error('not installed')
  return framework
}

function model(...steps: readonly object[]): Model {
  return new (use().MockLanguageModelV4)({ doGenerate: [...steps, DONE] })
}

interface Held {
  readonly ticket: string
  /** What the client sends next: its own approval. */
  readonly messages: readonly Message[]
}

async function run(
  task: HostTask,
  desk: Desk,
  using: Model,
  messages: readonly Message[],
): ReturnType<Framework['ai']['generateText']> {
  const tools = guardTools(task, desk.tools, { upstream: UPSTREAM })
  const stopWhen = use().ai.isStepCount(4)
  return use().ai.generateText({ model: using, tools, messages, stopWhen, toolApproval: createToolApproval() })
}

async function hold(task: HostTask, desk: Desk): Promise<Held> {
  const messages: readonly Message[] = [{ role: 'user', content: 'delete r1' }]
  const result = await run(task, desk, model(toStep(toCall('c1', 'delete_record', DELETE))), messages)
  const request = result.content.find((part) => part.type === 'tool-approval-request' && part.isAutomatic !== true)
  const approved = { type: 'tool-approval-response', approvalId: request?.approvalId, approved: true }
  return {
    ticket: /ticket ([\w-]+)/.exec(request?.reason ?? '')?.[1] ?? '',
    messages: [...messages, ...result.responseMessages, { role: 'tool', content: [approved] }],
  }
}

describe.skipIf(framework === undefined)('over a real installation', () => {
  let desk: Desk
  let task: HostTask
  beforeAll(async () => {
    desk = await createDesk(use().ai, 'sqlite')
  })
  afterAll(async () => desk.close())
  beforeEach(async () => {
    await desk.reset()
    task = await desk.openTask()
  })

  it('holds natively, with a ticket, and runs once when a person approved', async () => {
    const { ticket, messages } = await hold(task, desk)
    expect(ticket).not.toBe('')
    expect(desk.ran).toEqual([])
    await desk.installation.answer(ticket, 'approved')
    await run(task, desk, model(), messages)
    expect(desk.ran).toEqual([RAN])
    const again = model()
    await run(task, desk, again, messages)
    expect(desk.ran).toEqual([RAN])
    expect((await desk.decisions()).filter((kind) => kind === 'permit')).toHaveLength(1)
  })

  it('does not take the word of the client for it', async () => {
    const { ticket, messages } = await hold(task, desk)
    const early = model()
    await run(task, desk, early, messages)
    expect(toolOutputs(early)[0]).toMatchObject({ type: 'execution-denied' })
    expect(desk.ran).toEqual([])
    await desk.installation.answer(ticket, 'approved')
    const retry = model(toStep(toCall('c2', 'delete_record', DELETE)))
    await run(task, desk, retry, [{ role: 'user', content: 'it is approved now' }])
    expect(desk.ran).toEqual([RAN])
  })

  it('runs nothing when a person refused', async () => {
    const { ticket, messages } = await hold(task, desk)
    await desk.installation.answer(ticket, 'denied')
    const using = model()
    await run(task, desk, using, messages)
    expect(toolOutputs(using)[0]?.reason).toContain('policy.approval-denied')
    expect(desk.ran).toEqual([])
  })

  it('survives the end of the application in between', async () => {
    const { ticket, messages } = await hold(task, desk)
    await desk.installation.answer(ticket, 'approved')
    await run(await desk.resumeTask(task), desk, model(), messages)
    expect(desk.ran).toEqual([RAN])
    await run(await desk.resumeTask(task), desk, model(), messages)
    expect(desk.ran).toEqual([RAN])
  })

  it('decides each call once, also with the front and for parallel calls', async () => {
    const calls = ['a', 'b', 'c'].map((id) => toCall(id, 'read_record', READ))
    await run(task, desk, model(toStep(...calls, toCall('d', 'delete_record', DELETE))), [
      { role: 'user', content: 'go' },
    ])
    expect(desk.ran).toHaveLength(3)
    expect(await desk.decisions()).toEqual(['permit', 'permit', 'permit', 'challenge'])
  })

  it('what is permitted and then not executed never runs', async () => {
    const tools = guardTools(task, desk.tools, { upstream: UPSTREAM })
    const toolCall = { toolName: 'read_record', toolCallId: 'c1', input: READ }
    expect(await createToolApproval()({ toolCall, tools, messages: [] })).toBe('not-applicable')
    expect(desk.ran).toEqual([])
  })

  it('a tool that nobody guarded is denied by the front', async () => {
    const toolCall = { toolName: 'read_record', toolCallId: 'c1', input: READ }
    const call = { toolCall, tools: desk.tools, messages: [] }
    expect(await createToolApproval()(call)).toMatchObject({ type: 'denied' })
    expect(await createToolApproval({ admit: ['read_record'] })(call)).toBe('not-applicable')
  })

  it('finds the task where the host runs it, and refuses where there is none', async () => {
    const tools = guardTools(currentTask, desk.tools, { upstream: UPSTREAM })
    const ask = async (using: Model): Promise<unknown> =>
      use().ai.generateText({ model: using, tools, prompt: 'go', stopWhen: use().ai.isStepCount(2) })
    const outside = model(toStep(toCall('c1', 'read_record', READ)))
    await ask(outside)
    expect(toolOutputs(outside)[0]?.value).toContain('identity.unknown-task')
    expect(desk.ran).toEqual([])
    await runInTask(task, async () => ask(model(toStep(toCall('c1', 'read_record', READ)))))
    expect(desk.ran).toHaveLength(1)
  })
})

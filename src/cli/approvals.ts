/**
 * @module
 * `unbearer approvals list|show|approve|deny`: a person answers one action, with a key of their own.
 */
import { createInterface } from 'node:readline/promises'

import { fromRecord } from '../core/records.ts'
import { InputError } from '../core/errors.ts'
import type { Json } from '../core/json.ts'
import { signBytes } from '../crypto/keys.ts'
import { toApprovalMessage, type ApprovalRecord, type Verdict } from '../server/approvals.ts'
import { callingOptions, toMemberText, toTable, toTime, type Answer, type Call, type Command } from './command.ts'
import { callOnce, toAddress, withControl } from './control-client.ts'
import { toPresented } from './presented.ts'

const OPTIONS = callingOptions('keys/approver.jwk')
const YES = { name: 'yes', about: 'do not ask again on a terminal' }
const ABOUT_ANSWER = [
  'Shows the action as it will be done, what it was computed to do and where its arguments come from, then signs the answer',
  'with the key of the approver. Control and bidirectional characters are shown as `\\u{…}`.',
  'An answer counts for this one action of this one task, once, for an hour. It grants nothing: when the agent retries, the',
  'action is decided again with it.',
].join('\n')

export const approvalCommands: readonly Command[] = [
  {
    words: 'approvals list',
    usage: '[--all]',
    summary: 'list the actions that wait for a person',
    about: 'Those that can still be answered, oldest first.',
    example: 'unbearer approvals list',
    options: [{ name: 'all', about: 'also those that were answered, consumed or have expired' }, ...OPTIONS],
    operands: [0, 0],
    run: list,
  },
  {
    words: 'approvals show',
    usage: 'ID',
    summary: 'show one of them: parameters, effects, provenance',
    about: 'Everything that you need to answer, escaped so that it cannot paint over itself.',
    example: 'unbearer approvals show 3q2-7wAAAAAAAAAAAAAAAA',
    options: OPTIONS,
    operands: [1, 1],
    run: show,
  },
  toAnswerCommand('approve', 'approved'),
  toAnswerCommand('deny', 'denied'),
]

function toAnswerCommand(word: string, verdict: Verdict): Command {
  return {
    words: `approvals ${word}`,
    usage: 'ID [--yes]',
    summary: `${word} one action, with your key`,
    about: ABOUT_ANSWER,
    example: `unbearer approvals ${word} 3q2-7wAAAAAAAAAAAAAAAA --key ~/approver.jwk`,
    options: [YES, ...OPTIONS],
    operands: [1, 1],
    run: async (call) => answer(call, verdict),
  }
}

async function list(call: Call): Promise<Answer> {
  const found = await callOnce(await toAddress(call, 'approver'), 'approval.list', { all: call.flag('all') })
  const approvals = fromRecord<readonly ApprovalRecord[]>({ value: found }) ?? []
  const rows = approvals.map(({ id, status, expires, presented }) => [
    id,
    status,
    toMemberText(presented, 'principal'),
    toMemberText(presented, 'actor'),
    toMemberText(presented, 'tool'),
    toTime(expires),
  ])
  const text = rows.length === 0 ? 'nothing waits' : toTable(['id', 'status', 'for', 'agent', 'tool', 'until'], rows)
  return { exit: 0, json: found, text }
}

async function show(call: Call): Promise<Answer> {
  const approval = await callOnce(await toAddress(call, 'approver'), 'approval.show', { id: call.operand(0) })
  return { exit: 0, json: approval, text: toPresented(approval) }
}

async function answer(call: Call, verdict: Verdict): Promise<Answer> {
  const id = call.operand(0)
  return withControl(await toAddress(call, 'approver'), async (client) => {
    const shown = await client.call('approval.show', { id })
    const approval = fromRecord<ApprovalRecord>({ value: shown })
    // What is signed is what was shown, whatever the other side calls it.
    if (approval === undefined || approval.id !== id) throw new InputError('the answer is for another approval')
    await confirm(call, verdict, shown)
    const signature = signBytes(client.key, toApprovalMessage(approval, verdict)).toString('base64url')
    const answered = await client.call('approval.answer', { id, verdict, signature })
    const next = verdict === 'approved' ? '; the agent may retry the identical call' : ''
    return { exit: 0, json: answered, text: `${verdict} ${id}${next}` }
  })
}

/** On a terminal a person reads first and types the word; a script has decided already. */
async function confirm(call: Call, verdict: Verdict, shown: Json): Promise<void> {
  if (call.json || call.flag('yes') || !process.stdin.isTTY) return
  process.stderr.write(`${toPresented(shown)}\n`)
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  try {
    const typed = await terminal.question(`type \`${verdict}\` to sign this answer: `)
    if (typed.trim() !== verdict) throw new InputError('not answered')
  } finally {
    terminal.close()
  }
}

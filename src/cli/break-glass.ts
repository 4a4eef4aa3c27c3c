/**
 * @module
 * `unbearer break-glass prepare|list|show|sign|open`: a grant for minutes that several people open together.
 */
import { createInterface } from 'node:readline/promises'

import { isBroken, toBreakGlassMessage, type BreakGlass } from '../core/break-glass.ts'
import { InputError } from '../core/errors.ts'
import type { Json } from '../core/json.ts'
import { fromRecord } from '../core/records.ts'
import { signBytes } from '../crypto/keys.ts'
import { toDisplay, toDisplayText } from '../server/display.ts'
import { callingOptions, toTable, toTime, type Answer, type Call, type Command } from './command.ts'
import { callOnce, toAddress, withControl } from './control-client.ts'
import { readIssuer } from './read-issuer.ts'
import { readYaml } from './read-yaml.ts'

const SIGNER = callingOptions('keys/approver.jwk')

export const breakGlassCommands: readonly Command[] = [
  {
    words: 'break-glass prepare',
    usage: '-f FILE.yaml',
    summary: 'prepare a grant that several people can open for minutes',
    about: [
      'For the day on which what an agent must do lies outside its grants and nobody may widen them alone. `keys` names approvers,',
      'or operators with the role `approver`; `need`, at least 2, of them must sign; the grant then lives `minutes`, at most 15.',
      'It is a grant and nothing more: each action still needs its proof and its approvals, and no secret is shown.',
    ].join('\n'),
    example: [
      "unbearer break-glass prepare -f - <<'EOF'",
      'note: refunds by hand when the desk is down',
      'keys: [approver-1, approver-2, approver-3]',
      'need: 2',
      'minutes: 15',
      'grant:',
      '  principal: alice',
      '  actor: support-agent',
      '  operations: [{ tool: orders/refund, effects: [read, write, spend] }]',
      'EOF',
    ].join('\n'),
    options: [
      { name: 'file', short: 'f', value: 'FILE.yaml', about: 'the plan; `-` reads standard input' },
      ...callingOptions('keys/operator.jwk'),
    ],
    operands: [0, 0],
    run: prepare,
  },
  {
    words: 'break-glass list',
    usage: '',
    summary: 'list what is prepared, and what is open',
    about: 'Every plan, with how many have signed for the next opening.',
    example: 'unbearer break-glass list',
    options: SIGNER,
    operands: [0, 0],
    run: list,
  },
  {
    words: 'break-glass show',
    usage: 'ID',
    summary: 'show one plan: who may sign, and for what',
    about: 'The whole plan as it is stored and as you would sign it, escaped so that it cannot paint over itself.',
    example: 'unbearer break-glass show 3q2-7wAAAAAAAAAAAAAAAA',
    options: SIGNER,
    operands: [1, 1],
    run: show,
  },
  {
    words: 'break-glass sign',
    usage: 'ID [--yes]',
    summary: 'sign for one opening, with your key',
    about: [
      'Shows the plan, then signs it. The signature counts for the next opening only, and for 15 minutes: by then the others must',
      'have signed and somebody must have opened it.',
    ].join('\n'),
    example: 'unbearer break-glass sign 3q2-7wAAAAAAAAAAAAAAAA --key ~/approver.jwk',
    options: [
      { name: 'yes', about: 'do not ask again on a terminal' },
      { name: 'issuer', value: 'URL', about: 'for which installation (default: that of the configuration)' },
      ...SIGNER,
    ],
    operands: [1, 1],
    run: sign,
  },
  {
    words: 'break-glass open',
    usage: 'ID',
    summary: 'open it, once enough have signed',
    about: [
      'Issues the grant, for the minutes of the plan. A task has it only when it is opened with `--grant`. It is in the log with',
      'all signatures, in the metrics, and `doctor` fails while it is open. `unbearer revoke grant ID` ends it sooner.',
    ].join('\n'),
    example: 'unbearer break-glass open 3q2-7wAAAAAAAAAAAAAAAA --key ~/approver.jwk',
    options: SIGNER,
    operands: [1, 1],
    run: open,
  },
]

async function prepare(call: Call): Promise<Answer> {
  const plan = await readYaml(call.need('file'))
  const made = await callOnce(await toAddress(call, 'operator'), 'break-glass.prepare', { plan })
  const { id, need, keys } = toBreakGlass(made)
  return { exit: 0, json: made, text: `prepared ${id}: ${need} of ${keys.length} keys open it` }
}

async function list(call: Call): Promise<Answer> {
  const found = await callOnce(await toAddress(call, 'approver'), 'break-glass.list', {})
  const all = fromRecord<readonly BreakGlass[]>({ value: found }) ?? []
  const rows = all.map((each) => [
    each.id,
    isBroken(each, Date.now()) ? `OPEN until ${toTime(each.opened?.expires ?? 0)}` : 'closed',
    `${each.signatures.length} of ${each.need}`,
    toDisplayText(each.note),
  ])
  const text = rows.length === 0 ? 'nothing is prepared' : toTable(['id', 'state', 'signed', 'note'], rows)
  return { exit: 0, json: found, text }
}

async function show(call: Call): Promise<Answer> {
  const found = await callOnce(await toAddress(call, 'approver'), 'break-glass.show', { id: call.operand(0) })
  return { exit: 0, json: found, text: toDisplay(found) }
}

async function sign(call: Call): Promise<Answer> {
  const id = call.operand(0)
  const issuer = await readIssuer(call)
  return withControl(await toAddress(call, 'approver'), async (client) => {
    const shown = await client.call('break-glass.show', { id })
    const found = toBreakGlass(shown)
    // What is signed is what was shown, whatever the other side calls it.
    if (found.id !== id) throw new InputError('the answer is for another plan')
    await confirm(call, shown)
    const at = Date.now()
    const message = toBreakGlassMessage(found, at, issuer)
    const signature = signBytes(client.key, message).toString('base64url')
    const signed = await client.call('break-glass.sign', { id, at, signature })
    const { signatures, need } = toBreakGlass(signed)
    return { exit: 0, json: signed, text: `signed; ${signatures.length} of ${need}` }
  })
}

async function open(call: Call): Promise<Answer> {
  const made = await callOnce(await toAddress(call, 'approver'), 'break-glass.open', { id: call.operand(0) })
  const { breakGlass } = fromRecord<{ readonly breakGlass?: BreakGlass }>({ value: made }) ?? {}
  const { grant = '', expires = 0 } = breakGlass?.opened ?? {}
  return { exit: 0, json: made, text: `OPEN until ${toTime(expires)}: grant ${grant}, for \`task open --grant\`` }
}

function toBreakGlass(value: Json): BreakGlass {
  const found = fromRecord<BreakGlass>({ value })
  if (found === undefined) throw new InputError('there is no such plan')
  return found
}

/** On a terminal a person reads first and types the word; a script has decided already. */
async function confirm(call: Call, shown: Json): Promise<void> {
  if (call.json || call.flag('yes') || !process.stdin.isTTY) return
  process.stderr.write(`${toDisplay(shown)}\n`)
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  try {
    const typed = await terminal.question('type `open` to sign for one opening: ')
    if (typed.trim() !== 'open') throw new InputError('not signed')
  } finally {
    terminal.close()
  }
}

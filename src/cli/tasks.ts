/**
 * @module
 * `unbearer task open`.
 */
import { isJsonObject, type Json } from '../core/json.ts'
import { OUTSIDE_TYPE } from '../core/outside-principal.ts'
import { callingOptions, toMemberText, type Answer, type Call, type Command } from './command.ts'
import { callOnce, toAddress } from './control-client.ts'

export const taskCommand: Command = {
  words: 'task open',
  usage: '--purpose TEXT --principal ID --actor NAME [--grant ID]',
  summary: 'open a task with a purpose, print its txn',
  about: [
    'A task ties actions to what a principal asked for. The purpose is the only text that vouches for the principal: what is',
    'in it may decide where things go, what the agent read elsewhere may not. Asks as a host; agents cannot open tasks.',
    'Without `--grant` the only valid grant of the principal to the agent is taken; several must be told apart.',
  ].join('\n'),
  example:
    "unbearer task open --purpose 'send alice@example.com her last order' --principal alice --actor support-agent",
  options: [
    { name: 'purpose', value: 'TEXT', about: 'what the principal asked for, in their words' },
    { name: 'principal', value: 'ID', about: 'for whom the agent acts: a user, or `oidc/ISSUER#SUB`' },
    { name: 'actor', value: 'NAME', about: 'the agent, by name or thumbprint' },
    { name: 'grant', value: 'ID', about: 'the grant to act under' },
    ...callingOptions('keys/host.jwk'),
  ],
  operands: [0, 0],
  run: open,
}

/** A name may hold a slash: only principals of issuers outside are told by their type. */
function toPrincipal(given: string): Json {
  const prefix = `${OUTSIDE_TYPE}/`
  return given.startsWith(`${prefix}http`) ? { type: OUTSIDE_TYPE, id: given.slice(prefix.length) } : given
}

async function open(call: Call): Promise<Answer> {
  const grant = call.text('grant')
  const params = {
    purpose: call.need('purpose'),
    principal: toPrincipal(call.need('principal')),
    actor: call.need('actor'),
    ...(grant === undefined ? {} : { grant }),
  }
  const task = await callOnce(await toAddress(call, 'host'), 'task.open', params)
  const under = isJsonObject(task) ? task['grant'] : undefined
  if (under === undefined && !call.json) {
    process.stderr.write(
      'this principal has granted this agent nothing that is valid now; the task starts without a grant\n',
    )
  }
  return { exit: 0, json: task, text: toMemberText(task, 'txn') }
}

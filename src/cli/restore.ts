/**
 * @module
 * `unbearer agents restore`: a person gives a suspended agent its way again.
 */
import { callingOptions, toMemberText, type Answer, type Call, type Command } from './command.ts'
import { callOnce, toAddress } from './control-client.ts'

export const restoreAgentCommand: Command = {
  words: 'agents restore',
  usage: 'NAME',
  summary: 'give a suspended agent its way again',
  about: [
    'An agent that is refused again and again is suspended (`limits.suspend`): every request of it is `identity.suspended`, and',
    'only a person changes that. Look first at why it was refused: `unbearer audit tail`, `unbearer doctor`. Logged. NAME is',
    'the name of the agent or its thumbprint. It gives no other right, and what was revoked stays revoked.',
  ].join('\n'),
  example: 'unbearer agents restore support-agent',
  options: callingOptions('keys/operator.jwk'),
  operands: [1, 1],
  run: restore,
}

async function restore(call: Call): Promise<Answer> {
  const restored = await callOnce(await toAddress(call, 'operator'), 'agent.restore', { name: call.operand(0) })
  return { exit: 0, json: restored, text: `restored the agent \`${toMemberText(restored, 'name')}\`` }
}

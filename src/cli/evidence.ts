/**
 * @module
 * `unbearer erase subject`, `unbearer evidence sweep`: evidence that is to be gone.
 */
import { isJsonObject, type Json } from '../core/json.ts'
import { callingOptions, toMemberText, toText, type Answer, type Call, type Command } from './command.ts'
import { callOnce, toAddress } from './control-client.ts'

export const evidenceCommands: readonly Command[] = [
  {
    words: 'erase subject',
    usage: 'ID',
    summary: 'make everything that is kept of a person unreadable, for good',
    about: [
      'Destroys the key under which the evidence of a subject is sealed: prompts, arguments, outputs, findings. Then removes its',
      'tasks, approvals, observations and grants, and scrubs the files of the store. The log stays whole and verifies; it holds a',
      'keyed hash and not the id. There is no way back. A subject that comes back gets a new key, and needs a new grant.',
      'Not reached: backups and copies from before (they hold the wrapped key: remove them, or the master key with them),',
      'evidence of other subjects that speaks of this one, and what upstreams were sent. An action that is under way ends under a',
      'new key: revoke the subject first where that matters. ID: `alice`, which is `user/alice`, or TYPE/ID.',
      'Exit code 1 when there was nothing, or when the files could not be scrubbed yet: run it again.',
    ].join('\n'),
    example: 'unbearer erase subject alice',
    options: callingOptions('keys/operator.jwk'),
    operands: [1, 1],
    run: erase,
  },
  {
    words: 'evidence sweep',
    usage: '',
    summary: 'drop the evidence whose time is over',
    about: [
      'Drops evidence that is older than `evidence.retention` says for its class: outputs, permits, refusals, acts. A server does',
      'it at its start and every hour; this does it now. The log stays whole: entries and their commitments are never dropped.',
    ].join('\n'),
    example: 'unbearer evidence sweep',
    options: callingOptions('keys/operator.jwk'),
    operands: [0, 0],
    run: sweep,
  },
]

async function erase(call: Call): Promise<Answer> {
  const json = await callOnce(await toAddress(call, 'operator'), 'subject.erase', { subject: call.operand(0) })
  const { found, scrubbed, removed } = isJsonObject(json) ? json : {}
  if (found !== true) return { exit: 1, json, text: 'nothing is kept under this subject' }
  const lines = [
    `erased: the key of ${toMemberText(json, 'tag')} is destroyed, and everything sealed under it unreadable`,
    `removed ${toCounts(removed)}`,
    'backups and copies from before still hold the key in its wrapped form',
  ]
  if (scrubbed === true) return { exit: 0, json, text: lines.join('\n') }
  return {
    exit: 1,
    json,
    text: [...lines, 'NOT scrubbed: something reads the store; run this again when it is done'].join('\n'),
  }
}

async function sweep(call: Call): Promise<Answer> {
  const json = await callOnce(await toAddress(call, 'operator'), 'evidence.sweep', {})
  return { exit: 0, json, text: `dropped ${toCounts(json)}` }
}

/** `2 tasks, 1 grants` */
function toCounts(value: Json | undefined): string {
  const counts = isJsonObject(value) ? Object.entries(value) : []
  return counts.map(([name, count]) => `${toText(count)} ${toText(name)}`).join(', ')
}

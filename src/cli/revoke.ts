/**
 * @module
 * `unbearer revoke`: the kill switch; `unbearer resume`: the end of a stop of everything.
 */
import { parseDuration } from '../config/durations.ts'
import { REVOCATION_DIMENSIONS } from '../core/evidence.ts'
import { isJsonObject, type Json } from '../core/json.ts'
import { isJsonArray } from '../core/pointer.ts'
import { toDisplayText } from '../server/display.ts'
import { callingOptions, toMemberText, toText, usageError, type Answer, type Call, type Command } from './command.ts'
import { callOnce, toAddress } from './control-client.ts'

export const revokeCommand: Command = {
  words: 'revoke',
  usage: 'actor|subject|grant|task|tool|credential|all [ID]',
  summary: 'stop something, at once and for good',
  about: [
    'In force at once, on what is under way too: it is aborted, not undone. Then every enforcement point, here and elsewhere,',
    'must refuse a canary; those that stay silent are named and the exit code is 1, also one that was cut off a moment ago.',
    'There is no way back: enrol or grant anew. Only a stop of everything can be ended (`unbearer resume`).',
    'ID: an agent by name or thumbprint; a subject such as `alice` or `user/alice`; a grant, task or credential by id; a tool',
    'as UPSTREAM/TOOL. A grant takes everything that was delegated from it with it. `all` takes none and stops everything.',
    'What is revoked need not be known; where nothing of that id is, that is said.',
  ].join('\n'),
  example: 'unbearer revoke actor support-agent',
  options: [
    ...callingOptions('keys/operator.jwk'),
    {
      name: 'wait',
      value: '6s',
      about: 'how long an enforcement point has to refuse the canary, at most a minute (default: 6s)',
    },
  ],
  operands: [1, 2],
  run: revoke,
}

export const resumeCommand: Command = {
  words: 'resume',
  usage: '',
  summary: 'end a stop of everything',
  about: [
    'Ends `unbearer revoke all`, and nothing else: what was revoked by itself stays revoked, and whatever was issued before is refused,',
    'so that agents begin new sessions and principals log in again. Revoke first what must not come back. For admins, recorded',
    'before anything is let go. Who stops everything while this runs has stopped it.',
  ].join('\n'),
  example: 'unbearer resume',
  options: callingOptions('keys/operator.jwk'),
  operands: [0, 0],
  run: async (call) => {
    const result = await callOnce(await toAddress(call, 'operator'), 'resume', {})
    const text = `everything goes on; what was issued before number ${toMemberText(result, 'rev')} is refused`
    return { exit: 0, json: result, text }
  },
}

async function revoke(call: Call): Promise<Answer> {
  const [dimension = '', id] = call.operands
  if (!REVOCATION_DIMENSIONS.some((known) => known === dimension)) {
    throw usageError(`\`${toDisplayText(dimension)}\` cannot be revoked, only ${REVOCATION_DIMENSIONS.join(', ')}`)
  }
  const wait = call.text('wait')
  const params = {
    dimension,
    ...(id === undefined ? {} : { id }),
    ...(wait === undefined ? {} : { wait: parseDuration(wait, '`--wait`') }),
  }
  const result = await callOnce(await toAddress(call, 'operator'), 'revoke', params)
  const { recorded, silent = [], peps = [], known } = isJsonObject(result) ? result : {}
  const isDone = recorded === true && isEmpty(silent)
  return {
    exit: isDone ? 0 : 1,
    json: result,
    text: toLines(result, dimension, { recorded, silent, peps, known }).join('\n'),
  }
}

type Said = Readonly<Record<'recorded' | 'silent' | 'peps' | 'known', Json | undefined>>

function toLines(result: Json, dimension: string, { recorded, silent, peps, known }: Said): readonly string[] {
  const [target, rev] = [toMemberText(result, 'id'), toMemberText(result, 'rev')]
  return [
    `revoked ${dimension} ${target}, number ${rev}, in force now`,
    ...(isEmpty(peps) ? ['nobody serves this installation: it is in force from the next start on'] : []),
    ...(isEmpty(silent) ? [] : [`did not refuse the canary: ${toNames(silent)}`]),
    ...(known === false ? ['nothing of that id is known here: look at how it is written'] : []),
    ...(recorded === true
      ? []
      : ['not on the disk yet: if the server stops now it is forgotten; everything is denied until it is recorded']),
  ]
}

function isEmpty(value: Json | undefined): boolean {
  return !isJsonArray(value) || value.length === 0
}

function toNames(value: Json | undefined): string {
  return isJsonArray(value) ? value.map(toText).join(', ') : ''
}

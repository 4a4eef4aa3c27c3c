/**
 * @module
 * `unbearer revoke`: the kill switch.
 */
import { REVOCATION_DIMENSIONS } from '../core/evidence.ts'
import { isJsonObject, type Json } from '../core/json.ts'
import { toDisplayText } from '../server/display.ts'
import { callingOptions, toMemberText, toText, usageError, type Answer, type Call, type Command } from './command.ts'
import { callOnce, toAddress } from './control-client.ts'

export const revokeCommand: Command = {
  words: 'revoke',
  usage: 'actor|subject|grant|task|tool|credential|all [ID]',
  summary: 'stop something, at once and for good',
  about: [
    'In force at once, on what is under way too: it is aborted, not undone. Then every enforcement point must refuse a',
    'canary; those that stay silent are named and the exit code is 1. There is no way back: enrol or grant anew.',
    'ID: an agent by name or thumbprint; a subject such as `alice` or `user/alice`; a grant, task or credential by id; a tool',
    'as UPSTREAM/TOOL. A grant takes everything that was delegated from it with it. `all` takes none and stops everything.',
  ].join('\n'),
  example: 'unbearer revoke actor support-agent',
  options: callingOptions('keys/operator.jwk'),
  operands: [1, 2],
  run: revoke,
}

async function revoke(call: Call): Promise<Answer> {
  const [dimension = '', id] = call.operands
  if (!REVOCATION_DIMENSIONS.some((known) => known === dimension)) {
    throw usageError(`\`${toDisplayText(dimension)}\` cannot be revoked, only ${REVOCATION_DIMENSIONS.join(', ')}`)
  }
  const params = { dimension, ...(id === undefined ? {} : { id }) }
  const result = await callOnce(await toAddress(call, 'operator'), 'revoke', params)
  const { recorded, silent = [] } = isJsonObject(result) ? result : {}
  const names: readonly Json[] = Array.isArray(silent) ? silent : []
  const [target, rev] = [toMemberText(result, 'id'), toMemberText(result, 'rev')]
  const lines = [`revoked ${dimension} ${target}, number ${rev}, in force now`]
  if (names.length > 0) lines.push(`did not refuse the canary: ${names.map(toText).join(', ')}`)
  if (recorded !== true)
    lines.push(
      'not on the disk yet: if the server stops now it is forgotten; everything is denied until it is recorded',
    )
  return { exit: names.length > 0 || recorded !== true ? 1 : 0, json: result, text: lines.join('\n') }
}

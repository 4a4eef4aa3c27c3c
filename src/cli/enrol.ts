/**
 * @module
 * `unbearer agents|hosts|peps|operators|approvers enrol`: puts a public key under a name and a role. `operators roles` changes
 * what an operator may do, `keys list` shows who is enrolled.
 */
import { rm } from 'node:fs/promises'

import { KEY_ROLES, OPERATOR_ROLES, type EnrolledKey, type KeyRole } from '../core/evidence.ts'
import type { Json } from '../core/json.ts'
import { isOperatorRole, rolesOf } from '../core/operator-roles.ts'
import { fromRecord } from '../core/records.ts'
import { generateKey, importKey, readKeyFile, writeKeyFile, type KeyPair } from '../crypto/keys.ts'
import { toDisplayText } from '../server/display.ts'
import type { IssuerKey } from '../server/issuer-keys.ts'
import {
  CA_OPTION,
  callingOptions,
  KEY_OPTION,
  PASSPHRASE_OPTION,
  SERVER_OPTION,
  toMemberText,
  toTable,
  toTime,
  usageError,
  type Answer,
  type Call,
  type Command,
} from './command.ts'
import { callOnce, toAddress } from './control-client.ts'
import { readNewPassphrase, toPassphrase } from './passphrase.ts'

interface RoleText {
  readonly role: KeyRole
  readonly words: string
  readonly what: string
}

const ROLES: readonly RoleText[] = [
  { role: 'agent', words: 'agents', what: 'An agent acts, under grants, and can do nothing else here.' },
  { role: 'host', words: 'hosts', what: 'A host is the application around agents: it opens tasks with a purpose.' },
  { role: 'pep', words: 'peps', what: 'A PEP redeems action credentials at a resource of its own.' },
  {
    role: 'operator',
    words: 'operators',
    what: 'An operator does here what its roles say; the policies of operators say what each role may do.',
  },
  { role: 'approver', words: 'approvers', what: 'An approver answers single actions, and can do nothing else here.' },
  {
    role: 'principal',
    words: 'principals',
    what: 'A principal signs grants of their own, within the ceiling of `trust.signed`.',
  },
]

const ROLE_OPTION = {
  name: 'role',
  value: 'ROLE',
  many: true,
  about: `what it may do: ${OPERATOR_ROLES.join(', ')}; may be repeated`,
}

const FOR_OPTION = {
  name: 'for',
  value: 'ID',
  about: 'whose key it is, `alice` or `type/id` (default: the user of that name)',
}

const USAGE: Partial<Record<KeyRole, string>> = { operator: '--role ROLE… ', principal: '[--for ID] ' }

const SEALED = [
  { name: 'sealed', about: 'with `--new`: ask on the terminal for a passphrase, and seal the key under it' },
  { ...PASSPHRASE_OPTION, about: 'with `--new`: seal the key under the passphrase from this file descriptor' },
]

export const enrolCommands: readonly Command[] = ROLES.map(({ role, words, what }) => ({
  words: `${words} enrol`,
  usage: `NAME ${USAGE[role] ?? ''}(--key FILE.jwk | --new FILE.jwk)`,
  summary: `enrol a key of ${role === 'agent' || role === 'operator' || role === 'approver' ? 'an' : 'a'} ${role}`,
  about: `${what}\nOnly the public part of the key is sent and stored. A key has one role and one name for ever; names are unique\nwithin a role. Asks as an operator.`,
  example:
    role === 'agent'
      ? 'unbearer agents enrol support-agent --new ./keys/support-agent.jwk'
      : `unbearer ${words} enrol ${role}-2 ${role === 'operator' ? '--role revoker ' : ''}--new ./${role}-2.jwk`,
  options: [
    ...(role === 'operator' ? [ROLE_OPTION] : []),
    ...(role === 'principal' ? [FOR_OPTION] : []),
    { name: 'key', value: 'FILE.jwk', about: 'the key to enrol, a public or private JWK' },
    { name: 'new', value: 'FILE.jwk', about: 'make a new Ed25519 key and write it here, mode 0600' },
    ...(role === 'operator' || role === 'approver' || role === 'principal' ? SEALED : []),
    { ...KEY_OPTION('keys/operator.jwk'), name: 'as' },
    { ...PASSPHRASE_OPTION, name: 'as-passphrase-fd', about: 'read the passphrase of the key that asks from here' },
    SERVER_OPTION,
    CA_OPTION,
  ],
  operands: [1, 1],
  run: async (call) => enrol(call, role),
}))

export const keyCommands: readonly Command[] = [
  {
    words: 'operators roles',
    usage: 'NAME --role ROLE…',
    summary: 'change what an operator may do',
    about: [
      'Replaces the roles of an operator by those that are given. Asks as an admin; nobody changes their own roles, and the last',
      'admin stays one. To take everything away, `unbearer revoke actor NAME`.',
    ].join('\n'),
    example: 'unbearer operators roles operator-2 --role viewer --role revoker',
    options: [ROLE_OPTION, ...callingOptions('keys/operator.jwk')],
    operands: [1, 1],
    run: changeRoles,
  },
  {
    words: 'keys list',
    usage: '[--of ROLE | --issuer]',
    summary: 'list the keys that are enrolled',
    about:
      'Every key with its role, and for operators what they may do. Keys that were revoked are listed too. With\n`--issuer` our own keys instead: the one that signs credentials, and those that still verify some.',
    example: 'unbearer keys list --of operator',
    options: [
      { name: 'of', value: 'ROLE', about: `only keys of this role: ${KEY_ROLES.join(', ')}` },
      { name: 'issuer', about: 'the keys that sign and verify credentials' },
      ...callingOptions('keys/operator.jwk'),
    ],
    operands: [0, 0],
    run: list,
  },
  {
    words: 'keys rotate',
    usage: '',
    summary: 'sign credentials with a new key',
    about: [
      'Makes a new issuer key in the file of `keys.issuer` and signs with it at once; a running server goes on serving. Whatever',
      'the old key signed verifies until it has expired, eleven minutes at most, and the old public key is published until then.',
      'To make everything void that a stolen key could have signed, `unbearer revoke all` as well.',
    ].join('\n'),
    example: 'unbearer keys rotate',
    options: callingOptions('keys/operator.jwk'),
    operands: [0, 0],
    run: rotate,
  },
]

async function changeRoles(call: Call): Promise<Answer> {
  const params = { name: call.operand(0), roles: readRoles(call) }
  const changed = await callOnce(await toAddress(call, 'operator'), 'key.roles', params)
  return {
    exit: 0,
    json: changed,
    text: `operator \`${toMemberText(changed, 'name')}\` is now ${params.roles.join(', ')}`,
  }
}

async function rotate(call: Call): Promise<Answer> {
  const made = await callOnce(await toAddress(call, 'operator'), 'key.rotate', {})
  return { exit: 0, json: made, text: `credentials are signed with \`${toMemberText(made, 'jkt')}\` from now on` }
}

async function listIssuer(call: Call): Promise<Answer> {
  const found = await callOnce(await toAddress(call, 'operator'), 'key.issuer', {})
  const keys = fromRecord<readonly IssuerKey[]>({ value: found }) ?? []
  const rows = keys.map(({ jkt, alg, since, until }) => [
    jkt,
    alg,
    toTime(since),
    until === undefined ? 'signs' : `verifies until ${toTime(until)}`,
  ])
  return { exit: 0, json: found, text: toTable(['thumbprint', 'alg', 'since', 'state'], rows) }
}

async function list(call: Call): Promise<Answer> {
  if (call.flag('issuer')) return listIssuer(call)
  const role = call.text('of')
  const found = await callOnce(await toAddress(call, 'operator'), 'key.list', role === undefined ? {} : { role })
  const keys = fromRecord<readonly EnrolledKey[]>({ value: found }) ?? []
  const rows = keys.map((key) => [
    key.role,
    key.name,
    key.role === 'operator' ? rolesOf(key).join(', ') : '',
    toTime(key.enrolledAt),
    key.jkt,
  ])
  return { exit: 0, json: found, text: toTable(['role', 'name', 'may', 'enrolled', 'thumbprint'], rows) }
}

/** Read here too, so that a misspelt role is told before a key is made for it. */
function readRoles(call: Call): readonly string[] {
  const roles = call.texts('role')
  if (roles.length === 0) throw usageError(`say what the operator may do: \`--role ${OPERATOR_ROLES.join('|')}\``)
  const unknown = roles.find((role) => !isOperatorRole(role))
  if (unknown !== undefined)
    throw usageError(`there is no role \`${toDisplayText(unknown)}\`, only ${OPERATOR_ROLES.join(', ')}`)
  return roles
}

async function enrol(call: Call, role: KeyRole): Promise<Answer> {
  const [given, fresh] = [call.text('key'), call.text('new')]
  if ((given === undefined) === (fresh === undefined)) throw usageError('give either `--key` or `--new`')
  const roles = role === 'operator' ? { roles: readRoles(call) } : {}
  const whose = role === 'principal' ? call.text('for') : undefined
  const principal = whose === undefined ? {} : { principal: whose }
  const address = await toAddress(call, 'operator', { keyOption: 'as', passphraseOption: 'as-passphrase-fd' })
  const { jwk } = fresh === undefined ? await readKeyFile(given ?? '', toPassphrase(call)) : await makeKey(call, fresh)
  try {
    const enrolled = await callOnce(address, 'key.enrol', {
      role,
      name: call.operand(0),
      ...roles,
      ...principal,
      jwk: { ...jwk },
    })
    return { exit: 0, json: enrolled, text: describe(enrolled, role, fresh, wantsSealed(call)) }
  } catch (fault) {
    // A key that nobody enrolled is of no use, and its file would be in the way of the next try.
    if (fresh !== undefined) await rm(fresh, { force: true })
    throw fault
  }
}

function wantsSealed(call: Call): boolean {
  return call.flag('sealed') || call.text('passphrase-fd') !== undefined
}

/** Sealed when a passphrase was given or is to be asked for; the file shows which, so that nobody has to remember. */
async function makeKey(call: Call, file: string): Promise<KeyPair> {
  const passphrase = wantsSealed(call) ? await readNewPassphrase(call) : undefined
  const jwk = generateKey('Ed25519')
  await writeKeyFile(file, { ...jwk }, passphrase)
  return importKey({ ...jwk })
}

function describe(enrolled: Json, role: KeyRole, file: string | undefined, sealed: boolean): string {
  const [name, jkt] = [toMemberText(enrolled, 'name'), toMemberText(enrolled, 'jkt')]
  const lines = [`enrolled the ${role} \`${name}\`, thumbprint ${jkt}`]
  if (file !== undefined) lines.push(`its private key is in ${file}, readable by you only${sealed ? ', sealed' : ''}`)
  if (role === 'agent') lines.push('it may act once it has a grant: `unbearer grant create --help`')
  return lines.join('\n')
}

/**
 * @module
 * `unbearer agents|hosts|peps|operators|approvers enrol`: puts a public key under a name and a role.
 */
import { rm } from 'node:fs/promises'

import type { KeyRole } from '../core/evidence.ts'
import type { Json } from '../core/json.ts'
import { generateKey, readKeyFile, writeKeyFile } from '../crypto/keys.ts'
import { KEY_OPTION, SERVER_OPTION, toMemberText, usageError, type Answer, type Call, type Command } from './command.ts'
import { callOnce, toAddress } from './control-client.ts'

interface RoleText {
  readonly role: KeyRole
  readonly words: string
  readonly what: string
}

const ROLES: readonly RoleText[] = [
  { role: 'agent', words: 'agents', what: 'An agent acts, under grants, and can do nothing else here.' },
  { role: 'host', words: 'hosts', what: 'A host is the application around agents: it opens tasks with a purpose.' },
  { role: 'pep', words: 'peps', what: 'A PEP redeems action credentials at a resource of its own.' },
  { role: 'operator', words: 'operators', what: 'An operator enrols keys, issues grants, accepts tools and revokes.' },
  { role: 'approver', words: 'approvers', what: 'An approver answers single actions, and can do nothing else here.' },
]

export const enrolCommands: readonly Command[] = ROLES.map(({ role, words, what }) => ({
  words: `${words} enrol`,
  usage: `NAME (--key FILE.jwk | --new FILE.jwk)`,
  summary: `enrol a key of ${role === 'agent' || role === 'operator' || role === 'approver' ? 'an' : 'a'} ${role}`,
  about: `${what}\nOnly the public part of the key is sent and stored. A key has one role and one name for ever; names are unique\nwithin a role. Asks as an operator.`,
  example:
    role === 'agent'
      ? 'unbearer agents enrol support-agent --new ./keys/support-agent.jwk'
      : `unbearer ${words} enrol ${role}-2 --new ./${role}-2.jwk`,
  options: [
    { name: 'key', value: 'FILE.jwk', about: 'the key to enrol, a public or private JWK' },
    { name: 'new', value: 'FILE.jwk', about: 'make a new Ed25519 key and write it here, mode 0600' },
    { ...KEY_OPTION('keys/operator.jwk'), name: 'as' },
    SERVER_OPTION,
  ],
  operands: [1, 1],
  run: async (call) => enrol(call, role),
}))

async function enrol(call: Call, role: KeyRole): Promise<Answer> {
  const [given, fresh] = [call.text('key'), call.text('new')]
  if ((given === undefined) === (fresh === undefined)) throw usageError('give either `--key` or `--new`')
  const as = call.text('as')
  const address = await toAddress({ ...call, text: (name) => (name === 'key' ? as : call.text(name)) }, 'operator')
  if (fresh !== undefined) await writeKeyFile(fresh, { ...generateKey('Ed25519') })
  try {
    const { jwk } = await readKeyFile(given ?? fresh ?? '')
    const enrolled = await callOnce(address, 'key.enrol', { role, name: call.operand(0), jwk: { ...jwk } })
    return { exit: 0, json: enrolled, text: describe(enrolled, role, fresh) }
  } catch (fault) {
    // A key that nobody enrolled is of no use, and its file would be in the way of the next try.
    if (fresh !== undefined) await rm(fresh, { force: true })
    throw fault
  }
}

function describe(enrolled: Json, role: KeyRole, file: string | undefined): string {
  const [name, jkt] = [toMemberText(enrolled, 'name'), toMemberText(enrolled, 'jkt')]
  const lines = [`enrolled the ${role} \`${name}\`, thumbprint ${jkt}`]
  if (file !== undefined) lines.push(`its private key is in ${file}, readable by you only`)
  if (role === 'agent') lines.push('it may act once it has a grant: `unbearer grant create --help`')
  return lines.join('\n')
}

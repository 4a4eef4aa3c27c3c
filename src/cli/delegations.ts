/**
 * @module
 * `unbearer grant open|sign|take`: grants that no operator issues.
 */
import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'

import { parseDuration } from '../config/durations.ts'
import { loadConfig } from '../config/load.ts'
import { ConfigError, InputError } from '../core/errors.ts'
import { isJsonObject, type Json, type JsonObject } from '../core/json.ts'
import { readKeyFile } from '../crypto/keys.ts'
import { SUBJECT_KIND_NAMES } from '../crypto/subject-token.ts'
import { signGrant } from '../crypto/signed-grant.ts'
import { callingOptions, toMemberText, toTime, usageError, type Answer, type Call, type Command } from './command.ts'
import { callOnce, toAddress } from './control-client.ts'
import { toPassphrase } from './passphrase.ts'
import { readYaml } from './read-yaml.ts'

const FILE = { name: 'file', short: 'f', value: 'FILE.yaml', about: 'the grant; `-` reads standard input' }

export const delegationCommands: readonly Command[] = [
  {
    words: 'grant open',
    usage: '-f FILE.yaml --subject-token FILE [--type TYPE] [--salt TEXT]',
    summary: 'open a grant with a login of the principal',
    about: [
      'Hands in what an issuer of `trust.issuers` gave for the principal: an ID Token, a JWT access token or an ID-JAG. It counts',
      'once. The grant names the agent and no principal; what it leaves out it takes from the ceiling of the issuer, and nothing',
      'in it may go beyond that. Asks as a host.',
    ].join('\n'),
    example: 'unbearer grant open -f grant.yaml --subject-token ./id-token',
    options: [
      FILE,
      {
        name: 'subject-token',
        value: 'FILE',
        about: 'the file with the proof, or `-` for standard input; never an argument',
      },
      { name: 'type', value: 'TYPE', about: `what it is: ${SUBJECT_KIND_NAMES.join(', ')} (default: id-token)` },
      {
        name: 'salt',
        value: 'TEXT',
        about: 'what the grant was hashed with into the nonce, where the issuer is `nonce: bound`',
      },
      ...callingOptions('keys/host.jwk'),
    ],
    operands: [0, 0],
    run: open,
  },
  {
    words: 'grant sign',
    usage: '-f FILE.yaml --key FILE.jwk [--issuer URL] [--wait DURATION]',
    summary: 'sign a grant with the key of its principal',
    about: [
      'Prints the signed grant, to be handed in once with `unbearer grant take`. It needs no server and no operator. The agent',
      'stands in it by thumbprint, so that nobody can put another key under its name. It counts only at the issuer that it names.',
    ].join('\n'),
    example: 'unbearer grant sign -f grant.yaml --key ./alice.jwk --issuer https://unbearer.example > grant.jws',
    options: [
      FILE,
      { name: 'key', value: 'FILE.jwk', about: 'the private key of the principal' },
      {
        name: 'passphrase-fd',
        value: 'N',
        about: 'read the passphrase of the key from this file descriptor (default: ask on the terminal)',
      },
      { name: 'issuer', value: 'URL', about: 'where it is to count (default: the issuer of the configuration)' },
      { name: 'wait', value: 'DURATION', about: 'how long it may wait to be handed in, at most a day (default: 10m)' },
    ],
    operands: [0, 0],
    run: sign,
  },
  {
    words: 'grant take',
    usage: 'FILE',
    summary: 'hand in a grant that its principal signed',
    about: [
      'Issues a grant that was signed with an enrolled key of its principal (`unbearer principals enrol`), within the ceiling of',
      '`trust.signed`. It counts once. Asks as a host; the principal and operators may hand it in as well.',
    ].join('\n'),
    example: 'unbearer grant take grant.jws',
    options: callingOptions('keys/host.jwk'),
    operands: [1, 1],
    run: take,
  },
]

async function open(call: Call): Promise<Answer> {
  const [file, given] = [call.need('file'), call.need('subject-token')]
  if (file === '-' && given === '-') throw usageError('only one of the two can be read from standard input')
  const grant = await readYaml(file)
  const salt = call.text('salt')
  const params = {
    grant,
    subject_token: readSecret(given),
    subject_token_type: call.text('type') ?? 'id-token',
    ...(salt === undefined ? {} : { salt }),
  }
  return toAnswer(await callOnce(await toAddress(call, 'host'), 'grant.open', params))
}

async function sign(call: Call): Promise<Answer> {
  const grant = toObject(await readYaml(call.need('file')))
  const key = await readKeyFile(call.need('key'), toPassphrase(call))
  if (key.privateKey === undefined) throw new ConfigError('signing needs a private key')
  const issuer = call.text('issuer') ?? (await loadConfig(call.config)).issuer
  const wait = call.text('wait')
  const waitSeconds = wait === undefined ? {} : { waitSeconds: toSeconds(wait) }
  const signed = signGrant({ key, issuer, grant, now: Date.now(), ...waitSeconds })
  return { exit: 0, json: { signed, jkt: key.jkt, issuer }, text: signed }
}

function toSeconds(wait: string): number {
  const seconds = parseDuration(wait, '`--wait`') / 1000
  if (seconds >= 1 && seconds <= 86_400) return seconds
  throw usageError('`--wait` is from `1s` to `1d`')
}

async function take(call: Call): Promise<Answer> {
  const signed = (await readText(call.operand(0))).trim()
  return toAnswer(await callOnce(await toAddress(call, 'host'), 'grant.take', { signed }))
}

function toAnswer(granted: Json): Answer {
  const { expires, principal } = isJsonObject(granted) ? granted : {}
  const until = typeof expires === 'number' ? toTime(expires) : ''
  const who = `${toMemberText(principal, 'type')}/${toMemberText(principal, 'id')}`
  return { exit: 0, json: granted, text: `issued grant ${toMemberText(granted, 'id')} of ${who}, valid until ${until}` }
}

function toObject(value: Json): JsonObject {
  if (isJsonObject(value)) return value
  throw new InputError('a grant is an object')
}

/** Without what the platform would say about it: the path is all that may be told. */
function readSecret(path: string): string {
  try {
    return readFileSync(path === '-' ? 0 : path, 'utf8').trim()
  } catch {
    throw new ConfigError(`\`${path}\` cannot be read`)
  }
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path === '-' ? '/dev/stdin' : path, 'utf8')
  } catch (cause) {
    throw new ConfigError(`\`${path}\` cannot be read`, { cause })
  }
}

/**
 * @module
 * `unbearer backup | restore | recover`: the way back.
 */
import { join } from 'node:path'

import type { Config } from '../config/load.ts'
import { ConfigError } from '../core/errors.ts'
import { asJson } from '../core/json.ts'
import { readKeyFile, type KeyPair } from '../crypto/keys.ts'
import type { Voided } from '../server/continuity.ts'
import {
  KEY_OPTION,
  PASSPHRASE_OPTION,
  printNotice,
  toTime,
  usageError,
  type Answer,
  type Call,
  type Command,
  type Option,
} from './command.ts'
import { toPassphrase } from './passphrase.ts'
import { version } from './version.ts'

const KEEP_BUDGETS: Option = {
  name: 'keep-budgets',
  about: 'let budgets stand as stored, although what was spent since is forgotten',
}

export const backupCommands: readonly Command[] = [
  {
    words: 'backup',
    usage: 'DIR | FILE.tar [--with-keys FILE]',
    summary: 'copy what is needed to come back, while it serves',
    about: [
      'Copies the store as it stands at one moment, the head and the journal of revocations, the configuration, policies and',
      'manifests, without stopping the server. The copy is verified (database, every entry of the log, the head outside)',
      'before it gets its name, and a list of digests is signed by the key of the log. Overwrites nothing.',
      '',
      'It holds what the store holds: whoever reads it reads what the store keeps in the clear. It holds NO private keys and no',
      'secrets of upstreams: without them nothing can be restored, so keep them elsewhere, or have `--with-keys` write them into',
      'one more file (mode 0600). Whoever has both files can be this installation.',
    ].join('\n'),
    example: 'unbearer backup /mnt/backup/unbearer-2026-11-23.tar --with-keys /safe/unbearer.keys',
    options: [
      { name: 'with-keys', value: 'FILE', about: 'also write the private keys and secrets that are files, here' },
    ],
    operands: [1, 1],
    run: backup,
  },
  {
    words: 'restore',
    usage: 'DIR | FILE.tar --dir DIR [--keys FILE] [--force] [--keep-budgets]',
    summary: 'make an installation out of a backup',
    about: [
      'Verifies signature, digests and log of the backup, then puts it into `--dir` (and wherever its configuration says). An',
      'installation that is there already is left alone; with `--force` it is put aside, and kept. No server may run.',
      '',
      'What was recorded after the backup is lost: burned credentials, consumed approvals, debits, labels of what agents have',
      'read, revocations and erasures. So nothing of before lives on: every credential is refused, approvals are void, open',
      'tasks have ended, budgets of grants are spent, everything is enforced. Revocations and erasures come back from the',
      'journal beside the head if it is still there; if not, revoke and erase again what was since. The entry that says so is',
      'signed with the key of an operator.',
    ].join('\n'),
    example: 'unbearer restore /mnt/backup/unbearer-2026-11-23.tar --dir /etc/unbearer --keys /safe/unbearer.keys',
    options: [
      { name: 'dir', value: 'DIR', about: 'where to' },
      { name: 'keys', value: 'FILE', about: 'what `backup --with-keys` wrote; keys that are there already stay' },
      { name: 'force', about: 'put what is there aside, under another name' },
      KEEP_BUDGETS,
      KEY_OPTION('keys/operator.jwk'),
      PASSPHRASE_OPTION,
    ],
    operands: [1, 1],
    run: restoreBackup,
  },
  {
    words: 'recover',
    usage: '--accept-head [--keep-budgets]',
    summary: 'accept a log that is not the one of the head outside',
    about: [
      'The start refuses a log that is shorter than the head outside, different from it, or without one. Find out why first:',
      'this is what an attacker who puts back an older store looks like. `--accept-head` accepts the log as it is, if it fits its',
      'own checkpoint: under an entry with both heads, signed with the key of an operator. The old head stays under another name.',
      '',
      'As after `restore`, nothing of before lives on: credentials, approvals, open tasks, budgets of grants, acts that observe.',
    ].join('\n'),
    example: 'unbearer recover --accept-head --config /etc/unbearer/unbearer.yaml',
    options: [{ name: 'accept-head', about: 'say that you mean it' }, KEEP_BUDGETS, KEY_OPTION('keys/operator.jwk')],
    operands: [0, 0],
    run: recover,
  },
]

async function backup(call: Call): Promise<Answer> {
  const { loadConfig } = await import('../config/load.ts')
  const { backUp } = await import('../config/backup.ts')
  const config = await loadConfig(call.config)
  const to = call.operand(0)
  const manifest = await backUp(config, {
    to,
    madeBy: version,
    ...(process.stderr.isTTY && !call.json ? { onProgress: createProgress() } : {}),
  })
  const keys = await backUpKeys(call, config)
  const { entries, root } = manifest.log
  const bytes = manifest.files.reduce((sum, file) => sum + file.bytes, 0)
  const lines = [
    `backed up to ${to}: ${entries} entries, ${manifest.files.length} files, ${bytes} bytes, verified`,
    keys === undefined
      ? 'no private keys and no secrets are in it; without them it cannot be restored, see `--with-keys`'
      : `the private keys are in ${call.text('with-keys') ?? ''}, not in the backup; keep the two apart`,
    ...toEnvironment(config),
  ]
  const json = { to, createdAt: manifest.createdAt, entries, root, rev: manifest.rev, bytes, keys: [...(keys ?? [])] }
  return { exit: 0, json, text: lines.join('\n') }
}

async function backUpKeys(call: Call, config: Config): Promise<readonly string[] | undefined> {
  const to = call.text('with-keys')
  if (to === undefined) return undefined
  const { writeKeys } = await import('../config/backup-keys.ts')
  return writeKeys(config, to)
}

/** What only the environment has is in no file. */
function toEnvironment({ keys, audit, upstreams }: Config): readonly string[] {
  const secrets = [
    keys.issuer,
    audit.checkpointKey,
    ...upstreams.flatMap((upstream) => Object.values(upstream.secrets)),
  ]
  const names = secrets.flatMap(({ source }) => ('env' in source ? [source.env] : []))
  return names.length === 0 ? [] : [`in the environment only, and not in any file: ${[...new Set(names)].join(', ')}`]
}

function createProgress(): (what: string, done: number, total: number) => void {
  return (what, done, total) => {
    process.stderr.write(`\r${what}: ${done} of ${total}${done >= total ? '\n' : ''}`)
  }
}

async function restoreBackup(call: Call): Promise<Answer> {
  const { restore } = await import('../config/restore.ts')
  const dir = call.need('dir')
  const keys = call.text('keys')
  const { manifest, outside, voided, merged, aside } = await restore({
    from: call.operand(0),
    dir,
    force: call.flag('force'),
    keepBudgets: call.flag('keep-budgets'),
    notice: printNotice,
    operator: async () => readOperator(call, dir),
    ...(keys === undefined ? {} : { keys }),
  })
  const at = toTime(manifest.createdAt)
  const lost = outside === null ? null : Math.max(0, outside.size - manifest.log.entries)
  const lines = [
    `restored into ${dir}: ${manifest.log.entries} entries, as of ${at}`,
    outside === null
      ? `no head outside was there: what the log has lost since ${at} is not known`
      : `the head outside had ${outside.size} entries: ${lost} are lost`,
    ...toVoidedLines(voided, call.flag('keep-budgets')),
    `${merged} revocations came back from the journal outside; if that was lost too, revoke again what was revoked since ${at}`,
    `keys, grants, tools, cases and break-glass plans of after ${at} are gone: enrol, issue, accept, record, prepare again`,
    `agents that were suspended after ${at} are not any more: \`unbearer revoke actor NAME\` for those that must not go on`,
    ...aside.map((path) => `put aside: ${path}`),
  ]
  const json = { dir, createdAt: manifest.createdAt, entries: manifest.log.entries, outside, lost, merged }
  return { exit: 0, json: { ...json, voided: asJson(voided), aside: [...aside] }, text: lines.join('\n') }
}

async function recover(call: Call): Promise<Answer> {
  if (!call.flag('accept-head'))
    throw usageError('`recover` needs `--accept-head`: find out first why the log and the head outside differ')
  const { loadConfig } = await import('../config/load.ts')
  const { acceptHead } = await import('../config/recover.ts')
  const config = await loadConfig(call.config)
  const operator = await readOperator(call, config.dir)
  const keepBudgets = call.flag('keep-budgets')
  const recovered = await acceptHead(config, { operator, keepBudgets, notice: printNotice })
  if (recovered === undefined)
    return { exit: 0, json: { accepted: false }, text: 'the log fits the head outside: nothing to accept' }
  const { outside, found, aside, voided } = recovered
  const sizeOf = (head: typeof found): string => (head === null ? 'none that can be read' : `${head.size} entries`)
  const lines = [
    `accepted: the log has ${sizeOf(found)}, the head outside had ${sizeOf(outside)}`,
    ...(aside === undefined ? [] : [`the old head is kept as ${aside}`]),
    ...toVoidedLines(voided, keepBudgets),
  ]
  const json = { accepted: true, outside, found, aside: aside ?? null, voided: asJson(voided) }
  return { exit: 0, json, text: lines.join('\n') }
}

async function readOperator(call: Call, dir: string): Promise<KeyPair> {
  const file = call.text('key') ?? join(dir, 'keys', 'operator.jwk')
  const key = await readKeyFile(file, toPassphrase(call))
  if (key.privateKey === undefined) throw new ConfigError(`\`${file}\` holds a public key, a private one is needed`)
  return key
}

function toVoidedLines({ rev, approvals, tasks, observing, budgets }: Voided, keptBudgets: boolean): readonly string[] {
  return [
    `every credential of before is refused (revocation number ${rev}); void: ${approvals} approvals, ${tasks} open tasks`,
    ...(observing === 0 ? [] : [`enforced again, until an operator observes anew: ${observing} acts are void`]),
    keptBudgets
      ? 'budgets stand as stored: what was spent since is not counted'
      : `budgets that count as spent, grant anew: ${budgets.length === 0 ? 'none' : budgets.join(', ')}`,
  ]
}

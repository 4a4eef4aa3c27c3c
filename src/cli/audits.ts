/**
 * @module
 * `unbearer audit export|verify|show|tail` over the live store, beside a running server, or over what was exported.
 */
import { ConfigError, IntegrityError } from '../core/errors.ts'
import { loadConfig } from '../config/load.ts'
import { openForReading, type Reading } from '../config/reading.ts'
import { toDisplayText } from '../server/display.ts'
import { auditArchive, auditExport, auditShow, auditTail, auditVerify } from './audit.ts'
import type { Answer, Call, Command } from './command.ts'
import type { CommandResult } from './tools.ts'

const VKEY = {
  name: 'vkey',
  value: 'KEY',
  about: 'the verifier key that you trust (default: that of the configuration)',
}

export const auditCommands: readonly Command[] = [
  {
    words: 'audit export',
    usage: 'DIR',
    summary: 'write the log as C2SP tiles and a checkpoint',
    about:
      'Writes what is needed to verify the log elsewhere, without any evidence: prompts, arguments and outputs stay here.',
    example: 'unbearer audit export ./audit-2026-11',
    options: [],
    operands: [1, 1],
    run: async (call) =>
      withReading(call, async ({ store, vkey }) => toAnswer(await auditExport(store.log, call.operand(0), { vkey }))),
  },
  {
    words: 'audit archive',
    usage: 'DIR',
    summary: 'add what is new in the log to an archive of it',
    about: [
      'An export that grows: the first run writes it, each further run verifies every byte that is there, proves that the live',
      'log begins with it, and adds the tiles that are new. For a folder on another machine or a disk that cannot be rewritten;',
      '`audit verify DIR` works on it as on an export. Nothing is removed from the live store: entries are the small part of it',
      '(docs/reference/evidence.md), and evidence goes by its retention. Exit code 1 when the archive was damaged, or is not the',
      'beginning of this log; then it is left as it is.',
    ].join('\n'),
    example: 'unbearer audit archive /mnt/archive/unbearer-log',
    options: [],
    operands: [1, 1],
    run: async (call) =>
      withReading(call, async ({ store, vkey }) => toAnswer(await auditArchive(store.log, call.operand(0), { vkey }))),
  },
  {
    words: 'audit verify',
    usage: '[DIR | RECEIPT]',
    summary: 'verify the live log, an export or a receipt',
    about: [
      'Recomputes the tree from its entries and compares it with the signed checkpoint and, for the live store, with the head',
      'that is kept outside. Exit code 0 intact, 1 tampered (names the first bad entry), 2 could not be read.',
      'Without a witness it shows the log as the operator shows it: whoever holds the key of the log can sign another.',
    ].join('\n'),
    example: 'unbearer audit verify ./audit-2026-11 --vkey "$(cat log.vkey)"',
    options: [VKEY],
    operands: [0, 1],
    run: verify,
  },
  {
    words: 'audit show',
    usage: 'ID',
    summary: 'show one entry, its evidence and its receipt',
    about: 'The entry, what its commitments hold as far as evidence is kept, and a receipt that verifies offline.',
    example: 'unbearer audit show 3q2-7wAAAAAAAAAAAAAAAA',
    options: [],
    operands: [1, 1],
    run: async (call) =>
      withReading(call, async ({ store, vkey }) => toAnswer(await auditShow(store, call.operand(0), { vkey }))),
  },
  {
    words: 'audit tail',
    usage: '[--last N] [--follow]',
    summary: 'show the newest entries',
    about:
      'One line an entry, oldest first, a decision with its plane and tool; with `--json` one object a line. The last word is\nthe ID for `audit show`. Shows what is stored and does not verify it.',
    example: 'unbearer audit tail --follow',
    options: [
      { name: 'last', value: 'N', about: 'how many to begin with (default: 20)' },
      { name: 'follow', about: 'go on with what is appended, until interrupted' },
    ],
    operands: [0, 0],
    run: tail,
  },
]

async function verify(call: Call): Promise<Answer> {
  const [path] = call.operands
  const given = call.text('vkey')
  if (path !== undefined) {
    const vkey = given ?? (await knownVkey(call))
    return toAnswer(await auditVerify({ path }, vkey === undefined ? {} : { vkey }))
  }
  try {
    return await withReading(call, async ({ store, vkey, head }) =>
      toAnswer(await auditVerify({ store }, { vkey: given ?? vkey, ...(head === undefined ? {} : { head }) })),
    )
  } catch (fault) {
    if (!(fault instanceof IntegrityError)) throw fault
    // A store that contradicts itself so much that it does not open is an answer too.
    const problem = toDisplayText(fault.message)
    const json = { ok: false, entries: 0, root: '', checkpoint: '', witnessed: false, problems: [problem] }
    return { exit: 1, json, text: `TAMPERED or damaged\n  ${problem}` }
  }
}

/** The key of this installation, where there is one: an auditor with an export may have none. */
async function knownVkey(call: Call): Promise<string | undefined> {
  try {
    return await withReading(call, async ({ vkey }) => vkey)
  } catch (fault) {
    if (fault instanceof ConfigError) return undefined
    throw fault
  }
}

async function tail(call: Call): Promise<Answer> {
  const last = call.text('last')
  if (last !== undefined && !/^[0-9]{1,9}$/.test(last)) throw new ConfigError('`--last` is a whole number')
  return withReading(call, async ({ store }) => {
    const stop = new AbortController()
    if (call.flag('follow')) process.once('SIGINT', () => stop.abort())
    const lines = auditTail(store.log, {
      json: call.json,
      evidence: async (id) => store.evidence(id),
      ...(last === undefined ? {} : { last: Number(last) }),
      ...(call.flag('follow') ? { follow: stop.signal } : {}),
    })
    for await (const line of lines) process.stdout.write(`${line}\n`)
    return { exit: 0 }
  })
}

async function withReading<T>(call: Call, work: (reading: Reading) => Promise<T>): Promise<T> {
  const reading = await openForReading(await loadConfig(call.config))
  try {
    return await work(reading)
  } finally {
    await reading.close()
  }
}

function toAnswer({ exitCode, json, text }: CommandResult): Answer {
  return { exit: exitCode, json, text }
}

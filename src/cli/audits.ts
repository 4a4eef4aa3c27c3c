/**
 * @module
 * `unbearer audit export|verify|show|tail` over the live store, beside a running server, or over what was exported.
 */
import { ConfigError, IntegrityError, UnavailableError } from '../core/errors.ts'
import { isJsonObject } from '../core/json.ts'
import type { LogReader } from '../ports/store.ts'
import { loadConfig } from '../config/load.ts'
import { openForReading, type Reading } from '../config/reading.ts'
import { toDisplayText } from '../server/display.ts'
import { auditArchive, auditExport, auditShow, auditTail, auditVerify } from './audit.ts'
import { callingOptions, usageError, type Answer, type Call, type Command } from './command.ts'
import { callOnce, toAddress, withControl } from './control-client.ts'
import { createRemoteLog } from './remote-log.ts'
import type { CommandResult } from './tools.ts'

const VKEY = {
  name: 'vkey',
  value: 'KEY',
  about: 'the verifier key that you trust (default: that of the configuration)',
}

/** For the log of another machine: `--server`, and the key of the log where no configuration says it. */
const AWAY = [VKEY, ...callingOptions('keys/operator.jwk')]

export const auditCommands: readonly Command[] = [
  {
    words: 'audit export',
    usage: 'DIR',
    summary: 'write the log as C2SP tiles and a checkpoint',
    about:
      'Writes what is needed to verify the log elsewhere, without any evidence: prompts, arguments and outputs stay here.',
    example: 'unbearer audit export ./audit-2026-11',
    options: AWAY,
    operands: [1, 1],
    run: async (call) =>
      withLog(call, async ({ log, vkey }) => toAnswer(await auditExport(log, call.operand(0), { vkey }))),
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
    options: AWAY,
    operands: [1, 1],
    run: async (call) =>
      withLog(call, async ({ log, vkey }) => toAnswer(await auditArchive(log, call.operand(0), { vkey }))),
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
    options: AWAY,
    operands: [0, 1],
    run: verify,
  },
  {
    words: 'audit show',
    usage: 'ID',
    summary: 'show one entry, its evidence and its receipt',
    about: [
      'The entry, what its commitments hold as far as evidence is kept, and a receipt that verifies offline. Evidence is for',
      'operators: it is asked for with a key, and the look is recorded.',
    ].join('\n'),
    example: 'unbearer audit show 3q2-7wAAAAAAAAAAAAAAAA',
    options: [VKEY, ...callingOptions('keys/operator.jwk')],
    operands: [1, 1],
    run: show,
  },
  {
    words: 'audit tail',
    usage: '[--last N | --from INDEX] [--refused] [--follow]',
    summary: 'show the newest entries',
    about:
      'One line an entry, oldest first, a decision with its plane and tool; with `--json` one object a line\n(docs/reference/siem.md). The last word is the ID for `audit show`. Shows what is stored and does not verify it.\n`--from` goes on after a stop: one more than the last index. Exit code 1 when the log is shorter than that: it was cut.\n`--refused` leaves out what was let through and would be: what is left is for `unbearer why`.',
    example: ['unbearer audit tail --follow', 'unbearer audit tail --refused --last 5'].join('\n'),
    options: [
      { name: 'last', value: 'N', about: 'how many to begin with (default: 20)' },
      { name: 'from', value: 'INDEX', about: 'begin with this entry' },
      { name: 'refused', about: 'only decisions that let nothing through, or that `enforce` would have stopped' },
      { name: 'follow', about: 'go on with what is appended, until interrupted' },
      ...callingOptions('keys/operator.jwk'),
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
  if (call.text('server') !== undefined)
    return withLog(call, async ({ log, vkey }) => toAnswer(await auditVerify({ log }, { vkey })))
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

async function show(call: Call): Promise<Answer> {
  const vkey = call.text('vkey') ?? (await needVkey(call))
  const shown = await callOnce(await toAddress(call, 'operator'), 'entry.show', { id: call.operand(0) })
  if (!isJsonObject(shown)) throw new UnavailableError('the answer to `entry.show` is no entry')
  return toAnswer(await auditShow(shown, { vkey }))
}

/** Never taken from a server: it would verify whatever that server shows. */
async function needVkey(call: Call): Promise<string> {
  const vkey = await knownVkey(call)
  if (vkey === undefined)
    throw new ConfigError('without a configuration, say which key of the log you trust: `--vkey KEY`')
  return vkey
}

async function tail(call: Call): Promise<Answer> {
  const [last, from] = [readCount(call, 'last'), readCount(call, 'from')]
  if (last !== undefined && from !== undefined) throw usageError('give either `--last` or `--from`')
  const stop = new AbortController()
  if (call.flag('follow')) for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort())
  const options = {
    json: call.json,
    ...(last === undefined ? {} : { last }),
    ...(from === undefined ? {} : { from }),
    refused: call.flag('refused'),
    ...(call.flag('follow') ? { follow: stop.signal } : {}),
  }
  if (call.text('server') !== undefined)
    return withRemoteLog(call, async (log) => print(auditTail(log, { ...options, every: AWAY_MS })))
  return withReading(call, async ({ store }) =>
    print(auditTail(store.log, { ...options, evidence: async (id) => store.evidence(id) })),
  )
}

async function print(lines: AsyncIterable<string>): Promise<Answer> {
  for await (const line of lines) process.stdout.write(`${line}\n`)
  return { exit: 0 }
}

/** How often to ask another machine, in milliseconds. */
const AWAY_MS = 2_000

function readCount(call: Call, name: string): number | undefined {
  const given = call.text(name)
  if (given === undefined) return undefined
  if (/^[0-9]{1,12}$/.test(given)) return Number(given)
  throw usageError(`\`--${name}\` is a whole number`)
}

async function withRemoteLog<T>(call: Call, work: (log: LogReader) => Promise<T>): Promise<T> {
  return withControl(await toAddress(call, 'operator'), async (client) => work(createRemoteLog(client)))
}

/** The log beside the configuration, or that of `--server`; and the key that it must be signed with. */
async function withLog<T>(
  call: Call,
  work: (read: { readonly log: LogReader; readonly vkey: string }) => Promise<T>,
): Promise<T> {
  if (call.text('server') === undefined)
    return withReading(call, async ({ store, vkey }) => work({ log: store.log, vkey: call.text('vkey') ?? vkey }))
  const vkey = call.text('vkey') ?? (await needVkey(call))
  return withRemoteLog(call, async (log) => work({ log, vkey }))
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

/**
 * @module
 * `unbearer audit export | verify | show | tail`, on a store or a folder that the caller has opened or named. Exit codes and
 * JSON as pinned (contracts, "Commands"): 0 intact, 1 tampered, 2 could not be done.
 */
import { readFile, stat } from 'node:fs/promises'
import { commitmentOf } from '../core/bind.ts'
import { type ParsedEntry, parseEntry } from '../core/parse-entry.ts'
import { parseJson } from '../core/parse-json.ts'
import {
  type EvidenceState,
  InputError,
  IntegrityError,
  isJsonObject,
  type Json,
  type JsonObject,
  type LogReader,
  type Store,
  UnavailableError,
} from '../index.ts'
import { archiveLog } from '../server/audit-archive.ts'
import { exportLog, type ExportOptions } from '../server/audit-export.ts'
import { type AuditOptions, type AuditReport, verifyExport, verifyRead, verifyStore } from '../server/audit.ts'
import { toDisplay, toDisplayText } from '../server/display.ts'
import { type ReceiptReport, verifyReceipt } from '../server/receipt.ts'
import type { CommandResult } from './tools.ts'

/** `audit export DIR`. */
export async function auditExport(log: LogReader, dir: string, options: ExportOptions): Promise<CommandResult> {
  return attempt(async () => {
    const { size, text } = await exportLog(log, dir, options)
    return {
      exitCode: 0,
      text: `exported ${size} entries to \`${dir}\``,
      json: { ok: true, entries: size, checkpoint: text },
    }
  })
}

/** `audit archive DIR`. Exit code 1 when the archive is damaged or of another history. */
export async function auditArchive(log: LogReader, dir: string, options: ExportOptions): Promise<CommandResult> {
  return attempt(async () => {
    const { checkpoint, before } = await archiveLog(log, dir, options)
    const added = checkpoint.size - before
    return {
      exitCode: 0,
      text: `archived ${added} new entries, ${checkpoint.size} in all, in \`${dir}\``,
      json: { ok: true, entries: checkpoint.size, added, checkpoint: checkpoint.text },
    }
  })
}

/** What `audit verify` looks at: the live store, the log of another machine, or a path to an export (a folder) or a receipt (a file). */
export type AuditTarget = { readonly store: Store } | { readonly log: LogReader } | { readonly path: string }

/**
 * `audit verify [DIR | RECEIPT]`. The live store and a receipt need `vkey`; an export without one is verified by the key
 * that lies in it, and the text says so.
 */
export async function auditVerify(target: AuditTarget, options: Partial<AuditOptions>): Promise<CommandResult> {
  return attempt(async () => {
    if ('store' in target)
      return toReportResult(await verifyStore(target.store, { ...options, vkey: needVkey(options) }))
    if ('log' in target) return toReportResult(await verifyRead(target.log, { ...options, vkey: needVkey(options) }))
    const found = await stat(target.path).catch((cause: unknown) => {
      throw new InputError(`\`${target.path}\` cannot be read`, 'system.malformed', { cause })
    })
    if (found.isDirectory()) return toReportResult(await verifyExport(target.path, options))
    return toReceiptResult(verifyReceipt(await readFile(target.path, 'utf8'), needVkey(options)))
  })
}

function needVkey({ vkey }: Partial<AuditOptions>): string {
  if (vkey === undefined) throw new InputError('give the verifier key of the log: nothing else says who signed')
  return vkey
}

const AS_SHOWN = 'no witness: as shown by the operator'

function toReportResult(report: AuditReport): CommandResult {
  const { ok, entries, firstBad, problems, keyFrom, ...rest } = report
  const bad = firstBad === undefined ? '' : `; the first bad entry is ${firstBad}`
  const key = keyFrom === 'export' ? '\nthe key was taken from the export itself: this does not show who signed' : ''
  const lines = problems.map((problem) => `\n  ${toDisplayText(problem)}`).join('')
  const verdict = ok ? `intact: ${entries} entries (${AS_SHOWN})` : `TAMPERED or damaged${bad}${lines}`
  const named = firstBad === undefined ? {} : { firstBad }
  return { exitCode: ok ? 0 : 1, text: verdict + key, json: { ok, entries, ...rest, ...named, problems, keyFrom } }
}

function toReceiptResult(report: ReceiptReport): CommandResult {
  if (!report.ok)
    return { exitCode: 1, text: `NOT a receipt of this log: ${report.problems.join('; ')}`, json: { ...report } }
  const text = `intact: entry ${report.index} of ${report.entries} (${AS_SHOWN})\n${toDisplay(report.entry)}`
  return { exitCode: 0, text, json: { ...report } }
}

/** How far the evidence that is kept opens one commitment of an entry. */
type Opening = 'opened' | 'mismatch' | Exclude<EvidenceState, 'kept'>

/**
 * `audit show ID`, from the answer of `entry.show`: the entry, what its commitments hold as far as evidence is kept, and its
 * receipt. Exit code 1 when evidence does not open its commitment or the receipt does not verify.
 */
export async function auditShow(answer: JsonObject, { vkey }: { readonly vkey: string }): Promise<CommandResult> {
  return attempt(async () => {
    const { receipt, evidenceState } = answer
    if (typeof receipt !== 'string') throw new UnavailableError('the entry is not sealed yet, try again')
    const report = verifyReceipt(receipt, vkey)
    // What is shown is what the receipt proves, whatever else the answer says.
    const entry = parseEntry(Buffer.from(receipt.slice(0, receipt.indexOf('\n'))))
    if (entry === undefined) throw new IntegrityError('the receipt is not for an entry of a log')
    const evidence = toObject(answer['evidence'])
    const commitments = toOpenings(entry, evidence, evidenceState === 'erased' ? 'erased' : 'dropped')
    const ok = report.ok && !Object.values(commitments).includes('mismatch')
    const values = toObject(evidence?.['values'])
    const json = { ok, entry: entry.value, commitments, evidence: values ?? null, receipt, witnessed: false }
    return Promise.resolve({
      exitCode: ok ? 0 : 1,
      text: toShown(entry, commitments, values, report, receipt),
      json,
    })
  })
}

function toEvidence(bytes: Uint8Array | undefined): JsonObject | undefined {
  return bytes === undefined ? undefined : (toObject(parseJson(bytes, { numbers: 'any', maxDepth: 512 })) ?? {})
}

function toObject(value: Json | undefined): JsonObject | undefined {
  return isJsonObject(value) ? value : undefined
}

function toOpenings(
  { commitments }: ParsedEntry,
  evidence: JsonObject | undefined,
  gone: Opening,
): Record<string, Opening> {
  const salts = toObject(evidence?.['salts']) ?? {}
  const values = toObject(evidence?.['values']) ?? {}
  const openings = Object.entries(commitments).map(([name, commitment]): [string, Opening] => {
    if (evidence === undefined) return [name, gone]
    return [name, isOpened(commitment, salts[name], values[name]) ? 'opened' : 'mismatch']
  })
  return Object.fromEntries(openings)
}

function isOpened(commitment: string, salt: Json | undefined, value: Json | undefined): boolean {
  if (typeof salt !== 'string' || value === undefined) return false
  const bytes = Buffer.from(salt, 'base64url')
  return bytes.length === 16 && commitmentOf(value, bytes) === commitment
}

function toShown(
  entry: ParsedEntry,
  commitments: Readonly<Record<string, Opening>>,
  values: JsonObject | undefined,
  report: ReceiptReport,
  receipt: string,
): string {
  const proved = report.ok
    ? `entry ${report.index} of ${report.entries} (${AS_SHOWN})`
    : `the log does not prove this entry: ${report.problems.join('; ')}`
  const opened = Object.entries(commitments).map(([name, opening]) => `  ${toDisplayText(name)}: ${opening}`)
  const shown = values === undefined ? [] : ['evidence', toDisplay(values)]
  return [proved, toDisplay(entry.value), 'commitments', ...opened, ...shown, 'receipt', receipt].join('\n')
}

export interface TailOptions {
  /** One JSON object a line instead of text. */
  readonly json?: boolean
  /** How many of the newest entries to begin with; 20 by default. */
  readonly last?: number
  /** The index of the first entry, in the place of `last`: one more than the last that was taken before. */
  readonly from?: number
  /** Only decisions that let nothing through, and those that `enforce` would have stopped. `last` counts those. */
  readonly refused?: boolean
  /** Goes on with what is appended until aborted. */
  readonly follow?: AbortSignal
  /** Milliseconds between two looks at the log; 500 by default. */
  readonly every?: number
  /** The evidence of an entry, to name the tool of a decision in text; without it, or where it is erased, none is named. */
  readonly evidence?: Store['evidence']
}

/**
 * `audit tail`: lines without their end, oldest first. Throws `IntegrityError` when the log is shorter than `from`: whoever read
 * further before has seen another one. Shows what is stored and does not verify it.
 */
export async function* auditTail(log: LogReader, options: TailOptions = {}): AsyncGenerator<string, void, void> {
  const { json = false, last = 20, from, refused = false, follow, every = 500 } = options
  const size = await log.size()
  if (from !== undefined && from > size)
    throw new IntegrityError(`the log has ${size} entries and should have ${from} at least: it was cut, or is another`)
  let next = from ?? (refused ? await findRefused(log, size, last) : Math.max(0, size - last))
  for (;;) {
    const entries = await log.entries(next, next + 256)
    for (const bytes of entries) {
      if (!refused || isRefused(bytes)) yield json ? toJsonLine(next, bytes) : await toLine(next, bytes, options)
      next += 1
    }
    if (entries.length > 0) continue
    if (follow === undefined || follow.aborted) return
    await pause(every, follow)
  }
}

/** From where on there are as many of them as asked for; 0 where there are fewer. */
async function findRefused(log: LogReader, size: number, wanted: number): Promise<number> {
  let missing = wanted
  let start = size
  while (start > 0 && missing > 0) {
    const end = start
    start = Math.max(0, end - 256)
    const entries = await log.entries(start, end)
    for (let i = entries.length - 1; i >= 0; i -= 1) {
      const bytes = entries[i]
      if (bytes === undefined || !isRefused(bytes)) continue
      missing -= 1
      if (missing === 0) return start + i
    }
  }
  return wanted > 0 ? start : size
}

function isRefused(bytes: Uint8Array): boolean {
  const { decision, suspended } = parseEntry(bytes)?.value ?? {}
  if (decision === undefined) return false
  return (decision !== 'permit' && decision !== 'modify') || (Array.isArray(suspended) && suspended.length > 0)
}

/** What a line of `--json` follows: docs/reference/siem.md. Changes when a member goes or means something else. */
const TAIL_SCHEMA = 'unbearer.audit/1'

function toJsonLine(index: number, bytes: Uint8Array): string {
  const entry = parseEntry(bytes)
  const time = entry === undefined ? {} : { time: toTime(entry.time) }
  return JSON.stringify({ schema: TAIL_SCHEMA, index, ...time, entry: entry?.value ?? null })
}

async function toLine(index: number, bytes: Uint8Array, { evidence }: TailOptions): Promise<string> {
  const entry = parseEntry(bytes)
  if (entry === undefined) return `${index} not a log entry`
  const { decision, outcome, act, reason, suspended, plane } = entry.value
  const wouldBe = Array.isArray(suspended) ? [`(enforce would stop it: ${suspended.join(', ')})`] : []
  const tool = decision === undefined ? undefined : await findTool(entry.id, evidence)
  const words = [decision ?? outcome ?? act, reason, ...wouldBe, plane, tool].filter((word) => typeof word === 'string')
  return toDisplayText([index, toTime(entry.time), entry.kind, ...words, entry.id].join(' '))
}

/** What was called, as the evidence says: `upstream/tool`. Evidence that cannot be read names nothing here. */
async function findTool(id: string, evidence: TailOptions['evidence']): Promise<Json | undefined> {
  try {
    const values = toObject(toEvidence(await evidence?.(id))?.['values'])
    return toObject(toObject(values?.['request'])?.['resource'])?.['id']
  } catch {
    return undefined
  }
}

function toTime(time: number): string {
  const date = new Date(time)
  return Number.isNaN(date.getTime()) ? String(time) : date.toISOString()
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = setTimeout(done, ms)
    function done(): void {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    signal.addEventListener('abort', done)
  })
}

/** A broken log is an answer (1); what could not be done is 2. */
async function attempt(act: () => Promise<CommandResult>): Promise<CommandResult> {
  try {
    return await act()
  } catch (cause) {
    // What is neither ours nor of the file system is a bug, and bugs are not answers.
    if (!(cause instanceof Error) || !('code' in cause)) throw cause
    const exitCode = cause instanceof IntegrityError ? 1 : 2
    return { exitCode, text: toDisplayText(cause.message), json: { ok: false, error: cause.message } }
  }
}

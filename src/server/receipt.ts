/**
 * @module
 * The receipt of one entry: its line, then a C2SP tlog-proof. Verifiable offline with nothing but the verifier key of the
 * log (docs/reference/log.md, "Receipts").
 */
import { InputError, IntegrityError, UnavailableError, UnbearerError } from '../core/errors.ts'
import { leafHash, planInclusion, verifyInclusion } from '../core/merkle.ts'
import { parseEntry } from '../core/parse-entry.ts'
import type { JsonObject } from '../core/json.ts'
import { parseTlogProof, TLOG_PROOF, toTlogProof } from '../core/tlog.ts'
import { openCheckpoint, parseVkey } from '../crypto/note.ts'
import type { LogReader } from '../ports/store.ts'
import { readProof } from './head.ts'

/**
 * The receipt of entry `id` under the newest checkpoint. Throws `InputError` when there is no such entry, and
 * `UnavailableError` while its group is not sealed. Does not verify the checkpoint's signature.
 */
export async function toReceipt(log: LogReader, id: string): Promise<string> {
  const index = await log.indexOf(id)
  const [bytes] = index === undefined ? [] : await log.entries(index, index + 1)
  if (index === undefined || bytes === undefined) throw new InputError(`there is no entry \`${id}\``)
  const checkpoint = (await log.checkpoint()) ?? ''
  const size = Number(checkpoint.split('\n')[1] ?? 0)
  if (!(index < size)) throw new UnavailableError('the entry is not sealed yet')
  if (parseEntry(bytes) === undefined) throw new IntegrityError(`entry \`${id}\` is not a log entry`)
  const hashes = await readProof(log, planInclusion(index, size))
  return `${Buffer.from(bytes).toString('utf8')}\n${toTlogProof({ index, hashes, checkpoint })}`
}

export type ReceiptReport =
  | {
      readonly ok: true
      readonly index: number
      /** Entries of the tree that the checkpoint covers. */
      readonly entries: number
      readonly checkpoint: string
      readonly entry: JsonObject
      readonly witnessed: false
    }
  | { readonly ok: false; readonly witnessed: false; readonly problems: readonly string[] }

/**
 * Verifies a receipt, or a bare tlog-proof when `entryBytes` are given. Throws `ConfigError` when `vkey` is not a key. Does
 * not promise that the log showed the same tree to anybody else, nor that the entry's commitments hold what somebody says.
 */
export function verifyReceipt(text: string, vkey: string, entryBytes?: Uint8Array): ReceiptReport {
  const verifier = parseVkey(vkey)
  try {
    const { bytes, proofText } = splitReceipt(text, entryBytes)
    const { extra, index, hashes, checkpoint } = parseTlogProof(proofText)
    if (extra !== undefined) throw new InputError('the proof has extra data, which nothing authenticates')
    const { size, root } = openCheckpoint(checkpoint, verifier)
    const entry = parseEntry(bytes)
    if (entry === undefined) throw new IntegrityError('the entry is not a log entry in canonical form')
    if (!verifyInclusion({ index, size, leaf: leafHash(bytes), root, proof: hashes }))
      throw new IntegrityError(`the entry is not entry ${index} of the tree of the checkpoint`)
    return { ok: true, index, entries: size, checkpoint, entry: entry.value, witnessed: false }
  } catch (cause) {
    if (!(cause instanceof UnbearerError)) throw cause
    return { ok: false, witnessed: false, problems: [cause.message] }
  }
}

function splitReceipt(text: string, given: Uint8Array | undefined): { bytes: Uint8Array; proofText: string } {
  if (text.startsWith(`${TLOG_PROOF}\n`)) {
    if (given === undefined) throw new InputError('the receipt has no entry')
    return { bytes: given, proofText: text }
  }
  const end = text.indexOf('\n')
  const bytes = Buffer.from(text.slice(0, Math.max(0, end)), 'utf8')
  if (given !== undefined && !bytes.equals(given)) throw new IntegrityError('the receipt is for another entry')
  return { bytes, proofText: text.slice(end + 1) }
}

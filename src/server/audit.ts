/**
 * @module
 * Verifies the log, offline: an export, or the live store. Without an outside witness the answer is "as shown by the
 * operator": it shows that nothing was rewritten since the head that the auditor holds, not that there is no second log.
 */
import { InputError, UnbearerError } from '../core/errors.ts'
import { leafHash } from '../core/merkle.ts'
import { TILE_WIDTH, toBase64 } from '../core/tlog.ts'
import { type Checkpoint, openCheckpoint, parseVkey } from '../crypto/note.ts'
import type { LogReader, Store } from '../ports/store.ts'
import { CHECKPOINT_FILE, VKEY_FILE } from './audit-export.ts'
import { compareFiles, listExport, readText, toExportSource } from './audit-files.ts'
import { auditTree, type TreeSource } from './audit-tree.ts'

export interface AuditOptions {
  /** The verifier key that the auditor trusts. */
  readonly vkey: string
  /** A checkpoint that was seen before: the tree must begin with it. */
  readonly head?: string
  readonly onProgress?: (done: number, size: number) => void
}

/** The members up to `firstBad` are pinned (contracts, "Commands"). */
export interface AuditReport {
  readonly ok: boolean
  readonly entries: number
  /** Of the entries as they are, base64; empty when it could not be computed. */
  readonly root: string
  /** As found; empty when there is none. */
  readonly checkpoint: string
  /** No witness is supported yet: nobody but the operator has seen this head. */
  readonly witnessed: false
  /** The index of the first bad entry, where one can be named. */
  readonly firstBad?: number
  readonly problems: readonly string[]
  /** `export`: the key came out of the very files that it verifies, so it shows damage but not who signed. */
  readonly keyFrom: 'auditor' | 'export'
}

/**
 * Verifies an export: every byte of every file. Throws `InputError` when `dir` cannot be read or holds no export. With no
 * `vkey` the one in the export is used, and `keyFrom` says so.
 */
export async function verifyExport(dir: string, options: Partial<AuditOptions> = {}): Promise<AuditReport> {
  if (options.vkey !== undefined) parseVkey(options.vkey)
  const files = await listExport(dir)
  if (!files.sizes.has(VKEY_FILE) && !files.sizes.has(CHECKPOINT_FILE))
    throw new InputError(`\`${dir}\` holds no export`)
  const keyFrom = options.vkey === undefined ? 'export' : 'auditor'
  const vkeyFile = await readText(dir, VKEY_FILE)
  const vkey = options.vkey ?? vkeyFile.replace(/\n$/u, '')
  const checkpoint = await readText(dir, CHECKPOINT_FILE)
  const problems = vkeyFile === `${vkey}\n` ? [] : [`\`${VKEY_FILE}\` is not the key of this log`]
  const opened = open(checkpoint, vkey, problems)
  // A tree cannot be walked that the files are far too few for, whatever size was signed.
  if (opened !== undefined && opened.size > files.sizes.size * TILE_WIDTH) problems.push('files are missing')
  else if (opened !== undefined) {
    problems.push(...compareFiles(files, opened.size))
    return audit(toExportSource(dir, opened.size, problems), opened, { ...options, vkey }, problems, keyFrom)
  }
  return toUnopened(checkpoint, problems, keyFrom)
}

/**
 * Verifies the live store: the tree from its entries, every node, the index of ids, the checkpoint, the head outside, and
 * what the engine below says of itself. Entries that are not sealed yet are not looked at.
 */
export async function verifyStore(store: Store, options: AuditOptions): Promise<AuditReport> {
  parseVkey(options.vkey)
  const problems = (await store.check()).map((line) => `the store reports: ${line}`)
  const checkpoint = (await store.log.checkpoint()) ?? ''
  if (checkpoint === '' && (await store.log.size()) === 0) return toEmpty(options, problems)
  const opened = open(checkpoint, options.vkey, problems)
  if (opened === undefined) return toUnopened(checkpoint, problems, 'auditor')
  return audit(toStoreSource(store, opened.size), opened, options, problems, 'auditor')
}

/**
 * Verifies a log by its entries and its newest checkpoint alone, as somebody shows them: that they have the signed root. Says
 * nothing of what is stored beside them, nor whether it is the log that others are shown.
 */
export async function verifyRead(log: LogReader, options: AuditOptions): Promise<AuditReport> {
  parseVkey(options.vkey)
  const problems: string[] = []
  const checkpoint = (await log.checkpoint()) ?? ''
  if (checkpoint === '' && (await log.size()) === 0) return toEmpty(options, problems)
  const opened = open(checkpoint, options.vkey, problems)
  if (opened === undefined) return toUnopened(checkpoint, problems, 'auditor')
  const { entry } = toReadSource(log, opened.size)
  const node: TreeSource['node'] = async (_level, index) => {
    const bytes = await entry(index)
    return bytes === undefined ? undefined : leafHash(bytes)
  }
  return audit({ size: opened.size, entry, hasLevel: () => false, node }, opened, options, problems, 'auditor')
}

async function audit(
  source: TreeSource,
  opened: Checkpoint,
  options: AuditOptions,
  problems: string[],
  keyFrom: AuditReport['keyFrom'],
): Promise<AuditReport> {
  const head = options.head === undefined ? undefined : open(options.head, options.vkey, problems, 'the head outside')
  const found = await auditTree(source, opened.root, {
    ...(head === undefined ? {} : { headSize: head.size }),
    ...(options.onProgress === undefined ? {} : { onProgress: options.onProgress }),
  })
  problems.push(...found.problems)
  if (head !== undefined && head.size > 0 && !isRoot(head, found.rootAtHead))
    problems.push(`the log does not begin with the tree of the head outside, of ${head.size} entries`)
  return {
    ok: problems.length === 0,
    entries: opened.size,
    root: toBase64(found.root),
    checkpoint: opened.text,
    witnessed: false,
    ...(found.firstBad === undefined ? {} : { firstBad: found.firstBad }),
    problems,
    keyFrom,
  }
}

function isRoot(head: Checkpoint, root: Uint8Array | undefined): boolean {
  return root !== undefined && Buffer.from(head.root).equals(root)
}

/** Opens a checkpoint or says why not: for an auditor that is a finding and not a fault. */
function open(text: string, vkey: string, problems: string[], what = 'the checkpoint'): Checkpoint | undefined {
  try {
    return openCheckpoint(text, vkey)
  } catch (cause) {
    if (!(cause instanceof UnbearerError)) throw cause
    problems.push(text === '' ? `${what} is missing` : `${what} is not one by the key of this log: ${cause.message}`)
    return undefined
  }
}

function toUnopened(checkpoint: string, problems: readonly string[], keyFrom: AuditReport['keyFrom']): AuditReport {
  return { ok: false, entries: 0, root: '', checkpoint, witnessed: false, problems, keyFrom }
}

function toEmpty({ head, vkey }: AuditOptions, problems: string[]): AuditReport {
  const opened = head === undefined ? undefined : open(head, vkey, problems, 'the head outside')
  if (opened !== undefined && opened.size > 0)
    problems.push(`the log is empty and the head outside has ${opened.size} entries`)
  return { ...toUnopened('', problems, 'auditor'), ok: problems.length === 0 }
}

/** Entries in groups: one at a time would be a trip for each. */
function toReadSource(log: LogReader, size: number): Pick<TreeSource, 'size' | 'entry'> {
  let bundle: { readonly index: number; readonly entries: readonly Uint8Array[] } | undefined
  return {
    size,
    async entry(index) {
      const at = Math.floor(index / TILE_WIDTH)
      if (bundle?.index !== at)
        bundle = { index: at, entries: await log.entries(at * TILE_WIDTH, (at + 1) * TILE_WIDTH) }
      return bundle.entries[index % TILE_WIDTH]
    },
  }
}

function toStoreSource({ log }: Store, size: number): TreeSource {
  return {
    ...toReadSource(log, size),
    hasLevel: () => true,
    node: (level, index) => log.node(level, index),
    async inspect(index, { id }) {
      return (await log.indexOf(id)) === index ? undefined : `entry ${index} is not found under its id`
    },
  }
}

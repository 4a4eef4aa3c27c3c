/**
 * @module
 * An archive of the log: an export that grows. Each run verifies what is there, proves that the live log begins with it, and
 * adds what is new; whole tiles are never written twice.
 */
import { existsSync } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { join } from 'node:path'

import { InputError, IntegrityError } from '../core/errors.ts'
import { toTilePath, toTiles } from '../core/tlog.ts'
import { type Checkpoint, openCheckpoint } from '../crypto/note.ts'
import type { LogReader } from '../ports/store.ts'
import { CHECKPOINT_FILE, type ExportOptions, exportLog, putFile, readTile, VKEY_FILE } from './audit-export.ts'
import { listExport, readText, toExportSource } from './audit-files.ts'
import { auditTree } from './audit-tree.ts'
import { checkHead } from './head.ts'

export interface Archived {
  readonly checkpoint: Checkpoint
  /** How many entries the archive had before. */
  readonly before: number
}

/**
 * Brings the archive in `dir` up to the newest checkpoint, or begins it where `dir` is empty or absent. Throws
 * `IntegrityError`, and changes nothing, when the archive was damaged or is not the beginning of this log; `InputError` for a
 * folder of something else, also of a first run that was broken off. A later run that was broken off is made good by the
 * next. Removes nothing from the live store.
 */
export async function archiveLog(log: LogReader, dir: string, options: ExportOptions): Promise<Archived> {
  if (!existsSync(join(dir, CHECKPOINT_FILE))) return { checkpoint: await exportLog(log, dir, options), before: 0 }
  const old = await openArchive(dir, options)
  await assertBegins(log, old, dir, options)
  const text = await log.checkpoint()
  if (text === undefined) throw new IntegrityError('the log is empty and its archive is not')
  const checkpoint = openCheckpoint(text, options.vkey)
  await addTiles(log, dir, [old.size, checkpoint.size], options)
  // Last, so that until then the archive is the old one, whole.
  await putFile(dir, `${CHECKPOINT_FILE}.new`, text)
  await rename(join(dir, `${CHECKPOINT_FILE}.new`), join(dir, CHECKPOINT_FILE))
  await removeOutgrown(dir, checkpoint.size)
  return { checkpoint, before: old.size }
}

async function assertBegins(log: LogReader, old: Checkpoint, dir: string, { vkey }: ExportOptions): Promise<void> {
  try {
    await checkHead(log, old.text, vkey)
  } catch (cause) {
    if (!(cause instanceof IntegrityError)) throw cause
    const why =
      'if it was restored or recovered since, an entry `continuity.…` of `unbearer audit tail` says so: keep this'
    throw new IntegrityError(
      `the log does not begin with the ${old.size} entries of \`${dir}\`: it was cut or swapped; ${why} archive as it is, and begin another in a new folder`,
      { cause },
    )
  }
}

/** The checkpoint of the archive, once its entries have the root that was signed and every hash is theirs. */
async function openArchive(dir: string, { vkey }: ExportOptions): Promise<Checkpoint> {
  if ((await readText(dir, VKEY_FILE)) !== `${vkey}\n`)
    throw new InputError(`\`${dir}\` is an archive of another log, or of none; give a new folder`)
  const checkpoint = openCheckpoint(await readText(dir, CHECKPOINT_FILE), vkey)
  const problems: string[] = []
  const found = await auditTree(toExportSource(dir, checkpoint.size, problems), checkpoint.root)
  const [first] = [...problems, ...found.problems]
  if (first !== undefined) throw new IntegrityError(`the archive \`${dir}\` is damaged: ${first}`)
  return checkpoint
}

/** Writes what the archive of the old size did not have, also over what lies there: nobody has verified that. */
async function addTiles(
  log: LogReader,
  dir: string,
  [from, to]: readonly [from: number, to: number],
  { onProgress }: ExportOptions,
): Promise<void> {
  const known = new Set(toTiles(from).map(toTilePath))
  const tiles = toTiles(to).filter((tile) => !known.has(toTilePath(tile)))
  for (const [i, tile] of tiles.entries()) {
    const path = toTilePath(tile)
    // Under another name first: a tile that was cut short would pass for one that is there.
    await putFile(dir, `${path}.new`, await readTile(log, tile))
    await rename(join(dir, `${path}.new`), join(dir, path))
    onProgress?.(i + 1, tiles.length)
  }
}

/** Removes the unfinished tiles that whole ones, or longer ones, have taken the place of. */
async function removeOutgrown(dir: string, size: number): Promise<void> {
  const wanted = new Set(toTiles(size).map(toTilePath))
  const { sizes } = await listExport(dir)
  for (const path of sizes.keys()) {
    if (path.startsWith('tile/') && !wanted.has(path)) await rm(join(dir, path), { force: true })
  }
}

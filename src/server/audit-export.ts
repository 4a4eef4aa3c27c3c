/**
 * @module
 * The log as files that anybody can read and serve: C2SP tlog-tiles, the signed checkpoint, and the verifier key.
 */
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { InputError, IntegrityError } from '../core/errors.ts'
import { type Tile, TILE_HEIGHT, TILE_WIDTH, toBundle, toTilePath, toTiles } from '../core/tlog.ts'
import { type Checkpoint, openCheckpoint } from '../crypto/note.ts'
import type { LogReader } from '../ports/store.ts'

export const CHECKPOINT_FILE = 'checkpoint'
export const VKEY_FILE = 'vkey'

export interface ExportOptions {
  readonly vkey: string
  /** Files written so far, and how many there will be. */
  readonly onProgress?: (done: number, total: number) => void
}

/**
 * Writes the log up to its newest checkpoint into `dir`, which must be empty or absent. Hashes go out as they are stored, so
 * that `verifyExport` sees what a reader would. Throws `InputError` for an empty log or a folder that is in use,
 * `IntegrityError` when the checkpoint is not by `vkey` or a node is missing. Does not verify the tree.
 */
export async function exportLog(log: LogReader, dir: string, { vkey, onProgress }: ExportOptions): Promise<Checkpoint> {
  const text = await log.checkpoint()
  if (text === undefined) throw new InputError('the log is empty: there is nothing to export yet')
  const checkpoint = openCheckpoint(text, vkey)
  await takeFolder(dir)
  const tiles = toTiles(checkpoint.size)
  for (const [i, tile] of tiles.entries()) {
    await putFile(dir, toTilePath(tile), await readTile(log, tile))
    onProgress?.(i + 1, tiles.length)
  }
  await putFile(dir, VKEY_FILE, `${vkey}\n`)
  // Last, so that an export that was cut short has none and does not pass for a whole one.
  await putFile(dir, CHECKPOINT_FILE, text)
  return checkpoint
}

async function takeFolder(dir: string): Promise<void> {
  const found = await mkdir(dir, { recursive: true })
    .then(async () => readdir(dir))
    .catch((cause: unknown) => {
      const why = 'is not a folder, or cannot be made; give a new folder'
      throw new InputError(`\`${dir}\` ${why}`, 'system.malformed', { cause })
    })
  if (found.length > 0) throw new InputError(`\`${dir}\` is not empty; give a new folder`)
}

/** The bytes of a tile, as stored. Throws `IntegrityError` when a node is missing. */
export async function readTile(log: LogReader, { level, index, width }: Tile): Promise<Uint8Array> {
  const start = index * TILE_WIDTH
  if (level === 'entries') return toBundle(await log.entries(start, start + width))
  const hashes: Uint8Array[] = []
  for (let i = 0; i < width; i += 1) {
    const hash = await log.node(level * TILE_HEIGHT, start + i)
    if (hash === undefined)
      throw new IntegrityError(`node \`${start + i}\` of level \`${level * TILE_HEIGHT}\` is missing`)
    hashes.push(hash)
  }
  return Buffer.concat(hashes)
}

/** Writes a file of an export, and waits for the disk. */
export async function putFile(dir: string, path: string, content: Uint8Array | string): Promise<void> {
  const file = join(dir, path)
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, content, { flush: true })
}

/**
 * @module
 * Reads an export back, trusting nothing in it: what is there, what is missing, what is too much.
 */
import { readdir, readFile, stat } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'
import { InputError } from '../core/errors.ts'
import { HASH_BYTES } from '../core/merkle.ts'
import { readBundle, type Tile, TILE_HEIGHT, TILE_WIDTH, toTilePath, toTiles } from '../core/tlog.ts'
import { CHECKPOINT_FILE, VKEY_FILE } from './audit-export.ts'
import type { TreeSource } from './audit-tree.ts'

export interface ExportFiles {
  /** Path within the export, with `/`, to size in bytes. */
  readonly sizes: ReadonlyMap<string, number>
  /** Links, devices and the like: never followed. */
  readonly strange: readonly string[]
}

/** Throws `InputError` when `dir` cannot be read. */
export async function listExport(dir: string): Promise<ExportFiles> {
  const sizes = new Map<string, number>()
  const strange: string[] = []
  try {
    for (const found of await readdir(dir, { recursive: true, withFileTypes: true })) {
      const path = join(found.parentPath, found.name)
      const name = relative(dir, path).split(sep).join('/')
      if (found.isFile()) sizes.set(name, (await stat(path)).size)
      else if (!found.isDirectory()) strange.push(name)
    }
  } catch (cause) {
    throw new InputError(`\`${dir}\` cannot be read`, 'system.malformed', { cause })
  }
  return { sizes, strange }
}

/** The text of a file; empty when it is absent or cannot be read. */
export async function readText(dir: string, name: string): Promise<string> {
  return readFile(join(dir, name), 'utf8').catch(() => '')
}

/** What the files of an export of `size` entries are, against what they should be. Contents come later. */
export function compareFiles({ sizes, strange }: ExportFiles, size: number): readonly string[] {
  const problems = strange.map((path) => `\`${path}\` is neither a file nor a folder`)
  const expected = new Set([CHECKPOINT_FILE, VKEY_FILE])
  for (const tile of toTiles(size)) {
    const path = toTilePath(tile)
    expected.add(path)
    const bytes = sizes.get(path)
    if (bytes === undefined) problems.push(`\`${path}\` is missing`)
    else if (tile.level !== 'entries' && bytes !== tile.width * HASH_BYTES)
      problems.push(`\`${path}\` has ${bytes} bytes and should have ${tile.width * HASH_BYTES}`)
  }
  return [
    ...problems,
    ...[...sizes.keys()].filter((path) => !expected.has(path)).map((path) => `\`${path}\` does not belong here`),
  ]
}

interface Bundle {
  readonly index: number
  readonly entries: readonly Uint8Array[]
}

/** The tree of an export as its files have it. What is wrong with the form of a bundle is added to `problems`. */
export function toExportSource(dir: string, size: number, problems: string[]): TreeSource {
  const tiles = new Map<number, { readonly index: number; readonly bytes: Uint8Array }>()
  let bundle: Bundle | undefined
  async function readTile(level: number, index: number): Promise<Uint8Array> {
    const known = tiles.get(level)
    if (known?.index === index) return known.bytes
    const bytes = await readFileOf(dir, toTile(level, index, Math.floor(size / TILE_WIDTH ** level)))
    tiles.set(level, { index, bytes })
    return bytes
  }
  return {
    size,
    async entry(index) {
      const at = Math.floor(index / TILE_WIDTH)
      if (bundle?.index !== at) bundle = await openBundle(dir, toTile('entries', at, size), problems)
      return bundle.entries[index % TILE_WIDTH]
    },
    hasLevel: (level) => level % TILE_HEIGHT === 0,
    async node(level, index) {
      const bytes = await readTile(level / TILE_HEIGHT, Math.floor(index / TILE_WIDTH))
      const start = (index % TILE_WIDTH) * HASH_BYTES
      return start + HASH_BYTES <= bytes.length ? bytes.subarray(start, start + HASH_BYTES) : undefined
    },
  }
}

function toTile(level: Tile['level'], index: number, count: number): Tile {
  return { level, index, width: Math.min(TILE_WIDTH, count - index * TILE_WIDTH) }
}

async function openBundle(dir: string, tile: Tile, problems: string[]): Promise<Bundle> {
  const { entries, rest } = readBundle(await readFileOf(dir, tile))
  if (rest > 0 || entries.length !== tile.width)
    problems.push(`\`${toTilePath(tile)}\` does not hold exactly ${tile.width} entries`)
  return { index: tile.index, entries }
}

/** A file that is missing reads as empty: `compareFiles` has named it. */
async function readFileOf(dir: string, tile: Tile): Promise<Uint8Array> {
  return readFile(join(dir, toTilePath(tile))).catch(() => new Uint8Array())
}

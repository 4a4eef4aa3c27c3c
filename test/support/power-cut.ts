/**
 * @module
 * What a disk holds after a loss of power, rebuilt from what `power-cut.c` has recorded: what was waited for is there, of
 * the rest anything may be.
 *
 * - A file has the bytes of its last fsync. Of what was written after it, any part of 512 bytes may be there or not.
 * - A folder has the names of its last fsync. Of what was created, renamed or removed after it, the first so many are there:
 *   file systems keep the order of names within a folder, and nothing else. In a file whose name is there and which was never
 *   waited for, there may be nothing.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

import type { Random } from './random.ts'

const SOURCE = join(import.meta.dirname, 'power-cut.c')
const SECTOR = 512

/** Compiles the recorder into `dir`. Undefined, with a notice, where there is no compiler or another system. */
export function compileRecorder(dir: string): string | undefined {
  const library = join(dir, 'power-cut.so')
  try {
    if (process.platform !== 'linux') throw new Error('not linux')
    execFileSync('gcc', ['-shared', '-fPIC', '-O1', '-o', library, SOURCE, '-lpthread'], { stdio: 'pipe' })
    return library
  } catch {
    console.info('skipped: the loss of power, because there is no gcc here, or this is not Linux')
    return undefined
  }
}

/** The environment of a process that is to be recorded. */
export function toRecorded(library: string, log: string, folders: readonly string[]): Record<string, string> {
  return { LD_PRELOAD: library, POWER_CUT_LOG: log, POWER_CUT_DIRS: folders.join(':') }
}

interface Change {
  readonly at: number
  /** Absent: the file is cut to `at`. */
  readonly bytes?: Buffer
}

interface File {
  durable: Buffer
  readonly pending: Change[]
}

type Naming =
  | { readonly kind: 'link'; readonly path: string; readonly file: number }
  | { readonly kind: 'move'; readonly from: string; readonly path: string; readonly file: number }
  | { readonly kind: 'remove'; readonly path: string }
  | { readonly kind: 'folder'; readonly path: string }

interface Disk {
  readonly files: Map<number, File>
  /** Path to number of the file. */
  readonly names: Map<string, number>
  readonly folders: Set<string>
  /** By folder. */
  readonly pending: Map<string, Naming[]>
}

const OPS = ['', 'open', 'create', 'write', 'truncate', 'sync', 'rename', 'unlink', 'mkdir', 'sync-folder'] as const

interface Recorded {
  readonly op: (typeof OPS)[number]
  readonly file: number
  readonly offset: number
  readonly path: string
  readonly data: Buffer
}

function* readRecords(path: string): Generator<Recorded, void, void> {
  const log = readFileSync(path)
  for (let at = 0; at + 24 <= log.length;) {
    const [named, length] = [log.readUInt32LE(at + 16), log.readUInt32LE(at + 20)]
    const data = at + 24 + named
    if (data + length > log.length) return
    yield {
      op: OPS[log.readUInt32LE(at)] ?? '',
      file: log.readUInt32LE(at + 4),
      offset: Number(log.readBigUInt64LE(at + 8)),
      path: log.toString('utf8', at + 24, data),
      data: log.subarray(data, data + length),
    }
    at = data + length
  }
}

export interface PowerCut {
  /** The folders that were recorded. They are replaced by what a disk would hold. */
  readonly folders: readonly string[]
  readonly log: string
  /** How they were before: everything in it was on the disk. Folder for folder, under the same paths below it. */
  readonly before: string
  /** Absent: nothing is there that was not waited for. */
  readonly random?: Random
}

/** Copies the folders to where `cutPower` finds them. */
export function keepBefore(folders: readonly string[], before: string): void {
  rmSync(before, { recursive: true, force: true })
  for (const folder of folders)
    for (const path of existsSync(folder) ? listFiles(folder) : []) put(join(before, path), readFileSync(path))
}

/** Pulls the plug: the process must be gone. Answers what was not waited for and is lost, for people. */
export function cutPower({ folders, log, before, random }: PowerCut): { readonly lost: number } {
  const disk: Disk = { files: new Map(), names: new Map(), folders: new Set(folders), pending: new Map() }
  let number = 2 ** 32
  for (const path of existsSync(before) ? listFiles(before) : []) {
    disk.files.set((number += 1), { durable: readFileSync(path), pending: [] })
    disk.names.set(path.slice(before.length), number)
    disk.folders.add(dirname(path.slice(before.length)))
  }
  for (const record of existsSync(log) ? readRecords(log) : []) replay(disk, record)
  const lost = [...disk.files.values()].reduce((sum, file) => sum + file.pending.length, 0)
  if (random !== undefined) keepSome(disk, random)
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
  for (const folder of disk.folders)
    if (isWhole(disk, folder, folders)) mkdirSync(folder, { recursive: true, mode: 0o700 })
  for (const [path, file] of disk.names) {
    // Written through a memory map, and made anew by whoever opens the database first.
    if (path.endsWith('-shm') || !isWhole(disk, dirname(path), folders)) continue
    put(path, disk.files.get(file)?.durable ?? Buffer.alloc(0))
  }
  return { lost }
}

/** True when the folder and those above it, as far as they are recorded, are there. */
function isWhole(disk: Disk, folder: string, roots: readonly string[]): boolean {
  return roots.includes(folder) || (disk.folders.has(folder) && isWhole(disk, dirname(folder), roots))
}

function replay(disk: Disk, { op, file, offset, path, data }: Recorded): void {
  const found = disk.files.get(file) ?? { durable: Buffer.alloc(0), pending: [] }
  switch (op) {
    case 'open':
      disk.files.set(file, disk.files.get(disk.names.get(path) ?? -1) ?? found)
      if (disk.names.has(path)) disk.names.set(path, file)
      return
    case 'create':
      disk.files.set(file, found)
      return name(disk, { kind: 'link', path, file })
    case 'write':
      return void found.pending.push({ at: offset, bytes: Buffer.from(data) })
    case 'truncate':
      return void found.pending.push({ at: offset })
    case 'sync':
      for (const change of found.pending.splice(0)) found.durable = apply(found.durable, change)
      return
    case 'rename':
      return name(disk, { kind: 'move', from: path, path: data.toString('utf8'), file })
    case 'unlink':
      return name(disk, { kind: 'remove', path })
    case 'mkdir':
      return name(disk, { kind: 'folder', path })
    case 'sync-folder':
      for (const naming of disk.pending.get(path)?.splice(0) ?? []) applyName(disk, naming)
      return
    case '':
    default:
      throw new Error('a record of an unknown kind')
  }
}

function name(disk: Disk, naming: Naming): void {
  const folder = dirname(naming.path)
  const pending = disk.pending.get(folder) ?? []
  pending.push(naming)
  disk.pending.set(folder, pending)
}

function applyName(disk: Disk, naming: Naming): void {
  if (naming.kind === 'folder') return void disk.folders.add(naming.path)
  if (naming.kind === 'remove') return void disk.names.delete(naming.path)
  if (naming.kind === 'move') disk.names.delete(naming.from)
  disk.names.set(naming.path, naming.file)
}

function apply(content: Buffer, { at, bytes }: Change): Buffer {
  const length = bytes === undefined ? at : Math.max(content.length, at + bytes.length)
  const grown = length === content.length ? content : Buffer.concat([content, Buffer.alloc(length)], length)
  bytes?.copy(grown, at)
  return grown
}

function keepSome(disk: Disk, random: Random): void {
  for (const file of disk.files.values()) {
    // Sometimes nearly all, sometimes nearly nothing.
    const kept = random.below(11) / 10
    for (const change of file.pending.splice(0))
      for (const part of toSectors(change)) if (random.chance(kept)) file.durable = apply(file.durable, part)
  }
  for (const pending of disk.pending.values())
    for (const naming of pending.splice(0, random.below(pending.length + 1))) applyName(disk, naming)
}

function toSectors({ at, bytes }: Change): readonly Change[] {
  if (bytes === undefined) return [{ at }]
  const parts: Change[] = []
  for (let start = 0; start < bytes.length;) {
    const end = Math.min(bytes.length, start + SECTOR - ((at + start) % SECTOR))
    parts.push({ at: at + start, bytes: bytes.subarray(start, end) })
    start = end
  }
  return parts
}

function listFiles(folder: string): readonly string[] {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true })
  return entries.flatMap((entry) => (entry.isFile() ? [join(entry.parentPath, entry.name)] : []))
}

function put(path: string, bytes: Uint8Array): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  writeFileSync(path, bytes, { mode: 0o600 })
}

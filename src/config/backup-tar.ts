/**
 * @module
 * A folder of plain files as one file: POSIX ustar, so that `tar` reads it. Only what a backup needs: no links, no modes of
 * others, names of at most 100 bytes.
 */
import { closeSync, fsyncSync, mkdirSync, openSync, readSync, statSync, writeSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { InputError } from '../core/errors.ts'

const BLOCK = 512
const CHUNK = 1024 * 1024

/** Writes `names`, which are paths within `dir` with `/`, into the new file `to`, mode 0600, and waits for the disk. */
export function writeTar(dir: string, names: readonly string[], to: string): void {
  const out = openSync(to, 'wx', 0o600)
  try {
    for (const name of names) append(out, join(dir, name), name)
    writeSync(out, Buffer.alloc(2 * BLOCK))
    fsyncSync(out)
  } finally {
    closeSync(out)
  }
}

function append(out: number, path: string, name: string): void {
  const { size, mtimeMs } = statSync(path)
  writeSync(out, toHeader(name, size, Math.floor(mtimeMs / 1000)))
  const file = openSync(path, 'r')
  try {
    copy(file, out, size)
  } finally {
    closeSync(file)
  }
  writeSync(out, Buffer.alloc(toPadding(size)))
}

function copy(from: number, to: number, size: number): void {
  const chunk = Buffer.alloc(Math.min(CHUNK, Math.max(1, size)))
  for (let left = size; left > 0;) {
    const count = readSync(from, chunk, 0, Math.min(chunk.length, left), null)
    if (count === 0) throw new InputError('the archive or a file of it ends too early')
    for (let at = 0; at < count;) at += writeSync(to, chunk, at, count - at)
    left -= count
  }
}

const toPadding = (size: number): number => (BLOCK - (size % BLOCK)) % BLOCK

function toHeader(name: string, size: number, seconds: number): Buffer {
  const header = Buffer.alloc(BLOCK)
  if (Buffer.byteLength(name) > 100) throw new InputError(`the name \`${name}\` is too long for an archive`)
  header.write(name, 0)
  header.write('0000600\0', 100)
  header.write('0000000\0', 108)
  header.write('0000000\0', 116)
  header.write(`${toOctal(size)}\0`, 124)
  header.write(`${toOctal(seconds)}\0`, 136)
  header.write('0', 156)
  header.write('ustar\x0000', 257)
  header.write(`${checksum(header).toString(8).padStart(6, '0')}\0 `, 148)
  return header
}

function toOctal(value: number): string {
  const digits = value.toString(8).padStart(11, '0')
  if (digits.length > 11) throw new InputError('a file is too large for an archive, give a folder instead')
  return digits
}

/** The sum of all bytes, those of the sum itself being spaces. */
function checksum(header: Buffer): number {
  return header.reduce((sum, byte, at) => sum + (at >= 148 && at < 156 ? 32 : byte), 0)
}

/**
 * Puts the files of the archive `from` into the new folder `dir`. `isExpected` is asked of each name before anything of it is
 * written. Throws `InputError` for what `writeTar` does not write.
 */
export function extractTar(from: string, dir: string, isExpected: (name: string) => boolean): void {
  const file = openSync(from, 'r')
  try {
    for (;;) {
      const header = readBlock(file)
      if (header === undefined || header.every((byte) => byte === 0)) return
      const { name, size } = parseHeader(header)
      if (!isExpected(name)) throw new InputError(`the archive holds \`${name}\`, which does not belong into a backup`)
      extractOne(file, join(dir, name), size)
    }
  } finally {
    closeSync(file)
  }
}

function extractOne(file: number, path: string, size: number): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  const out = openSync(path, 'wx', 0o600)
  try {
    copy(file, out, size)
    readSync(file, Buffer.alloc(BLOCK), 0, toPadding(size), null)
  } finally {
    closeSync(out)
  }
}

function readBlock(file: number): Buffer | undefined {
  const block = Buffer.alloc(BLOCK)
  return readSync(file, block, 0, BLOCK, null) === BLOCK ? block : undefined
}

function parseHeader(header: Buffer): { readonly name: string; readonly size: number } {
  const text = (start: number, end: number): string => {
    const field = header.subarray(start, end)
    const nul = field.indexOf(0)
    return field.subarray(0, nul < 0 ? field.length : nul).toString('utf8')
  }
  const [kind, size, sum] = [text(156, 157), text(124, 136).trim(), text(148, 156).trim()]
  const isPlain = kind === '0' && text(257, 263) === 'ustar' && /^[0-7]{1,11}$/.test(size)
  if (!isPlain || Number.parseInt(sum, 8) !== checksum(header))
    throw new InputError('this is not an archive of `backup`')
  return { name: text(0, 100), size: Number.parseInt(size, 8) }
}

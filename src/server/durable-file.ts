/**
 * @module
 * Files that are on the disk once a function returns: their bytes and their name, which a file system keeps apart.
 */
import { closeSync, existsSync, fsyncSync, openSync, readdirSync, renameSync, writeSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** Replaces the file at `path` with `bytes`, whole or not at all, mode 0600. Throws what the file system says. */
export function writeDurably(path: string, bytes: Uint8Array): void {
  const fresh = `${path}.new`
  writeAndSync(fresh, 'w', bytes)
  renameSync(fresh, path)
  syncFolder(dirname(path))
}

/** Appends `bytes` to the file at `path`, which is made when it is not there. Throws what the file system says. */
export function appendDurably(path: string, bytes: Uint8Array): void {
  const isNew = !existsSync(path)
  writeAndSync(path, 'a', bytes)
  if (isNew) syncFolder(dirname(path))
}

function writeAndSync(path: string, flag: 'w' | 'a', bytes: Uint8Array): void {
  const file = openSync(path, flag, 0o600)
  try {
    for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}

/** Puts the bytes of a file that was written by somebody else on the disk. */
export function syncFile(path: string): void {
  const file = openSync(path, 'r+')
  try {
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}

/** Puts the names in a folder on the disk. Windows has no such thing. */
export function syncFolder(path: string): void {
  if (process.platform === 'win32') return
  const folder = openSync(path, 'r')
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}

/** Puts everything below a folder on the disk, names last. Not for databases that are open. */
export function syncTree(path: string): void {
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    const below = join(path, entry.name)
    if (entry.isDirectory()) syncTree(below)
    else if (entry.isFile()) syncFile(below)
  }
  syncFolder(path)
}

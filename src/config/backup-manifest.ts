/**
 * @module
 * What a backup holds: the names, sizes and digests of its files, signed by the key of the log, because most of a store is
 * not in the log: whoever could write records or policies into a backup would be granted what they like by its restoration.
 */
import { createHash } from 'node:crypto'
import { closeSync, openSync, readdirSync, readSync, statSync } from 'node:fs'
import { join } from 'node:path'

import { canonicalBytes } from '../core/canonical.ts'
import { InputError, IntegrityError } from '../core/errors.ts'
import { asJson, isJsonObject, type Json, type JsonObject } from '../core/json.ts'
import { parseJson } from '../core/parse-json.ts'
import { signBytes, verifyBytes, type KeyPair } from '../crypto/keys.ts'

export const MANIFEST = 'manifest.json'
export const STORE = 'store.db'
export const HEAD = 'head'
export const JOURNAL = 'journal'
export const CONFIG = 'unbearer.yaml'

export interface BackupFile {
  /** Within the backup, with `/`. */
  readonly path: string
  readonly bytes: number
  /** Hexadecimal. */
  readonly sha256: string
}

export interface BackupManifest {
  readonly kind: 'unbearer-backup'
  readonly version: 1
  /** Milliseconds since the epoch: the moment before the copy was begun. */
  readonly createdAt: number
  /** The version of unbearer that made it. */
  readonly madeBy: string
  readonly issuer: string
  readonly log: { readonly entries: number; readonly root: string }
  /** The newest revocation that it knows. */
  readonly rev: number
  readonly files: readonly BackupFile[]
}

const DOMAIN = new TextEncoder().encode('unbearer-backup-v1\0')

/** The names that a backup may hold: nothing that could lead out of a folder. */
export function isBackupName(name: string): boolean {
  return /^(?:manifest\.json|store\.db|head|journal|unbearer\.yaml|(?:manifests|operators|engine\/\d{1,3})\/[A-Za-z0-9_][\w.@ -]{0,80})$/.test(
    name,
  )
}

/** Name, size and digest of each file below `dir`, in order of the names. */
export function listBackupFiles(dir: string): readonly BackupFile[] {
  const names = readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) =>
      join(entry.parentPath, entry.name)
        .slice(dir.length + 1)
        .replaceAll('\\', '/'),
    )
  return names
    .filter((name) => name !== MANIFEST)
    .toSorted((a, b) => (a < b ? -1 : 1))
    .map((path) => ({ path, bytes: statSync(join(dir, path)).size, sha256: digestOfFile(join(dir, path)) }))
}

function digestOfFile(path: string): string {
  const digest = createHash('sha256')
  const chunk = Buffer.alloc(1024 * 1024)
  const file = openSync(path, 'r')
  try {
    for (let count = readSync(file, chunk); count > 0; count = readSync(file, chunk))
      digest.update(chunk.subarray(0, count))
    return digest.digest('hex')
  } finally {
    closeSync(file)
  }
}

/** The text of `manifest.json`. */
export function toManifestText(manifest: BackupManifest, logKey: KeyPair): string {
  const said: JsonObject = { ...manifest, log: { ...manifest.log }, files: manifest.files.map(asJson) }
  const signature = signBytes(logKey, toMessage(said)).toString('base64url')
  return `${JSON.stringify({ ...said, signature }, null, 2)}\n`
}

/** `unbearer-backup-v1`, a zero byte, RFC 8785 of the manifest without its signature. */
function toMessage(said: JsonObject): Uint8Array {
  return Buffer.concat([DOMAIN, canonicalBytes(said)])
}

/**
 * Parses a manifest that `logKey` signed. Throws `InputError` for what is none, `IntegrityError` for one that somebody else
 * signed or changed. Does not look at the files: `assertFiles` does.
 */
export function parseBackupManifest(text: string, logKey: KeyPair): BackupManifest {
  const value = parseManifestJson(text)
  const { signature, ...said } = value
  const bytes = Buffer.from(typeof signature === 'string' ? signature : '', 'base64url')
  const manifest: object = said
  if (!isManifest(manifest)) throw new InputError('`manifest.json` is not that of a backup that this version knows')
  if (!verifyBytes(logKey, toMessage(said), bytes))
    throw new IntegrityError('the backup is not signed by the key of this log: it was changed, or is that of another')
  return manifest
}

function parseManifestJson(text: string): JsonObject {
  let value: Json
  try {
    value = parseJson(text)
  } catch (cause) {
    throw new InputError('`manifest.json` cannot be read', 'system.malformed', { cause })
  }
  return isJsonObject(value) ? value : {}
}

function isManifest(value: object): value is BackupManifest {
  const json = asJson(value)
  if (!isJsonObject(json) || json['kind'] !== 'unbearer-backup' || json['version'] !== 1) return false
  const { files, log, createdAt, rev, issuer, madeBy } = json
  const isLog = isJsonObject(log) && typeof log['entries'] === 'number' && typeof log['root'] === 'string'
  const isPlain = typeof createdAt === 'number' && typeof rev === 'number'
  return isLog && isPlain && typeof issuer === 'string' && typeof madeBy === 'string' && isFiles(files)
}

function isFiles(value: Json | undefined): boolean {
  const items: readonly Json[] = Array.isArray(value) ? value : [null]
  return items.every((item) => {
    const { path, bytes, sha256 } = isJsonObject(item) ? item : {}
    return typeof path === 'string' && isBackupName(path) && typeof bytes === 'number' && typeof sha256 === 'string'
  })
}

/** Throws `IntegrityError` unless the files below `dir` are exactly those of the manifest, byte by byte. */
export function assertFiles(dir: string, manifest: BackupManifest): void {
  const found = new Map(listBackupFiles(dir).map((file) => [file.path, file]))
  for (const { path, bytes, sha256 } of manifest.files) {
    const file = found.get(path)
    if (file?.bytes !== bytes || file.sha256 !== sha256)
      throw new IntegrityError(`\`${path}\` of the backup is missing or was changed`)
    found.delete(path)
  }
  const [more] = found.keys()
  if (more !== undefined) throw new IntegrityError(`\`${more}\` does not belong to the backup`)
}

/**
 * @module
 * `unbearer backup`: what is needed to come back, copied beside a running server and verified before it is called a backup.
 */
import { copyFileSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'

import { ConfigError, InputError, IntegrityError } from '../core/errors.ts'
import { REVOCATION_PREFIX } from '../core/records.ts'
import { createSeal, toVkey } from '../crypto/note.ts'
import type { Revocation } from '../ports/revocations.ts'
import { listAll } from '../server/acts.ts'
import { verifyStore } from '../server/audit.ts'
import { syncFolder } from '../server/durable-file.ts'
import { createHeadKeeper } from '../server/head.ts'
import { journalPath } from '../server/journal.ts'
import { createSqliteStore } from '../stores/sqlite.ts'
import { copySqliteStore } from '../stores/sqlite-copy.ts'
import {
  CONFIG,
  HEAD,
  isBackupName,
  JOURNAL,
  listBackupFiles,
  MANIFEST,
  STORE,
  toManifestText,
  type BackupManifest,
} from './backup-manifest.ts'
import { toBackupPlaces } from './backup-places.ts'
import { writeTar } from './backup-tar.ts'
import { toLogOrigin } from './compose.ts'
import type { Config } from './load.ts'
import { readKey } from './read-key.ts'

export interface BackupOptions {
  /** A folder that is not there yet, or a file whose name ends in `.tar`. */
  readonly to: string
  /** The version of unbearer. */
  readonly madeBy: string
  readonly onProgress?: (what: string, done: number, total: number) => void
}

/**
 * Makes a backup, beside a server that goes on. Throws `ConfigError` where there is nothing to back up, `InputError` when
 * `to` is there already, `IntegrityError` when what was copied does not verify: then nothing is left behind under that name.
 *
 * Holds no private keys and no secrets of upstreams. What was recorded after the copy began is not in it.
 */
export async function backUp(config: Config, options: BackupOptions): Promise<BackupManifest> {
  const { store } = config
  if (store.kind === 'memory') throw new ConfigError('a store in memory cannot be backed up')
  const to = resolve(options.to)
  if (existsSync(to)) throw new InputError(`\`${options.to}\` is there already, and \`backup\` overwrites nothing`)
  const work = `${to}.partial`
  rmSync(work, { recursive: true, force: true })
  mkdirSync(work, { recursive: true, mode: 0o700 })
  try {
    const manifest = await fill(config, store.path, work, options)
    finish(work, to, manifest)
    return manifest
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

async function fill(config: Config, path: string, work: string, options: BackupOptions): Promise<BackupManifest> {
  const createdAt = Date.now()
  const logKey = readKey(config.audit.checkpointKey, 'audit.checkpointKey')
  const origin = toLogOrigin(config.issuer)
  const vkey = toVkey(origin, logKey)
  // Read first: what is copied later must begin with it, or it is not the log that was served.
  const head = createHeadKeeper(config.audit.head, vkey).read()
  const { onProgress } = options
  await copySqliteStore({
    from: path,
    to: join(work, STORE),
    ...(onProgress === undefined ? {} : { onProgress: (done, total) => onProgress('pages', done, total) }),
  })
  copyFiles(config, work)
  const copy = await createSqliteStore({ path: join(work, STORE), readOnly: true, seal: createSeal(origin, logKey) })
  try {
    const report = await verifyStore(copy, {
      vkey,
      ...(head === undefined ? {} : { head }),
      ...(onProgress === undefined ? {} : { onProgress: (done, total) => onProgress('entries', done, total) }),
    })
    if (!report.ok) throw new IntegrityError(`the copy does not verify: ${report.problems.slice(0, 3).join('; ')}`)
    writeFileSync(join(work, HEAD), report.checkpoint, { mode: 0o600 })
    const revocations = await listAll<Revocation>(copy, REVOCATION_PREFIX)
    const manifest: BackupManifest = {
      kind: 'unbearer-backup',
      version: 1,
      createdAt,
      madeBy: options.madeBy,
      issuer: config.issuer,
      log: { entries: report.entries, root: report.root },
      rev: revocations.reduce((most, { rev }) => Math.max(most, rev), 0),
      files: listBackupFiles(work),
    }
    writeFileSync(join(work, MANIFEST), toManifestText(manifest, logKey), { mode: 0o600 })
    return manifest
  } finally {
    await copy.close()
  }
}

/** The journal after the store: it must not lack what the store has. */
function copyFiles(config: Config, work: string): void {
  if (config.file === undefined) throw new ConfigError('a configuration that is no file cannot be backed up')
  copyOne(config.file, join(work, CONFIG))
  const journal = journalPath(config.audit.head)
  if (existsSync(journal)) copyOne(journal, join(work, JOURNAL))
  for (const { name, path } of toBackupPlaces(config)) copyPlace(path, work, name)
}

function copyPlace(from: string, work: string, name: string): void {
  if (!existsSync(from)) return
  if (statSync(from).isDirectory()) return copyFolder(from, work, name)
  mkdirSync(dirname(join(work, name)), { recursive: true, mode: 0o700 })
  copyOne(from, join(work, name))
}

function copyFolder(from: string, work: string, name: string): void {
  mkdirSync(join(work, name), { recursive: true, mode: 0o700 })
  for (const file of readdirSync(from)) {
    // Neither folders nor hidden files are read as policies or manifests. A link is read, so what it leads to is copied.
    if (!statSync(join(from, file)).isFile() || file.startsWith('.')) continue
    if (!isBackupName(`${name}/${file}`))
      throw new InputError(`\`${join(from, file)}\` cannot be in a backup under that name, rename it`)
    copyOne(join(from, file), join(work, name, file))
  }
}

function copyOne(from: string, to: string): void {
  copyFileSync(from, to)
}

function finish(work: string, to: string, manifest: BackupManifest): void {
  if (to.endsWith('.tar')) {
    const whole = `${work}.tar`
    rmSync(whole, { force: true })
    writeTar(work, [MANIFEST, ...manifest.files.map(({ path }) => path)], whole)
    renameSync(whole, to)
  } else {
    renameSync(work, to)
  }
  syncFolder(dirname(to))
}

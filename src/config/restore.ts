/**
 * @module
 * `unbearer restore`: a backup becomes an installation again, under a sequence number past everything that was issued. All is
 * made ready beside its place, and only what is complete is put there, the store last.
 */
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'

import { ConfigError, InputError, IntegrityError } from '../core/errors.ts'
import type { KeyPair } from '../crypto/keys.ts'
import { toVkey } from '../crypto/note.ts'
import type { Voided } from '../server/continuity.ts'
import { syncFile, syncFolder, writeDurably } from '../server/durable-file.ts'
import { createHeadKeeper } from '../server/head.ts'
import { journalPath, parseJournal } from '../server/journal.ts'
import { takeFence } from '../stores/sqlite-fence.ts'
import { readKeysInto } from './backup-keys.ts'
import {
  assertFiles,
  CONFIG,
  HEAD,
  isBackupName,
  JOURNAL,
  MANIFEST,
  parseBackupManifest,
  STORE,
  type BackupManifest,
} from './backup-manifest.ts'
import { toBackupPlaces } from './backup-places.ts'
import { extractTar } from './backup-tar.ts'
import { openJudged, toLogOrigin, type Notice } from './compose.ts'
import { parseConfig, type Config } from './load.ts'
import { readKey } from './read-key.ts'
import { toStamp } from './recover.ts'
import { assertAcceptable, toHeadFacts, voidIssued, type HeadFacts } from './void-issued.ts'

export interface RestoreOptions {
  /** What `backUp` made: a folder, or a file whose name ends in `.tar`. */
  readonly from: string
  readonly dir: string
  /** The private key of an operator; asked for once keys are in place. */
  readonly operator: () => Promise<KeyPair>
  /** What `backup --with-keys` wrote. */
  readonly keys?: string
  /** Puts an installation that is there aside instead of refusing. */
  readonly force: boolean
  readonly keepBudgets: boolean
  readonly notice: Notice
}

export interface Restored {
  readonly manifest: BackupManifest
  /** The head outside that was found; null when there was none of this log. */
  readonly outside: HeadFacts | null
  readonly voided: Voided
  /** Revocations from the journal outside that the backup did not know. */
  readonly merged: number
  /** What was there before, under its new name. */
  readonly aside: readonly string[]
}

/**
 * Restores. Throws `InputError` when `dir` holds an installation and `force` is false, `IntegrityError` when the backup was
 * changed or does not verify, `RefusedError` unless an enrolled operator asks, `UnavailableError` while a server runs.
 * Whatever it throws, what was there before is still there, or lies aside.
 *
 * Does not know what was recorded after the backup, except for revocations in a journal that is still there.
 */
export async function restore(options: RestoreOptions): Promise<Restored> {
  const dir = resolve(options.dir)
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  const work = mkdtempSync(join(dir, '.restore-'))
  try {
    const source = unpack(options.from, work)
    const config = parseConfig(readText(join(source, CONFIG)), { dir, env: process.env, file: join(dir, CONFIG) })
    if (config.store.kind === 'memory') throw new ConfigError('a store in memory cannot be restored')
    if (options.keys !== undefined) readKeysInto(options.keys, dir)
    const manifest = readManifest(source, config)
    assertFiles(source, manifest)
    assertFree(config, options.force)
    return await put(config, config.store.path, { ...options, dir }, manifest, stage(config, source, work))
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

function unpack(from: string, work: string): string {
  if (!existsSync(from)) throw new InputError(`\`${from}\` cannot be read`)
  const source = join(work, 'backup')
  // A copy in either case: what is verified is what is put in place, whoever writes to where the backup lies.
  if (lstatSync(from).isDirectory()) {
    cpSync(from, source, { recursive: true, dereference: true })
    return source
  }
  mkdirSync(source, { mode: 0o700 })
  extractTar(from, source, isBackupName)
  return source
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw new InputError(`this is not a backup: \`${basename(path)}\` is missing`, 'system.malformed', { cause })
  }
}

function readManifest(source: string, config: Config): BackupManifest {
  const logKey = readKey(config.audit.checkpointKey, 'audit.checkpointKey')
  return parseBackupManifest(readText(join(source, MANIFEST)), logKey)
}

/** Everything that a restoration puts down, but for the head and the journal, which it puts aside and adds to. */
function toPlaces(config: Config): readonly string[] {
  const store = config.store.kind === 'sqlite' ? [config.store.path] : []
  return [join(config.dir, CONFIG), ...toBackupPlaces(config).map(({ path }) => path), ...store]
}

function isOccupied(path: string): boolean {
  return existsSync(path) && !(lstatSync(path).isDirectory() && readdirSync(path).length === 0)
}

function assertFree(config: Config, force: boolean): void {
  const occupied = toPlaces(config).find(isOccupied)
  if (occupied !== undefined && !force)
    throw new InputError(`\`${occupied}\` is there already; \`--force\` puts what is there aside, and keeps it`)
}

interface Staged extends Config {
  readonly store: { readonly kind: 'sqlite'; readonly path: string }
  /** The folder with the files of the backup. */
  readonly source: string
}

/** The backup as an installation of its own, in the folder `work`. Engines are not asked, so theirs stay where they will be. */
function stage(config: Config, source: string, work: string): Staged {
  const at = (name: string): string => join(work, 'new', name)
  for (const name of ['', 'state', 'head']) mkdirSync(at(name), { recursive: true, mode: 0o700 })
  renameSync(join(source, STORE), at('state/unbearer.db'))
  chmodSync(at('state/unbearer.db'), 0o600)
  const audit = { ...config.audit, head: at('head/unbearer.head') }
  const head = readText(join(source, HEAD))
  // A log that has never grown has no head.
  if (head !== '') writeFileSync(audit.head, head, { mode: 0o600 })
  const lines = [...readLines(journalPath(config.audit.head)), ...readLines(join(source, JOURNAL))]
  writeDurably(journalPath(audit.head), Buffer.from(lines.map((line) => `${JSON.stringify(line)}\n`).join('')))
  const places = new Map(toBackupPlaces(config).map(({ name }) => [name, at(name)]))
  for (const [name, path] of places) if (existsSync(join(source, name))) copyPlace(join(source, name), path)
  const { file: _file, ...rest } = config
  return {
    ...rest,
    source,
    dir: at(''),
    store: { kind: 'sqlite', path: at('state/unbearer.db') },
    audit,
    manifests: places.get('manifests') ?? '',
    operators: config.operators.policies === undefined ? {} : { policies: places.get('operators') ?? '' },
  }
}

function readLines(path: string): ReturnType<typeof parseJournal> {
  if (!existsSync(path)) return []
  const text = readFileSync(path, 'utf8')
  return parseJournal(text.slice(0, text.lastIndexOf('\n') + 1))
}

type Options = RestoreOptions & { readonly dir: string }

/** With the fence of the place in hand: nobody serves it while it changes. */
async function put(
  config: Config,
  path: string,
  options: Options,
  manifest: BackupManifest,
  staged: Staged,
): Promise<Restored> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  const release = takeFence(existsSync(path) ? realpathSync(path) : join(realpathSync(dirname(path)), basename(path)))
  try {
    const outside = readOutside(config)
    const { voided, merged } = await voidStaged(config, staged, options, manifest, outside)
    const aside = move(config, path, staged)
    return { manifest, outside, voided, merged, aside }
  } finally {
    release()
  }
}

/** The head that has survived the store: how long the log was. */
function readOutside({ audit, issuer }: Config): HeadFacts | null {
  const vkey = toVkey(toLogOrigin(issuer), readKey(audit.checkpointKey, 'audit.checkpointKey'))
  try {
    return toHeadFacts(createHeadKeeper(audit.head, vkey).read(), vkey)
  } catch (fault) {
    if (fault instanceof IntegrityError) return null
    throw fault
  }
}

async function voidStaged(
  config: Config,
  staged: Config,
  options: Options,
  manifest: BackupManifest,
  outside: HeadFacts | null,
): Promise<{ readonly voided: Voided; readonly merged: number }> {
  const operator = await options.operator()
  if (operator.privateKey === undefined) throw new ConfigError('the key of the operator must be a private one')
  const { createdAt, madeBy, log, rev } = manifest
  const backup = { createdAt, madeBy, entries: log.entries, root: log.root, rev }
  const done: { voided?: Voided } = {}
  const opened = await openJudged(staged, options.notice, async (place, clock) => {
    await assertAcceptable(place, operator, place.head.read())
    const detail = { backup, outside, keptBudgets: options.keepBudgets }
    done.voided = await voidIssued(place, clock, { why: 'restore', operator, keepBudgets: options.keepBudgets, detail })
  })
  // What the journal had more was merged as the store was opened, each under a number of its own.
  const merged = opened.services.revocations.list().filter((one) => one.rev > (done.voided?.rev ?? 0)).length
  const isRecorded = opened.services.revocations.unrecorded() === 0
  await opened.close()
  if (done.voided === undefined || !isRecorded) throw new IntegrityError('the restored store could not be completed')
  return { voided: done.voided, merged }
}

/** The old aside, the new into its place: the store last, because without it nothing starts. */
function move(config: Config, path: string, staged: Staged): readonly string[] {
  const suffix = `before-restore-${toStamp(Date.now())}`
  const aside: string[] = []
  const setAside = (old: string): void => {
    if (!isOccupied(old)) return
    renameSync(old, `${old}.${suffix}`)
    aside.push(`${old}.${suffix}`)
  }
  // The companions of a database belong to it, wherever it goes.
  for (const companion of ['-wal', '-shm'])
    if (existsSync(path + companion)) renameSync(path + companion, `${path}.${suffix}${companion}`)
  for (const old of [path, config.audit.head, ...toPlaces(config).filter((each) => each !== path)]) setAside(old)
  mkdirSync(dirname(config.audit.head), { recursive: true, mode: 0o700 })
  writeDurably(journalPath(config.audit.head), readFileSync(journalPath(staged.audit.head)))
  moveOne(staged.audit.head, config.audit.head)
  for (const { name, path: to } of toBackupPlaces(config))
    if (existsSync(join(staged.source, name))) copyPlace(join(staged.source, name), to)
  copyPlace(join(staged.source, CONFIG), join(config.dir, CONFIG))
  moveOne(staged.store.path, path)
  return aside
}

/** Also to another file system. */
function moveOne(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true, mode: 0o700 })
  try {
    renameSync(from, to)
  } catch (fault) {
    if (!(fault instanceof Error && 'code' in fault && fault.code === 'EXDEV')) throw fault
    copyFileSync(from, `${to}.new`)
    syncFile(`${to}.new`)
    renameSync(`${to}.new`, to)
  }
  syncFolder(dirname(to))
}

/** A file, or the files of a folder, readable by us only. A folder that is there, empty, is filled. */
function copyPlace(from: string, to: string): void {
  const isFolder = lstatSync(from).isDirectory()
  mkdirSync(isFolder ? to : dirname(to), { recursive: true, mode: 0o700 })
  for (const name of isFolder ? readdirSync(from) : [''])
    if (lstatSync(join(from, name)).isFile()) writeDurably(join(to, name), readFileSync(join(from, name)))
}

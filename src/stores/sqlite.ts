/**
 * @module
 * The store in one SQLite file: WAL, `synchronous=FULL`, group commit, one fenced writer. `kill -9` at any moment loses
 * nothing whose `durable` has settled. Trusted: whoever can write the file; see `ports/store.ts` for what they cannot do.
 */
import { DatabaseSync } from 'node:sqlite'
import { InputError, IntegrityError, InvariantError, UnavailableError, UnbearerError } from '../core/errors.ts'
import type { Json } from '../core/json.ts'
import { appendLeaf, EMPTY_FRONTIER, type Frontier, leafHash, rootOf, toFrontier } from '../core/merkle.ts'
import { parseTreeHead } from '../core/tlog.ts'
import type {
  Burn,
  CommitResult,
  CommitUnit,
  LogReader,
  NewEntry,
  NewEvidence,
  Store,
  StoredRecord,
  StoreOptions,
} from '../ports/store.ts'
import { createGroup, type Group, sealTree } from './group.ts'
import { fromKeyBytes, toKeyBytes, toKeyRange } from './key-bytes.ts'
import { openPrivately, takeFence } from './sqlite-fence.ts'
import { type Migrated, openSchema, type OpenSchema } from './sqlite-schema.ts'
import { prepareStatements, type Statements, toBytes, toNumber, toText } from './sqlite-statements.ts'
import { type PreparedUnit, toForwardClock, toPreparedUnit } from './unit.ts'

export interface SqliteStoreOptions extends StoreOptions {
  /** The database file. Its folder must exist; the file and its companions get mode 0600. */
  readonly path: string
  /** Opens an existing store beside its writer: reads see what is durable, `commit` is refused. */
  readonly readOnly?: boolean
  /** Told when the file had an older schema: what it was brought to, and where a copy of it lies as it was. */
  readonly onMigrated?: (migrated: Migrated) => void
}

/**
 * Opens the store, creating it when the file is absent. Throws `UnavailableError` when another process writes it,
 * `ConfigError` for a newer schema or a foreign file (an older one is brought forward once a copy lies beside it), `IntegrityError` when tree and checkpoint contradict each other.
 * Does not verify the checkpoint's signature or older entries: `server/audit.ts` does.
 */
export async function createSqliteStore(options: SqliteStoreOptions): Promise<Store> {
  return new SqliteStore(options)
}

/** How long a statement waits for a lock that a reader or a backup holds for a moment. It blocks the event loop. */
const BUSY_MS = 250

class SqliteStore implements Store {
  readonly log: LogReader
  readonly #db: DatabaseSync
  readonly #sql: Statements
  readonly #group: Group | undefined
  readonly #now: () => number
  readonly #seal: StoreOptions['seal']
  readonly #release: () => void
  #frontier: Frontier
  /** The tree when the open group began. */
  #base: Frontier
  /** The newest version handed out. Never set back, also when a group is undone: somebody may have seen it. */
  #version: number

  constructor({ path, readOnly = false, seal, onSealed, clock, onMigrated }: SqliteStoreOptions) {
    const file = readOnly ? path : openPrivately(path)
    this.#release = readOnly ? () => undefined : takeFence(file)
    try {
      this.#db = openDatabase({ path: file, readOnly, onMigrated })
      this.#sql = prepareStatements(this.#db)
      this.#frontier = readTree(this.#sql)
      this.#version = toNumber(this.#sql.meta.get('version')?.['value'] ?? 0)
    } catch (cause) {
      this.#release()
      throw toFault(cause, `\`${path}\` cannot be opened`)
    }
    this.#base = this.#frontier
    this.#now = toForwardClock(clock)
    this.#seal = seal
    this.#group = readOnly ? undefined : this.#createGroup(onSealed)
    this.log = this.#createLogReader()
  }

  async get(keys: readonly string[]): Promise<readonly (StoredRecord | undefined)[]> {
    return this.#read(() => keys.map((key) => toRecord(key, this.#sql.record.get(toKeyBytes(key)))))
  }

  async list(
    prefix: string,
    { after, limit = 1000 }: { readonly after?: string; readonly limit?: number } = {},
  ): Promise<readonly StoredRecord[]> {
    const range = { ...toKeyRange(prefix, after), limit: Math.max(0, limit) }
    return this.#read(() =>
      this.#sql.list.all(range).flatMap((row) => toRecord(fromKeyBytes(toBytes(row['key'])), row) ?? []),
    )
  }

  /** Everything happens before the first `await` of the caller: two calls never interleave. */
  async commit(unit: CommitUnit): Promise<CommitResult> {
    const group = this.#group
    if (group === undefined) throw new InvariantError('the store is open for reading only')
    if (!this.#db.isOpen) throw new UnavailableError('the store is closed')
    const prepared = toPreparedUnit(unit)
    group.enter()
    try {
      return this.#findObstacle(prepared) ?? this.#applyAlone(prepared, group)
    } catch (cause) {
      // SQLite gives a transaction up by itself when the disk is full or broken; then the group is gone.
      if (!this.#db.isTransaction) group.abandon(cause)
      throw toFault(cause, 'the store could not apply the unit')
    }
  }

  async evidence(id: string): Promise<Uint8Array | undefined> {
    const row = this.#read(() => this.#sql.evidence.get(toKeyBytes(id)))
    return row === undefined ? undefined : toBytes(row['bytes'])
  }

  async listEvidence({ after, limit = 100 }: { readonly after?: string; readonly limit?: number } = {}): Promise<
    readonly NewEvidence[]
  > {
    const range = { from: toKeyRange('', after).from, limit: Math.max(0, limit) }
    return this.#read(() => this.#sql.listEvidence.all(range).map(toStoredEvidence))
  }

  async scrub({ rewrite = false }: { readonly rewrite?: boolean } = {}): Promise<boolean> {
    const group = this.#group
    if (group === undefined) throw new InvariantError('the store is open for reading only')
    group.flush()
    return this.#read(() => {
      if (rewrite) this.#db.exec('VACUUM')
      return this.#db.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get()?.['busy'] === 0
    })
  }

  async check(): Promise<readonly string[]> {
    const rows = this.#read(() => this.#db.prepare('PRAGMA integrity_check').all())
    return rows.map((row) => toText(row['integrity_check'])).filter((line) => line !== 'ok')
  }

  async close(): Promise<void> {
    this.#group?.flush()
    if (this.#db.isOpen) this.#db.close()
    this.#release()
  }

  #createGroup(onSealed: StoreOptions['onSealed']): Group {
    return createGroup({
      begin: () => {
        if (this.#db.isTransaction) this.#db.exec('ROLLBACK')
        this.#base = this.#frontier
        this.#db.exec('BEGIN IMMEDIATE')
      },
      commit: () => this.#commitGroup(),
      undo: () => {
        this.#frontier = this.#base
        if (this.#db.isTransaction) this.#db.exec('ROLLBACK')
      },
      onSealed,
    })
  }

  #commitGroup(): string | undefined {
    const grown = this.#frontier.size > this.#base.size
    const checkpoint = grown ? sealTree(this.#seal, this.#frontier) : undefined
    if (checkpoint !== undefined) this.#sql.setMeta.run('checkpoint', checkpoint)
    this.#sql.setMeta.run('version', this.#version)
    this.#sql.sweep.run(this.#now())
    this.#db.exec('COMMIT')
    return checkpoint
  }

  #findObstacle({ reads, burns }: PreparedUnit): CommitResult | undefined {
    const keys = reads.filter(([key, version]) => this.#versionOf(key) !== version).map(([key]) => key)
    if (keys.length > 0) return { status: 'conflict', keys }
    const burn = burns.find(
      (one, i) => this.#isBurned(one) || burns.slice(0, i).some((other) => isSameBurn(one, other)),
    )
    return burn === undefined ? undefined : { status: 'burned', burn }
  }

  #versionOf(key: string): number {
    return toNumber(this.#sql.versionOf.get(toKeyBytes(key))?.['version'] ?? 0)
  }

  #isBurned({ domain, id, expires }: Burn): boolean {
    const now = this.#now()
    const row = this.#sql.expiryOf.get(toKeyBytes(domain), toKeyBytes(id))
    return expires <= now || (row !== undefined && toNumber(row['expires']) > now)
  }

  /** Applies a unit within a savepoint, so that a failure in the middle costs the unit and not its group. */
  #applyAlone(unit: PreparedUnit, group: Group): CommitResult {
    const before = this.#frontier
    this.#db.exec('SAVEPOINT unit')
    try {
      const indexes = this.#apply(unit)
      this.#db.exec('RELEASE unit')
      return { status: 'applied', indexes, durable: group.join() }
    } catch (cause) {
      this.#frontier = before
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK TO unit; RELEASE unit')
      throw cause
    }
  }

  #apply({ writes, burns, drops, evidence, entries }: PreparedUnit): readonly number[] {
    for (const { key, json } of writes) this.#write(toKeyBytes(key), json)
    for (const { domain, id, expires } of burns) this.#sql.burn.run(toKeyBytes(domain), toKeyBytes(id), expires)
    for (const id of drops) this.#sql.dropEvidence.run(toKeyBytes(id))
    for (const one of evidence) this.#addEvidence(one)
    return entries.map((entry) => this.#append(entry))
  }

  #write(key: Uint8Array, json: string | undefined): void {
    if (json === undefined) {
      this.#sql.erase.run(key)
      return
    }
    this.#version += 1
    this.#sql.write.run(key, json, this.#version)
  }

  #addEvidence({ id, subject, bytes }: NewEvidence): void {
    const key = toKeyBytes(id)
    if (this.#sql.evidence.get(key) !== undefined) throw toDuplicate(id)
    this.#sql.addEvidence.run(key, subject, bytes)
  }

  #append({ id, bytes }: NewEntry): number {
    const key = toKeyBytes(id)
    if (this.#sql.indexOf.get(key) !== undefined) throw toDuplicate(id)
    const index = this.#frontier.size
    this.#sql.append.run(index, key, bytes)
    const { frontier, completed } = appendLeaf(this.#frontier, leafHash(bytes))
    for (const node of completed) this.#sql.addNode.run(node.level, node.index, node.hash)
    this.#frontier = frontier
    return index
  }

  #createLogReader(): LogReader {
    return {
      size: async () => this.#read(() => readSize(this.#sql)),
      checkpoint: async () => this.#read(() => readCheckpoint(this.#sql)),
      entries: async (start, end) =>
        this.#read(() => this.#sql.entries.all(start, end).map((row) => toBytes(row['bytes']))),
      indexOf: async (id) => {
        const row = this.#read(() => this.#sql.indexOf.get(toKeyBytes(id)))
        return row === undefined ? undefined : toNumber(row['idx'])
      },
      node: async (level, index) => this.#read(() => readNode(this.#sql, level, index)),
    }
  }

  #read<T>(act: () => T): T {
    if (!this.#db.isOpen) throw new UnavailableError('the store is closed')
    try {
      return act()
    } catch (cause) {
      throw toFault(cause, 'the store could not be read')
    }
  }
}

function openDatabase(options: OpenSchema): DatabaseSync {
  const db = new DatabaseSync(options.path, { readOnly: options.readOnly, timeout: BUSY_MS })
  try {
    openSchema(db, options)
    return db
  } catch (cause) {
    db.close()
    throw cause
  }
}

/** The frontier, in O(log n), once it was compared with the newest checkpoint. */
function readTree(sql: Statements): Frontier {
  const size = readSize(sql)
  const checkpoint = readCheckpoint(sql)
  if (size === 0 && checkpoint === undefined) return EMPTY_FRONTIER
  const frontier = toFrontier(size, (level, index) => readNode(sql, level, index))
  const head = checkpoint === undefined ? undefined : parseTreeHead(checkpoint)
  if (head === undefined || head.size !== size || !Buffer.from(rootOf(frontier)).equals(head.root))
    throw new IntegrityError('the log does not have the tree that its newest checkpoint states')
  return frontier
}

function readSize(sql: Statements): number {
  return toNumber(sql.last.get()?.['idx'] ?? -1) + 1
}

function readCheckpoint(sql: Statements): string | undefined {
  const row = sql.meta.get('checkpoint')
  return row === undefined ? undefined : toText(row['value'])
}

function readNode(sql: Statements, level: number, index: number): Uint8Array | undefined {
  const row = sql.node.get(level, index)
  return row === undefined ? undefined : toBytes(row['hash'])
}

function toRecord(key: string, row: Readonly<Record<string, unknown>> | undefined): StoredRecord | undefined {
  if (row === undefined) return undefined
  const value: Json = JSON.parse(toText(row['value']))
  return { key, value, version: toNumber(row['version']) }
}

function toStoredEvidence(row: Readonly<Record<string, unknown>>): NewEvidence {
  return { id: fromKeyBytes(toBytes(row['id'])), subject: toText(row['subject']), bytes: toBytes(row['bytes']) }
}

function isSameBurn(a: Burn, b: Burn): boolean {
  return a.domain === b.domain && a.id === b.id
}

function toDuplicate(id: string): InputError {
  return new InputError(`\`${id}\` is in the log or beside it already`)
}

/** Ours pass; what SQLite or the file system says becomes `UnavailableError`, and damage to the file `IntegrityError`. */
function toFault(cause: unknown, message: string): UnbearerError {
  if (cause instanceof UnbearerError) return cause
  const damaged = cause instanceof Error && /malformed|not a database/u.test(cause.message)
  return damaged
    ? new IntegrityError(message, { cause })
    : new UnavailableError(message, { cause, reason: 'system.log-unavailable' })
}

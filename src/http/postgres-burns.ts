/**
 * @module
 * Burns in PostgreSQL, for replicas on several machines.
 */
import { ConfigError, UnavailableError } from '../core/errors.ts'
import type { Burns } from '../ports/burns.ts'

/** What a `Pool` or `Client` of the package `pg` has: one statement, on its own, outside any transaction of yours. */
export interface PostgresQuery {
  query(text: string, values?: unknown[]): Promise<{ readonly rows: readonly unknown[] }>
}

/** How many burns there are between two sweeps of one process, and how many expired ones a sweep takes away at most. */
const SWEEP_EVERY = 64
const SWEEP = 256
/** What has expired stays this long, so that a statement under way never meets the sweep of what it asks for. */
const KEPT_MS = 60_000

/** The clock of the database is the only one, so that replicas need not agree. */
const NOW = `floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint`
/**
 * Which line of history this is. A promoted replica and a recovery to a point in time have a new timeline, and another cluster
 * another identifier: they may have lost burns, and remember from the moment at which they are first seen.
 */
const EPOCH = `(SELECT system_identifier FROM pg_control_system()) || '/' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8)`

/** Replicas start together, and two `CREATE … IF NOT EXISTS` at once fail; whoever may not create finds them made. */
const SCHEMA = `DO $$
BEGIN
  PERFORM pg_advisory_xact_lock(7305794451203);
  IF to_regclass('unbearer_burns') IS NULL THEN
    CREATE TABLE unbearer_burns (id text COLLATE "C" PRIMARY KEY, expires bigint NOT NULL);
    CREATE INDEX unbearer_burns_expires ON unbearer_burns (expires);
  END IF;
  IF to_regclass('unbearer_burn_epochs') IS NULL THEN
    CREATE TABLE unbearer_burn_epochs (epoch text PRIMARY KEY, began bigint NOT NULL, swept bigint NOT NULL);
  END IF;
END $$`

/** A table that is not logged is empty after a crash, and without `fsync` the disk may have less than was answered. */
const IS_KEPT = `SELECT current_setting('fsync') = 'on' AND bool_and(relpersistence = 'p') AS kept
  FROM pg_class WHERE oid IN ('unbearer_burns'::regclass, 'unbearer_burn_epochs'::regclass)`

const BEGIN = `INSERT INTO unbearer_burn_epochs SELECT ${EPOCH}, ${NOW}, 0
  ON CONFLICT (epoch) DO UPDATE SET epoch = excluded.epoch RETURNING epoch, began::text`

/** Answered when it is on the disk, whatever the default of the role or the database: `set_config` is of this transaction. */
const BURN = `WITH here AS (
    SELECT swept, set_config('synchronous_commit', 'on', true) AS sync
    FROM unbearer_burn_epochs WHERE epoch = $3 AND epoch = ${EPOCH}
  ), burned AS (
    INSERT INTO unbearer_burns SELECT $1, $2::bigint FROM here WHERE sync = 'on' AND $2::bigint > greatest(${NOW}, swept)
    ON CONFLICT DO NOTHING RETURNING 1
  )
  SELECT EXISTS (SELECT FROM here) AS known, EXISTS (SELECT FROM burned) AS first`

/** What is forgotten must not be burned again by a clock that is set back: the mark and the removal are one transaction. */
const SWEEP_NOW = `WITH mark AS (
    UPDATE unbearer_burn_epochs SET swept = greatest(swept, ${NOW} - ${KEPT_MS}) WHERE epoch = $1 RETURNING swept
  )
  DELETE FROM unbearer_burns WHERE id IN (
    SELECT id FROM unbearer_burns WHERE expires <= (SELECT swept FROM mark) ORDER BY expires LIMIT ${SWEEP} FOR UPDATE SKIP LOCKED
  )`

interface Epoch {
  readonly epoch: string
  readonly began: number
}

/**
 * Burns in the tables `unbearer_burns` and `unbearer_burn_epochs`, which are made where they are missing. One statement burns,
 * and is answered when it is on the disk. After a failover or a recovery to a point in time the first burn of each replica
 * rejects, and what was issued before that moment is refused. Rejects with `ConfigError` where the tables cannot be made or
 * would not survive a crash; a burn rejects where the database does not answer. `close` leaves the pool to its owner.
 *
 * Trusted: whoever can write the tables. Does not notice a copy of the files of the same cluster from earlier that is put back:
 * truncate both tables then.
 */
export async function postgresBurns(postgres: PostgresQuery): Promise<Burns> {
  let here = await open(postgres)
  let burned = 0
  return {
    isShared: true,
    since: () => here.began,
    async burn(id, expiresMs) {
      const row = await one(postgres, BURN, [id, Math.floor(expiresMs), here.epoch])
      if (row['known'] !== true) {
        here = await begin(postgres)
        throw new UnavailableError('the database of the burns has changed; present a new credential')
      }
      burned += 1
      if (burned % SWEEP_EVERY === 0) await postgres.query(SWEEP_NOW, [here.epoch]).catch(() => undefined)
      return row['first'] === true
    },
    close: () => undefined,
  }
}

async function open(postgres: PostgresQuery): Promise<Epoch> {
  try {
    await postgres.query(SCHEMA)
    const kept = await one(postgres, IS_KEPT, [])
    if (kept['kept'] !== true)
      throw new ConfigError('this PostgreSQL would lose burns: `fsync` is off, or a table is unlogged')
    return await begin(postgres)
  } catch (cause) {
    if (cause instanceof ConfigError) throw cause
    throw new ConfigError('the tables for the burns of credentials cannot be opened in this PostgreSQL', { cause })
  }
}

async function begin(postgres: PostgresQuery): Promise<Epoch> {
  const { epoch, began } = await one(postgres, BEGIN, [])
  if (typeof epoch !== 'string' || typeof began !== 'string')
    throw new UnavailableError('the burns do not say since when')
  return { epoch, began: Number(began) }
}

async function one(
  postgres: PostgresQuery,
  text: string,
  values: unknown[],
): Promise<Readonly<Record<string, unknown>>> {
  const { rows } = await postgres.query(text, values)
  const [row] = rows
  if (typeof row !== 'object' || row === null)
    throw new UnavailableError('the database of the burns answered without a row')
  return { ...row }
}

/**
 * Burns in PostgreSQL: the contract over one in this process and over a real one, and what a crash, a failover and settings
 * that lose data do to it.
 */
import { PGlite } from '@electric-sql/pglite'
import { Pool } from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { postgresBurns, type PostgresQuery } from '../../src/http/index.ts'
import { burnsContract } from '../../src/testing/index.ts'
import { createPostgresCluster, hasPostgres, type PostgresCluster } from '../support/postgres-cluster.ts'

const MINUTE_MS = 60_000
const soon = (): number => Date.now() + MINUTE_MS

describe('burns: PGlite', () => {
  const pglite = new PGlite()
  // It has no fsync of its own; what it is asked about that is answered as a server would.
  const query: PostgresQuery = {
    query: async (text, values) =>
      pglite.query(text.replace(`current_setting('fsync') = 'on'`, 'true'), values === undefined ? [] : values),
  }
  afterAll(async () => pglite.close())

  it.each(burnsContract(async () => postgresBurns(query)))('$name', async (contract) => {
    await expect(contract.run()).resolves.toBeUndefined()
  })
})

describe.skipIf(!hasPostgres)('burns: a real PostgreSQL', { timeout: 60_000 }, () => {
  let cluster: PostgresCluster
  const pools: Pool[] = []
  const connect = (): Pool => {
    const pool = new Pool({ ...cluster.connection, max: 8 })
    pool.on('error', () => undefined)
    pools.push(pool)
    return pool
  }
  const closePools = async (): Promise<void> => {
    await Promise.all(pools.splice(0).map(async (pool) => pool.end()))
  }
  beforeAll(async () => {
    cluster = await createPostgresCluster()
    await cluster.start()
  }, 60_000)
  afterAll(async () => {
    await closePools()
    await cluster.remove()
  }, 60_000)

  it.each(burnsContract(async () => postgresBurns(connect())))('$name', async (contract) => {
    await expect(contract.run()).resolves.toBeUndefined()
  })

  it('is made once by replicas that start together', async () => {
    await connect().query('DROP TABLE unbearer_burns, unbearer_burn_epochs')
    const replicas = await Promise.all(Array.from({ length: 8 }, async () => postgresBurns(connect())))
    expect(new Set(replicas.map((replica) => replica.since())).size).toBe(1)
    const answers = await Promise.all(replicas.map(async (replica) => replica.burn('together', soon())))
    expect(answers.filter(Boolean)).toHaveLength(1)
    await closePools()
  })

  it('remembers after a crash what it said it had burned, also where the database does not wait for its disk by default', async () => {
    const pool = connect()
    await pool.query(`ALTER ROLE unbearer SET synchronous_commit = off`)
    const burns = await postgresBurns(connect())
    const ids = Array.from({ length: 200 }, (_, index) => `crash ${index}`)
    for (const id of ids) expect(await burns.burn(id, soon())).toBe(true)
    await cluster.kill()
    await expect(burns.burn('while it is down', soon())).rejects.toThrow(/connect|terminat/)
    await cluster.start()
    const after = await postgresBurns(connect())
    for (const id of ids) expect(await after.burn(id, soon())).toBe(false)
    await pool.query(`ALTER ROLE unbearer RESET synchronous_commit`)
  })

  it('says that it remembers anew after a failover, to replicas that were running, too', async () => {
    const burns = await postgresBurns(connect())
    const before = burns.since()
    expect(await burns.burn('before', soon())).toBe(true)
    await cluster.promote()
    await expect(burns.burn('across', soon())).rejects.toThrow('has changed')
    expect(burns.since()).toBeGreaterThan(before)
    expect(await burns.burn('across', soon())).toBe(true)
    expect((await postgresBurns(connect())).since()).toBe(burns.since())
  })

  it('forgets what is over, and burns none of it again when the clock of the database is set back', async () => {
    const pool = connect()
    await pool.query('TRUNCATE unbearer_burns')
    const burns = await postgresBurns(pool)
    await pool.query(`INSERT INTO unbearer_burns SELECT 'old ' || n, 1000 + n FROM generate_series(1, 100) n`)
    for (let count = 0; count < 64; count += 1) await burns.burn(`new ${count}`, soon())
    expect((await pool.query('SELECT count(*)::int AS n FROM unbearer_burns')).rows).toEqual([{ n: 64 }])
    // A clock that was set back is one at which more was swept than it shows.
    await pool.query(`UPDATE unbearer_burn_epochs SET swept = swept + ${String(10 * MINUTE_MS)}`)
    expect(await burns.burn('again', soon())).toBe(false)
    expect(await burns.burn('later', Date.now() + 11 * MINUTE_MS)).toBe(true)
    await pool.query('UPDATE unbearer_burn_epochs SET swept = 0')
  })

  it('rejects an expiry that is not a number, and burns nothing', async () => {
    const burns = await postgresBurns(connect())
    await expect(burns.burn('nan', Number.NaN)).rejects.toThrow('invalid input syntax')
    await expect(burns.burn('infinite', Number.POSITIVE_INFINITY)).rejects.toThrow('invalid input syntax')
    expect(await burns.burn('nan', soon())).toBe(true)
  })

  it('does not open over tables that a crash would empty', async () => {
    await connect().query('ALTER TABLE unbearer_burns SET UNLOGGED')
    await expect(postgresBurns(connect())).rejects.toThrow('would lose burns')
    await connect().query('ALTER TABLE unbearer_burns SET LOGGED')
    await closePools()
    await cluster.stop()
    cluster.configure('fsync = off')
    await cluster.start()
    await expect(postgresBurns(connect())).rejects.toThrow('would lose burns')
  })
})

/**
 * A PostgreSQL of one's own, where this machine has the binaries: a socket in a temporary directory, and no port.
 */
import { execFile, spawnSync } from 'node:child_process'
import { appendFileSync, chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
/** PostgreSQL does not run as root. */
const NOBODY = 65_534

export const hasPostgres: boolean = ['initdb', 'pg_ctl'].every((name) => spawnSync(name, ['--version']).status === 0)
if (!hasPostgres) console.log('no `initdb` and `pg_ctl` on the path: the tests with a real PostgreSQL are skipped')

export interface PostgresCluster {
  /** What a `Pool` of `pg` is made with. */
  readonly connection: { readonly host: string; readonly user: string; readonly database: string }
  start(): Promise<void>
  stop(): Promise<void>
  /** As a loss of power would end it. */
  kill(): Promise<void>
  /** Stopped, started as a standby and promoted: a new timeline, as after a failover. */
  promote(): Promise<void>
  /** Takes effect at the next start. */
  configure(line: string): void
  remove(): Promise<void>
}

export async function createPostgresCluster(): Promise<PostgresCluster> {
  const isRoot = process.getuid?.() === 0
  const host = mkdtempSync(join(tmpdir(), 'unbearer-pg-'))
  const data = join(host, 'data')
  const as = isRoot ? { uid: NOBODY, gid: NOBODY, cwd: host } : { cwd: host }
  if (isRoot) chownSync(host, NOBODY, NOBODY)
  const control = async (...args: string[]): Promise<void> => {
    await run('pg_ctl', ['--pgdata', data, '--wait', ...args], as)
  }
  const configure = (line: string): void => appendFileSync(join(data, 'postgresql.conf'), `${line}\n`)
  const start = async (): Promise<void> => control('start', '--log', join(host, 'log'))
  const stop = async (): Promise<void> => control('stop', '--mode', 'fast')
  await run('initdb', ['--pgdata', data, '--username', 'unbearer', '--auth', 'trust', '--no-sync'], as)
  configure(`listen_addresses = ''\nunix_socket_directories = '${host}'`)
  return {
    connection: { host, user: 'unbearer', database: 'postgres' },
    start,
    stop,
    configure,
    kill: async () => control('stop', '--mode', 'immediate'),
    async promote() {
      await stop()
      const signal = join(data, 'standby.signal')
      writeFileSync(signal, '')
      if (isRoot) chownSync(signal, NOBODY, NOBODY)
      await start()
      await control('promote')
    },
    async remove() {
      await stop().catch(() => undefined)
      rmSync(host, { recursive: true, force: true })
    },
  }
}

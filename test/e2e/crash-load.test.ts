/**
 * @module
 * `kill -9` and the loss of power, under load, again and again on the same installation, under a seed that is printed. After
 * each: nothing that was acknowledged is lost, no credential counts twice, no revocation is forgotten, nothing was done that
 * was not permitted, and what nobody knows the outcome of is held.
 *
 * `UNBEARER_SEED=N npx vitest run test/e2e/crash-load.test.ts` repeats the choices of a run, as far as time lets it.
 *
 * Broken once on purpose, and the test that fell:
 *
 * | broken on purpose                                        | fell                                          |
 * | -------------------------------------------------------- | --------------------------------------------- |
 * | `stores/group.ts` settles before the commit              | all three                                     |
 * | `pdp/enforcer.ts` does not wait for the disk             | a loss of power that takes all                |
 * | `stores/sqlite-schema.ts` `synchronous=OFF`              | both losses of power                          |
 * | `server/durable-file.ts` nothing is synced               | a loss of power that takes all                |
 * | `server/head.ts` renames over the head, without a wait   | both losses of power, in two runs of three    |
 * | `pdp/commit.ts` no `jti` is burned                       | kill -9                                       |
 * | `pdp/commit.ts` no approval is consumed                  | kill -9                                       |
 * | `pdp/commit.ts` nothing is marked as begun               | kill -9                                       |
 * | `cli/init.ts` nothing is synced                          | what `init` has answered                      |
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, afterEach, describe, expect, it } from 'vitest'

import { createCrashTrial, driveAndKill, judgeDisk, judgeHanging, type CrashTrial } from '../support/crash-load.ts'
import { compileRecorder, cutPower, keepBefore, toRecorded } from '../support/power-cut.ts'
import { createRandom, toSeed } from '../support/random.ts'
import { scaled } from '../support/scale.ts'
import { startServeUnder, type ServeChild } from '../support/serve-child.ts'

const closers: (() => Promise<void> | void)[] = []
const work = mkdtempSync(join(tmpdir(), 'unbearer-crash-'))
const library = compileRecorder(work)

afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close()
})

afterAll(() => rmSync(work, { recursive: true, force: true }))

async function createTrial(what: string): Promise<CrashTrial> {
  const seed = toSeed()
  console.info(`${what}: UNBEARER_SEED=${seed}`)
  const trial = await createCrashTrial(createRandom(seed))
  closers.push(() => trial.prepared.remove())
  return trial
}

async function serve(trial: CrashTrial, env: Readonly<Record<string, string>> = {}): Promise<ServeChild> {
  const server = await startServeUnder(trial.prepared.dir, env)
  closers.push(async () => server.kill())
  return server
}

const MAIN = join(import.meta.dirname, '..', '..', 'src', 'cli', 'main.ts')
/** Milliseconds: machines are busy. */
const TIMEOUT = { timeout: scaled(180_000, 10) }

describe('under load', TIMEOUT, () => {
  it('kill -9 loses nothing that was acknowledged and lets nothing count twice, many times over', async () => {
    const trial = await createTrial('kill -9')
    for (let round = 0; round < scaled(3, 17); round += 1) {
      const server = await serve(trial)
      await judgeHanging(trial, server)
      await driveAndKill(trial, server)
      await judgeDisk(trial)
    }
    expect(trial.executions().size).toBeGreaterThan(0)
  })

  it.skipIf(library === undefined)('what `init` has answered is there after a loss of power', async () => {
    const dir = join(work, 'made')
    const [log, before] = [join(work, 'init.log'), join(work, 'before-init')]
    const env = { ...process.env, ...toRecorded(library ?? '', log, [dir]) }
    execFileSync(process.execPath, [MAIN, 'init', '--dir', dir], { env, stdio: 'pipe' })
    const names = readdirSync(dir, { recursive: true, encoding: 'utf8' }).filter((name) => !/-shm$|\.lock$/.test(name))
    cutPower({ folders: [dir], log, before })
    const left = readdirSync(dir, { recursive: true, encoding: 'utf8' })
    expect(names.filter((name) => !left.includes(name))).toEqual([])
    execFileSync(process.execPath, [MAIN, 'doctor', '--config', join(dir, 'unbearer.yaml')], { stdio: 'pipe' })
  })

  it.skipIf(library === undefined).each(['all', 'some'] as const)(
    'a loss of power that takes %s of what was not waited for does no more',
    async (which) => {
      const trial = await createTrial(`loss of power, ${which}`)
      const folders = ['state', 'head'].map((name) => join(trial.prepared.dir, name))
      const [log, before] = [join(work, `${which}.log`), join(work, `before-${which}`)]
      let lost = 0
      for (let round = 0; round < scaled(2, 10); round += 1) {
        keepBefore(folders, before)
        rmSync(log, { force: true })
        const server = await serve(trial, toRecorded(library ?? '', log, folders))
        await judgeHanging(trial, server)
        await driveAndKill(trial, server)
        lost += cutPower({ folders, log, before, ...(which === 'all' ? {} : { random: trial.random }) }).lost
        await judgeDisk(trial)
      }
      expect(lost).toBeGreaterThan(0)
    },
  )
})

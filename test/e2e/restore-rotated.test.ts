/**
 * @module
 * A backup and the issuer's key at different times: rotated before the backup, after it with the new key still there, and
 * after it with the new key lost. Each time nothing of before lives, whatever key signed it, and everybody can go on.
 *
 * Broken once on purpose, nothing retired in `server/issuer-keys.ts` and nothing voided in `server/continuity.ts`: the first two fell.
 * The third rests on the lost key being unknown.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import { backUp } from '../../src/config/backup.ts'
import { writeKeys } from '../../src/config/backup-keys.ts'
import type { Serving } from '../../src/config/listen.ts'
import { loadConfig, type Config } from '../../src/config/load.ts'
import { restore } from '../../src/config/restore.ts'
import { readKeyFile } from '../../src/crypto/keys.ts'
import { openCredential, sendWire, signAgent } from '../attacks/wire.ts'
import { INITIALIZE } from '../support/agent.ts'
import { control, createStage, openTask, type Stage } from '../support/places.ts'

let stage: Stage
let outside: string
beforeEach(async () => {
  outside = mkdtempSync(join(tmpdir(), 'unbearer-rotated-'))
  stage = await createStage()
})
afterEach(async () => {
  await stage.close()
  rmSync(outside, { recursive: true, force: true })
})

const at = (name: string): string => join(outside, name)
const here = async (): Promise<Config> => loadConfig(join(stage.prepared.dir, 'unbearer.yaml'))
const rotate = async (serving: Serving): Promise<unknown> => control(stage, serving, 'operator', 'key.rotate', {})

/** A backup of now, with the keys of now. */
async function backUpAll(): Promise<void> {
  await backUp(await here(), { to: at('backup'), madeBy: 'test' })
  writeKeys(await here(), at('keys'))
}

async function comeBack(dir: string, keys?: string): Promise<Serving> {
  await restore({
    from: at('backup'),
    dir,
    force: dir === stage.prepared.dir,
    keepBudgets: false,
    notice: () => undefined,
    operator: async () => readKeyFile(join(dir, 'keys', 'operator.jwk')),
    ...(keys === undefined ? {} : { keys }),
  })
  return stage.serve(dir)
}

const session = async (serving: Serving): Promise<string> =>
  openCredential(serving.origin, stage.prepared.keys.agent, await openTask(stage, serving, 'Look at record r1'))

/** What the gateway says to an agent that comes with this session credential. */
async function use({ origin }: Serving, credential: string): Promise<string> {
  const { status, reason } = await sendWire(
    origin,
    signAgent({ origin, key: stage.prepared.keys.agent, credential }, INITIALIZE),
  )
  return status === 200 ? 'taken' : `${status} ${reason ?? ''}`
}

const issuers = async ({ origin }: Serving): Promise<readonly string[]> => {
  const { keys }: { keys: { kid: string }[] } = JSON.parse(await (await fetch(`${origin}/jwks.json`)).text())
  return keys.map(({ kid }) => kid)
}

const keyOf = (dir: string): Promise<string> => readKeyFile(join(dir, 'keys', 'issuer.jwk')).then(({ jkt }) => jkt)

describe('a restore', () => {
  it('after a rotation before the backup knows both keys, and takes nothing that either signed', async () => {
    const before = await stage.serve()
    const old = await session(before)
    await rotate(before)
    const young = await session(before)
    const known = await issuers(before)
    expect([await use(before, old), await use(before, young)]).toEqual(['taken', 'taken'])
    await backUpAll()
    await before.close()
    const serving = await comeBack(at('elsewhere'), at('keys'))
    expect(known).toHaveLength(2)
    expect(await issuers(serving)).toEqual(known)
    for (const credential of [old, young])
      expect(await use(serving, credential)).toMatch(/^401 (identity|credential)\./)
    expect(await use(serving, await session(serving))).toBe('taken')
  })

  it('of a backup from before a rotation signs with the key that is there, and retires the one of the backup', async () => {
    const before = await stage.serve()
    const first = await keyOf(stage.prepared.dir)
    const old = await session(before)
    await backUpAll()
    await rotate(before)
    const young = await session(before)
    const second = await keyOf(stage.prepared.dir)
    await before.close()
    const serving = await comeBack(stage.prepared.dir)
    expect(await issuers(serving)).toEqual([second, first])
    for (const credential of [old, young])
      expect(await use(serving, credential)).toMatch(/^401 (identity|credential)\./)
    expect(await use(serving, await session(serving))).toBe('taken')
  })

  it('with the keys from before a rotation takes nothing that the lost key signed', async () => {
    const before = await stage.serve()
    const first = await keyOf(stage.prepared.dir)
    await backUpAll()
    await rotate(before)
    const young = await session(before)
    await before.close()
    const serving = await comeBack(at('elsewhere'), at('keys'))
    expect(readFileSync(at('elsewhere/keys/issuer.jwk'), 'utf8')).not.toBe('')
    expect(await issuers(serving)).toEqual([first])
    expect(await use(serving, young)).toMatch(/^401 (identity|credential)\./)
    expect(await use(serving, await session(serving))).toBe('taken')
  })
})

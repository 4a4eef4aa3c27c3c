/**
 * @module
 * The commands of the way back, on an installation that `init` made, as an operator types them.
 */
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'

import { isJsonObject, type Json, type JsonObject } from '../index.ts'
import { run } from './run.ts'

let dir: string
const at = (...path: readonly string[]): string => join(dir, ...path)

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'unbearer-cli-backup-'))
  await type(0, 'init', '--dir', at('here'))
})

afterEach(() => {
  vi.restoreAllMocks()
  rmSync(dir, { recursive: true, force: true })
})

/** Runs a command, expects its exit code, and answers what it printed as JSON. */
async function type(exit: number, ...args: readonly string[]): Promise<JsonObject> {
  const printed: string[] = []
  const out = vi.spyOn(process.stdout, 'write').mockImplementation((text) => printed.push(String(text)) > 0)
  const err = vi.spyOn(process.stderr, 'write').mockImplementation(() => true)
  try {
    expect(await run([...args, '--json'])).toBe(exit)
  } finally {
    out.mockRestore()
    err.mockRestore()
  }
  const answer: Json = JSON.parse(printed.join(''))
  return isJsonObject(answer) ? answer : {}
}

const config = (place = 'here'): readonly string[] => ['--config', at(place, 'unbearer.yaml')]

describe('unbearer backup, restore, recover', () => {
  it('lose the machine, come back, and prove the log', async () => {
    const backup = await type(0, 'backup', at('b.tar'), '--with-keys', at('k'), ...config())
    expect(statSync(at('k')).mode & 0o777).toBe(0o600)
    const keys = ['issuer', 'log', 'operator', 'approver', 'host'].map((name) => `keys/${name}.jwk`)
    expect(backup).toMatchObject({
      entries: expect.any(Number),
      keys: expect.arrayContaining([...keys, 'keys/evidence.key']),
    })
    rmSync(at('here'), { recursive: true })
    expect(await type(2, 'restore', at('b.tar'), '--dir', at('there'))).toMatchObject({
      error: { code: 'ERR_UNBEARER_CONFIG' },
    })
    const restored = await type(0, 'restore', at('b.tar'), '--dir', at('there'), '--keys', at('k'))
    expect(restored).toMatchObject({ entries: backup['entries'], outside: null, merged: 0 })
    expect(await type(0, 'audit', 'verify', ...config('there'))).toMatchObject({ ok: true })
    expect(await type(0, 'grant', 'list', ...config('there'))).toBeDefined()
    await type(2, 'restore', at('b.tar'), '--dir', at('there'))
    await type(0, 'restore', at('b.tar'), '--dir', at('there'), '--force')
  })

  it('an older store is refused with the command that accepts it', async () => {
    const store = at('here', 'state', 'unbearer.db')
    copyFileSync(store, at('older'))
    await type(0, 'agents', 'enrol', 'a', '--new', at('a.jwk'), ...config())
    copyFileSync(at('older'), store)
    const refused = await type(1, 'grant', 'list', ...config())
    expect(JSON.stringify(refused)).toContain('unbearer recover --accept-head')
    await type(2, 'recover', ...config())
    const recovered = await type(0, 'recover', '--accept-head', ...config())
    expect(recovered).toMatchObject({ accepted: true, outside: { size: expect.any(Number) } })
    const { aside } = recovered
    expect(typeof aside === 'string' && existsSync(aside)).toBe(true)
    expect(await type(0, 'recover', '--accept-head', ...config())).toEqual({ accepted: false })
    expect(await type(0, 'audit', 'verify', ...config())).toMatchObject({ ok: true })
  })

  it('a backup says what it lacks', async () => {
    const lines: string[] = []
    vi.spyOn(process.stdout, 'write').mockImplementation((text) => lines.push(String(text)) > 0)
    expect(await run(['backup', at('b'), ...config()])).toBe(0)
    expect(lines.join('')).toContain('no private keys and no secrets are in it')
    expect(readFileSync(at('b', 'manifest.json'), 'utf8')).toContain('"signature"')
  })
})

/**
 * Another configuration while it serves: everything or nothing, in one step. Seen to fail: with every key taken for one that
 * can be replaced.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'

import { parseConfig, type Config } from '../../src/config/load.ts'
import { connectAgent, type Agent } from '../support/agent.ts'
import { createInstallation, type Installation } from '../support/installation.ts'
import { startRecordingUpstream, type RecordingUpstream } from '../support/recording-upstream.ts'

let upstream: RecordingUpstream
let installation: Installation
let agent: Agent

const READ = { id: 'r1' }
const FORBID = '@id("no-writes") forbid (principal, action, resource) unless { context.action.effects == ["read"] };'

const file = (): string => join(installation.dir, 'unbearer.yaml')
/** The file as it stands, with lines changed. */
const changed = (change: (text: string) => string = (text) => text): Config =>
  parseConfig(change(readFileSync(file(), 'utf8')), { dir: installation.dir, file: file() })
const reload = async (next: Config = changed()): Promise<void> => installation.serving.reload(next)
const policy = (name: string): string => join(installation.dir, 'policies', name)

beforeEach(async () => {
  upstream = await startRecordingUpstream()
  installation = await createInstallation({ upstream: { url: upstream.url } })
  const { txn } = await installation.openTask('Read and update record r1')
  agent = await connectAgent({ origin: installation.origin, key: installation.keys.agent, txn })
})
afterEach(async () => {
  await agent.close()
  await installation.close()
  await upstream.close()
})

describe('a reload', () => {
  it('takes policies for the next request, and lets what is under way end under those of before', async () => {
    const slow = agent.call('slow_write', READ, 'write: update record r1')
    await vi.waitFor(() => expect(upstream.calls).toHaveLength(1), { timeout: 10_000 })
    writeFileSync(policy('90-mine.cedar'), FORBID)
    await reload()
    expect(await agent.call('write_record', { id: 'r1', text: 'r1' }, 'write: update record r1')).toMatchObject({
      ok: false,
      reason: 'policy.denied',
    })
    expect(await agent.call('read_record', READ)).toMatchObject({ ok: true })
    upstream.release()
    expect(await slow).toMatchObject({ ok: true })
    rmSync(policy('90-mine.cedar'))
    await reload()
    expect(await agent.call('write_record', { id: 'r1', text: 'r1' }, 'write: update record r1')).toMatchObject({
      ok: true,
    })
    const acts = (await installation.entries()).flatMap((entry) => (entry.kind === 'control' ? [entry.act] : []))
    expect(acts.filter((act) => act === 'reload')).toHaveLength(2)
  })

  it('never shows half of it: what is decided is decided by one configuration, under load', async () => {
    const stop = new AbortController()
    const seen = new Set<string>()
    const calling = (async () => {
      while (!stop.signal.aborted) {
        const { ok, reason = '' } = await agent.call('read_record', READ)
        seen.add(ok ? 'ok' : reason)
      }
    })()
    for (let round = 0; round < 6; round += 1) {
      if (round % 2 === 0) writeFileSync(policy('90-mine.cedar'), FORBID)
      else rmSync(policy('90-mine.cedar'))
      await reload()
    }
    stop.abort()
    await calling
    expect([...seen]).toEqual(['ok'])
  })

  it.each<[string, () => void | Config, string]>([
    ['a policy', () => writeFileSync(policy('90-mine.cedar'), '@id("x") forbid (princip'), '90-mine.cedar'],
    [
      'a policy of operators',
      () => {
        const policies = join(installation.dir, 'operators')
        mkdirSync(policies, { mode: 0o700 })
        writeFileSync(
          join(policies, 'a.cedar'),
          '@id("x") permit (principal, action == Control::Action::"revoke", resource);',
        )
        return changed((text) => `${text}operators: { policies: ./operators }\n`)
      },
      'key.enrol',
    ],
    ['a manifest', () => writeFileSync(join(installation.dir, 'manifests', 'x.yaml'), 'server: [x'), 'x.yaml'],
    ['a secret', () => changed((text) => text.replace('./keys/secret', './keys/nothing')), 'keys/nothing'],
    ['a mode of a file', () => changed((text) => text.replace('./keys/secret', './manifests')), 'manifests'],
    ['the issuer', () => changed((text) => text.replace('issuer: https://', 'issuer: https://other-')), '`issuer`'],
    ['the address', () => changed((text) => text.replace('127.0.0.1:0', '127.0.0.1:1')), '`listen.port`'],
    ['the store', () => changed((text) => text.replace('memory:', 'sqlite:./x.db')), '`store.kind`'],
    ['the key', () => changed((text) => text.replace('./keys/issuer.jwk', './keys/log.jwk')), '`keys.issuer`'],
    ['the head', () => changed((text) => text.replace('./head/', './keys/')), '`audit.head`'],
  ])('refuses %s that cannot be used, says so, and goes on as before', async (_name, prepare, message) => {
    const given = prepare()
    await expect(reload(given ?? changed())).rejects.toThrow(message)
    expect(await agent.call('read_record', READ)).toMatchObject({ ok: true })
    expect(await installation.control('operator', 'status')).toMatchObject({ fresh: true })
  })

  it('keeps sessions of what is the same, adds and takes away the rest', async () => {
    const more = `  - { name: more, kind: mcp, url: ${upstream.url} }\n`
    await reload(changed((text) => text.replace('limits:', `${more}limits:`)))
    expect(await agent.call('read_record', READ)).toMatchObject({ ok: true })
    const status = await fetch(`${installation.origin}/mcp/more`, { method: 'POST' })
    expect(status.status).not.toBe(404)
    await reload()
    expect((await fetch(`${installation.origin}/mcp/more`, { method: 'POST' })).status).toBe(404)
    expect(await agent.call('read_record', READ)).toMatchObject({ ok: true })
  })
})

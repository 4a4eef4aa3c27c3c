/**
 * Roles of operators on a real installation: over the wire, in the process of a command, and at start. Seen to fail: with
 * `assertNotLockedOut` left out, and with manifests taken from every operator.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { afterEach, describe, expect, it } from 'vitest'

import { createInstallation, prepareInstallation, writeManifest, type Installation } from '../support/installation.ts'
import { SERVER } from '../support/tools.ts'
import { callControl } from '../../src/client/index.ts'
import { openInstallation } from '../../src/config/compose.ts'
import { generateKey, importKey, type KeyPair } from '../../src/crypto/keys.ts'

const UPSTREAM = { url: 'http://127.0.0.1:9/mcp' }
let installation: Installation | undefined
afterEach(async () => {
  await installation?.close()
  installation = undefined
})

async function enrol(to: Installation, name: string, ...roles: readonly string[]): Promise<KeyPair> {
  const key = importKey({ ...generateKey('Ed25519') })
  await to.control('operator', 'key.enrol', { role: 'operator', name, roles: [...roles], jwk: { ...key.jwk } })
  return key
}

describe('operators of an installation', () => {
  it('may over the wire what their roles say, at once when they change', async () => {
    installation = await createInstallation({ upstream: UPSTREAM })
    const { origin: url } = installation
    const key = await enrol(installation, 'on-call', 'viewer')
    const call = async (method: string, params = {}): Promise<unknown> => callControl({ url, key, method, params })
    expect(await call('status')).toMatchObject({ fresh: true })
    await expect(call('revoke', { dimension: 'subject', id: 'eve' })).rejects.toMatchObject({
      reason: 'identity.key-role',
    })
    await installation.control('operator', 'key.roles', { name: 'on-call', roles: ['revoker'] })
    expect(await call('revoke', { dimension: 'subject', id: 'eve' })).toMatchObject({ recorded: true })
    await expect(call('grant.create', { grant: {} })).rejects.toMatchObject({ reason: 'identity.key-role' })
    // What was refused is counted, and is no entry.
    const entries = (await installation.entries()).length
    await expect(installation.control('approver', 'status')).rejects.toMatchObject({ reason: 'identity.key-role' })
    expect((await installation.entries()).length).toBe(entries)
    const metrics = await (await fetch(new URL('/metrics', url))).text()
    expect(metrics).toContain('unbearer_control_refused_total{reason="identity.key-role",role="operator"} 2')
    expect(metrics).toContain('unbearer_control_refused_total{reason="identity.key-role",role="approver"} 1')
  })

  it('put tools in force only when they may, and no longer than they may', async () => {
    installation = await createInstallation({ upstream: UPSTREAM })
    const { manifests } = installation.serving.composed
    const key = await enrol(installation, 'author', 'viewer')
    writeManifest(installation.dir, key)
    await manifests.reload()
    expect(manifests.unaccepted()).toEqual([SERVER])
    await installation.control('operator', 'key.roles', { name: 'author', roles: ['policy-author'] })
    expect(manifests.unaccepted()).toEqual([])
    await installation.control('operator', 'key.roles', { name: 'author', roles: ['viewer'] })
    expect(manifests.unaccepted()).toEqual([SERVER])
  })

  it('are decided alike when a command opens the state itself', async () => {
    const prepared = await prepareInstallation({ upstream: UPSTREAM })
    const opened = await openInstallation(prepared.config)
    try {
      const by = await opened.services.keys.findByName('operator', 'operator')
      if (by === undefined) throw new Error('no operator')
      const jwk = { ...importKey({ ...generateKey('Ed25519') }).jwk }
      const enrolment = { role: 'operator', name: 'viewer', roles: ['viewer'], jwk }
      await opened.control.call('key.enrol', enrolment, by)
      const viewer = await opened.services.keys.findByName('operator', 'viewer')
      if (viewer === undefined) throw new Error('no viewer')
      expect(await opened.control.call('status', {}, viewer)).toMatchObject({ fresh: true })
      await expect(opened.control.call('revoke', { dimension: 'all' }, viewer)).rejects.toMatchObject({
        reason: 'identity.key-role',
      })
    } finally {
      await opened.close()
      prepared.remove()
    }
  })

  it('cannot be locked out by a file, in silence or with a mistake', async () => {
    const prepared = await prepareInstallation({ upstream: UPSTREAM })
    const policies = join(prepared.dir, 'operators')
    const open = async (text: string): Promise<string> => {
      rmSync(policies, { recursive: true, force: true })
      mkdirSync(policies, { mode: 0o700 })
      writeFileSync(join(policies, 'mine.cedar'), text, { mode: 0o600 })
      return openInstallation({ ...prepared.config, operators: { policies } }).then(
        async (opened) => {
          await opened.close()
          return 'opened'
        },
        (fault: unknown) => (fault instanceof Error ? fault.message : ''),
      )
    }
    try {
      expect(await open('')).toContain(policies)
      expect(await open('// nothing is permitted\n')).toContain('no policy')
      expect(await open('@id("x") permit (principal, action, resource')).toContain('mine.cedar')
      expect(await open('@id("x") permit (principal, action == Control::Action::"revoke", resource);')).toContain(
        '`key.enrol`',
      )
      expect(
        await open('@id("x") permit (principal, action, resource) when { context.time + 9223372036854775807 > 0 };'),
      ).toContain('fails when it is evaluated')
      expect(await open('@id("x") permit (principal in Control::Role::"admin", action, resource);')).toBe('opened')
    } finally {
      prepared.remove()
    }
  })
})

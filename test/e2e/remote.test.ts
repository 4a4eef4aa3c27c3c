/**
 * Operator commands from another machine: no configuration, a key, a URL that is not the default, TLS with an authority of our
 * own. Broken once on purpose, `trustAlso` in the place of `trustOnly`, and certificates not compared at all: trusts the authority
 * that it is given and nobody else.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'

import { openForReading } from '../../src/config/reading.ts'
import { generateKey, importKey } from '../../src/crypto/keys.ts'
import { toVkey } from '../../src/crypto/note.ts'
import { hasOpenssl, makeAuthority, makeCertificate } from '../support/certificates.ts'
import { ISSUER, prepareInstallation, type Prepared } from '../support/installation.ts'
import { unbearer, type Ran } from '../support/run-cli.ts'
import { startServe, type ServeChild } from '../support/serve-child.ts'

// Many processes, one after the other, on machines that do other things beside.
vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 })

let prepared: Prepared
let server: ServeChild
let away: string
let origin = ''

async function freePort(): Promise<number> {
  const probe = createServer()
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve))
  const address: AddressInfo | string | null = probe.address()
  await new Promise<void>((resolve) => probe.close(() => resolve()))
  return typeof address === 'object' && address !== null ? address.port : 0
}

const keyOf = (name: string): string => join(away, `${name}.jwk`)
/** A command as it is typed elsewhere: no configuration anywhere near. */
const elsewhere = async (key: string, ...args: readonly string[]): Promise<Ran> =>
  unbearer(
    ...args,
    '--server',
    origin,
    '--ca',
    join(away, 'ours.pem'),
    args[1] === 'enrol' ? '--as' : '--key',
    keyOf(key),
    '--json',
  )
const jsonOf = ({ out }: Ran): Record<string, unknown> => JSON.parse(out)

describe.skipIf(!hasOpenssl)('from another machine, over TLS', () => {
  beforeAll(async () => {
    away = mkdtempSync(join(tmpdir(), 'unbearer-away-'))
    makeAuthority(away, 'ours')
    makeAuthority(away, 'theirs')
    makeCertificate(away, 'gateway', 'ours')
    prepared = await prepareInstallation({ upstream: { url: 'http://127.0.0.1:9/mcp' } })
    for (const [name, jwk] of Object.entries(prepared.jwks))
      writeFileSync(keyOf(name), JSON.stringify(jwk), { mode: 0o600 })
    const port = await freePort()
    origin = `https://localhost:${port}`
    const file = join(prepared.dir, 'unbearer.yaml')
    const tls = `tls: { cert: { file: ${away}/gateway.pem }, key: { file: ${away}/gateway.key }, ca: ${away}/ours.pem }`
    writeFileSync(
      file,
      `${readFileSync(file, 'utf8').replace('127.0.0.1:0', `127.0.0.1:${port}`)}origin: ${origin}\n${tls}\n`,
    )
    server = await startServe(prepared.dir)
  })
  afterAll(async () => {
    await server.stop()
    prepared.remove()
    rmSync(away, { recursive: true })
  })

  it('trusts the authority that it is given and nobody else', async () => {
    expect(server.origin).toBe(origin)
    const asking = ['keys', 'list', '--key', keyOf('operator'), '--server', origin]
    expect(await unbearer(...asking)).toMatchObject({ exit: 2 })
    expect(await unbearer(...asking, '--ca', join(away, 'theirs.pem'))).toMatchObject({ exit: 2 })
    // Nor whom the system trusts, where another authority is named.
    vi.stubEnv('NODE_EXTRA_CA_CERTS', join(away, 'ours.pem'))
    expect(await unbearer(...asking)).toMatchObject({ exit: 0 })
    expect(await unbearer(...asking, '--ca', join(away, 'theirs.pem'))).toMatchObject({ exit: 2 })
    vi.unstubAllEnvs()
    expect(await unbearer(...asking, '--ca', keyOf('operator'))).toMatchObject({ exit: 2 })
    expect(await unbearer(...asking, '--ca', join(away, 'ours.pem'))).toMatchObject({ exit: 0 })
    const byAddress = [...asking.slice(0, -1), origin.replace('localhost', '127.0.0.1'), '--ca', join(away, 'ours.pem')]
    expect(await unbearer(...byAddress)).toMatchObject({ exit: 2 })
  })

  it('says which key is missing when there is no configuration', async () => {
    const { exit, err } = await unbearer('keys', 'list', '--server', origin)
    expect([exit, err]).toEqual([2, expect.stringContaining('--key')])
  })

  it('enrols, grants, opens tasks, revokes', async () => {
    expect(
      await elsewhere('operator', 'operators', 'enrol', 'on-call', '--role', 'revoker', '--new', keyOf('on-call')),
    ).toMatchObject({ exit: 0 })
    expect(await elsewhere('operator', 'agents', 'enrol', 'bot', '--new', keyOf('bot'))).toMatchObject({ exit: 0 })
    expect(
      await elsewhere('operator', 'operators', 'roles', 'on-call', '--role', 'revoker', '--role', 'viewer'),
    ).toMatchObject({ exit: 0 })
    writeFileSync(join(away, 'grant.yaml'), 'principal: alice\nactor: bot\noperations: [{ tool: orders/query }]\n')
    const grant = jsonOf(await elsewhere('operator', 'grant', 'create', '-f', join(away, 'grant.yaml')))
    expect(jsonOf(await elsewhere('on-call', 'grant', 'show', String(grant['id'])))).toMatchObject({ id: grant['id'] })
    expect(await elsewhere('on-call', 'grant', 'create', '-f', join(away, 'grant.yaml'))).toMatchObject({ exit: 1 })
    const opening = ['task', 'open', '--purpose', 'look at order 7', '--principal', 'alice', '--actor', 'bot']
    expect(jsonOf(await elsewhere('host', ...opening))).toMatchObject({ grant: grant['id'] })
    expect(jsonOf(await elsewhere('approver', 'approvals', 'list'))).toEqual([])
    expect(jsonOf(await elsewhere('on-call', 'revoke', 'actor', 'bot'))).toMatchObject({ recorded: true, silent: [] })
  })

  it('accepts tools into the folder of the server, not into one of its own', async () => {
    const draft = join(away, 'tools.yaml')
    mkdirSync(join(away, 'manifests'))
    writeFileSync(join(away, 'tools.jsonl'), '{"name":"look","inputSchema":{"type":"object"}}\n')
    expect(await unbearer('tools', 'scan', 'crm', '--tools', join(away, 'tools.jsonl'), '--out', draft)).toMatchObject({
      exit: 0,
    })
    expect(await elsewhere('on-call', 'tools', 'accept', draft)).toMatchObject({ exit: 1 })
    expect(await elsewhere('operator', 'tools', 'accept', draft)).toMatchObject({ exit: 0 })
    expect(readFileSync(join(prepared.dir, 'manifests', 'crm.yaml'), 'utf8')).toContain('accepted')
    expect(await elsewhere('on-call', 'tools', 'diff', draft)).toMatchObject({ exit: 0 })
    writeFileSync(draft, readFileSync(draft, 'utf8').replace('effect: execute', 'effect: read'))
    expect(await elsewhere('on-call', 'tools', 'diff', draft)).toMatchObject({ exit: 1 })
  })

  it('reads, verifies and exports the log with a key that it was told before', async () => {
    const reading = await openForReading(prepared.config)
    const { vkey } = reading
    await reading.close()
    const tailed = await elsewhere('on-call', 'audit', 'tail', '--last', '3')
    const lines = tailed.out
      .trim()
      .split('\n')
      .map((line): Record<string, unknown> => JSON.parse(line))
    expect(lines).toHaveLength(3)
    expect(lines[0]).toMatchObject({ schema: 'unbearer.audit/1', entry: { v: 1 } })
    const next = Number(lines[2]?.['index']) + 1
    expect(await elsewhere('on-call', 'audit', 'tail', '--from', String(next))).toMatchObject({ exit: 0, out: '' })
    expect(await elsewhere('on-call', 'audit', 'tail', '--from', String(next + 1))).toMatchObject({ exit: 1 })
    expect(jsonOf(await elsewhere('on-call', 'audit', 'verify', '--vkey', vkey))).toMatchObject({ ok: true })
    expect(await elsewhere('on-call', 'audit', 'verify')).toMatchObject({ exit: 2 })
    const other = toVkey('unbearer-test.invalid/log', importKey({ ...generateKey('Ed25519') }))
    expect(await elsewhere('on-call', 'audit', 'verify', '--vkey', other)).toMatchObject({ exit: 1 })
    const folder = join(away, 'export')
    expect(await elsewhere('on-call', 'audit', 'export', folder, '--vkey', vkey)).toMatchObject({ exit: 0 })
    expect(await unbearer('audit', 'verify', folder, '--vkey', vkey)).toMatchObject({ exit: 0 })
    const { entry }: { entry: { id: string } } = JSON.parse(tailed.out.split('\n')[0] ?? '')
    const shown = await elsewhere('on-call', 'audit', 'show', entry.id, '--vkey', vkey)
    expect(jsonOf(shown)).toMatchObject({ ok: true, commitments: expect.anything() })
    const looked = await elsewhere('on-call', 'audit', 'tail', '--last', '1')
    expect(jsonOf(looked)).toMatchObject({ entry: { act: 'entry.show' } })
  })

  it('observes for the installation that is named, and not for one that a server names', async () => {
    const asked = ['mode', 'observe', '--upstream', 'orders', '--for', '1h', '--note', 'trial']
    expect(await elsewhere('operator', ...asked)).toMatchObject({ exit: 2 })
    const signed = await elsewhere('operator', ...asked, '--issuer', ISSUER)
    // The file enforces, so that nothing is observed; the signature was taken for this installation.
    expect([signed.exit, signed.err]).not.toEqual([1, expect.stringContaining('signed')])
    expect(await elsewhere('on-call', 'mode', 'list')).toMatchObject({ exit: 0 })
    expect(jsonOf(await elsewhere('on-call', 'doctor'))).toMatchObject({ healthy: true })
  })

  it('is found by commands beside the configuration, which trust the authority that it names', async () => {
    const config = join(prepared.dir, 'unbearer.yaml')
    expect(await unbearer('keys', 'list', '--config', config, '--key', keyOf('operator'))).toMatchObject({ exit: 0 })
  })
})

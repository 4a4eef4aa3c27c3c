/**
 * Grants without an operator, as people and applications get them: from a shell, and in the process of a host.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'

import { connect, type Unbearer } from '../../src/host.ts'
import { toGrantNonce } from '../../src/client/index.ts'
import { prepareInstallation, type Prepared } from '../support/installation.ts'
import { AUDIENCE, createOutsideIssuer, type OutsideIssuer } from '../support/outside-issuer.ts'
import { unbearer, type Ran } from '../support/run-cli.ts'
import { SERVER } from '../support/tools.ts'

// Many processes, one after the other, on machines that do other things beside.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 })

let dir: string
let prepared: Prepared
let issuer: OutsideIssuer

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'unbearer-delegation-'))
  issuer = await createOutsideIssuer()
  const ceiling = `{ operations: [{ tool: ${SERVER}/read_note }], expires: 2h }`
  prepared = await prepareInstallation({
    upstream: { url: 'http://127.0.0.1:9/mcp' },
    yaml: `trust:
  issuers: [{ issuer: '${issuer.url}', audience: ${AUDIENCE}, nonce: bound, grants: ${ceiling} }]
  signed: ${ceiling}
`,
  })
  for (const name of ['operator', 'host'] as const)
    writeFileSync(join(prepared.dir, 'keys', `${name}.jwk`), JSON.stringify(prepared.jwks[name]), { mode: 0o600 })
})

afterAll(async () => {
  prepared.remove()
  rmSync(dir, { recursive: true })
  await issuer.close()
})

const config = (): readonly string[] => ['--config', join(prepared.dir, 'unbearer.yaml'), '--json']
const file = (name: string, text: string): string => {
  const path = join(dir, name)
  writeFileSync(path, text, { mode: 0o600 })
  return path
}
const jsonOf = ({ out, err }: Ran): Record<string, unknown> => JSON.parse(out === '' ? err : out)

describe('from a shell', () => {
  it('a principal signs, anybody hands it in, once', async () => {
    const key = join(dir, 'alice.jwk')
    const enrolled = await unbearer('principals', 'enrol', 'alice-laptop', '--for', 'alice', '--new', key, ...config())
    expect(jsonOf(enrolled)).toMatchObject({ role: 'principal', principal: { type: 'user', id: 'alice' } })
    const grant = file('grant.yaml', `actor: ${prepared.keys.agent.jkt}\nexpires: 1h\n`)
    const signed = await unbearer('grant', 'sign', '-f', grant, '--key', key, ...config())
    expect(signed.exit).toBe(0)
    const jws = file('grant.jws', `${String(jsonOf(signed)['signed'])}\n`)
    const taken = await unbearer('grant', 'take', jws, ...config())
    expect(jsonOf(taken)).toMatchObject({ principal: { id: 'alice' }, issuedBy: { role: 'principal' } })
    const again = await unbearer('grant', 'take', jws, ...config())
    expect([again.exit, jsonOf(again)]).toMatchObject([1, { error: { reason: 'identity.replayed' } }])
    const d = /"d":"([^"]+)"/.exec(readFileSync(key, 'utf8'))?.[1] ?? ''
    for (const { out, err } of [enrolled, signed, taken, again]) expect(`${out}${err}`).not.toContain(d)
  })

  it('a login opens a grant, and a task under it', async () => {
    const grant = { actor: 'agent', expires: '1h' }
    const token = issuer.idToken({ nonce: toGrantNonce(grant, 'salt-1') })
    const asked = ['grant', 'open', '-f', file('open.yaml', 'actor: agent\nexpires: 1h\n')]
    const opened = await unbearer(...asked, '--subject-token', file('id-token', token), '--salt', 'salt-1', ...config())
    const principal = { type: 'oidc', id: `${issuer.url}#alice` }
    expect(jsonOf(opened)).toMatchObject({ principal, issuedBy: { role: 'host', issuer: issuer.url } })
    const task = [
      'task',
      'open',
      '--purpose',
      'read the note',
      '--principal',
      `oidc/${issuer.url}#alice`,
      '--actor',
      'agent',
    ]
    expect(jsonOf(await unbearer(...task, ...config()))).toMatchObject({ principal, grant: jsonOf(opened)['id'] })
    const again = await unbearer(...asked, '--subject-token', join(dir, 'id-token'), '--salt', 'salt-1', ...config())
    expect([again.exit, jsonOf(again)]).toMatchObject([1, { error: { reason: 'identity.replayed' } }])
    const other = await unbearer(...asked, '--subject-token', join(dir, 'id-token'), ...config())
    expect([other.exit, jsonOf(other)]).toMatchObject([1, { error: { reason: 'identity.bad-proof' } }])
    expect(other.err + other.out).toContain('`nonce`')
    const [flag = '', path = ''] = config()
    expect((await unbearer('grant', 'list', flag, path)).out).toMatch(/oidc\/http.* host /)
    for (const { out, err } of [opened, again, other]) expect(`${out}${err}`).not.toContain(token.slice(0, 40))
    const missing = await unbearer(...asked, '--subject-token', join(dir, 'nothing'), ...config())
    expect(missing.exit).toBe(2)
  })

  it('is told what is wrong before anything is sent', async () => {
    expect((await unbearer('grant', 'open', '-f', '-', '--subject-token', '-', ...config())).exit).toBe(2)
    const grant = file('grant.yaml', 'actor: x\n')
    const wait = ['grant', 'sign', '-f', grant, '--key', join(dir, 'alice.jwk'), '--wait', '2d', ...config()]
    expect((await unbearer(...wait)).exit).toBe(2)
  })
})

describe('in the process of a host', () => {
  let host: Unbearer
  beforeAll(async () => {
    const key = { ...prepared.jwks.host }
    host = await connect({ config: join(prepared.dir, 'unbearer.yaml'), key, listen: false })
  })
  afterAll(async () => host.close())

  it('a login opens a grant, and a task under it', async () => {
    const grant = { actor: 'agent' }
    const subjectToken = issuer.idToken({ sub: 'bob', nonce: toGrantNonce(grant, 'salt-2') })
    const opening = { grant, salt: 'salt-2', subjectToken, subjectTokenType: 'id-token' }
    const opened = await host.openGrant(opening)
    expect(opened.principal).toEqual({ type: 'oidc', id: `${issuer.url}#bob` })
    const task = { purpose: 'read the note', principal: opened.principal, actor: 'agent', grant: opened.id }
    expect(await host.openTask(task)).toBeDefined()
    await expect(host.openGrant(opening)).rejects.toMatchObject({ reason: 'identity.replayed' })
  })
})

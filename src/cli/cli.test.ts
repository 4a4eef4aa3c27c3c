import { spawn } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { isJsonObject, type Json, type JsonObject } from '../core/json.ts'

const MAIN = fileURLToPath(new URL('main.ts', import.meta.url))

interface Ran {
  readonly exit: number | null
  readonly out: string
  readonly err: string
  readonly json: JsonObject
}

let dir: string
let installed: string
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'unbearer-cli-'))
  installed = join(dir, 'installed')
  const { exit, err } = await unbearer('init', '--dir', installed)
  if (exit !== 0) throw new Error(err)
})
afterAll(async () => {
  await rm(dir, { recursive: true })
})

async function unbearer(...args: readonly string[]): Promise<Ran> {
  const child = spawn(process.execPath, [MAIN, ...args], { cwd: dir, stdio: ['ignore', 'pipe', 'pipe'] })
  const [out, err, exit] = await Promise.all([
    read(child.stdout),
    read(child.stderr),
    new Promise<number | null>((resolve) => child.on('close', resolve)),
  ])
  return { exit, out, err, json: toJson(out) }
}

/** With the configuration of the test. */
const inside = async (...args: readonly string[]): Promise<Ran> =>
  unbearer(...args, '--config', join(installed, 'unbearer.yaml'))

async function read(stream: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

function toJson(text: string): JsonObject {
  try {
    const value: Json = JSON.parse(text)
    return isJsonObject(value) ? value : {}
  } catch {
    return {}
  }
}

const errorOf = ({ json }: Ran): JsonObject => (isJsonObject(json['error']) ? json['error'] : {})

describe('unbearer', () => {
  it('shows help, a group, a page and the version', async () => {
    const overview = await unbearer('--help')
    expect(overview).toMatchObject({ exit: 0, err: '' })
    expect(overview.out).toContain('grant create')
    expect(await unbearer()).toMatchObject({ exit: 2, out: overview.out })
    expect((await unbearer('grant', '--help')).out).toContain('grant show')
    expect((await unbearer('grant', 'create', '--help')).out).toContain('principal: alice')
    expect((await unbearer('--version')).out).toMatch(/^\d+\.\d+\.\d+\n$/)
  })

  it('answers 2 with a hint for what it does not know', async () => {
    const command = await unbearer('grnat', 'create')
    expect(command).toMatchObject({ exit: 2, out: '' })
    expect(command.err).toContain('did you mean `grant create`')
    const option = await unbearer('init', '--agent-uuid', '5', '--json')
    expect(option.exit).toBe(2)
    expect(option.err).toContain('did you mean `--agent-uid`')
    expect(errorOf(option)).toMatchObject({ code: 'ERR_UNBEARER_INPUT' })
    expect((await unbearer('--json', 'doctor')).err).toContain('the command comes first')
    expect(await unbearer('grant', 'show')).toMatchObject({ exit: 2 })
    expect(await unbearer('grant', 'show', 'a', 'b')).toMatchObject({ exit: 2 })
    const none = await unbearer('grant', 'list', '--json')
    expect(none.exit).toBe(2)
    expect(errorOf(none)).toMatchObject({ code: 'ERR_UNBEARER_CONFIG' })
  })

  it('writes no control characters of its arguments to the terminal', async () => {
    const { err } = await unbearer('grant', 'show', '\u001b[2Jx', '--config', '\u001b]0;x\u0007')
    expect(err).toContain('u{001b}')
    expect(err).not.toContain('\u001b')
  })
})

describe('unbearer init', () => {
  it('writes everything for our eyes only, and observes first', async () => {
    for (const name of ['issuer', 'log', 'operator', 'approver', 'host']) {
      expect((await stat(join(installed, 'keys', `${name}.jwk`))).mode & 0o777).toBe(0o600)
    }
    for (const name of ['keys', 'state', 'head', 'manifests', 'policies', '.']) {
      expect((await stat(join(installed, name))).mode & 0o777).toBe(0o700)
    }
    const text = await readFile(join(installed, 'unbearer.yaml'), 'utf8')
    expect(text).toContain('mode: observe')
    expect(text).toContain('deployment: same-user')
    expect(await inside('doctor', '--json')).toMatchObject({ exit: 0, json: { healthy: true } })
  })

  it('overwrites nothing', async () => {
    const before = await readFile(join(installed, 'keys', 'issuer.jwk'), 'utf8')
    const again = await unbearer('init', '--dir', installed)
    expect(again.exit).toBe(2)
    expect(again.err).toContain('overwrites nothing')
    expect(await readFile(join(installed, 'keys', 'issuer.jwk'), 'utf8')).toBe(before)
  })

  it('leaves a folder of policies that is there alone, and does not take it for its own', async () => {
    await mkdir(join(dir, 'clone', 'policies'), { recursive: true })
    const made = await unbearer('init', '--dir', 'clone')
    expect(made).toMatchObject({ exit: 0 })
    expect(await readFile(join(dir, 'clone', 'unbearer.yaml'), 'utf8')).toContain('policies: ./unbearer-policies')
    expect(await readdir(join(dir, 'clone', 'policies'))).toEqual([])
    expect(await unbearer('init', '--dir', 'clone')).toMatchObject({ exit: 2 })
  })

  it('declares another user, and leaves nothing behind when it may not', async () => {
    const other = await unbearer('init', '--dir', 'other', '--agent-uid', '54321', '--json')
    expect(other).toMatchObject({ exit: 0, json: { deployment: { agentUid: 54321 }, mode: 'observe' } })
    for (const uid of ['0', '-1', 'root', '1e3']) {
      expect(await unbearer('init', '--dir', 'refused', `--agent-uid=${uid}`)).toMatchObject({ exit: 2 })
    }
    await expect(stat(join(dir, 'refused'))).rejects.toThrow('ENOENT')
  })
})

describe('operator commands without a server', { timeout: 120_000 }, () => {
  it('enrol, grant, open, revoke, and verify what was logged', async () => {
    const key = join(dir, 'bot.jwk')
    expect(await inside('agents', 'enrol', 'bot', '--new', key)).toMatchObject({ exit: 0 })
    expect((await stat(key)).mode & 0o777).toBe(0o600)
    expect((await inside('agents', 'enrol', 'bot', '--new', join(dir, 'no.jwk'))).err).toContain('another agent key')
    await expect(stat(join(dir, 'no.jwk'))).rejects.toThrow('ENOENT')

    await writeFile(join(dir, 'grant.yaml'), 'principal: alice\nactor: bot\noperations: [{ tool: orders/query }]\n')
    const grant = await inside('grant', 'create', '-f', join(dir, 'grant.yaml'), '--json')
    expect(grant).toMatchObject({ exit: 0, json: { principal: { type: 'user', id: 'alice' } } })

    const opening = ['--purpose', 'look at order 7', '--principal', 'alice', '--actor', 'bot', '--json']
    expect(await inside('task', 'open', ...opening)).toMatchObject({ exit: 0, json: { grant: grant.json['id'] ?? '' } })
    const byAgent = await inside('task', 'open', ...opening, '--key', key)
    expect(byAgent.exit).toBe(1)
    expect(errorOf(byAgent)).toMatchObject({ reason: 'identity.key-role' })

    expect(await inside('revoke', 'actor', 'nobody')).toMatchObject({ exit: 2 })
    expect(await inside('revoke', 'actor', 'bot', '--json')).toMatchObject({
      exit: 0,
      json: { recorded: true, silent: [] },
    })
    expect(await inside('audit', 'verify', '--json')).toMatchObject({ exit: 0, json: { ok: true } })
  })

  it('refuses a key that is not enrolled, and a public one', async () => {
    const key = join(dir, 'stranger.jwk')
    const { generateKey, importKey } = await import('../crypto/keys.ts')
    const jwk = generateKey('Ed25519')
    await writeFile(key, JSON.stringify(jwk))
    const stranger = await inside('grant', 'list', '--key', key, '--json')
    expect(stranger.exit).toBe(1)
    expect(errorOf(stranger)).toMatchObject({ reason: 'identity.unknown-key' })
    await writeFile(key, JSON.stringify(importKey({ ...jwk }).jwk))
    expect((await inside('grant', 'list', '--key', key)).err).toContain('public key')
  })

  it('refuses to open an installation that others can read', async () => {
    await chmod(join(installed, 'keys', 'issuer.jwk'), 0o644)
    const { exit, err } = await inside('grant', 'list')
    await chmod(join(installed, 'keys', 'issuer.jwk'), 0o600)
    expect(exit).toBe(2)
    expect(err).toContain('chmod 600')
  })

  it('does not believe whoever sits on our port while no server runs', async () => {
    let asked = 0
    const impostor = createServer((_request, response) => {
      asked += 1
      response.end(JSON.stringify({ ok: true, result: { rev: 1, recorded: true, peps: [], silent: [] } }))
    })
    await new Promise<void>((resolve) => impostor.listen(0, '127.0.0.1', resolve))
    const address: AddressInfo | string | null = impostor.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    const text = await readFile(join(installed, 'unbearer.yaml'), 'utf8')
    const config = join(installed, 'impostor.yaml')
    await writeFile(config, text.replace('127.0.0.1:8700', `127.0.0.1:${port}`), { mode: 0o600 })
    const revoked = await unbearer('revoke', 'subject', 'mallory', '--config', config, '--json')
    impostor.close()
    expect(revoked).toMatchObject({ exit: 0, json: { id: 'user/mallory', recorded: true } })
    expect(asked).toBe(0)
  })
})

describe('operator commands with a server', () => {
  it('ask the server that has the store, and it drains on SIGTERM', async () => {
    const text = await readFile(join(installed, 'unbearer.yaml'), 'utf8')
    const config = join(installed, 'served.yaml')
    await writeFile(config, text.replace('127.0.0.1:8700', '127.0.0.1:0'), { mode: 0o600 })
    const server = spawn(process.execPath, [MAIN, 'serve', '--json', '--config', config], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const ended = new Promise<number | null>((resolve) => server.on('close', resolve))
    try {
      const started = await new Promise<string>((resolve) =>
        server.stdout.once('data', (chunk: Buffer) => resolve(chunk.toString())),
      )
      const { origin, advisory } = toJson(started)
      expect(advisory).toBe(true)
      const at = typeof origin === 'string' ? origin : ''
      expect(await inside('grant', 'list', '--server', at)).toMatchObject({ exit: 0, err: '' })
      expect(await inside('revoke', 'subject', 'eve', '--server', at, '--json')).toMatchObject({
        exit: 0,
        json: { id: 'user/eve' },
      })
      const refused = await inside(
        'revoke',
        'all',
        '--server',
        at,
        '--key',
        join(installed, 'keys', 'host.jwk'),
        '--json',
      )
      expect(refused.exit).toBe(1)
      expect(errorOf(refused)).toMatchObject({ reason: 'identity.key-role' })
      expect(await inside('audit', 'verify', '--json')).toMatchObject({ exit: 0, json: { ok: true } })
      expect((await inside('grant', 'list', '--server', 'http://127.0.0.1:9')).exit).toBe(2)
    } finally {
      server.kill('SIGTERM')
    }
    expect(await ended).toBe(0)
  })

  it('seals under a key of its own, erases a subject and archives the log', async () => {
    const key = join(installed, 'keys', 'evidence.key')
    expect((await stat(key)).mode & 0o777).toBe(0o600)
    const opened = await inside(
      'task',
      'open',
      '--purpose',
      'look',
      '--principal',
      'carol',
      '--actor',
      'nobody',
      '--json',
    )
    expect(opened.exit).toBe(2)
    await inside('agents', 'enrol', 'carols-bot', '--new', join(dir, 'carols-bot.jwk'))
    expect(
      await inside('task', 'open', '--purpose', 'look', '--principal', 'carol', '--actor', 'carols-bot'),
    ).toMatchObject({
      exit: 0,
    })
    const archive = join(dir, 'archive')
    const first = await inside('audit', 'archive', archive, '--json')
    expect(first).toMatchObject({ exit: 0, json: { ok: true, added: first.json['entries'] } })
    const erased = await inside('erase', 'subject', 'carol', '--json')
    expect(erased).toMatchObject({ exit: 0, json: { keyDestroyed: true, scrubbed: true, removed: { tasks: 1 } } })
    expect(await inside('erase', 'subject', 'carol')).toMatchObject({
      exit: 1,
      out: 'nothing is kept under this subject\n',
    })
    expect(await inside('evidence', 'sweep')).toMatchObject({ exit: 0, out: expect.stringContaining('0 outputs') })
    expect(await inside('audit', 'archive', archive, '--json')).toMatchObject({ exit: 0, json: { added: 1 } })
    expect(await inside('audit', 'verify', archive)).toMatchObject({ exit: 0 })
    expect(await inside('audit', 'verify')).toMatchObject({ exit: 0 })
  }, 120_000)
})

/**
 * @module
 * The AuthZEN PDP of an installation, started as a user starts it: every request is signed by an enrolled key, every decision
 * stands in the log, and the commands' words hold.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { request, type RequestOptions } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { run } from '../../src/cli/run.ts'
import { postSigned } from '../../src/client/index.ts'
import { openForReading } from '../../src/config/reading.ts'
import { loadConfig } from '../../src/config/load.ts'
import { readKeyFile } from '../../src/crypto/keys.ts'
import { isJsonObject, parseJson, RefusedError, type JsonObject } from '../../src/index.ts'
import { certify, hasOpenssl, makeAuthority, makeCertificate } from '../support/certificates.ts'

const dir = mkdtempSync(join(tmpdir(), 'unbearer-pdp-'))
const config = join(dir, 'unbearer.yaml')
const policies = join(dir, 'authzen')
const children: ChildProcess[] = []
afterAll(async () => {
  for (const child of children) await stop(child)
  rmSync(dir, { recursive: true, force: true })
})

beforeAll(async () => {
  await quietly(['init', '--dir', dir, '--deployment', 'same-user', '--json'])
  writeFileSync(config, readFileSync(config, 'utf8').replace(/^listen: .*$/m, 'listen: 127.0.0.1:0'))
  for (const [role, name] of [
    ['peps', 'crm'],
    ['agents', 'bot'],
  ] as const)
    await quietly([role, 'enrol', name, '--new', join(dir, `${name}.jwk`), '--config', config, '--json'])
  mkdirSync(policies)
  writeFileSync(
    join(policies, 'p.cedar'),
    '@id("r") permit (principal == user::"alice", action == Action::"read", resource);',
  )
  writeFileSync(join(dir, 'e.ndjson'), '{"type":"user","id":"alice"}\n')
})

async function quietly(args: readonly string[]): Promise<void> {
  const write = process.stdout.write.bind(process.stdout)
  process.stdout.write = () => true
  try {
    if ((await run(args)) !== 0) throw new Error(`\`${args.join(' ')}\` failed`)
  } finally {
    process.stdout.write = write
  }
}

async function start(
  ...more: readonly string[]
): Promise<{ child: ChildProcess; started: JsonObject; warned: () => string }> {
  const args = ['serve', '--pdp', '--policies', policies, '--entities', join(dir, 'e.ndjson'), '--json', ...more]
  const child = spawn(process.execPath, [join('src', 'cli', 'main.ts'), ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  children.push(child)
  const errors: Buffer[] = []
  child.stderr?.on('data', (chunk: Buffer) => errors.push(chunk))
  const warned = (): string => Buffer.concat(errors).toString()
  const [line] = await Promise.race([
    once(child.stdout ?? child, 'data'),
    once(child, 'exit').then(() => Promise.reject(new Error(warned()))),
  ])
  const started = parseJson(String(line).trim())
  if (!isJsonObject(started) || started['error'] !== undefined) throw new Error(String(line))
  return { child, started, warned }
}

function toOrigin({ origin }: JsonObject): string {
  if (typeof origin !== 'string') throw new TypeError('there is no origin')
  return origin
}

async function stop(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null) return child.exitCode
  const exited = once(child, 'exit')
  child.kill('SIGTERM')
  await exited
  return child.exitCode
}

const QUESTION = {
  subject: { type: 'user', id: 'alice' },
  action: { name: 'read' },
  resource: { type: 'doc', id: '1' },
}

/** What the PDP has recorded. */
async function readEntries(): Promise<readonly JsonObject[]> {
  const reading = await openForReading(await loadConfig(config))
  const leaves = await reading.store.log.entries(0, await reading.store.log.size())
  await reading.store.close()
  return leaves
    .map((leaf) => parseJson(leaf))
    .filter((entry): entry is JsonObject => isJsonObject(entry) && entry['plane'] === 'authzen')
}

/** As any HTTPS client does it. */
async function postOver(
  url: string,
  body: JsonObject,
  shown: { readonly key?: string; readonly cert?: string },
  said: Readonly<Record<string, string>> = {},
): Promise<readonly [number, string]> {
  const headers = { 'content-type': 'application/json', ...said }
  // Who the server is is not what is tried here.
  const options: RequestOptions = { ...shown, method: 'POST', headers, agent: false, rejectUnauthorized: false }
  return new Promise((resolve, reject) => {
    const sent = request(url, options, (response) => {
      let text = ''
      response.on('data', (chunk: Buffer) => (text += chunk.toString()))
      response.on('end', () => resolve([response.statusCode ?? 0, text]))
    })
    sent.once('error', reject).end(JSON.stringify(body))
  })
}

describe('the PDP of an installation', () => {
  it('answers enrolled PEPs only, records before it answers, and gives no answer to be used again', async () => {
    const { child, started } = await start('--config', config)
    expect(started).toMatchObject({ authentication: 'signature', trustClaims: false, actions: ['read'], entities: 1 })
    const url = new URL(`${toOrigin(started)}/access/v1/evaluation`)
    const headers = { 'content-type': 'application/json' }
    const bare = await fetch(url, { method: 'POST', headers, body: JSON.stringify(QUESTION) })
    expect(bare.status).toBe(401)
    const pep = await readKeyFile(join(dir, 'crm.jwk'))
    expect(await postSigned({ key: pep, url, body: QUESTION })).toEqual({ decision: true })
    const other = { ...QUESTION, subject: { type: 'user', id: 'bob' } }
    const denied = await postSigned({ key: pep, url, body: other })
    expect(denied).toMatchObject({ decision: false, context: { reason: 'policy.undefined' } })
    const agent = await readKeyFile(join(dir, 'bot.jwk'))
    await expect(postSigned({ key: agent, url, body: QUESTION })).rejects.toBeInstanceOf(RefusedError)
    expect(await stop(child)).toBe(0)
    expect(await readEntries()).toMatchObject([
      { decision: 'permit', proof: 'signature', mode: 'enforce' },
      { decision: 'deny', reason: 'policy.undefined' },
    ])
  })

  it.skipIf(!hasOpenssl)('knows a PEP that speaks nothing but AuthZEN by the key of its certificate', async () => {
    makeAuthority(dir, 'ours')
    makeCertificate(dir, 'server', 'ours')
    const tls = 'tls: { cert: { file: ./server.pem }, key: { file: ./server.key }, clientCertificates: true }'
    const own = join(dir, 'tls.yaml')
    writeFileSync(own, `${readFileSync(config, 'utf8')}\n${tls}\n`)
    const shown = async (name: string): Promise<{ readonly key: string; readonly cert: string }> => {
      const pem = await readKeyFile(join(dir, `${name}.jwk`))
      const key = pem.privateKey?.export({ type: 'pkcs8', format: 'pem' }).toString() ?? ''
      return { key, cert: certify(dir, `cert-${name}`, key) }
    }
    const { child, started } = await start('--config', own)
    const url = `${toOrigin(started)}/access/v1/evaluation`
    const [pep, agent] = [await shown('crm'), await shown('bot')]
    expect(await postOver(url, QUESTION, pep)).toEqual([200, '{"decision":true}'])
    expect(await postOver(url, QUESTION, agent)).toMatchObject([401, expect.stringContaining('identity.key-role')])
    expect((await postOver(url, QUESTION, {}))[0]).toBe(401)
    // A header that says so is nobody's certificate.
    const said = { 'client-cert': `:${Buffer.from(pep.cert).toString('base64')}:` }
    expect((await postOver(url, QUESTION, {}, said))[0]).toBe(401)
    expect(await stop(child)).toBe(0)
    expect((await readEntries()).at(-1)).toMatchObject({ decision: 'permit', proof: 'mtls' })
  })

  it('without an installation says loudly that nobody is authenticated, and with trusted claims so too', async () => {
    const { child, started, warned } = await start('--listen', '127.0.0.1:0', '--trust-claims')
    expect(started).toMatchObject({ authentication: 'none', trustClaims: true })
    expect(warned()).toContain('WARNING authentication: none')
    expect(warned()).toContain('WARNING --trust-claims')
    expect(await stop(child)).toBe(0)
  })

  it.each([
    [['--listen', '0.0.0.0:0'], 'reachable from other machines'],
    [['--tls-cert', 'x.pem'], 'go together'],
    [['--config', config, '--listen', '127.0.0.1:1'], 'stands in the configuration'],
  ])('refuses %j', async (args, said) => {
    await expect(start(...args)).rejects.toThrow(said)
  })
})

/**
 * Our own private keys: each comes from a file or from the environment, and nothing of it is in what the process says, answers,
 * stores, or leaves behind when it crashes. Seen to fail: without `excludeEnv` in `main.ts`; with the cause kept in `readKey`.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { format, inspect } from 'node:util'

import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'

import { callControl } from '../../src/client/index.ts'
import { readKey } from '../../src/config/read-key.ts'
import { readCertificate } from '../../src/config/reload.ts'
import { createSecret, type Secret, type SecretSource } from '../../src/config/secrets.ts'
import { parseConfig } from '../../src/config/load.ts'
import { generateKey, importKey, readKeyFile, writeKeyFile } from '../../src/crypto/keys.ts'
import { parseMasterKey } from '../../src/crypto/vault.ts'
import { isJsonObject } from '../../src/index.ts'
import { prepareInstallation, type Prepared } from '../support/installation.ts'
import { startServeUnder, type ServeChild } from '../support/serve-child.ts'

// Several processes, on machines that do other things beside.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 })

const dir = mkdtempSync(join(tmpdir(), 'unbearer-keys-'))
afterAll(() => rmSync(dir, { recursive: true, force: true }))

/** The three keys that every installation has, and where the configuration puts them. */
const KEYS = [
  { name: 'keys.issuer', variable: 'K_ISSUER', file: 'issuer.jwk' },
  { name: 'audit.checkpointKey', variable: 'K_LOG', file: 'log.jwk' },
  { name: 'evidence.masterKey', variable: 'K_MASTER', file: 'evidence.key' },
] as const

const secretPart = (text: string): string => /"d":"([^"]+)"/.exec(text)?.[1] ?? text.trim()

function filesBelow(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
}

function toEnvironment(folder: string): void {
  const path = join(folder, 'unbearer.yaml')
  const yaml = readFileSync(path, 'utf8')
    .replace('checkpointKey: { file: ./keys/log.jwk }', 'checkpointKey: { env: K_LOG }')
    .replace('issuer: { file: ./keys/issuer.jwk }', 'issuer: { env: K_ISSUER }')
  writeFileSync(path, `${yaml}\nevidence: { masterKey: { env: K_MASTER } }\n`)
}

const call = async ({ origin }: ServeChild, { keys }: Prepared, method: string): Promise<unknown> =>
  callControl({ url: origin, key: keys.operator, method })

describe.each(['the environment', 'files'])('a server whose keys come from %s', (source) => {
  let prepared: Prepared
  let server: ServeChild
  const secrets: string[] = []
  const env: Record<string, string> = {}

  beforeAll(async () => {
    prepared = await prepareInstallation({ upstream: { url: 'http://127.0.0.1:9/mcp' } })
    const keys = join(prepared.dir, 'keys')
    for (const { variable, file } of KEYS) {
      const text = readFileSync(join(keys, file), 'utf8').trim()
      secrets.push(secretPart(text))
      if (source === 'files') continue
      env[variable] = text
      rmSync(join(keys, file))
    }
    if (source !== 'files') toEnvironment(prepared.dir)
    const preload = join(dir, `crash-${source.length}.mjs`)
    writeFileSync(preload, `process.on('SIGWINCH', () => { throw new Error('crashed') })`)
    const options = `--report-on-signal --report-uncaught-exception --report-directory=${dir} --import=${preload}`
    server = await startServeUnder(prepared.dir, { ...env, NODE_OPTIONS: options })
  })

  afterAll(async () => {
    await server.kill()
    prepared.remove()
  })

  const assertNowhere = (text: string): void => {
    for (const secret of secrets) expect(text.includes(secret)).toBe(false)
  }

  it('serves', async () => {
    expect(secrets.every((secret) => secret.length === 43)).toBe(true)
    const status = await call(server, prepared, 'status')
    expect(status).toMatchObject({ fresh: true })
    assertNowhere(
      JSON.stringify([status, await call(server, prepared, 'key.issuer'), await call(server, prepared, 'key.list')]),
    )
    const rotated = await call(server, prepared, 'key.rotate').then(
      () => 'rotated',
      () => 'refused',
    )
    // A key of the environment is replaced there.
    expect(rotated).toBe(source === 'files' ? 'rotated' : 'refused')
    if (source === 'files') secrets.push(secretPart(readFileSync(join(prepared.dir, 'keys', 'issuer.jwk'), 'utf8')))
    for (const path of ['/jwks.json', '/metrics', '/healthz', '/readyz'])
      assertNowhere(await (await fetch(`${server.origin}${path}`)).text())
  })

  it('leaves nothing of them in a report that somebody asks it for, or that it makes when it crashes', async () => {
    server.signal('SIGUSR2')
    await expect
      .poll(() => readdirSync(dir).filter((name) => name.startsWith('report')), { timeout: 60_000 })
      .toHaveLength(1)
    server.signal('SIGWINCH')
    expect(await server.exit).not.toBe(0)
    const reports = readdirSync(dir).filter((name) => name.startsWith('report'))
    expect(reports.length).toBe(2)
    for (const name of reports) {
      const text = readFileSync(join(dir, name), 'utf8')
      expect(text).toContain('"header"')
      assertNowhere(text)
      rmSync(join(dir, name))
    }
    assertNowhere(server.said())
  })

  it('keeps nothing of them but where they were put', () => {
    const places = filesBelow(prepared.dir).filter((path) => !path.includes('/keys/'))
    expect(places.some((path) => path.includes('unbearer.db'))).toBe(true)
    for (const path of places) {
      const bytes = readFileSync(path)
      for (const secret of secrets) {
        expect([path, bytes.includes(secret)]).toEqual([path, false])
        expect([path, bytes.includes(Buffer.from(secret, 'base64url'))]).toEqual([path, false])
      }
    }
  })
})

describe('a key in memory', () => {
  const jwk = generateKey('Ed25519')
  const ec = generateKey('ES256')
  const source: SecretSource = { env: 'K' }
  const env = { K: JSON.stringify(jwk) }

  it.each<[string, unknown, string]>([
    ['a key of Ed25519', importKey({ ...jwk }), jwk.d],
    ['a key of P-256', importKey({ ...ec }), ec.d],
    ['a secret', createSecret(source, env), jwk.d],
    ['the master key', parseMasterKey(jwk.d), jwk.d],
    [
      'a configuration',
      parseConfig('issuer: https://u.example\ndeployment: same-user\nkeys: { issuer: { env: K } }', { dir: '/', env }),
      jwk.d,
    ],
  ])('%s shows nothing, however it is printed', (_title, value, d) => {
    const bytes = Buffer.from(d, 'base64url')
    const forms = [
      inspect(value, { depth: Infinity, showHidden: true, getters: true }),
      format('%o %O %s %j', value, value, value, value),
      JSON.stringify(value),
      String(new Error('failed', { cause: value }).stack),
      inspect(new Error('failed', { cause: value }), { depth: Infinity, showHidden: true }),
    ]
    for (const text of forms) {
      expect(text).not.toContain(d)
      expect(text).not.toContain(bytes.toString('hex'))
      // As the platform prints bytes.
      expect(text).not.toContain([...bytes.subarray(0, 6)].map((byte) => byte.toString(16).padStart(2, '0')).join(' '))
    }
  })
})

const CANARY = 'canary-of-a-private-key'

const secretOf = (text: string): Secret => createSecret({ env: 'K' }, { K: text })
const faultOf = async (run: () => unknown): Promise<string> => {
  try {
    await run()
    return 'no fault'
  } catch (fault) {
    return inspect(fault, { depth: Infinity, showHidden: true })
  }
}

describe('a key that cannot be used', () => {
  const texts: readonly [string, string][] = [
    ['no JSON', `{"kty":"OKP","d":"${CANARY}"`],
    ['no key', `{"kty":"oct","k":"${CANARY}","d":"${CANARY}"}`],
    ['a part that is too short', `{"kty":"OKP","crv":"Ed25519","x":"AA","d":"${CANARY}"}`],
    ['a member twice', `{"d":"${CANARY}","d":"${CANARY}"}`],
    ['text', CANARY],
    ['PEM', `-----BEGIN PRIVATE KEY-----\n${CANARY}\n-----END PRIVATE KEY-----`],
  ]
  it.each(texts)('is not quoted: %s', async (_title, text) => {
    const path = join(dir, 'broken.jwk')
    writeFileSync(path, text)
    const tls = { cert: secretOf(text), key: secretOf(text) }
    for (const run of [
      () => readKey(secretOf(text), 'keys.issuer'),
      () => readKey(createSecret({ file: path }, {}), 'keys.issuer'),
      async () => readKeyFile(path),
      () => parseMasterKey(text),
      () => readCertificate(tls),
    ]) {
      const said = await faultOf(run)
      expect(said).toMatch(/Error|fault/)
      expect(said).not.toBe('no fault')
      expect(said).not.toContain(CANARY)
    }
  })

  it('is not quoted when its passphrase is wrong, nor is the passphrase', async () => {
    const path = join(dir, 'sealed.jwk')
    const jwk = generateKey('Ed25519')
    await writeKeyFile(path, { ...jwk }, 'the right passphrase')
    const said = await faultOf(async () => readKeyFile(path, async () => Promise.resolve(CANARY)))
    expect(said).toContain('cannot be opened')
    expect(said).not.toContain(CANARY)
    expect(said).not.toContain(jwk.d)
    const opened = await readKeyFile(path, async () => Promise.resolve('the right passphrase'))
    expect(isJsonObject({ ...opened.jwk }) && 'd' in opened.jwk).toBe(false)
  })
})

/**
 * A resource server that ends TLS itself and takes the certificate of the connection as the proof of an action credential. A
 * stolen credential is tried without it, with another, in a header, beside a bad proof, over another body. Seen to fail: with the
 * key of the certificate not compared, with the option ignored, and with other proofs not looked at.
 */
import { createPrivateKey } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, request, type Server } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { signDpop } from '../../src/crypto/dpop.ts'
import { generateKey, importKey, type PrivateJwk } from '../../src/crypto/keys.ts'
import { redeemHere, requireCredential, type Burns, type CredentialGuard } from '../../src/http/index.ts'
import { issueAction, toProvedHeaders, type Act } from '../support/action-request.ts'
import { certify, hasOpenssl, makeAuthority } from '../support/certificates.ts'

const AUDIENCE = 'https://orders.example'
const ISSUER = 'https://unbearer-test.invalid'
const NOTE: Act = {
  method: 'POST',
  target: '/orders/7/notes',
  contentType: 'application/json',
  content: '{"text":"urgent"}',
}
const issuerKey = importKey({ ...generateKey('Ed25519') })
const agentJwk = generateKey('Ed25519')
const agent = importKey({ ...agentJwk })

interface Shown {
  readonly key: string
  readonly cert: string
}

let dir: string
let ours: Shown
let theirs: Shown
let server: Server
let guard: CredentialGuard
let port = 0

function show(name: string, jwk: PrivateJwk): Shown {
  const key = createPrivateKey({ key: { ...jwk }, format: 'jwk' })
    .export({ type: 'pkcs8', format: 'pem' })
    .toString()
  return { key, cert: certify(dir, name, key) }
}

function createBurns(): Burns {
  const burned = new Set<string>()
  return {
    isShared: false,
    since: () => 0,
    close: () => undefined,
    async burn(id) {
      const isFirst = !burned.has(id)
      burned.add(id)
      return Promise.resolve(isFirst)
    },
  }
}

async function start(clientCertificates: boolean): Promise<void> {
  const feed = { rev: () => 1, fresh: () => true, find: () => undefined, subscribe: () => () => undefined }
  const tls = {
    cert: readFileSync(join(dir, 'server.pem')),
    key: readFileSync(join(dir, 'server.key')),
    requestCert: true,
    rejectUnauthorized: false,
  }
  server = createServer(tls, (incoming, response) => {
    guard.node((received, answer) => void answer.end(`done ${guard.of(received)?.grade}`))(incoming, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  port = typeof address === 'object' && address !== null ? address.port : 0
  guard = requireCredential({
    issuer: ISSUER,
    audience: AUDIENCE,
    hosts: [`127.0.0.1:${port}`],
    jwks: { keys: [{ ...issuerKey.jwk, kid: issuerKey.jkt, alg: issuerKey.alg }] },
    redemption: redeemHere({ burns: createBurns(), revocations: feed }),
    ...(clientCertificates ? { clientCertificates } : {}),
  })
}

async function stop(): Promise<void> {
  guard.close()
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
}

const issue = (): string => issueAction({ issuer: ISSUER, issuerKey, audience: AUDIENCE, agent, act: NOTE })
const bare = (credential: string): Record<string, string> => ({
  authorization: `DPoP ${credential}`,
  'content-type': 'application/json',
})

interface Sending {
  readonly headers?: Readonly<Record<string, string>>
  readonly shown?: Shown
  readonly body?: string
}

async function send({ headers = bare(issue()), shown, body = NOTE.content ?? '' }: Sending): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = {
      host: '127.0.0.1',
      port,
      path: NOTE.target,
      method: 'POST',
      rejectUnauthorized: false,
      agent: false,
    }
    const sent = request(
      { ...options, headers: { ...headers, 'content-length': Buffer.byteLength(body) }, ...shown },
      (answer) => {
        const chunks: Buffer[] = []
        answer.on('data', (chunk: Buffer) => void chunks.push(chunk))
        answer.on('end', () => resolve(`${answer.statusCode} ${Buffer.concat(chunks).toString()}`))
      },
    )
    sent.on('error', reject)
    sent.end(body)
  })
}

const prepare = (): void => {
  dir = mkdtempSync(join(tmpdir(), 'unbearer-mtls-rs-'))
  makeAuthority(dir, 'server')
  ours = show('ours', agentJwk)
  theirs = show('theirs', generateKey('Ed25519'))
}

describe.skipIf(!hasOpenssl)('a resource server that takes certificates', () => {
  beforeAll(async () => {
    prepare()
    await start(true)
  })
  afterAll(async () => {
    await stop()
    rmSync(dir, { recursive: true })
  })

  it('takes a credential once, on a connection of the key that it is bound to', async () => {
    const headers = bare(issue())
    expect(await send({ headers, shown: ours })).toBe('200 done mtls')
    expect(await send({ headers, shown: ours })).toMatch(/^401 .*credential\.replayed/)
  })

  it('grades by what is shown beside it', async () => {
    const headers = toProvedHeaders({ credential: issue(), key: agent, origin: AUDIENCE, act: NOTE, by: 'signature' })
    expect(await send({ headers, shown: ours })).toBe('200 done signature')
  })

  it.each<[string, () => Sending]>([
    ['without a certificate', () => ({})],
    ['with that of another key', () => ({ shown: theirs })],
    [
      'with the right one in a header',
      () => ({
        headers: { ...bare(issue()), 'client-cert': ours.cert.replaceAll('\n', ''), 'x-forwarded-client-cert': 'x' },
      }),
    ],
    ['over another body', () => ({ shown: ours, body: '{"text":"free"}' })],
    [
      'with a digest of another body',
      () => ({ shown: ours, headers: { ...bare(issue()), 'content-digest': 'sha-256=:AAAA:' } }),
    ],
    [
      'beside a proof of another key',
      () => {
        const credential = issue()
        const key = importKey({ ...generateKey('Ed25519') })
        const dpop = signDpop({ key, method: 'POST', url: `${AUDIENCE}${NOTE.target}`, credential, now: Date.now() })
        return { shown: ours, headers: { ...bare(credential), dpop } }
      },
    ],
    ['beside something that is no proof', () => ({ shown: ours, headers: { ...bare(issue()), dpop: 'x' } })],
    ['beside half a signature', () => ({ shown: ours, headers: { ...bare(issue()), signature: 'sig=:AAAA:' } })],
  ])('refuses it %s', async (_title, sending) => {
    expect(await send(sending())).toMatch(/^4\d\d /)
  })

  it('refuses the credential of another agent on it', async () => {
    const other = importKey({ ...generateKey('ES256') })
    const credential = issueAction({ issuer: ISSUER, issuerKey, audience: AUDIENCE, agent: other, act: NOTE })
    expect(await send({ headers: bare(credential), shown: ours })).toMatch(/^401 /)
  })
})

describe.skipIf(!hasOpenssl)('a resource server that was not told to take certificates', () => {
  beforeAll(async () => {
    prepare()
    await start(false)
  })
  afterAll(async () => {
    await stop()
    rmSync(dir, { recursive: true })
  })

  it('takes none', async () => {
    expect(await send({ shown: ours })).toMatch(/^401 /)
  })
})

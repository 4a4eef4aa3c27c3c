/**
 * Sessions that are bound to the certificate of a connection (RFC 8705): a stolen session is tried without the certificate, with
 * another of the same key, of another agent, of nobody; a header says that there was one. Seen to fail: with `x5t` not compared
 * in `verifySession`, with unbound sessions taken on a connection of the right key, with any role at `/session`.
 */
import { createPrivateKey } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { request, type RequestOptions } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { loadConfig } from '../../src/config/load.ts'
import { issueSession } from '../../src/crypto/session-credential.ts'
import { signDpop } from '../../src/crypto/dpop.ts'
import { signRequest } from '../../src/crypto/http-signature.ts'
import { decodeJwt } from '../../src/crypto/jwt.ts'
import { generateKey, type PrivateJwk } from '../../src/crypto/keys.ts'
import { isJsonObject, parseJson, type JsonObject } from '../../src/index.ts'
import { certify, hasOpenssl, makeAuthority } from '../support/certificates.ts'
import { createInstallation, ISSUER, type Installation } from '../support/installation.ts'
import {
  acceptOrders,
  FORM,
  NOTE,
  ORDERS_GRANT,
  ORDERS_YAML,
  READ,
  textOf,
  toForm,
} from '../support/orders-audience.ts'

interface Shown {
  readonly key: string
  readonly cert: string
}

interface Answer {
  readonly status: number
  readonly body: JsonObject
  readonly headers: Readonly<Record<string, unknown>>
}

let dir = ''
let at: Installation
let agent: Shown
let renewed: Shown
let other: Shown
let host: Shown
let nobody: Shown
let txn = ''

function show(name: string, jwk: PrivateJwk): Shown {
  const key = createPrivateKey({ key: { ...jwk }, format: 'jwk' })
    .export({ type: 'pkcs8', format: 'pem' })
    .toString()
  return { key, cert: certify(dir, name, key) }
}

async function send(
  path: string,
  body: string,
  headers: Record<string, string>,
  shown?: Partial<Shown>,
): Promise<Answer> {
  const { hostname, port } = new URL(at.origin)
  const options: RequestOptions = {
    hostname,
    port,
    path,
    method: 'POST',
    headers: { ...headers, 'content-length': Buffer.byteLength(body) },
    // Who the server is is not what is tried here.
    rejectUnauthorized: false,
    agent: false,
    ...shown,
  }
  return new Promise((resolve, reject) => {
    const sent = request(options, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => void chunks.push(chunk))
      response.on('end', () => {
        const parsed = parseJson(Buffer.concat(chunks))
        resolve({
          status: response.statusCode ?? 0,
          body: isJsonObject(parsed) ? parsed : {},
          headers: response.headers,
        })
      })
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

const JSON_TYPE = { 'content-type': 'application/json' }
const begin = async (shown?: Shown, headers: Record<string, string> = {}): Promise<Answer> =>
  send('/session', JSON.stringify({ txn }), { ...JSON_TYPE, ...headers }, shown)
const sessionOf = async (shown: Shown): Promise<string> => textOf((await begin(shown)).body['credential'])
const ask = async (credential: string, shown?: Shown, detail = READ, headers = {}): Promise<Answer> =>
  send('/token', toForm({ credential, detail }), { ...FORM, ...headers }, shown)

function sign(credential: string): Record<string, string> {
  const body = Buffer.from(toForm({ credential, detail: READ }))
  return signRequest({ key: at.keys.agent, method: 'POST', target: '/token', headers: FORM, body, now: Date.now() })
}

async function install(clientCertificates: boolean): Promise<void> {
  dir = mkdtempSync(join(tmpdir(), 'unbearer-mtls-'))
  makeAuthority(dir, 'server')
  at = await createInstallation({
    upstream: { url: 'http://127.0.0.1:9/mcp' },
    yaml: `${ORDERS_YAML}tls: { cert: { file: ${dir}/server.pem }, key: { file: ${dir}/server.key }, clientCertificates: ${clientCertificates} }`,
    grant: ORDERS_GRANT,
  })
  await acceptOrders(at)
  txn = (await at.openTask('look at order 7 and note on it that it is urgent')).txn
  agent = show('agent', at.jwks.agent)
  renewed = show('renewed', at.jwks.agent)
  other = show('other', at.jwks.other)
  host = show('host', at.jwks.host)
  nobody = show('nobody', generateKey('ES256'))
}

async function remove(): Promise<void> {
  await at.close()
  rmSync(dir, { recursive: true })
}

describe.skipIf(!hasOpenssl)('a connection that the key of an agent opened', () => {
  beforeAll(async () => install(true))
  afterAll(remove)

  it('begins a session that is bound to its certificate, and proves what is asked on it, bodies too', async () => {
    const begun = await begin(agent)
    expect(begun).toMatchObject({ status: 200, body: { txn } })
    const credential = textOf(begun.body['credential'])
    const { cnf } = decodeJwt(credential)?.claims ?? {}
    expect(cnf).toMatchObject({ jkt: at.keys.agent.jkt, 'x5t#S256': expect.stringMatching(/^[\w-]{43}$/) })
    const answered = await ask(credential, agent, NOTE)
    expect(answered.body).toMatchObject({ token_type: 'DPoP' })
    const claims = decodeJwt(textOf(answered.body['access_token']))?.claims
    expect(claims).toMatchObject({ cnf: { jkt: at.keys.agent.jkt }, rctx: { proof: 'mtls' } })
  })

  it('works beside a signature, and for the other algorithm', async () => {
    const credential = await sessionOf(agent)
    expect((await ask(credential, agent, READ, sign(credential))).status).toBe(200)
    expect((await send('/session', '{}', JSON_TYPE, other)).status).toBe(200)
  })

  it('is no proof with a session that was stolen from it', async () => {
    const credential = await sessionOf(agent)
    const refused: [string, Shown | undefined, string][] = [
      ['without a certificate', undefined, 'identity.missing'],
      ['of another agent', other, 'identity.bad-proof'],
      ['another certificate of the same key', renewed, 'identity.bad-proof'],
      ['of a host', host, 'identity.key-role'],
      ['of a key that nobody enrolled', nobody, 'identity.missing'],
    ]
    for (const [title, shown, reason] of refused)
      expect([title, (await ask(credential, shown)).body['reason']]).toEqual([title, reason])
    // The key itself is not enough for it either: the connection has to be that of the certificate.
    const signed = await ask(credential, undefined, READ, sign(credential))
    expect(signed.body).toMatchObject({ reason: 'identity.bad-proof' })
    expect((await ask(credential, renewed, READ, sign(credential))).body).toMatchObject({
      reason: 'identity.bad-proof',
    })
    expect((await ask(credential, other, READ, sign(credential))).body).toMatchObject({ reason: 'identity.bad-proof' })
  })

  it('is no proof with a session that is not bound to it', async () => {
    const bare = issueSession({
      issuer: ISSUER,
      key: at.serving.composed.issuerKeys.current(),
      sub: 'agent',
      jkt: at.keys.agent.jkt,
      txn,
      rev: at.serving.composed.services.revocations.rev(),
      now: Date.now(),
    })
    expect((await ask(bare, agent)).body).toMatchObject({ reason: 'identity.missing' })
    expect((await ask(bare, agent, READ, sign(bare))).status).toBe(200)
  })

  it('cannot be put into a header', async () => {
    const credential = await sessionOf(agent)
    const der = Buffer.from(agent.cert.replace(/-----[^-]+-----|\s/g, ''), 'base64').toString('base64')
    const headers = {
      'client-cert': `:${der}:`,
      'x-client-cert': encodeURIComponent(agent.cert),
      'x-ssl-client-cert': encodeURIComponent(agent.cert),
      'x-forwarded-client-cert': `Cert="${encodeURIComponent(agent.cert)}"`,
    }
    expect((await ask(credential, undefined, READ, headers)).body).toMatchObject({ reason: 'identity.missing' })
    expect((await begin(undefined, headers)).body).toMatchObject({ reason: 'identity.missing' })
  })

  it('is opened by nobody who shows a certificate without its key', async () => {
    // The platform does not even send it: it sends none, or ends the connection.
    for (const { key } of [other, host, nobody]) {
      const outcome = await begin({ cert: agent.cert, key }).then(
        ({ body }) => body['reason'],
        (fault: Error) => fault.message,
      )
      expect(outcome).toMatch(/^identity\.missing$|mismatch/)
    }
  })

  it('begins nothing for other keys', async () => {
    expect((await begin(host)).body).toMatchObject({ reason: 'identity.key-role' })
    expect((await begin(nobody)).body).toMatchObject({ reason: 'identity.unknown-key' })
    expect((await begin(other)).body).toMatchObject({ reason: 'identity.task-mismatch' })
    expect((await begin()).body).toMatchObject({ reason: 'identity.missing' })
  })

  it('does not speak to the control plane, introspect, or revoke', async () => {
    const call = JSON.stringify({ method: 'task.open', params: {} })
    expect((await send('/control', call, JSON_TYPE, host)).body).toMatchObject({ reason: 'identity.missing' })
    for (const path of ['/introspect', '/revoke'])
      expect((await send(path, 'token=x', FORM, agent)).body).toMatchObject({ reason: 'identity.missing' })
  })

  it('covers the body where DPoP does not', async () => {
    const credential = await sessionOf(agent)
    const url = `${at.origin}/token`
    const prove = (nonce?: string): Record<string, string> => ({
      dpop: signDpop({
        key: at.keys.agent,
        method: 'POST',
        url,
        now: Date.now(),
        ...(nonce === undefined ? {} : { nonce }),
      }),
    })
    const nonce = String((await ask(credential, agent, NOTE, prove())).headers['dpop-nonce'])
    // A task of its own: what became of the same note before is not known.
    txn = (await at.openTask('note on order 7 that it is urgent')).txn
    const fresh = await sessionOf(agent)
    expect((await ask(fresh, agent, NOTE, prove(nonce))).body).toMatchObject({ token_type: 'DPoP' })
    const wrong = signDpop({ key: at.keys.other, method: 'POST', url, nonce, now: Date.now() })
    expect((await ask(fresh, agent, NOTE, { dpop: wrong })).body).toMatchObject({ reason: 'identity.bad-proof' })
  })

  it('is asked for after a reload as before, and the asking cannot be changed by one', async () => {
    const config = await loadConfig(join(at.dir, 'unbearer.yaml'))
    await at.serving.reload(config)
    expect((await begin(agent)).status).toBe(200)
    const { clientCertificates: _clientCertificates, ...tls } = config.tls ?? { cert: undefined, key: undefined }
    if (tls.cert === undefined) throw new Error('no tls')
    await expect(at.serving.reload({ ...config, tls })).rejects.toThrow('clientCertificates')
  })

  it('proves nothing any more once its key is revoked', async () => {
    const credential = await sessionOf(agent)
    await at.serving.composed.services.revocations.revoke('actor', at.keys.agent.jkt, at.enrolled.operator)
    expect((await ask(credential, agent)).body).toMatchObject({ reason: 'identity.revoked' })
    expect((await begin(agent)).body).toMatchObject({ reason: 'identity.revoked' })
  })
})

describe.skipIf(!hasOpenssl)('a listener that asks for no certificate', () => {
  beforeAll(async () => install(false))
  afterAll(remove)

  it('is shown none', async () => {
    expect((await begin(agent)).body).toMatchObject({ reason: 'identity.missing' })
  })
})

/**
 * A stolen action credential at the issuer itself: between issue and redemption, before PEPs of other audiences, in a question
 * that was seen before, after a restart, after a revocation of whoever asks. Every door of the issuer is tried with it.
 */
import { decodeJwt } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { digestOf } from '../../src/core/bind.ts'
import { canonicalBytes } from '../../src/core/canonical.ts'
import { toHttpAction } from '../../src/core/http-action.ts'
import { asJson, type JsonObject } from '../../src/core/json.ts'
import { parseActionClaims } from '../../src/crypto/action-claims.ts'
import { signRequest } from '../../src/crypto/http-signature.ts'
import { generateKey, importKey, type KeyPair } from '../../src/crypto/keys.ts'
import { toProvedHeaders, type Act } from '../support/action-request.ts'
import { createInstallation, type Installation } from '../support/installation.ts'
import { acceptOrders, askSigned, FORM, ORDERS, ORDERS_GRANT, ORDERS_YAML, textOf } from '../support/orders-audience.ts'
import { openCredential, ROUTE } from './wire.ts'

const TYPE = { 'content-type': 'application/json' }
const ACT: Act = { method: 'GET', target: '/orders/7' }

let at: Installation
/** A PEP of another audience, in the hands of somebody. */
const stranger = importKey({ ...generateKey('Ed25519') })

beforeAll(async () => {
  at = await createInstallation({
    upstream: { url: 'http://127.0.0.1:9/mcp' },
    store: 'sqlite',
    grant: ORDERS_GRANT,
    yaml: `${ORDERS_YAML}
  - name: billing
    url: https://billing.example
    operations: { read-bill: 'GET /orders/{id}' }
    peps: [stranger]
`,
  })
  await acceptOrders(at)
  const jwk = { ...stranger.jwk }
  await at.serving.composed.services.keys.enrol({ role: 'pep', name: 'stranger', jwk, by: 'system' })
})

afterAll(async () => at.close())

async function issue(): Promise<string> {
  const { txn } = await at.openTask('look at order 7')
  const session = await openCredential(at.origin, at.keys.agent, txn)
  return textOf((await askSigned(at.origin, at.keys.agent, { credential: session })).body['access_token'])
}

interface Sent {
  readonly path: string
  readonly body: string
  readonly headers: Record<string, string>
}

/** A request that a key signs, under a nonce that the server gives. */
async function sign(key: KeyPair, path: string, body: string, headers: Record<string, string>): Promise<Sent> {
  const signed = (nonce: string): Sent => {
    const asked = { key, method: 'POST', target: path, headers, body: Buffer.from(body), nonce, now: Date.now() }
    return { path, body, headers: { ...headers, ...signRequest(asked) } }
  }
  const first = await send(signed(`first.${crypto.randomUUID()}`))
  return signed(`${first.nonce}.${crypto.randomUUID()}`)
}

async function send({ path, body, headers }: Sent): Promise<{ status: number; nonce: string; said: JsonObject }> {
  const response = await fetch(`${at.origin}${path}`, { method: 'POST', headers, body })
  const text = await response.text()
  const isSigned = response.headers.get('content-type') === 'application/jwt'
  const parsed: unknown = isSigned ? decodeJwt(text) : text.startsWith('{') ? JSON.parse(text) : {}
  const said = typeof parsed === 'object' && parsed !== null ? asJson(parsed) : {}
  return { status: response.status, nonce: response.headers.get('unbearer-nonce') ?? '', said }
}

function toQuestion(credential: string, key: KeyPair = at.keys.agent): JsonObject {
  const salt = parseActionClaims(asJson(decodeJwt(credential)))?.authorization_details[0].salt ?? ''
  const action = toHttpAction({ method: 'GET', target: '/orders/7', body: new Uint8Array() })
  const { dpop = '' } = toProvedHeaders({ credential, act: ACT, origin: ORDERS, key })
  return { credential, digest: digestOf(action, Buffer.from(salt, 'base64url')), proof: { ...action, dpop } }
}

const redeem = async (key: KeyPair, question: JsonObject): Promise<Sent> =>
  sign(key, '/redeem', Buffer.from(canonicalBytes(question)).toString(), TYPE)

describe('before it is redeemed', () => {
  it('a PEP of another audience neither redeems it nor hears of it', async () => {
    const credential = await issue()
    const { said } = await send(await redeem(stranger, toQuestion(credential)))
    expect([said['active'], said['reason'], said['entry']]).toEqual([false, undefined, undefined])
    const introspected = await sign(
      stranger,
      '/introspect',
      new URLSearchParams({ token: credential }).toString(),
      FORM,
    )
    expect((await send(introspected)).said).toEqual({ active: false })
    const revoked = await sign(stranger, '/revoke', new URLSearchParams({ token: credential }).toString(), FORM)
    expect((await send(revoked)).status).toBe(200)
    expect((await send(await redeem(at.keys.pep, toQuestion(credential)))).said).toMatchObject({ active: true })
  })

  it('a PEP of its own audience needs the proof of the agent', async () => {
    const credential = await issue()
    for (const key of [at.keys.pep, at.keys.other, stranger]) {
      const { said } = await send(await redeem(at.keys.pep, toQuestion(credential, key)))
      expect(said).toMatchObject({ active: false, reason: 'identity.bad-proof' })
    }
    expect((await send(await redeem(at.keys.pep, toQuestion(credential)))).said).toMatchObject({ active: true })
  })

  it('no other key asks, and no signature of another path, body or nonce', async () => {
    const credential = await issue()
    for (const key of [at.keys.agent, at.keys.operator, at.keys.host, at.keys.approver])
      expect((await send(await redeem(key, toQuestion(credential)))).status).toBe(401)
    const introspection = await sign(at.keys.pep, '/introspect', JSON.stringify(toQuestion(credential)), TYPE)
    expect((await send({ ...introspection, path: '/redeem' })).status).toBe(401)
    const own = await redeem(at.keys.pep, toQuestion(credential))
    expect((await send({ ...own, body: `${own.body} ` })).status).toBe(401)
    expect((await send({ ...own, headers: { ...TYPE } })).status).toBe(400)
    expect((await send(own)).said).toMatchObject({ active: true })
  })

  it('opens no other door of the issuer', async () => {
    const credential = await issue()
    for (const scheme of ['DPoP', 'Unbearer', 'Bearer'])
      for (const path of ['/session', '/control', ROUTE, '/token', '/introspect', '/revoke', '/redeem']) {
        const headers = { ...TYPE, authorization: `${scheme} ${credential}` }
        const act: Act = { method: 'POST', target: path, contentType: TYPE['content-type'], content: '{}' }
        const proved = toProvedHeaders({ credential, act, origin: at.origin, key: at.keys.agent, by: 'both' })
        const { status } = await send({ path, body: '{}', headers: { ...proved, ...headers } })
        expect([400, 401], `${scheme} ${path}`).toContain(status)
      }
    expect((await send(await redeem(at.keys.pep, toQuestion(credential)))).said).toMatchObject({ active: true })
  })
})

describe('after it was redeemed', () => {
  it('the same question, seen on the way, is answered with no', async () => {
    const question = await redeem(at.keys.pep, toQuestion(await issue()))
    expect((await send(question)).said).toMatchObject({ active: true })
    for (let count = 0; count < 3; count += 1)
      expect((await send(question)).said).toMatchObject({ active: false, reason: 'credential.replayed' })
  })

  it('and after a restart of the issuer it stays redeemed, while one that was not is redeemed once', async () => {
    const [used, fresh] = [await issue(), await issue()]
    const before = await redeem(at.keys.pep, toQuestion(used))
    expect((await send(before)).said).toMatchObject({ active: true })
    await at.restart()
    // Nonces end with the process that made them.
    expect((await send(before)).said).toMatchObject({ reason: 'identity.use-nonce' })
    expect((await send(await redeem(at.keys.pep, toQuestion(used)))).said).toMatchObject({ active: false })
    expect((await send(await redeem(at.keys.pep, toQuestion(fresh)))).said).toMatchObject({ active: true })
    expect((await send(await redeem(at.keys.pep, toQuestion(fresh)))).said).toMatchObject({ active: false })
  })
})

describe('after a revocation', () => {
  it('of the task it is refused, and of the PEP nobody is asked', async () => {
    const [one, other] = [await issue(), await issue()]
    const { revocations } = at.serving.composed.services
    const txn = parseActionClaims(asJson(decodeJwt(one)))?.txn ?? ''
    await revocations.revoke('task', txn, at.enrolled.operator)
    expect((await send(await redeem(at.keys.pep, toQuestion(one)))).said).toMatchObject({
      active: false,
      reason: 'credential.revoked',
    })
    const question = await redeem(at.keys.pep, toQuestion(other))
    await revocations.revoke('actor', at.keys.pep.jkt, at.enrolled.operator)
    expect((await send(question)).said).toMatchObject({ reason: 'identity.revoked' })
  })
})

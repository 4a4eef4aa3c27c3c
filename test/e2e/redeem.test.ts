/**
 * Redemption by others: a real installation issues and redeems, resource servers on node:http and Hono accept.
 * Requirements: contracts, "Redemption by others"; design §5; issue 6 part 3.
 */
import { getRequestListener } from '@hono/node-server'
import { Hono } from 'hono'
import { decodeJwt } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { postSigned } from '../../src/client/post-signed.ts'
import { digestOf } from '../../src/core/bind.ts'
import { toHttpAction } from '../../src/core/http-action.ts'
import { redeemAtIssuer, requireCredential, type CredentialGuard } from '../../src/http/index.ts'
import { parseActionClaims } from '../../src/crypto/action-claims.ts'
import { asJson } from '../../src/core/json.ts'
import type { ActionClaims, JsonObject } from '../../src/index.ts'
import { openCredential } from '../attacks/wire.ts'
import { readNothing, toProvedHeaders, type Act, type Proving } from '../support/action-request.ts'
import { listenOn, type Listening } from '../support/listen-on.ts'
import { createInstallation, ISSUER, type Installation } from '../support/installation.ts'
import {
  acceptOrders,
  askSigned,
  NOTE,
  ORDERS,
  ORDERS_GRANT,
  ORDERS_YAML,
  READ,
  textOf,
} from '../support/orders-audience.ts'

let at: Installation
let session: string

beforeAll(async () => {
  at = await createInstallation({
    upstream: { url: 'http://127.0.0.1:9/mcp' },
    yaml: ORDERS_YAML,
    grant: ORDERS_GRANT,
  })
  await acceptOrders(at)
  session = await begin()
})

afterAll(async () => at.close())

const ACT_READ: Act = { method: 'GET', target: '/orders/7' }
const ACT_NOTE: Act = {
  method: 'POST',
  target: '/orders/7/notes',
  contentType: 'application/json',
  content: '{"text":"urgent"}',
}

async function begin(): Promise<string> {
  const { txn } = await at.openTask('look at order 7 and note on it that it is urgent')
  return openCredential(at.origin, at.keys.agent, txn)
}

/** In a task of its own: what was done with the same action before in a task is not known. */
async function issue(detail: JsonObject = READ): Promise<string> {
  const answered = await askSigned(at.origin, at.keys.agent, { credential: await begin(), detail })
  return textOf(answered.body['access_token'])
}

function claimsOf(compact: string): ActionClaims {
  const claims = parseActionClaims(asJson(decodeJwt(compact)))
  if (claims === undefined) throw new Error('no claims')
  return claims
}

function createOrdersGuard(host: string, server: string = at.origin): CredentialGuard {
  return requireCredential({
    issuer: ISSUER,
    server,
    audience: ORDERS,
    hosts: [host],
    redemption: redeemAtIssuer({ key: at.keys.pep }),
  })
}

async function request(host: string, act: Act, proving: Omit<Proving, 'act' | 'origin' | 'key'>): Promise<Response> {
  const headers = toProvedHeaders({ ...proving, act, origin: ORDERS, key: at.keys.agent })
  const body = act.content
  return fetch(`http://${host}${act.target}`, { method: act.method, headers, ...(body === undefined ? {} : { body }) })
}

const ECHO = 'saw '

async function startNode(): Promise<Listening> {
  return listenOn((host) => {
    const guard = createOrdersGuard(host)
    return guard.node(async (incoming, response) => {
      const chunks: Buffer[] = []
      for await (const chunk of incoming) chunks.push(Buffer.from(chunk))
      response.end(`${ECHO}${Buffer.concat(chunks).toString()} ${guard.of(incoming)?.claims.sub}`)
    })
  })
}

async function startHono(): Promise<Listening> {
  return listenOn((host) => {
    const guard = createOrdersGuard(host)
    const app = new Hono()
    app.use(guard.hono)
    app.all('*', async (c) => c.text(`${ECHO}${await c.req.text()} ${guard.of(c)?.claims.sub}`))
    const listener = getRequestListener(app.fetch)
    return (incoming, response) => void listener(incoming, response)
  })
}

describe.each([
  ['node:http', startNode],
  ['Hono', startHono],
])('a resource server on %s that redeems at the issuer', (_name, start) => {
  let on: Listening
  beforeAll(async () => {
    on = await start()
  })
  afterAll(async () => on.close())

  it.each(['dpop', 'signature', 'both'] as const)(
    'takes a credential once, proved by %s, and sees its body',
    async (by) => {
      const note = await issue(NOTE)
      const first = await request(on.host, ACT_NOTE, { credential: note, by })
      expect([first.status, await first.text()]).toEqual([200, `${ECHO}{"text":"urgent"} user/alice`])
      const again = await request(on.host, ACT_NOTE, { credential: note, by })
      expect(again.status).toBe(401)
      expect(again.headers.get('www-authenticate')).toMatch(/^DPoP error="invalid_token", .*credential\.replayed/)
      const read = await request(on.host, ACT_READ, { credential: await issue(), by })
      expect([read.status, await read.text()]).toEqual([200, `${ECHO} user/alice`])
    },
  )

  it('refuses what was revoked at the issuer since', async () => {
    const credential = await issue()
    await at.serving.composed.services.revocations.revoke('credential', claimsOf(credential).jti, at.enrolled.operator)
    const refused = await request(on.host, ACT_READ, { credential })
    expect([refused.status, await refused.json()]).toMatchObject([401, { reason: 'credential.revoked' }])
  })

  it('asks for a credential without naming an error', async () => {
    const bare = await fetch(`http://${on.host}/orders/7`)
    expect([bare.status, bare.headers.get('www-authenticate')]).toEqual([401, 'DPoP algs="Ed25519 ES256"'])
  })
})

describe('the log', () => {
  it('says that it was redeemed, by whom, once', async () => {
    const on = await startNode()
    const credential = await issue()
    await Promise.all(Array.from({ length: 8 }, async () => request(on.host, ACT_READ, { credential })))
    await on.close()
    const of = claimsOf(credential).tctx.evaluation_id
    const outcomes = (await at.entries()).filter((entry) => entry.kind === 'outcome' && entry.of === of)
    expect(outcomes).toMatchObject([{ outcome: 'redeemed', by: at.keys.pep.jkt }])
  })
})

type Question = { credential: string; digest: string; proof: Record<string, string> }

function toQuestion(credential: string, act: Act, by: 'dpop' | 'signature' = 'dpop'): Question {
  const [{ salt }] = claimsOf(credential).authorization_details
  const { method, target, contentType, content = '' } = act
  const action = toHttpAction({
    method,
    target,
    body: Buffer.from(content),
    ...(contentType === undefined ? {} : { contentType }),
  })
  const headers = toProvedHeaders({ credential, act, by, origin: ORDERS, key: at.keys.agent })
  const proof = { dpop: headers['dpop'], signatureInput: headers['signature-input'], signature: headers['signature'] }
  const shown = Object.entries(proof).flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]))
  return {
    credential,
    digest: digestOf(action, Buffer.from(salt, 'base64url')),
    proof: { ...toTexts(action), ...Object.fromEntries(shown) },
  }
}

function toTexts(action: JsonObject): Record<string, string> {
  return Object.fromEntries(Object.entries(action).map(([name, value]) => [name, textOf(value)]))
}

/** Asks as a client in any language would; the claims of the answer, or the reason of the refusal. */
async function ask(question: JsonObject, name: 'pep' | 'agent' | 'operator' = 'pep'): Promise<JsonObject> {
  let signed = ''
  const taken: typeof fetch = async (input, init) => {
    const response = await fetch(input, init)
    if (response.headers.get('content-type') !== 'application/jwt') return response
    signed = await response.text()
    return Response.json({})
  }
  await postSigned({ key: at.keys[name], url: new URL('/redeem', at.origin), body: question, fetch: taken })
  return asJson(decodeJwt(signed))
}

describe('what is asked wrongly', () => {
  it('is told to nobody but a PEP of the audience', async () => {
    const credential = await issue()
    await expect(ask(toQuestion(credential, ACT_READ), 'agent')).rejects.toMatchObject({ reason: 'identity.key-role' })
    await expect(ask(toQuestion(credential, ACT_READ), 'operator')).rejects.toMatchObject({
      reason: 'identity.key-role',
    })
    expect(await ask(toQuestion(credential, ACT_READ))).toMatchObject({
      active: true,
      iss: ISSUER,
      aud: at.keys.pep.jkt,
    })
  })

  it.each<[string, (question: Question) => JsonObject, JsonObject]>([
    ['another method', (q) => other(q, { method: 'DELETE' }), { active: false, reason: 'identity.bad-proof' }],
    ['another target', (q) => other(q, { target: '/orders/8' }), { active: false, reason: 'identity.bad-proof' }],
    ['another query', (q) => other(q, { target: '/orders/7?all=1' }), { active: false, reason: 'credential.mismatch' }],
    [
      'another origin',
      (q) => other(q, { origin: 'https://a.example' }),
      { active: false, reason: 'identity.bad-proof' },
    ],
    ['no proof', (q) => other(q, { dpop: undefined }), { active: false, reason: 'identity.missing' }],
    ['no credential of ours', (q) => ({ ...q, credential: session }), { active: false }],
    ['a changed credential', (q) => ({ ...q, credential: `${q.credential.slice(0, -4)}AAAA` }), { active: false }],
  ])('is not active: %s', async (_name, bend, expected) => {
    const question = toQuestion(await issue(), ACT_READ)
    expect(await ask(bend(question))).toMatchObject(expected)
    expect(await ask(question)).toMatchObject({ active: true })
  })

  it.each<[string, (question: Question) => JsonObject]>([
    ['a digest of something else', (q) => ({ ...q, digest: `sha-256:${'A'.repeat(43)}` })],
    ['a member too many', (q) => ({ ...q, force: true })],
    ['a target with dots', (q) => other(q, { target: '/orders/../orders/7' })],
    ['a content type without a body', (q) => other(q, { contentType: 'text/plain' })],
  ])('is an error: %s', async (_name, bend) => {
    await expect(ask(bend(toQuestion(await issue(), ACT_READ)))).rejects.toMatchObject({ code: 'ERR_UNBEARER_INPUT' })
  })

  it('takes a signature for the bytes that it covers alone', async () => {
    const credential = await issue(NOTE)
    const own = toQuestion(credential, ACT_NOTE, 'signature')
    const bent = toQuestion(credential, { ...ACT_NOTE, content: '{"text":"late"}' }, 'signature')
    const { signatureInput = '', signature = '' } = own.proof
    expect(await ask(other(bent, { signatureInput, signature }))).toMatchObject({ reason: 'identity.bad-proof' })
    expect(await ask(bent)).toMatchObject({ active: false, reason: 'credential.mismatch' })
    expect(await ask(own)).toMatchObject({ active: true })
  })
})

/** With other members of the proof, and the digest that belongs to them. */
function other(question: Question, members: Record<string, string | undefined>): JsonObject {
  const proof = { ...question.proof, ...members }
  const { method, target, contentType, contentDigest } = proof
  const [{ salt }] = parseActionClaims(asJson(decodeJwt(question.credential)))?.authorization_details ?? [{ salt: '' }]
  const action = Object.fromEntries(
    Object.entries({ method, target, contentType, contentDigest }).filter(([, value]) => value !== undefined),
  )
  return { ...question, proof, digest: digestOf(action, Buffer.from(salt, 'base64url')) }
}

describe('an answer of somebody who is not the issuer', () => {
  it('redeems nothing: unsigned, of another question, or none', async () => {
    const kept = await issue()
    let old = ''
    const between: typeof fetch = async (input, init) => {
      const response = await fetch(input, init)
      if (!response.url.endsWith('/redeem') || !response.ok) return response
      const answer = await response.text()
      if (old === '') old = answer
      return new Response(old)
    }
    const guard = requireCredential({
      issuer: ISSUER,
      server: at.origin,
      audience: ORDERS,
      fetch: between,
      redemption: redeemAtIssuer({ key: at.keys.pep }),
    })
    const accept = async (credential: string) => {
      const headers = toProvedHeaders({ credential, act: ACT_READ, origin: ORDERS, key: at.keys.agent })
      return guard.accept({
        ...ACT_READ,
        host: 'orders.example',
        header: (name) => headers[name],
        readBody: readNothing,
      })
    }
    expect(await accept(kept)).toMatchObject({ ok: true })
    // The old answer said yes to the first.
    expect(await accept(kept)).toMatchObject({ ok: false, refusal: { reason: 'system.indeterminate', status: 503 } })
    expect(await accept(await issue())).toMatchObject({ ok: false, refusal: { reason: 'system.indeterminate' } })
    old = 'eyJhbGciOiJub25lIn0.eyJhY3RpdmUiOnRydWV9.'
    expect(await accept(await issue())).toMatchObject({ ok: false })
  })
})

/**
 * Token exchange: one action in, one credential out, decided by the whole chain. Requirements: design §5, issue 6 part 1.
 */
import { createLocalJWKSet, decodeJwt, jwtVerify, type JSONWebKeySet } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { digestOf } from '../../src/core/bind.ts'
import { toHttpAction } from '../../src/core/http-action.ts'
import { parseActionClaims } from '../../src/crypto/action-claims.ts'
import { signDpop } from '../../src/crypto/dpop.ts'
import { signRequest } from '../../src/crypto/http-signature.ts'
import { asJson } from '../../src/core/json.ts'
import { redeemIssued } from '../../src/pdp/issued.ts'
import { toEntries, createInstallation, type Installation } from '../support/installation.ts'
import {
  acceptOrders,
  askDpop,
  askSigned,
  DELETE,
  FORM,
  NOTE,
  ORDERS,
  ORDERS_GRANT,
  ORDERS_YAML,
  post,
  READ,
  textOf,
  toForm,
  type Answered,
  type Asking,
} from '../support/orders-audience.ts'
import { openCredential } from '../attacks/wire.ts'

let at: Installation
let credential: string

beforeAll(async () => {
  at = await createInstallation({
    upstream: { url: 'http://127.0.0.1:9/mcp' },
    yaml: ORDERS_YAML,
    grant: ORDERS_GRANT,
  })
  await acceptOrders(at)
  const { txn } = await at.openTask('look at order 7, note on it that it is urgent, and delete order 7')
  credential = await openCredential(at.origin, at.keys.agent, txn)
})

afterAll(async () => at.close())

const signed = async (asking: Partial<Asking> = {}): Promise<Answered> =>
  askSigned(at.origin, at.keys.agent, { credential, ...asking })
const claimsOf = ({ body }: Answered) => parseActionClaims(asJson(decodeJwt(textOf(body['access_token']))))

describe('what is issued', () => {
  it('is bound to the action, the audience and the key, under a published key, recorded before', async () => {
    const answered = await signed({ detail: NOTE })
    expect(answered).toMatchObject({
      status: 200,
      body: { token_type: 'DPoP', issued_token_type: 'urn:ietf:params:oauth:token-type:access_token', expires_in: 30 },
    })
    expect(answered.headers.get('cache-control')).toBe('no-store')
    const claims = claimsOf(answered)
    if (claims === undefined) throw new Error('no claims')
    const jwks: JSONWebKeySet = JSON.parse(await (await fetch(`${at.origin}/jwks.json`)).text())
    await jwtVerify(textOf(answered.body['access_token']), createLocalJWKSet(jwks), {
      audience: ORDERS,
      typ: 'unbearer-action+jwt',
      algorithms: ['Ed25519'],
    })
    expect(claims).toMatchObject({ sub: 'user/alice', cnf: { jkt: at.keys.agent.jkt }, aud: ORDERS, mode: 'enforce' })
    const [detail] = claims.authorization_details
    expect(detail).toMatchObject({ actions: ['POST'], locations: [ORDERS], identifier: 'orders/note-order' })
    expect(answered.body['authorization_details']).toEqual([detail])
    // What a resource server computes from the bytes that it receives.
    const received = toHttpAction({
      method: 'POST',
      target: '/orders/7/notes',
      contentType: 'application/json',
      body: Buffer.from('{"text":"urgent"}'),
    })
    expect(detail.digest).toBe(digestOf(received, Buffer.from(detail.salt, 'base64url')))
    const { store } = at.serving.composed
    const entries = toEntries(await store.log.entries(0, await store.log.size()))
    const entry = entries.find(({ id }) => id === claims.tctx.evaluation_id)
    expect(entry).toMatchObject({ kind: 'decision', plane: 'http', decision: 'permit', jti: claims.jti })
    const { values } = await at.evidence(claims.tctx.evaluation_id)
    expect(values['request']).toMatchObject({ action: { body: { arguments: { id: '7', text: 'urgent' } } } })
  })

  it('is redeemed once', async () => {
    const claims = claimsOf(await signed())
    if (claims === undefined) throw new Error('no claims')
    const { store } = at.serving.composed
    expect(await redeemIssued(store, claims)).toBe(true)
    expect(await redeemIssued(store, claims)).toBe(false)
  })

  it('is refused in the words of OAuth', async () => {
    const outside = {
      ...NOTE,
      action: {
        method: 'POST',
        target: '/orders/7/notes',
        contentType: 'application/json',
        content: '{"text":"free of charge"}',
      },
    }
    expect(await signed({ detail: outside })).toMatchObject({
      status: 400,
      body: { error: 'access_denied', reason: 'scope.argument' },
    })
  })

  it('waits for a person with a ticket, and comes once they have answered', async () => {
    const asked = await signed({ detail: DELETE })
    expect(asked).toMatchObject({ status: 400, body: { error: 'authorization_pending', interval: 5, retry: true } })
    expect(asked.headers.get('retry-after')).toBe('5')
    await at.answer(textOf(asked.body['ticket']), 'approved')
    const answered = await signed({ detail: DELETE })
    expect(answered.status).toBe(200)
    expect(claimsOf(answered)?.tctx.approval_id).toBe(asked.body['ticket'])
    // Nobody here knows what became of it.
    expect(await signed({ detail: DELETE })).toMatchObject({ body: { reason: 'system.outcome-unknown' } })
  })
})

describe('a proof by DPoP', () => {
  it('needs a nonce of this server and is enough to read', async () => {
    const first = await post(`${at.origin}/token`, toForm({ credential }), {
      ...FORM,
      dpop: signDpop({ key: at.keys.agent, method: 'POST', url: `${at.origin}/token`, now: Date.now() }),
    })
    expect(first).toMatchObject({ status: 400, body: { error: 'use_dpop_nonce' } })
    expect(await askDpop(at.origin, at.keys.agent, { credential })).toMatchObject({ status: 200 })
  })

  it('leaves the body open, so that it is not enough to write', async () => {
    expect(await askDpop(at.origin, at.keys.agent, { credential, detail: NOTE })).toMatchObject({
      status: 400,
      body: { error: 'access_denied', reason: 'identity.weak-proof' },
    })
  })

  it('is used up', async () => {
    const url = `${at.origin}/token`
    const key = at.keys.agent
    const asked = await post(url, toForm({ credential }), {
      ...FORM,
      dpop: signDpop({ key, method: 'POST', url, now: Date.now() }),
    })
    const nonce = asked.headers.get('dpop-nonce') ?? ''
    const dpop = signDpop({ key, method: 'POST', url, nonce, now: Date.now() })
    expect((await post(url, toForm({ credential }), { ...FORM, dpop })).status).toBe(200)
    expect(await post(url, toForm({ credential }), { ...FORM, dpop })).toMatchObject({
      body: { error: 'invalid_dpop_proof', reason: 'identity.replayed' },
    })
  })
})

describe('what is refused', () => {
  it.each<[string, Partial<Asking>, string]>([
    ['another grant type', { form: { grant_type: 'client_credentials' } }, 'unsupported_grant_type'],
    ['no session credential', { form: { subject_token: '' } }, 'invalid_request'],
    ['a session credential of a strange type', { form: { subject_token_type: 'x' } }, 'invalid_request'],
    ['an actor', { form: { actor_token: 'x' } }, 'invalid_request'],
    ['a scope', { form: { scope: 'all' } }, 'invalid_request'],
    [
      'another kind of credential',
      { form: { requested_token_type: 'urn:ietf:params:oauth:token-type:id_token' } },
      'invalid_request',
    ],
    ['another client', { form: { client_id: 'other' } }, 'invalid_client'],
    ['no action', { form: { authorization_details: '' } }, 'invalid_authorization_details'],
    ['no list', { form: { authorization_details: JSON.stringify(READ) } }, 'invalid_authorization_details'],
    ['two actions', { form: { authorization_details: JSON.stringify([READ, READ]) } }, 'invalid_authorization_details'],
    ['another type of action', { detail: { ...READ, type: 'payment' } }, 'invalid_authorization_details'],
    ['a member that is not known', { detail: { ...READ, privileges: ['admin'] } }, 'invalid_authorization_details'],
    ['another place', { detail: { ...READ, locations: ['https://other.example'] } }, 'invalid_authorization_details'],
    ['two places', { detail: { ...READ, locations: [ORDERS, ORDERS] } }, 'invalid_authorization_details'],
    ['another method than it says', { detail: { ...READ, actions: ['DELETE'] } }, 'invalid_authorization_details'],
    [
      'another operation than it says',
      { detail: { ...READ, identifier: 'orders/delete-order' } },
      'invalid_authorization_details',
    ],
    [
      'what is no operation',
      { detail: { ...READ, identifier: undefined, action: { method: 'GET', target: '/admin' } } },
      'invalid_authorization_details',
    ],
    [
      'a target with dots',
      { detail: { ...READ, action: { method: 'GET', target: '/orders/../7' } } },
      'invalid_authorization_details',
    ],
    [
      'a digest instead of the content',
      {
        detail: {
          ...NOTE,
          action: {
            method: 'POST',
            target: '/orders/7/notes',
            contentType: 'application/json',
            contentDigest: 'sha-256=:x:',
          },
        },
      },
      'invalid_authorization_details',
    ],
    ['no target', { form: { resource: '' } }, 'invalid_target'],
    ['another target', { form: { resource: 'https://other.example' } }, 'invalid_target'],
    ['another target beside it', { form: { audience: 'https://other.example' } }, 'invalid_target'],
    ['something that is no credential', { form: { subject_token: 'a.b.c' } }, 'invalid_client'],
  ])('%s', async (_title, asking, error) => {
    expect((await signed(asking)).body).toMatchObject({ error })
  })

  it('a stolen session credential under the key of another agent', async () => {
    expect((await askSigned(at.origin, at.keys.other, { credential })).body).toMatchObject({ error: 'invalid_client' })
    expect((await askDpop(at.origin, at.keys.other, { credential })).body).toMatchObject({
      error: 'invalid_dpop_proof',
    })
  })

  it('a session credential that names no task', async () => {
    const taskless = await openCredential(at.origin, at.keys.agent)
    expect((await signed({ credential: taskless })).body).toMatchObject({ error: 'invalid_grant' })
  })

  it('an action credential in the place of a session credential', async () => {
    const action = textOf((await signed()).body['access_token'])
    expect((await signed({ credential: action })).body).toMatchObject({ error: 'invalid_client' })
  })

  it('no proof at all, and a proof over another body', async () => {
    expect(await post(`${at.origin}/token`, toForm({ credential }), FORM)).toMatchObject({
      status: 400,
      body: { error: 'invalid_dpop_proof', reason: 'identity.missing' },
    })
    const body = toForm({ credential })
    const proof = signRequest({
      key: at.keys.agent,
      method: 'POST',
      target: '/token',
      headers: FORM,
      body: Buffer.from(body),
      now: Date.now(),
    })
    const other = toForm({ credential, detail: NOTE })
    expect((await post(`${at.origin}/token`, other, { ...FORM, ...proof })).body).toMatchObject({
      error: 'invalid_client',
    })
  })

  it('two proofs of two keys', async () => {
    const body = toForm({ credential })
    const url = `${at.origin}/token`
    const proof = signRequest({
      key: at.keys.agent,
      method: 'POST',
      target: '/token',
      headers: FORM,
      body: Buffer.from(body),
      now: Date.now(),
    })
    const asked = await post(url, body, {
      ...FORM,
      dpop: signDpop({ key: at.keys.other, method: 'POST', url, now: Date.now() }),
    })
    const nonce = asked.headers.get('dpop-nonce') ?? ''
    const dpop = signDpop({ key: at.keys.other, method: 'POST', url, nonce, now: Date.now() })
    expect((await post(url, body, { ...FORM, ...proof, dpop })).body).toMatchObject({ reason: 'identity.bad-proof' })
  })

  it('a parameter twice, and another content type', async () => {
    const twice = `${toForm({ credential })}&resource=${encodeURIComponent(ORDERS)}`
    expect((await post(`${at.origin}/token`, twice, FORM)).body).toMatchObject({ error: 'invalid_request' })
    expect((await post(`${at.origin}/token`, '{}', { 'content-type': 'application/json' })).body).toMatchObject({
      error: 'invalid_request',
    })
  })
})

/** A form signed by a key, with the nonce that the first answer gives. */
async function signedForm(path: string, name: 'agent' | 'other' | 'pep', token: string): Promise<Answered> {
  const body = new URLSearchParams({ token }).toString()
  const send = async (nonce: string): Promise<Answered> => {
    const proof = signRequest({
      key: at.keys[name],
      method: 'POST',
      target: path,
      headers: FORM,
      body: Buffer.from(body),
      nonce,
      now: Date.now(),
    })
    return post(`${at.origin}${path}`, body, { ...FORM, ...proof })
  }
  const first = await send(`first-${crypto.randomUUID()}`)
  return send(`${first.headers.get('unbearer-nonce') ?? ''}.${crypto.randomUUID()}`)
}

describe('introspection and revocation', () => {
  it('say of a credential whether it can be redeemed, to a PEP of its audience alone', async () => {
    const token = textOf((await signed()).body['access_token'])
    expect((await signedForm('/introspect', 'pep', token)).body).toMatchObject({ active: true, aud: ORDERS })
    expect((await signedForm('/introspect', 'agent', token)).body).toMatchObject({ error: 'invalid_client' })
    expect((await signedForm('/introspect', 'pep', `${token.slice(0, -4)}AAAA`)).body).toEqual({ active: false })
    expect((await signedForm('/introspect', 'pep', credential)).body).toEqual({ active: false })
    expect(await signedForm('/revoke', 'other', token)).toMatchObject({ status: 200 })
    expect((await signedForm('/introspect', 'pep', token)).body).toMatchObject({ active: true })
    expect(await signedForm('/revoke', 'agent', token)).toMatchObject({ status: 200 })
    expect((await signedForm('/introspect', 'pep', token)).body).toEqual({ active: false })
  })

  it('say of a redeemed credential that it is not active', async () => {
    const answered = await signed()
    const claims = claimsOf(answered)
    if (claims === undefined) throw new Error('no claims')
    await redeemIssued(at.serving.composed.store, claims)
    const token = textOf(answered.body['access_token'])
    expect((await signedForm('/introspect', 'pep', token)).body).toEqual({ active: false })
  })
})

describe('metadata', () => {
  it('says where everything is and what is taken', async () => {
    const server = await (await fetch(`${at.origin}/.well-known/oauth-authorization-server`)).json()
    expect(server).toMatchObject({
      issuer: 'https://unbearer-test.invalid',
      token_endpoint: `${at.origin}/token`,
      jwks_uri: `${at.origin}/jwks.json`,
      dpop_signing_alg_values_supported: ['Ed25519', 'ES256'],
      authorization_details_types_supported: ['urn:unbearer:action'],
    })
    const resource = await (await fetch(`${at.origin}/.well-known/oauth-protected-resource/mcp/desk`)).json()
    expect(resource).toMatchObject({ resource: `${at.origin}/mcp/desk`, bearer_methods_supported: [] })
    expect((await fetch(`${at.origin}/.well-known/oauth-protected-resource/mcp/other`)).status).toBe(404)
    const jwks = await (await fetch(`${at.origin}/jwks.json`)).text()
    expect(jwks).not.toContain('"d"')
  })
})

/**
 * @module
 * Security events end to end: an identity provider that signs a principal out, and receivers elsewhere that are told of what is
 * revoked here.
 */
import { createServer, type Server } from 'node:http'

import { afterEach, describe, expect, it, vi } from 'vitest'

import { CREDENTIAL_CHANGE, REVOKED_EVENT, SESSION_REVOKED } from '../../src/core/security-event.ts'
import { decodeJwt, verifyJwt } from '../../src/crypto/jwt.ts'
import { importPublicKey } from '../../src/crypto/keys.ts'
import { isJsonObject, RefusedError, type Json, type JsonObject } from '../../src/index.ts'
import { createInstallation, ISSUER, type Installation } from '../support/installation.ts'
import { AUDIENCE, createOutsideIssuer, mint, type OutsideIssuer } from '../support/outside-issuer.ts'

const closers: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close()
})

async function install(yaml: string): Promise<Installation> {
  const upstream = { url: 'http://127.0.0.1:9/mcp' }
  const installation = await createInstallation({ upstream, store: 'sqlite', yaml })
  closers.push(async () => installation.close())
  return installation
}

async function open(on: Installation, proof: string): Promise<JsonObject> {
  const grant = { actor: 'agent' }
  const params = { grant, subject_token: proof, subject_token_type: 'id-token' }
  const opened = await on.control('host', 'grant.open', params)
  return isJsonObject(opened) ? opened : {}
}

describe('an identity provider that signs a principal out', () => {
  const EVENTS = 'https://unbearer-test.invalid/events'

  async function stage(): Promise<{ on: Installation; idp: OutsideIssuer }> {
    const idp = await createOutsideIssuer()
    closers.push(async () => idp.close())
    const on = await install(`trust:
  issuers:
    - { issuer: '${idp.url}', audience: ${AUDIENCE}, grants: { operations: [{ tool: desk/read_record }] } }
events:
  receive:
    - { issuer: '${idp.url}', audience: '${EVENTS}' }
`)
    return { on, idp }
  }

  async function push(on: Installation, idp: OutsideIssuer, at: number): Promise<number> {
    const compact = mint(
      idp.key,
      { alg: idp.key.alg, kid: idp.key.kid, typ: 'secevent+jwt' },
      {
        iss: idp.url,
        aud: EVENTS,
        jti: `event-${at}`,
        iat: at,
        sub_id: { format: 'complex', user: { format: 'iss_sub', iss: idp.url, sub: 'alice' } },
        events: { [SESSION_REVOKED]: { event_timestamp: at } },
      },
    )
    const headers = { 'content-type': 'application/secevent+jwt' }
    const response = await fetch(new URL('/events', on.origin), { method: 'POST', body: compact, headers })
    await response.text()
    return response.status
  }

  it('takes back what its proofs opened, and what they had not opened yet', async () => {
    const { on, idp } = await stage()
    const now = Math.floor(Date.now() / 1000)
    const grant = await open(on, idp.idToken({ iat: now - 30 }))
    const bobs = await open(on, idp.idToken({ iat: now - 30, sub: 'bob' }))
    const unused = idp.idToken({ iat: now - 20 })
    expect(await push(on, idp, now - 10)).toBe(202)
    const { revocations } = on.serving.composed.services
    expect(revocations.list().map(({ dimension, id }) => [dimension, id])).toEqual([['grant', grant['id']]])
    expect(revocations.list().some(({ id }) => id === bobs['id'])).toBe(false)
    const late = await open(on, unused).catch((fault: unknown) => fault)
    expect(late instanceof RefusedError ? late.reason : late).toBe('identity.weak-login')
    // Whoever logs in again goes on.
    expect(await open(on, idp.idToken({ iat: now - 5 }))).toMatchObject({ principal: { id: `${idp.url}#alice` } })
  })
})

interface Receiver {
  readonly url: string
  readonly bodies: string[]
  /** The status of the answers to come; 202 when there is none left. */
  readonly answers: number[]
  readonly headers: (string | undefined)[]
}

async function startReceiver(): Promise<Receiver> {
  const receiver = {
    bodies: new Array<string>(),
    answers: new Array<number>(),
    headers: new Array<string | undefined>(),
  }
  const server: Server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      receiver.bodies.push(Buffer.concat(chunks).toString())
      receiver.headers.push(request.headers.authorization)
      response.writeHead(receiver.answers.shift() ?? 202).end()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closers.push(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return { ...receiver, url: `http://127.0.0.1:${port}/set` }
}

function claimsOf(compact: string | undefined): JsonObject {
  return decodeJwt(compact ?? '')?.claims ?? {}
}

const jtis = ({ bodies }: Receiver): readonly (Json | undefined)[] => bodies.map((body) => claimsOf(body)['jti'])

async function installFor(receiver: Receiver): Promise<Installation> {
  return install(`events:
  send:
    - { name: siem, url: '${receiver.url}', audience: 'https://siem.example', authorization: { file: ./keys/secret } }
`)
}

const revoke = async (on: Installation, dimension: string, id?: string): Promise<Json> =>
  on.control('operator', 'revoke', { dimension, ...(id === undefined ? {} : { id }) })

describe('a receiver of security events', () => {
  it('is told of what is revoked, signed, in order, in the words of CAEP', async () => {
    const receiver = await startReceiver()
    const on = await installFor(receiver)
    const task = await on.openTask('look at r1')
    await revoke(on, 'subject', 'alice')
    await revoke(on, 'task', task.txn)
    await revoke(on, 'actor', 'other')
    await revoke(on, 'tool', 'desk/send')
    await vi.waitFor(() => expect(receiver.bodies).toHaveLength(4))
    const { jwk } = on.serving.composed.issuerKeys.current()
    for (const body of receiver.bodies)
      expect(verifyJwt(importPublicKey({ ...jwk }), 'secevent+jwt', body)).toBeDefined()
    const claims = receiver.bodies.map(claimsOf)
    for (const each of claims) {
      expect(each).toMatchObject({ iss: ISSUER, aud: 'https://siem.example' })
      expect(each).not.toHaveProperty('exp')
      expect(each).not.toHaveProperty('sub')
    }
    expect(claims.map(({ events }) => Object.keys(isJsonObject(events) ? events : {}))).toEqual([
      [SESSION_REVOKED],
      [SESSION_REVOKED],
      [CREDENTIAL_CHANGE],
      [REVOKED_EVENT],
    ])
    expect(claims[0]).toMatchObject({ sub_id: { format: 'iss_sub', iss: ISSUER, sub: 'user/alice' } })
    expect(claims[1]).toMatchObject({ sub_id: { format: 'complex', session: { format: 'opaque', id: task.txn } } })
    expect(claims[2]).toMatchObject({ sub_id: { format: 'opaque', id: on.keys.other.jkt } })
    expect(receiver.headers.every((header) => header !== undefined && header !== '')).toBe(true)
    const metadata = await fetch(new URL('/.well-known/ssf-configuration', on.origin))
    expect(await metadata.json()).toMatchObject({
      issuer: ISSUER,
      jwks_uri: `${on.origin}/jwks.json`,
      delivery_methods_supported: ['urn:ietf:rfc:8935'],
    })
  })

  it('that was away is told after it is back, also over a restart, and knows what came twice', async () => {
    const receiver = await startReceiver()
    const on = await installFor(receiver)
    await revoke(on, 'subject', 'alice')
    await vi.waitFor(() => expect(receiver.bodies).toHaveLength(1))
    await vi.waitFor(() => expect(on.serving.composed.events.transmitter.waiting()).toEqual({ siem: 0 }))
    receiver.answers.push(503)
    await revoke(on, 'subject', 'bob')
    await vi.waitFor(() => expect(receiver.bodies).toHaveLength(2))
    expect(on.serving.composed.events.transmitter.waiting()).toEqual({ siem: 1 })
    await on.restart()
    await revoke(on, 'subject', 'carol')
    await vi.waitFor(() => expect(receiver.bodies.length).toBeGreaterThanOrEqual(4), { timeout: 5_000 })
    expect(receiver.bodies.map((body) => JSON.stringify(claimsOf(body)['sub_id']).match(/user\/\w+/)?.[0])).toEqual([
      'user/alice',
      'user/bob',
      'user/bob',
      'user/carol',
    ])
    const [alice, bob, again] = jtis(receiver)
    expect(again).toBe(bob)
    expect(bob).not.toBe(alice)
  })

  it('that refuses one for good does not keep the others from coming', async () => {
    const receiver = await startReceiver()
    const on = await installFor(receiver)
    receiver.answers.push(400)
    await revoke(on, 'subject', 'alice')
    await revoke(on, 'subject', 'bob')
    await vi.waitFor(() => expect(receiver.bodies).toHaveLength(2))
    expect(on.reports.join()).toContain('refuses revocation')
  })

  it('that redirects gets nothing elsewhere, and keeps nobody from revoking', async () => {
    const receiver = await startReceiver()
    const on = await installFor(receiver)
    receiver.answers.push(307)
    expect(await revoke(on, 'all')).toMatchObject({ recorded: true, silent: [] })
    await vi.waitFor(() => expect(receiver.bodies).toHaveLength(1))
    await vi.waitFor(() => expect(on.reports.join()).toContain('events'))
  })
})

/**
 * @module
 * Security events, from whoever would keep one from having effect: hold it up, crowd it out, make the key look unknown. And
 * whoever would make the endpoint hold or write more than it should.
 *
 * Broken once on purpose, and the test that fell:
 *
 * | broken on purpose                                          | fell                                                   |
 * | ---------------------------------------------------------- | ------------------------------------------------------ |
 * | `events/narrowing.ts` grants by when they begin            | however late it comes, and however late a grant begins |
 * | `events/receiver.ts` verifies in turn                      | is not kept waiting by those that nobody signed        |
 * | `events/receiver.ts` any length                            | is not kept waiting by those that nobody signed        |
 * | `events/receiver.ts` as many as come wait                  | is bounded in what waits, for each issuer              |
 * | `events/receiver.ts` reports every fault                   | cannot fill the log of the operator                    |
 * | `trust/outside-jwks.ts` no for good, asked a moment ago    | under a new key is not refused for good                |
 */
import { afterEach, describe, expect, it } from 'vitest'

import { SESSION_REVOKED } from '../../src/core/security-event.ts'
import { findOutsideKey, parseOutsideKeys, type OutsideKey } from '../../src/crypto/outside-keys.ts'
import { isJsonObject, UnavailableError, type Json, type JsonObject } from '../../src/index.ts'
import { createEventReceiver, type ReceiveEvent, type TrustedEventIssuer } from '../../src/server/events/receiver.ts'
import { createControlPlane, type ControlPlane } from '../fixtures/control-plane.ts'
import { createInstallation, type Installation } from '../support/installation.ts'
import { AUDIENCE, createOutsideIssuer, makeOutsideKey, mint, type OutsideIssuer } from '../support/outside-issuer.ts'

const EVENTS = 'https://unbearer-test.invalid/events'
const closers: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close()
})

const seconds = (): number => Math.floor(Date.now() / 1000)
let jti = 0

function sign(idp: Pick<OutsideIssuer, 'key'>, iss: string, at: number, sub = 'alice'): string {
  return mint(
    idp.key,
    { alg: idp.key.alg, kid: idp.key.kid, typ: 'secevent+jwt' },
    {
      iss,
      aud: EVENTS,
      jti: `event-${(jti += 1)}`,
      iat: at,
      sub_id: { format: 'iss_sub', iss, sub },
      events: { [SESSION_REVOKED]: { event_timestamp: at } },
    },
  )
}

async function stage(): Promise<{ on: Installation; idp: OutsideIssuer }> {
  const idp = await createOutsideIssuer()
  closers.push(async () => idp.close())
  const yaml = `trust:
  issuers:
    - { issuer: '${idp.url}', audience: ${AUDIENCE}, grants: { operations: [{ tool: desk/read_record }] } }
events:
  receive:
    - { issuer: '${idp.url}', audience: '${EVENTS}' }
`
  const on = await createInstallation({ upstream: { url: 'http://127.0.0.1:9/mcp' }, store: 'sqlite', yaml })
  closers.push(async () => on.close())
  return { on, idp }
}

async function push(on: Installation, body: string): Promise<number> {
  const headers = { 'content-type': 'application/secevent+jwt' }
  const response = await fetch(new URL('/events', on.origin), { method: 'POST', body, headers })
  await response.text()
  return response.status
}

async function open(on: Installation, proof: string, more: JsonObject = {}): Promise<string> {
  const params = { grant: { actor: 'agent', ...more }, subject_token: proof, subject_token_type: 'id-token' }
  const opened: Json = await on.control('host', 'grant.open', params)
  const id = isJsonObject(opened) ? opened['id'] : undefined
  if (typeof id !== 'string') throw new Error('no grant was opened')
  return id
}

const readHeader = (name: string): string | undefined =>
  name === 'content-type' ? 'application/secevent+jwt' : undefined

async function send(receive: ReceiveEvent, compact: string): Promise<number> {
  const body = Buffer.from(compact)
  const response = await receive({ method: 'POST', target: '/events', header: readHeader, body })
  return response.status
}

describe('an event on its way', () => {
  it('has its effect however late it comes, and however late a grant begins', async () => {
    const { on, idp } = await stage()
    const now = seconds()
    // Signed out three minutes ago; the event was held up, and what was vouched for before was used meanwhile.
    const used = await open(on, idp.idToken({ iat: now - 200 }))
    const later = { notBefore: new Date((now + 600) * 1000).toISOString(), expires: '1h' }
    const scheduled = await open(on, idp.idToken({ iat: now - 190 }), later)
    const again = await open(on, idp.idToken({ iat: now - 170 }))
    expect(await push(on, sign(idp, idp.url, now - 180))).toBe(202)
    const { revocations } = on.serving.composed.services
    expect(revocations.find('grant', used)).toBeDefined()
    expect(revocations.find('grant', scheduled)).toBeDefined()
    // Whoever logged in after it goes on.
    expect(revocations.find('grant', again)).toBeUndefined()
  })

  it('under a new key is not refused for good because somebody has just asked for others', async () => {
    const { on, idp } = await stage()
    const next = makeOutsideKey('RS256')
    const junk = { key: { ...makeOutsideKey('RS256'), kid: 'made-up' } }
    expect(await push(on, sign(junk, idp.url, seconds()))).toBe(400)
    // Asked again only in half a minute: until then nobody can say, and what is not known is not refused.
    idp.published.jwks = { keys: [next.jwk] }
    expect(await push(on, sign({ key: next }, idp.url, seconds()))).toBe(503)
    expect(await push(on, sign(junk, idp.url, seconds()))).toBe(503)
    expect(on.reports.filter((line) => line.startsWith('events'))).toHaveLength(1)
  })
})

describe('whoever can reach the endpoint', () => {
  const key = makeOutsideKey('ES256', 'idp-1')
  const [IDP, BUSY] = ['https://idp.example', 'https://busy.example']
  let plane: ControlPlane
  const reports: string[] = []

  interface Options {
    readonly findKey?: TrustedEventIssuer['findKey']
    readonly beforeGet?: () => Promise<void>
  }

  async function createReceiver({ findKey, beforeGet }: Options = {}): Promise<ReceiveEvent> {
    plane = await createControlPlane('memory')
    closers.push(async () => plane.close())
    reports.length = 0
    const keys: readonly OutsideKey[] = parseOutsideKeys({ keys: [key.jwk] })
    const rule = {
      audience: EVENTS,
      algorithms: ['ES256'],
      domains: [],
      agents: [],
      risk: 'HIGH',
      findKey: findKey ?? (async (kid, alg) => Promise.resolve(findOutsideKey(keys, kid, alg))),
    } satisfies Omit<TrustedEventIssuer, 'issuer'>
    const { store, clock, services } = plane
    return createEventReceiver({
      ...services,
      store: {
        ...store,
        get: async (asked) => {
          await beforeGet?.()
          return store.get(asked)
        },
      },
      clock,
      issuers: [
        { ...rule, issuer: IDP },
        { ...rule, issuer: BUSY },
      ],
      counted: () => undefined,
      report: (_where, fault) => reports.push(String(fault)),
    })
  }

  const at = (): number => Math.floor(plane.clock.now() / 1000)

  it('keeps nobody waiting with what nobody signed, and nothing large is held', async () => {
    const fetching = Promise.withResolvers<undefined>()
    const keys = parseOutsideKeys({ keys: [key.jwk] })
    const asked: (string | undefined)[] = []
    const receive = await createReceiver({
      async findKey(kid, alg) {
        asked.push(kid)
        if (kid !== key.kid) await fetching.promise
        return findOutsideKey(keys, kid, alg)
      },
    })
    const junk = { key: { ...key, kid: 'made-up' } }
    const held = send(receive, sign(junk, IDP, at()))
    expect(await send(receive, `${sign(junk, IDP, at())}${'A'.repeat(20_000)}`)).toBe(400)
    expect(await send(receive, sign({ key }, IDP, at()))).toBe(202)
    expect(asked).toEqual(['made-up', 'idp-1'])
    fetching.resolve(undefined)
    expect(await held).toBe(400)
  })

  it('with a key of an issuer fills no more than its own places', async () => {
    const stuck = Promise.withResolvers<undefined>()
    const receive = await createReceiver({ beforeGet: async () => stuck.promise })
    const flood = Array.from({ length: 100 }, async () => send(receive, sign({ key }, BUSY, at())))
    // The places of another issuer are its own.
    const theirs = send(receive, sign({ key }, IDP, at()))
    stuck.resolve(undefined)
    const answered = await Promise.all(flood)
    expect(answered.filter((status) => status === 202)).toHaveLength(64)
    expect(answered.filter((status) => status === 503)).toHaveLength(36)
    expect(await theirs).toBe(202)
    expect(await send(receive, sign({ key }, BUSY, at()))).toBe(202)
  })

  it('cannot fill the log of the operator while the keys of an issuer are away', async () => {
    const receive = await createReceiver({
      findKey: async () => Promise.reject(new UnavailableError('the issuer does not answer')),
    })
    for (let n = 0; n < 20; n += 1) expect(await send(receive, sign({ key }, IDP, at()))).toBe(503)
    expect(reports).toHaveLength(1)
  })
})

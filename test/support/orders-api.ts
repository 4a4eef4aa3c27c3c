/**
 * @module
 * An API on a socket behind `requireCredential`, with an issuer of the test: what reaches its handler is written down.
 */
import type { RequestListener } from 'node:http'

import { getRequestListener } from '@hono/node-server'
import { Hono } from 'hono'

import type { ActionClaims } from '../../src/core/credential.ts'
import { generateKey, importKey, type KeyPair } from '../../src/crypto/keys.ts'
import {
  redeemHere,
  requireCredential,
  type Burns,
  type CredentialGuard,
  type CredentialOptions,
  type RevocationFeed,
} from '../../src/http/index.ts'
import { issueAction, toProvedHeaders, type Act, type Proving } from './action-request.ts'
import { listenOn, type Listening } from './listen-on.ts'
import type { WireRequest } from '../attacks/wire.ts'

export const API = 'https://orders.example'
export const API_ISSUER = 'https://issuer.example'

/** What a handler saw. */
export interface Seen {
  readonly method: string
  readonly url: string
  readonly body: string
  readonly sub: string | undefined
}

/** Makes the listener of a framework. The handler tells `see`, and answers 200. */
export type MakeApi = (guard: CredentialGuard, see: (seen: Seen) => void) => RequestListener | Promise<RequestListener>

export const nodeApi: MakeApi = (guard, see) =>
  guard.node(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(Buffer.from(chunk))
    const { method = '', url = '' } = request
    see({ method, url, body: Buffer.concat(chunks).toString(), sub: guard.of(request)?.claims.sub })
    response.end('done')
  })

export const honoApi: MakeApi = (guard, see) => {
  const app = new Hono()
  app.use(guard.hono)
  app.all('*', async (c) => {
    const { pathname, search } = new URL(c.req.url)
    const body = await c.req.text()
    see({ method: c.req.method, url: `${pathname}${search}`, body, sub: guard.of(c)?.claims.sub })
    return c.text('done')
  })
  const listener = getRequestListener(app.fetch)
  return (request, response) => void listener(request, response)
}

/** Revocations as a test sets them. */
export interface World {
  fresh: boolean
  rev: number
  readonly revoked: Map<string, number>
  readonly listeners: Set<Parameters<RevocationFeed['subscribe']>[0]>
}

export function createWorld(): World {
  return { fresh: true, rev: 5, revoked: new Map(), listeners: new Set() }
}

export function toFeed(world: World): RevocationFeed {
  return {
    rev: () => world.rev,
    fresh: () => world.fresh,
    find(dimension, id) {
      const rev = world.revoked.get(`${dimension} ${id}`)
      return rev === undefined ? undefined : { rev, dimension, id, at: 0 }
    },
    subscribe(listener) {
      world.listeners.add(listener)
      return () => void world.listeners.delete(listener)
    },
  }
}

/** Burns that several guards share. */
export function createSharedBurns(): Burns {
  const burned = new Set<string>()
  return {
    isShared: true,
    since: () => 0,
    async burn(id) {
      // As long as a store on a network takes, so that others come in between.
      await new Promise((resolve) => setImmediate(resolve))
      const isFirst = !burned.has(id)
      burned.add(id)
      return isFirst
    },
    close: () => undefined,
  }
}

export interface Api extends Listening {
  readonly seen: Seen[]
  readonly guard: CredentialGuard
  readonly faults: unknown[]
}

export interface Parties {
  readonly issuerKey: KeyPair
  readonly agent: KeyPair
  readonly thief: KeyPair
}

export function createParties(): Parties {
  const [issuerKey, thief] = [importKey({ ...generateKey('Ed25519') }), importKey({ ...generateKey('Ed25519') })]
  return { issuerKey, agent: importKey({ ...generateKey('ES256') }), thief }
}

export function toJwks(...keys: readonly KeyPair[]): NonNullable<CredentialOptions['jwks']> {
  return { keys: keys.map(({ jwk, jkt, alg }) => ({ ...jwk, kid: jkt, alg, use: 'sig' })) }
}

export async function startApi(
  make: MakeApi,
  parties: Parties,
  options: Partial<CredentialOptions> & { readonly world?: World; readonly burns?: Burns } = {},
): Promise<Api> {
  const seen: Seen[] = []
  const faults: unknown[] = []
  const guards: CredentialGuard[] = []
  const { world = createWorld(), burns = createSharedBurns(), ...more } = options
  const on = await listenOn((host) => {
    const guard = requireCredential({
      issuer: API_ISSUER,
      audience: API,
      hosts: [host],
      jwks: toJwks(parties.issuerKey),
      redemption: redeemHere({ burns, revocations: toFeed(world) }),
      report: (fault) => faults.push(fault),
      ...more,
    })
    guards.push(guard)
    return make(guard, (one) => seen.push(one))
  })
  const [guard] = guards
  if (guard === undefined) throw new Error('no guard')
  return { ...on, seen, guard, faults }
}

export const READ_ACT: Act = { method: 'GET', target: '/orders/7?fields=id,state&limit=2' }
export const NOTE_ACT: Act = {
  method: 'POST',
  target: '/orders/7/notes',
  contentType: 'application/json',
  content: '{"text":"urgent"}',
}

export type Calling = Partial<Omit<Proving, 'act'>> & { readonly act?: Act; readonly claims?: Partial<ActionClaims> }

/** The headers of a request with a fresh credential. */
export function callOf(parties: Parties, calling: Calling = {}): Record<string, string> {
  const { act = NOTE_ACT, claims, credential, ...more } = calling
  const compact =
    credential ??
    issueAction({
      issuer: API_ISSUER,
      audience: API,
      ...parties,
      act,
      ...(claims === undefined ? {} : { claims }),
    })
  return toProvedHeaders({ key: parties.agent, origin: API, act, ...more, credential: compact })
}

/** The same as bytes on a socket. */
export function wireOf(host: string, parties: Parties, calling: Calling = {}): WireRequest {
  const { act = NOTE_ACT } = calling
  const body = Buffer.from(act.content ?? '')
  const length = body.length === 0 ? {} : { 'content-length': String(body.length) }
  const headers = { host, connection: 'close', ...callOf(parties, calling), ...length }
  const head = Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
  return { line: `${act.method} ${act.target} HTTP/1.1`, head, body }
}

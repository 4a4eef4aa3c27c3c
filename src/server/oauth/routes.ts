/**
 * @module
 * The endpoints of OAuth on the listener. The caller reads the body and refuses foreign hosts before any of this.
 */
import type { Context, Env as HonoEnv, Hono } from 'hono'

import type { JsonObject, Reason } from '../../index.ts'
import type { Authenticator, ReceivedRequest } from '../../pdp/authenticate.ts'
import type { Issue } from '../../pdp/issuer.ts'
import type { Audience } from './action-detail.ts'
import { exchange } from './exchange.ts'
import { introspect, revoke, type IssuedOptions } from './issued.ts'
import { createRedeem } from './redeem.ts'
import { toResourceMetadata, toServerMetadata } from './metadata.ts'

/** Counts a request that was not authenticated. */
export type Counted = (reason: Reason) => void

export interface OAuthOptions extends Pick<IssuedOptions, 'keys' | 'store' | 'clock' | 'revocations'> {
  readonly issuer: string
  /** Where clients reach the listener, without a trailing slash; known once it listens. */
  readonly origin: () => string
  readonly authenticator: Authenticator
  readonly audiences: readonly Audience[]
  readonly upstreams: readonly string[]
  readonly issue: Issue
  readonly newId: () => string
  /** Public keys under which what was issued verifies, the one that signs now first. */
  readonly issuerKeys: () => readonly { readonly jkt: string; readonly alg: string; readonly jwk: JsonObject }[]
  readonly counted: Counted
}

const SERVER = '/.well-known/oauth-authorization-server'
const RESOURCE = '/.well-known/oauth-protected-resource'
/** Seconds for which a JWKS may be kept. A key that is not in it is asked for again, so that this bounds only what is gone. */
const JWKS_AGE = 300

/** Adds the routes. `receive` reads the body of a request once, up to the limit. */
export function addOAuthRoutes<E extends HonoEnv>(
  app: Hono<E>,
  options: OAuthOptions,
  receive: (c: Context<E>) => Promise<ReceivedRequest>,
): void {
  const { issuer, origin, upstreams } = options
  const path = new URL(issuer).pathname.replace(/\/$/, '')
  const metadata = (): Response => Response.json(toServerMetadata(issuer, origin()))
  // RFC 8414 §3.1: the well-known part stands before the path of the issuer. Without the path it is found as well.
  for (const at of new Set([SERVER, `${SERVER}${path}`])) app.get(at, metadata)
  app.get('/jwks.json', () => toJwks(options))
  app.get(`${RESOURCE}/mcp`, () => Response.json(toResourceMetadata(`${origin()}/mcp`, issuer)))
  app.get(`${RESOURCE}/mcp/:upstream`, (c) => {
    const upstream = c.req.param('upstream')
    if (!upstreams.includes(upstream)) return c.json({ error: 'invalid_request' }, 404)
    return Response.json(toResourceMetadata(`${origin()}/mcp/${upstream}`, issuer))
  })
  const url = (): string => `${origin()}/token`
  const redeem = createRedeem(options)
  app.post('/redeem', async (c) => redeem(await receive(c)))
  app.post('/introspect', async (c) => introspect(options, await receive(c)))
  app.post('/revoke', async (c) => revoke(options, await receive(c)))
  app.post('/token', async (c) => exchange({ ...options, url }, await receive(c)))
}

function toJwks({ issuerKeys }: OAuthOptions): Response {
  const keys = issuerKeys().map(({ jkt, alg, jwk }) => ({ ...jwk, kid: jkt, alg, use: 'sig' }))
  return Response.json({ keys }, { headers: { 'cache-control': `public, max-age=${JWKS_AGE}` } })
}

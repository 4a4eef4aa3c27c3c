/**
 * @module
 * `POST /events` (RFC 8935) and `/.well-known/ssf-configuration` (SSF 1.0 §7.1).
 */
import type { Context, Env as HonoEnv, Hono } from 'hono'

import type { JsonObject } from '../../index.ts'
import type { ReceivedRequest } from '../../pdp/authenticate.ts'
import type { ReceiveEvent } from './receiver.ts'

export interface EventRoutes {
  readonly issuer: string
  /** Where clients reach the listener, without a trailing slash. */
  readonly origin: () => string
  /** Absent: no issuer of events is configured. */
  readonly receive?: ReceiveEvent
  /** True where events are sent to anybody. */
  readonly sends: boolean
}

const METADATA = '/.well-known/ssf-configuration'

/** Adds the routes. `receive` reads the body of a request once, up to the limit. */
export function addEventRoutes<E extends HonoEnv>(
  app: Hono<E>,
  { issuer, origin, receive, sends }: EventRoutes,
  read: (c: Context<E>) => Promise<ReceivedRequest>,
): void {
  if (receive !== undefined) app.post('/events', async (c) => receive(await read(c)))
  if (!sends) return
  const path = new URL(issuer).pathname.replace(/\/$/, '')
  for (const at of new Set([METADATA, `${METADATA}${path}`]))
    app.get(at, () => Response.json(toMetadata(issuer, origin())))
}

/** Streams are set up by operators on both sides: there is no endpoint to make one. */
function toMetadata(issuer: string, origin: string): JsonObject {
  return {
    spec_version: '1_0',
    issuer,
    jwks_uri: `${origin}/jwks.json`,
    delivery_methods_supported: ['urn:ietf:rfc:8935'],
    default_subjects: 'ALL',
  }
}

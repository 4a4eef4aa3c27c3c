/**
 * @module
 * `GET /revocations` and `POST /revocations/canary`, for keys of PEPs (`docs/reference/wire.md`).
 */
import type { IncomingMessage } from 'node:http'

import type { Context, Hono } from 'hono'

import { InputError, isJsonObject, parseJson, type Reason } from '../../index.ts'
import type { Authenticated, Authenticator, ReceivedRequest } from '../../pdp/authenticate.ts'
import type { EnrolledKey } from '../../index.ts'
import type { RevocationFeed } from '../../ports/revocations.ts'
import type { Publisher, Subscriber } from './publisher.ts'

type Env = { Bindings: { readonly incoming: IncomingMessage } }

export interface FeedRoutes {
  readonly publisher: Publisher
  readonly authenticator: Pick<Authenticator, 'authenticateKey'>
  readonly feed: RevocationFeed
  readonly newId: () => string
  /** Answers and counts what was not authenticated, and what there is no room for. */
  readonly refuse: (refused: { readonly reason: Reason; readonly nonce?: string }) => Response
}

export const FEED_PATH = '/revocations'

/** Adds the routes. `receive` reads the body of a request once, up to the limit. */
export function addFeedRoutes(
  app: Hono<Env>,
  routes: FeedRoutes,
  receive: (c: Context<Env>) => Promise<ReceivedRequest>,
): void {
  app.get(FEED_PATH, async (c) => {
    const by = await authenticate(routes, await receive(c))
    if (!by.ok) return routes.refuse(by)
    const { incoming } = c.env
    const stream = routes.publisher.subscribe(toSubscriber(routes, c, by.value), () => incoming.destroy())
    if (stream === undefined) return routes.refuse({ reason: 'system.quota' })
    const headers = { 'content-type': 'text/event-stream', 'cache-control': 'no-store', 'x-accel-buffering': 'no' }
    return new Response(stream, { headers })
  })
  app.post(`${FEED_PATH}/canary`, async (c) => {
    const received = await receive(c)
    const by = await authenticate(routes, received)
    if (!by.ok) return routes.refuse(by)
    return c.json({ asked: routes.publisher.canaries.answer(by.value, toAnswer(received)) })
  })
}

async function authenticate(routes: FeedRoutes, received: ReceivedRequest): Promise<Authenticated<EnrolledKey>> {
  const by = await routes.authenticator.authenticateKey(received, ['pep'])
  const isStopped = by.ok && routes.feed.find('actor', by.value.jkt) !== undefined
  return isStopped ? { ok: false, reason: 'identity.revoked' } : by
}

const ID = /^[\w-]{16,64}$/

/** The query was signed with the request. `Last-Event-ID` is how a reader of the platform resumes. */
function toSubscriber({ newId }: FeedRoutes, c: Context<Env>, { jkt, name }: EnrolledKey): Subscriber {
  const since = c.req.query('since') ?? c.req.header('last-event-id')
  const challenge = c.req.query('challenge')
  const instance = c.req.query('instance') ?? newId()
  if (!ID.test(instance) || !ID.test(challenge ?? instance))
    throw new InputError('`challenge` and `instance` are ids of 16 to 64 letters, digits, `-` and `_`')
  return {
    jkt,
    name,
    instance,
    ...(since === undefined ? {} : { since }),
    ...(challenge === undefined ? {} : { challenge }),
  }
}

function toAnswer({ body }: ReceivedRequest): Parameters<Publisher['canaries']['answer']>[1] {
  const value = parseJson(body)
  const { id, instance, refused, ...rest } = isJsonObject(value) ? value : {}
  if (typeof id !== 'string' || typeof instance !== 'string' || Object.keys(rest).length > 0) {
    throw new InputError('an answer to a canary is `{"id", "instance", "refused"}`')
  }
  return { id, instance, refused: refused === true }
}

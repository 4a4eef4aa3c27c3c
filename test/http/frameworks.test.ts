/**
 * Every bend of `test/attacks/credential-bends.ts` against Express 5 and 4, Connect and Fastify, which are installed into a
 * cache folder: none of them is a dependency. And what only these can get wrong: mounts, body parsers, rewritten requests.
 */
import { createRequire } from 'node:module'
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { join } from 'node:path'

import { afterEach, describe, expect, it } from 'vitest'

import type { CredentialGuard } from '../../src/http/index.ts'
import { installFramework } from '../adapters/install-framework.ts'
import { describeBends } from '../attacks/credential-bends.ts'
import { sendWire } from '../attacks/wire.ts'
import {
  createParties,
  NOTE_ACT,
  READ_ACT,
  startApi,
  wireOf,
  type Api,
  type MakeApi,
  type Seen,
} from '../support/orders-api.ts'

const installed = await installFramework(import.meta.dirname)

// As much of each framework as is used here: their own types are not installed.
interface Express {
  (): App
  text(options: object): Middleware
  json(): Middleware
}
type Middleware = (request: ExpressRequest, response: ServerResponse, next: (fault?: unknown) => void) => void
interface ExpressRequest extends IncomingMessage {
  readonly originalUrl: string
  readonly body?: unknown
}
interface App {
  (request: IncomingMessage, response: ServerResponse): void
  use(...steps: readonly unknown[]): App
}
interface Fastify {
  addContentTypeParser(
    type: string,
    options: object,
    parse: (r: unknown, body: string, done: (f: null, b: string) => void) => void,
  ): void
  removeAllContentTypeParsers(): void
  addHook(name: string, hook: unknown): void
  all(path: string, handler: (request: FastifyRequest) => unknown): void
  ready(): Promise<unknown>
  routing: RequestListener
}
interface FastifyRequest {
  readonly raw: IncomingMessage
  readonly method: string
  readonly url: string
  readonly body?: unknown
}

// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- the caller knows what it loads
function load<T>(name: string): T {
  const loaded: unknown = createRequire(join(installed ?? import.meta.dirname, 'package.json'))(name)
  return isLoaded<T>(loaded) ? loaded : loadNothing()
}

// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- the caller knows what it loads
function isLoaded<T>(value: unknown): value is T {
  return typeof value === 'function'
}

function loadNothing(): never {
  throw new Error('not installed')
}

const textOf = (body: unknown): string => (typeof body === 'string' ? body : '')

function toSeen(guard: CredentialGuard, request: ExpressRequest): Seen {
  const { method = '', originalUrl: url, body } = request
  return { method, url, body: textOf(body), sub: guard.of(request)?.claims.sub }
}

const expressApi =
  (name: string): MakeApi =>
  (guard, see) => {
    const express = load<Express>(name)
    const handle: Middleware = (request, response) => {
      see(toSeen(guard, request))
      response.end('done')
    }
    return express()
      .use(guard.express)
      .use(express.text({ type: () => true }))
      .use(handle)
  }

/** Without a router and without parsers. */
const connectApi: MakeApi = (guard, see) =>
  load<() => App>('connect')()
    .use(guard.express)
    .use(async (request: ExpressRequest, response: ServerResponse) => {
      const chunks: Buffer[] = []
      for await (const chunk of request) chunks.push(Buffer.from(chunk))
      see({ ...toSeen(guard, request), body: Buffer.concat(chunks).toString() })
      response.end('done')
    })

const fastifyApi: MakeApi = async (guard, see) => {
  const app = load<() => Fastify>('fastify')()
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => done(null, body))
  app.addHook('preParsing', guard.fastify)
  app.all('*', (request) => {
    const { method, url, body } = request
    see({ method, url, body: textOf(body), sub: guard.of(request)?.claims.sub })
    return 'done'
  })
  await app.ready()
  return (request, response) => app.routing(request, response)
}

describe.skipIf(installed === undefined)('frameworks', () => {
  describeBends('Express 5', expressApi('express'))
  describeBends('Express 4', expressApi('express4'))
  describeBends('Connect', connectApi)
  describeBends('Fastify 5', fastifyApi)

  describe('what only a framework gets wrong', () => {
    const parties = createParties()
    const started: Api[] = []
    afterEach(async () => {
      for (const api of started.splice(0)) await api.close()
    })
    const start = async (make: MakeApi): Promise<Api> => {
      const api = await startApi(make, parties)
      started.push(api)
      return api
    }
    const run = async (api: Api, act = NOTE_ACT, by: 'dpop' | 'signature' = 'signature'): Promise<number> =>
      (await sendWire(`http://${api.host}`, wireOf(api.host, parties, { act, by }))).status

    it.each(['express', 'express4'])('%s: a guard that is mounted under a path sees the whole of it', async (name) => {
      const api = await start((guard, see) => {
        const express = load<Express>(name)
        const handle: Middleware = (request, response) => {
          see(toSeen(guard, request))
          response.end(JSON.stringify(request.body))
        }
        return express().use('/orders', guard.express).use(express.json()).use(handle)
      })
      expect([await run(api), await run(api, READ_ACT)]).toEqual([200, 200])
      const listing = { method: 'GET', target: '/orders?limit=2' }
      expect(await run(api, listing)).toBe(200)
      expect(api.seen.map(({ url }) => url)).toEqual([NOTE_ACT.target, READ_ACT.target, listing.target])
    })

    it.each(['express', 'express4'])('%s: a body that was read before the guard is not decided', async (name) => {
      const api = await start((guard, see) => {
        const express = load<Express>(name)
        return express()
          .use(express.json())
          .use(guard.express)
          .use((request: ExpressRequest) => see(toSeen(guard, request)))
      })
      expect(await run(api)).toBe(503)
      expect(api.seen).toEqual([])
      expect(api.faults).toMatchObject([{ message: expect.stringContaining('put the guard before') }])
    })

    it.each(['express', 'express4'])('%s: a URL that was rewritten before the guard is not decided', async (name) => {
      const api = await start((guard, see) =>
        load<Express>(name)()
          .use((request: IncomingMessage, _response: ServerResponse, next: () => void) => {
            request.url = '/orders/9/notes'
            next()
          })
          .use(guard.express)
          .use((request: ExpressRequest) => see(toSeen(guard, request))),
      )
      expect(await run(api)).toBe(500)
      expect(api.seen).toEqual([])
    })

    it('Express: a method that was overridden before the guard needs a credential for that', async () => {
      const api = await start((guard, see) =>
        load<Express>('express')()
          .use((request: IncomingMessage, _response: ServerResponse, next: () => void) => {
            request.method = 'DELETE'
            next()
          })
          .use(guard.express)
          .use((request: ExpressRequest) => see(toSeen(guard, request))),
      )
      expect(await run(api)).toBe(401)
      expect(api.seen).toEqual([])
    })

    it('Fastify: a payload that a hook before has changed is not decided', async () => {
      const api = await start(async (guard, see) => {
        const app = load<() => Fastify>('fastify')()
        const { PassThrough } = await import('node:stream')
        app.addHook('preParsing', async (_request: unknown, _reply: unknown, payload: NodeJS.ReadableStream) =>
          Promise.resolve(payload.pipe(new PassThrough())),
        )
        app.addHook('preParsing', guard.fastify)
        app.all('*', (request) => {
          see({ method: request.method, url: request.url, body: '', sub: undefined })
          return 'done'
        })
        await app.ready()
        return (request, response) => app.routing(request, response)
      })
      expect(await run(api)).toBe(500)
      expect(api.seen).toEqual([])
    })

    it('Fastify: its own parser gets the body, and the guard covers routes that are not there', async () => {
      const api = await start(async (guard, see) => {
        const app = load<() => Fastify>('fastify')()
        app.addHook('preParsing', guard.fastify)
        app.all('/orders/*', (request) => {
          see({ method: request.method, url: request.url, body: JSON.stringify(request.body), sub: undefined })
          return 'done'
        })
        await app.ready()
        return (request, response) => app.routing(request, response)
      })
      expect(await run(api)).toBe(200)
      expect(api.seen[0]?.body).toBe(NOTE_ACT.content)
      expect((await fetch(`http://${api.host}/nowhere`)).status).toBe(401)
    })
  })
})

/**
 * @module
 * `requireCredential`: one guard, and the forms in which frameworks take it.
 */
import { toFetchHandler, toHono, type FetchHandler, type HonoMiddleware } from './fetch.ts'
import { createGuard, type Accepted, type CredentialOptions, type IncomingAction, type Redeemed } from './guard.ts'
import {
  toExpress,
  toFastify,
  toNodeHandler,
  type ExpressMiddleware,
  type FastifyHook,
  type NodeHandler,
  type NodeListener,
} from './node.ts'

export interface CredentialGuard {
  /** `app.use('/orders/*', guard.hono)` */
  readonly hono: HonoMiddleware
  /** `app.use('/orders', guard.express)`, before everything that reads bodies. */
  readonly express: ExpressMiddleware
  /** `app.addHook('preParsing', guard.fastify)` */
  readonly fastify: FastifyHook
  /** `createServer(guard.node(handler))` */
  readonly node: (handler: NodeHandler) => NodeListener
  /** `export default { fetch: guard.fetch(handler) }` */
  readonly fetch: (handler: FetchHandler) => (request: Request) => Promise<Response>
  /** For anything else. Never rejects; `ok` is true once for each credential. */
  readonly accept: (incoming: IncomingAction) => Promise<Accepted>
  /** What was redeemed for a request: for Hono's context, and for the request of every other framework. */
  readonly of: (request: object) => Redeemed | undefined
  readonly close: () => void
}

/**
 * A guard for one audience: only a request that carries an action credential for exactly itself, proved by the key that the
 * credential is bound to and never used before, reaches the handler. Verified are signature, type, issuer, audience, time,
 * method, path and query, content type and body, proof, revocation. Bodies are read up to a limit and handed on unchanged.
 *
 * Throws `ConfigError` for options that cannot be used. Does not cover headers beside those of the proof and the content type:
 * decide nothing by them. Does not decide whether the action is right: that was decided before the credential was issued. Does
 * not undo what a handler has begun when the credential is revoked later.
 */
export function requireCredential(options: CredentialOptions): CredentialGuard {
  const guard = createGuard(options)
  const found = new WeakMap<object, Redeemed>()
  const remember = (request: object, redeemed: Redeemed): void => void found.set(request, redeemed)
  return {
    hono: toHono(guard, remember),
    express: toExpress(guard, remember),
    fastify: toFastify(guard, remember),
    node: (handler) => toNodeHandler(guard, remember, handler),
    fetch: (handler) => toFetchHandler(guard, remember, handler),
    accept: async (incoming) => guard.accept(incoming),
    of: (request) => found.get(request),
    close: () => guard.close(),
  }
}

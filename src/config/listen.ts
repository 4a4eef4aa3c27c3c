/**
 * @module
 * Serves an installation: the gateway and the control plane on one listener, drained on close.
 */
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { setTimeout } from 'node:timers/promises'

import { serve, type ServerType } from '@hono/node-server'

import { ConfigError, UnavailableError } from '../core/errors.ts'
import { newId } from '../pdp/log-entries.ts'
import { note } from '../server/acts.ts'
import { FEED_PATH } from '../server/feed/routes.ts'
import { createApp } from '../server/app.ts'
import { compose, type Composed } from './compose.ts'
import { assertDeployment } from './deployment.ts'
import { createGateways, type Gateways, type Surroundings } from './gateways.ts'
import { isLoopback, type Config } from './load.ts'
import { assertReloadable, readCertificate, type Certificate } from './reload.ts'

export interface Serving {
  /** Where clients reach it, without a trailing slash. */
  readonly origin: string
  readonly composed: Composed
  /** What the listener calls for a request that it has verified; for whoever verified one in this process. */
  readonly handle: Gateways['handle']
  /**
   * Serves by another configuration: builds and warms everything of it first, then swaps in one step. What was begun ends under
   * what it was begun with. Throws what is wrong with it (`ConfigError`), and goes on as before.
   */
  reload(next: Config): Promise<void>
  /**
   * Begins nothing new and says so at `/readyz`, lets what is under way end for `drainMs` (default 10 s), then aborts it; ends
   * sessions and their processes, and closes the store. Every outcome is recorded by then.
   */
  close(options?: { readonly drainMs?: number }): Promise<void>
}

export interface ServeOptions {
  readonly version: string
  /** Told of faults and of what upstreams did wrong: one line for the operator's log, without arguments or output. */
  readonly report: (where: string, fault: unknown) => void
  /** Set where upstreams carry the secrets of whoever started us: then nobody is served without a proof. */
  readonly surroundings?: Surroundings
}

/** How long what is under way may take to end, where nobody says otherwise. */
const DRAIN_MS = 10_000

/** Opens, composes and listens. Throws what `compose` throws, and `UnavailableError` when the address is taken. */
export async function serveInstallation(config: Config, options: ServeOptions): Promise<Serving> {
  const composed = await compose(config, options.report)
  let gateways: Gateways | undefined
  try {
    gateways = await createGateways(config, { ...composed, ...options })
    return await serveOver(config, options, composed, gateways)
  } catch (cause) {
    await gateways?.retire(undefined, 0)
    await composed.close()
    throw cause
  }
}

type Fetch = Parameters<typeof serve>[0]['fetch']

/** What another configuration replaces. */
interface InForce {
  readonly config: Config
  readonly gateways: Gateways
  readonly fetch: Fetch
}

async function serveOver(
  config: Config,
  options: ServeOptions,
  composed: Composed,
  gateways: Gateways,
): Promise<Serving> {
  let draining = false
  let origin = config.origin ?? ''
  const problems = createReadiness(composed)
  const toInForce = (settings: Config, using: Gateways): InForce => {
    const app = createApp({
      ...composed,
      oauth: {
        issuer: settings.issuer,
        origin: () => origin,
        audiences: settings.audiences,
        issue: composed.pdp.issue,
        newId: () => composed.pep.newId(),
        issuerKeys: () => composed.issuerKeys.list(),
        keys: composed.issuerKeys,
        store: composed.store,
        clock: composed.clock,
        revocations: composed.services.revocations,
      },
      revocations: {
        publisher: composed.publisher,
        feed: composed.services.revocations,
        newId: () => composed.pep.newId(),
      },
      securityEvents: {
        ...composed.events,
        issuer: settings.issuer,
        origin: () => origin,
        sends: settings.events.send.length > 0,
      },
      gateway: using,
      upstreams: settings.upstreams.map(({ name }) => name),
      mode: (upstream) => composed.pep.mode(upstream),
      unprovedObserve: options.surroundings === undefined && isLoopback(settings.listen.host),
      draining: () => draining,
      problems,
      hosts: toHosts(settings),
      limits: settings.limits,
      version: options.version,
      issuer: settings.issuer,
      report: options.report,
    })
    return { config: settings, gateways: using, fetch: app.fetch }
  }
  let inForce = toInForce(config, gateways)
  const server = await listenOrExplain(config, async (...args) => inForce.fetch(...args))
  origin = config.origin ?? toOrigin(config, server)
  const requests = countRequests(server)
  let reloading = Promise.resolve()
  const reload = async (next: Config): Promise<void> => {
    const before = inForce.gateways
    const prepared = await prepare(inForce, next, composed)
    const made = toInForce(next, prepared.gateways)
    // Recorded first, and the last that can fail: from here to the end of the swap nothing waits.
    await recordReload(composed, next).catch(async (cause: unknown) => {
      await prepared.composed.discard()
      throw cause
    })
    prepared.composed.swap()
    inForce = made
    if (prepared.certificate !== undefined && 'setSecureContext' in server)
      server.setSecureContext(prepared.certificate)
    before.retire(made.gateways, DRAIN_MS).catch((fault: unknown) => options.report('reload', fault))
  }
  return {
    origin,
    composed,
    handle: async (input) => inForce.gateways.handle(input),
    async reload(next) {
      // One after the other: two that prepare at once would retire each other's gateways.
      const before = reloading
      const mine = (async () => {
        await before
        await reload(next)
      })()
      reloading = mine.catch(() => undefined)
      return mine
    },
    async close({ drainMs = DRAIN_MS } = {}) {
      draining = true
      await reloading
      await requests.ended(drainMs)
      await inForce.gateways.retire(undefined, 0)
      // What was aborted still records its outcome.
      await requests.ended(ABORT_MS)
      composed.publisher.close()
      await stop(server)
      await composed.close()
    },
  }
}

/** How long what was aborted may take to record that it was. */
const ABORT_MS = 5_000

interface PreparedReload {
  readonly composed: Awaited<ReturnType<Composed['prepare']>>
  readonly gateways: Gateways
  readonly certificate?: Certificate
}

/** Everything that can fail. Gives up what was built when something later does. */
async function prepare(inForce: InForce, next: Config, composed: Composed): Promise<PreparedReload> {
  assertReloadable(inForce.config, next)
  assertDeployment(next)
  const certificate = next.tls === undefined ? {} : { certificate: readCertificate(next.tls) }
  // Nothing is started by this: what is new among them opens with its first session.
  const gateways = inForce.gateways.prepare(next)
  return { composed: await composed.prepare(next), gateways, ...certificate }
}

async function recordReload({ store, clock }: Composed, next: Config): Promise<void> {
  const detail = { upstreams: next.upstreams.map(({ name }) => name), mode: next.mode }
  await note({ store, clock, newId }, { act: 'reload', by: 'system', subject: 'system', detail })
}

async function listenOrExplain(config: Config, fetch: Fetch): Promise<ServerType> {
  try {
    return await listen(config, fetch)
  } catch (cause) {
    if (cause instanceof ConfigError) throw cause
    const address = `${config.listen.host}:${config.listen.port}`
    throw new UnavailableError(
      `\`${address}\` cannot be listened on; stop what holds it, or set another \`listen\` (port 0 takes a free one)`,
      { cause },
    )
  }
}

interface Requests {
  /** Settles when nothing is under way, or after `ms`. Requests that only look are not waited for. */
  ended(ms: number): Promise<void>
}

function countRequests(server: ServerType): Requests {
  const running = new Set<unknown>()
  server.on('request', (request: Asked, response: { once(event: 'close', listener: () => void): unknown }) => {
    if (isListening(request)) return
    running.add(request)
    response.once('close', () => running.delete(request))
  })
  return {
    async ended(ms) {
      for (let waited = 0; running.size > 0 && waited < ms; waited += LOOK_MS) await setTimeout(LOOK_MS)
    },
  }
}

interface Asked {
  readonly method?: string
  readonly url?: string
  readonly headers: Readonly<Record<string, unknown>>
}

/** The feed of revocations and what an MCP client is told of changes go on for as long as somebody listens, and begin nothing. */
function isListening({ method, url, headers }: Asked): boolean {
  const [path = ''] = (url ?? '').split('?')
  const isMcp = path === '/mcp' || path.startsWith('/mcp/')
  return path === FEED_PATH || (isMcp && (method === 'GET' || headers['mcp-method'] === 'subscriptions/listen'))
}

/** How often to look whether the last request has ended. */
const LOOK_MS = 25

/** Where and how to listen. */
export type Listening = Pick<Config, 'listen'> & { readonly tls?: Config['tls'] | undefined }

/** Listens; rejects when the address is taken. */
export async function listen(config: Listening, fetch: Parameters<typeof serve>[0]['fetch']): Promise<ServerType> {
  const { tls } = config
  return new Promise((resolve, reject) => {
    const server = serve(
      {
        fetch,
        hostname: config.listen.host,
        port: config.listen.port,
        ...(tls === undefined
          ? {}
          : { createServer: createTlsServer, serverOptions: { ...readCertificate(tls), ...toAsked(tls) } }),
      },
      () => resolve(server),
    )
    server.once('error', reject)
  })
}

/** A certificate that nobody signed is as good as any: only the key in it counts, and whoever has none may go on without. */
function toAsked({ clientCertificates }: NonNullable<Config['tls']>): {
  requestCert?: true
  rejectUnauthorized?: false
} {
  return clientCertificates === true ? { requestCert: true, rejectUnauthorized: false } : {}
}

/** Takes no new requests, lets those under way end for two seconds. */
export async function stop(server: ServerType): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  if ('closeIdleConnections' in server) server.closeIdleConnections()
  await Promise.race([closed, setTimeout(2_000, undefined, { ref: false })])
  if ('closeAllConnections' in server) server.closeAllConnections()
  await closed
}

/** Where clients of this machine reach it. */
export function toOrigin(config: Listening, server: ServerType): string {
  const address: AddressInfo | string | null = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : config.listen.port
  const host = config.listen.host.includes(':') ? `[${config.listen.host}]` : config.listen.host
  return `${config.tls === undefined ? 'http' : 'https'}://${host}:${port}`
}

function toHosts(config: Config): readonly string[] {
  const named = [config.issuer, config.origin].flatMap((url) => (url === undefined ? [] : [new URL(url).hostname]))
  return [...named, config.listen.host]
}

/** Whoever asks costs a write to the disk, and everybody may ask: one answer serves all who ask within a second. */
function createReadiness(composed: Composed): () => Promise<readonly string[]> {
  let last: { readonly at: number; readonly problems: Promise<readonly string[]> } | undefined
  return async () => {
    const at = performance.now()
    if (last === undefined || at - last.at > 1_000) last = { at, problems: findProblems(composed) }
    return last.problems
  }
}

/** Ready means: revocations are known, the store takes a commit, the log has not been cut, and engines elsewhere answer. */
async function findProblems({ services, space, store, engineProblems }: Composed): Promise<readonly string[]> {
  const problems = services.revocations.fresh() ? [] : ['revocations could not be recorded']
  if (space.isLow()) problems.push('the disk is nearly full')
  try {
    const result = await store.commit({ writes: [{ key: 'ready', value: Date.now() }] })
    if (result.status === 'applied') await result.durable
  } catch {
    problems.push('the store takes no commit')
  }
  return [...problems, ...(await engineProblems())]
}

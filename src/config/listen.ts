/**
 * @module
 * Serves an installation: the gateway and the control plane on one listener, drained on close.
 */
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'

import { serve, type ServerType } from '@hono/node-server'

import { UnavailableError } from '../core/errors.ts'
import { createApp } from '../server/app.ts'
import { compose, type Composed } from './compose.ts'
import { isLoopback, type Config, type Upstream } from './load.ts'

export interface Serving {
  /** Where clients reach it, without a trailing slash. */
  readonly origin: string
  readonly composed: Composed
  /** Stops taking requests, ends sessions and their processes, closes the store. */
  close(): Promise<void>
}

export interface ServeOptions {
  readonly version: string
  /** Told of faults and of what upstreams did wrong: one line for the operator's log, without arguments or output. */
  readonly report: (where: string, fault: unknown) => void
}

/** Opens, composes and listens. Throws what `compose` throws, and `UnavailableError` when the address is taken. */
export async function serveInstallation(config: Config, options: ServeOptions): Promise<Serving> {
  const composed = await compose(config, options.report)
  const { createMcpGateway } = await import('../adapters/mcp/gateway.ts')
  const gateway = createMcpGateway({
    pep: composed.pep,
    upstreams: config.upstreams.map((upstream) => toUpstreamConfig(config, upstream)),
    clock: composed.clock,
    limits: { messageBytes: config.limits.messageBytes },
    onProblem: (problem) => options.report(`upstream ${problem.upstream}`, `${problem.reason} ${problem.message}`),
  })
  let origin = config.origin ?? ''
  const app = createApp({
    ...composed,
    oauth: {
      issuer: config.issuer,
      origin: () => origin,
      audiences: config.audiences,
      issue: composed.pdp.issue,
      newId: () => composed.pep.newId(),
      issuerKeys: () => [{ ...composed.issuerKey, jwk: { ...composed.issuerKey.jwk } }],
    },
    gateway,
    upstreams: config.upstreams.map(({ name }) => name),
    mode: (upstream) => composed.pep.mode(upstream),
    unprovedObserve: isLoopback(config.listen.host),
    problems: createReadiness(composed),
    hosts: toHosts(config),
    limits: config.limits,
    version: options.version,
    report: options.report,
  })
  try {
    const server = await listen(config, app.fetch)
    const close = async (): Promise<void> => {
      await stop(server)
      await gateway.close()
      await composed.close()
    }
    origin = config.origin ?? toOrigin(config, server)
    return { origin, composed, close }
  } catch (cause) {
    await gateway.close()
    await composed.close()
    const address = `${config.listen.host}:${config.listen.port}`
    throw new UnavailableError(
      `\`${address}\` cannot be listened on; stop what holds it, or set another \`listen\` (port 0 takes a free one)`,
      { cause },
    )
  }
}

function toUpstreamConfig(config: Config, { name, kind, command, url, secrets }: Upstream) {
  const revealed = Object.fromEntries(Object.entries(secrets).map(([key, secret]) => [key, secret.reveal()]))
  return {
    name,
    kind,
    ...(command === undefined ? {} : { command, cwd: config.dir, env: revealed }),
    ...(url === undefined ? {} : { url, headers: revealed }),
  }
}

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
          : { createServer: createTlsServer, serverOptions: { cert: tls.cert.reveal(), key: tls.key.reveal() } }),
      },
      () => resolve(server),
    )
    server.once('error', reject)
  })
}

/** Takes no new requests, lets those under way end for two seconds. */
export async function stop(server: ServerType): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  if ('closeIdleConnections' in server) server.closeIdleConnections()
  const late = setTimeout(() => {
    if ('closeAllConnections' in server) server.closeAllConnections()
  }, 2_000)
  await closed
  clearTimeout(late)
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

/**
 * @module
 * One gateway for each upstream, so that another configuration keeps the sessions of those that it does not change.
 */
import type { McpGateway, UpstreamConfig } from '../adapters/mcp/gateway.ts'
import type { Clock } from '../ports/clock.ts'
import type { Pep } from '../ports/pep.ts'
import type { Gateway } from '../server/app.ts'
import type { Config, Upstream } from './load.ts'
import { createToolWatch } from './tool-watch.ts'
import { revealOAuth } from './upstream-oauth.ts'

export interface GatewaysOptions {
  readonly pep: Pep
  readonly clock: Clock
  readonly report: (where: string, fault: unknown) => void
  /** Where and with what environment commands are started, instead of in the folder of the configuration with none. */
  readonly surroundings?: Surroundings
}

/** What a program that is wrapped by us would have found without us. */
export interface Surroundings {
  readonly cwd: string
  readonly env: Readonly<Record<string, string>>
  /** Where it writes what is for people. */
  readonly onStderr: (chunk: Uint8Array) => void
}

export interface Gateways extends Gateway {
  /** Those of another configuration: what is the same is shared. Reads secrets; throws `ConfigError` when one is missing. */
  prepare(next: Config): Gateways
  /** Ends the sessions of those that `kept` does not share, once nothing runs in them or `lateMs` has passed. */
  retire(kept: Gateways | undefined, lateMs: number): Promise<void>
  /** What they are made of, by name; for `prepare` and `retire`. */
  readonly made: ReadonlyMap<string, Made>
}

interface Made {
  /** Everything that it was made from, with the values of secrets; never written anywhere. */
  readonly from: string
  readonly gateway: McpGateway
  running: number
}

/** How often to look whether the last request has ended. */
const LOOK_MS = 25

/** Creates the gateways of a configuration. Starts no server: the first session of each does. */
export async function createGateways(config: Config, options: GatewaysOptions): Promise<Gateways> {
  const { createMcpGateway } = await import('../adapters/mcp/gateway.ts')
  const { createAuthorizer } = await import('../adapters/mcp/upstream-oauth.ts')
  const { ALL, createMultiplexer } = await import('../adapters/mcp/multiplex.ts')
  const make = (settings: Config, before: ReadonlyMap<string, Made>): ReadonlyMap<string, Made> =>
    new Map(
      settings.upstreams.map((upstream) => {
        const { messageBytes, answer: answerMs } = settings.limits
        const made = toUpstreamConfig(settings, upstream, options.surroundings)
        const oauth = upstream.oauth === undefined ? undefined : revealOAuth(upstream.oauth)
        const from = JSON.stringify([made, messageBytes, answerMs, oauth])
        const old = before.get(upstream.name)
        if (old?.from === from) return [upstream.name, old]
        const gateway = createMcpGateway({
          pep: options.pep,
          upstreams: [oauth === undefined ? made : { ...made, authorizer: createAuthorizer(oauth, options.clock) }],
          clock: options.clock,
          limits: { messageBytes, answerMs },
          onProblem: (problem) =>
            options.report(`upstream ${problem.upstream}`, `${problem.reason} ${problem.message}`),
          onTools: createToolWatch(settings.manifests, options),
        })
        return [upstream.name, { from, gateway, running: 0 }]
      }),
    )
  const over = (made: ReadonlyMap<string, Made>): Gateways => {
    const all = createMultiplexer({
      upstreams: [...made.keys()],
      handle: async (input) => handle(made.get(input.upstream), input),
      pep: options.pep,
      clock: options.clock,
      onProblem: ({ upstream, reason, message }) => options.report(`upstream ${upstream}`, `${reason} ${message}`),
    })
    return {
      made,
      handle: async (input) => (input.upstream === ALL ? all(input) : handle(made.get(input.upstream), input)),
      prepare: (next) => over(make(next, made)),
      async retire(kept, lateMs) {
        const leaving = [...made].filter(([name, each]) => kept?.made.get(name) !== each).map(([, each]) => each)
        await Promise.all(leaving.map(async (each) => close(each, lateMs)))
      },
    }
  }
  return over(make(config, new Map()))
}

async function handle(made: Made | undefined, input: Parameters<Gateway['handle']>[0]): Promise<Response> {
  if (made === undefined)
    return Response.json({ error: 'invalid_request', message: 'no such upstream here' }, { status: 404 })
  // A stream that only tells of changes lasts as long as its client; nothing waits for it to end.
  const { request } = input
  if (request.method === 'GET' || request.headers.get('mcp-method') === 'subscriptions/listen')
    return made.gateway.handle(input)
  made.running += 1
  const end = once(() => (made.running -= 1))
  try {
    const response = await made.gateway.handle(input)
    if (response.body === null) {
      end()
      return response
    }
    const { status, headers } = response
    return new Response(untilEnd(response.body, end), { status, headers })
  } catch (cause) {
    end()
    throw cause
  }
}

/** An answer may be a stream that goes on for as long as the call does. */
function untilEnd(body: ReadableStream<Uint8Array>, end: () => void): ReadableStream<Uint8Array> {
  const reader = body.getReader()
  return new ReadableStream({
    async pull(controller) {
      try {
        const { done, value } = await reader.read()
        if (!done) return controller.enqueue(value)
        end()
        controller.close()
      } catch (cause) {
        end()
        controller.error(cause)
      }
    },
    async cancel(reason) {
      end()
      await reader.cancel(reason)
    },
  })
}

function once(act: () => void): () => void {
  let isDone = false
  return () => {
    if (!isDone) act()
    isDone = true
  }
}

async function close(made: Made, lateMs: number): Promise<void> {
  for (let waited = 0; made.running > 0 && waited < lateMs; waited += LOOK_MS) await pause(LOOK_MS)
  await made.gateway.close()
}

async function pause(ms: number): Promise<void> {
  await new Promise<void>((resolve) => {
    setTimeout(resolve, ms)
  })
}

function toUpstreamConfig(
  config: Config,
  { name, kind, command, url, secrets }: Upstream,
  { cwd, env, onStderr }: Partial<Surroundings> = {},
): UpstreamConfig {
  const revealed = Object.fromEntries(Object.entries(secrets).map(([key, secret]) => [key, secret.reveal()]))
  return {
    name,
    kind,
    ...(command === undefined
      ? {}
      : {
          command,
          cwd: cwd ?? config.dir,
          env: { ...env, ...revealed },
          ...(onStderr === undefined ? {} : { onStderr }),
        }),
    ...(url === undefined ? {} : { url, headers: revealed }),
  }
}

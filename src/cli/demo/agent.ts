/**
 * @module
 * The agent's process: the official MCP client, doing what it is told over IPC. On the Unbearer side it signs what it sends
 * with its own key (`unbearer/client`); on the bearer side it sends its token. It holds no other secret.
 */
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

import { createSigningFetch } from '../../client/index.ts'
import type { ScriptedCall } from './steps.ts'

type Sdk = typeof import('@modelcontextprotocol/sdk/client/index.js')
type SdkHttp = typeof import('@modelcontextprotocol/sdk/client/streamableHttp.js')
type Client = InstanceType<Sdk['Client']>

/** How the agent proves itself: by possession of a string, or by a key. */
export type AgentCredentials = { readonly bearer: string } | { readonly key: string; readonly txn: string }

export interface AgentStart {
  readonly url: string
  readonly credentials: AgentCredentials
  readonly resolveFrom: string
}

/** What the agent saw: the text of the tool's answer, whether it was an error, and the refusal in it. */
export interface AgentSaw {
  readonly ok: boolean
  readonly text: string
  readonly reason?: string
}

type Order = { readonly kind: 'call'; readonly call: ScriptedCall } | { readonly kind: 'close' }

const clients = new Map<string, Client>()

async function connect(start: AgentStart, server: string): Promise<Client> {
  const found = clients.get(server)
  if (found !== undefined) return found
  const require = createRequire(start.resolveFrom)
  const load = async <T>(path: string): Promise<T> => {
    const loaded: T = await import(pathToFileURL(require.resolve(`@modelcontextprotocol/sdk/client/${path}.js`)).href)
    return loaded
  }
  const [{ Client }, { StreamableHTTPClientTransport }] = await Promise.all([
    load<Sdk>('index'),
    load<SdkHttp>('streamableHttp'),
  ])
  const url = new URL(`/mcp/${server}`, start.url)
  const client = new Client({ name: 'support-agent', version: '1.0.0' })
  const { credentials } = start
  const transport =
    'bearer' in credentials
      ? new StreamableHTTPClientTransport(url, {
          requestInit: { headers: { authorization: `Bearer ${credentials.bearer}` } },
        })
      : new StreamableHTTPClientTransport(url, { fetch: createSigningFetch({ url: start.url, ...credentials }) })
  await client.connect(transport)
  await client.listTools()
  clients.set(server, client)
  return client
}

async function call(start: AgentStart, { server, tool, arguments: args, intent }: ScriptedCall): Promise<AgentSaw> {
  try {
    const client = await connect(start, server)
    const stated = 'bearer' in start.credentials ? args : { unbearer_intent: intent, ...args }
    const result = await client.callTool({ name: tool, arguments: stated })
    const content = Array.isArray(result.content) ? result.content : []
    const text = content.map((part) => (part.type === 'text' ? part.text : '')).join('')
    const reason = toReason(result['_meta'])
    return { ok: result.isError !== true, text, ...(reason === undefined ? {} : { reason }) }
  } catch (fault) {
    const text = fault instanceof Error ? fault.message : 'failed'
    const reason = /\b(?:identity|credential|system)\.[a-z-]+/.exec(text)?.[0]
    return { ok: false, text, ...(reason === undefined ? {} : { reason }) }
  }
}

function toReason(meta: unknown): string | undefined {
  if (typeof meta !== 'object' || meta === null || !('unbearer/refusal' in meta)) return undefined
  const refusal: unknown = meta['unbearer/refusal']
  if (typeof refusal !== 'object' || refusal === null || !('reason' in refusal)) return undefined
  return typeof refusal.reason === 'string' ? refusal.reason : undefined
}

function isStart(value: unknown): value is AgentStart {
  return typeof value === 'object' && value !== null && 'credentials' in value
}

function isOrder(value: unknown): value is Order {
  return typeof value === 'object' && value !== null && 'kind' in value
}

let started: AgentStart | undefined
let queue: Promise<void> = Promise.resolve()

async function obey(order: Order): Promise<void> {
  if (started === undefined) return
  if (order.kind === 'call') {
    process.send?.(await call(started, order.call))
    return
  }
  await Promise.allSettled([...clients.values()].map(async (client) => client.close()))
  process.exit(0)
}

process.on('message', (message: unknown) => {
  if (isStart(message)) started = message
  else if (isOrder(message)) queue = queue.then(async () => obey(message))
})

// Whoever started us is gone.
process.on('disconnect', () => process.exit(0))

/**
 * @module
 * The official clients, SDK v1 and v2, as one: the same calls under the same names. What arrives is taken from the transport, before
 * an SDK drops what it does not know.
 */
import { Client as ClientV2, StreamableHTTPClientTransport as HttpV2 } from '@modelcontextprotocol/client'
import { StdioClientTransport as StdioV2 } from '@modelcontextprotocol/client/stdio'
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js'
import { StdioClientTransport as StdioV1 } from '@modelcontextprotocol/sdk/client/stdio.js'
import { StreamableHTTPClientTransport as HttpV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js'

import type { Fetch } from '../../src/client/index.ts'
import { isJsonObject, type Json, type JsonObject } from '../../src/index.ts'

/** How a client reaches a server. */
export type Way =
  | { readonly command: readonly string[]; readonly env: Readonly<Record<string, string>>; readonly cwd?: string }
  | { readonly url: URL; readonly fetch?: Fetch }

export interface CallOptions {
  readonly signal?: AbortSignal
  readonly onprogress?: (progress: unknown) => void
}

/** What both SDKs name alike; arguments that only one of them takes are filled in by `openClient`. */
export interface AnyClient {
  getServerCapabilities(): unknown
  getServerVersion(): unknown
  getInstructions(): unknown
  listTools(): Promise<unknown>
  listResources(): Promise<unknown>
  listResourceTemplates(): Promise<unknown>
  listPrompts(): Promise<unknown>
  readResource(params: JsonObject): Promise<unknown>
  getPrompt(params: JsonObject): Promise<unknown>
  complete(params: JsonObject): Promise<unknown>
  setLoggingLevel(level: string): Promise<unknown>
  subscribeResource(params: JsonObject): Promise<unknown>
  unsubscribeResource(params: JsonObject): Promise<unknown>
  ping(): Promise<unknown>
  close(): Promise<void>
}

export interface OpenClient {
  readonly client: AnyClient
  call(name: string, args: JsonObject, options?: CallOptions): Promise<unknown>
  /** Every message that came, oldest first, as it was. */
  readonly received: readonly JsonObject[]
  close(): Promise<void>
}

export type Sdk = 'v1' | 'v2'
export const SDKS: readonly Sdk[] = ['v1', 'v2']

const BY_SDK = {
  v1: { Client: ClientV1, Stdio: StdioV1, Http: HttpV1 },
  v2: { Client: ClientV2, Stdio: StdioV2, Http: HttpV2 },
}

/** Connects a client of an SDK. */
export async function openClient(sdk: Sdk, way: Way): Promise<OpenClient> {
  const { Client, Stdio, Http } = BY_SDK[sdk]
  const transport: unknown =
    'url' in way ? new Http(way.url, way.fetch === undefined ? {} : { fetch: way.fetch }) : new Stdio(toSpawn(way))
  const client: unknown = new Client({ name: 'differential', version: '1' }, { capabilities: {} })
  if (!isTransport(transport) || !isClient(client)) throw new Error(`SDK ${sdk} is not what it was`)
  await client.connect(transport)
  const received: JsonObject[] = []
  const pass = transport.onmessage
  Object.assign(transport, {
    onmessage: (message: unknown, extra?: unknown) => {
      const plain = toPlain(message)
      if (isJsonObject(plain)) received.push(plain)
      pass?.(message, extra)
    },
  })
  return {
    client,
    received,
    call: async (name, args, options = {}) =>
      sdk === 'v1'
        ? client.callTool({ name, arguments: args }, undefined, options)
        : client.callTool({ name, arguments: args }, options),
    close: async () => client.close(),
  }
}

function toSpawn({ command: [command = '', ...args], env, cwd }: Extract<Way, { readonly command: unknown }>): {
  readonly command: string
  readonly args: string[]
  readonly env: Record<string, string>
  readonly stderr: 'ignore'
  readonly cwd?: string
} {
  return { command, args, env: { ...env }, stderr: 'ignore', ...(cwd === undefined ? {} : { cwd }) }
}

/** As JSON would hold it. */
export function toPlain(value: unknown): Json {
  return value === undefined ? null : JSON.parse(JSON.stringify(value))
}

type Connectable = AnyClient & {
  connect(transport: Transport): Promise<void>
  callTool(...given: unknown[]): Promise<unknown>
}

interface Transport {
  onmessage?: (message: unknown, extra?: unknown) => void
}

function isTransport(value: unknown): value is Transport {
  return typeof value === 'object' && value !== null && 'send' in value
}

function isClient(value: unknown): value is Connectable {
  return typeof value === 'object' && value !== null && 'callTool' in value && 'connect' in value
}

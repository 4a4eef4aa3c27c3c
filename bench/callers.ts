/**
 * @module
 * Who sends the load: a plain caller, one with a bearer token, or an agent with the signing client of `unbearer/client`. Requests
 * are made whole before a round: what the client's own work costs is in no figure.
 */
import { createSigningFetch, type Fetch } from '../src/client/index.ts'
import { UnavailableError } from '../src/index.ts'
import { PATH } from './calls.ts'
import type { BenchAgent } from './installation.ts'
import { toRequestBytes } from './wire.ts'

export interface BenchCaller {
  /** The bytes of a request with this body. For a signed one they are good for a minute, and once. */
  prepare(body: string): Promise<Buffer>
}

const HEADERS = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' }

/** Sends the same headers each time. */
export function createPlainCaller(port: number, headers: Readonly<Record<string, string>> = {}): BenchCaller {
  const entries = Object.entries({ ...HEADERS, ...headers })
  return { prepare: async (body) => toRequestBytes(PATH, port, entries, Buffer.from(body)) }
}

/** Signs with the real client, whose last step, sending, is put off. With `mcp` an MCP session is opened first. */
export async function createSigningCaller(port: number, agent: BenchAgent, mcp: boolean): Promise<BenchCaller> {
  const url = new URL(PATH, `http://127.0.0.1:${port}`)
  let captured: Buffer | undefined
  let capturing = false
  const send: Fetch = async (input, init) => {
    if (!capturing || !(input instanceof URL) || input.pathname !== PATH) return fetch(input, init)
    if (!(init?.body instanceof Uint8Array)) throw new UnavailableError('the signing client sends something else')
    captured = toRequestBytes(PATH, port, new Headers(init.headers), init.body)
    return new Response(null, { status: 202 })
  }
  const signing = createSigningFetch({ key: agent.key, url, txn: agent.txn, fetch: send })
  const headers = mcp ? { ...HEADERS, 'mcp-session-id': await initialize(signing, url) } : HEADERS
  capturing = true
  return {
    async prepare(body) {
      captured = undefined
      await signing(url, { method: 'POST', headers, body })
      if (captured === undefined) throw new UnavailableError('the signing client sent nothing')
      return captured
    },
  }
}

async function initialize(signing: Fetch, url: URL): Promise<string> {
  const params = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'bench', version: '1' } }
  const body = JSON.stringify({ jsonrpc: '2.0', id: 'i', method: 'initialize', params })
  const answer = await signing(url, { method: 'POST', headers: HEADERS, body })
  const id = answer.headers.get('mcp-session-id')
  const text = await answer.text()
  if (id === null) throw new UnavailableError(`the gateway opened no MCP session: ${text.slice(0, 300)}`)
  return id
}

/**
 * @module
 * The vectors of `docs/reference/vectors/agent.json`: what an agent signs to call a tool, with a key, nonces and times that are
 * fixed. `node test/support/agent-vectors.ts` prints them.
 */
import { canonicalize } from '../../src/core/canonical.ts'
import { asJson, type JsonObject } from '../../src/core/json.ts'
import { signRequest } from '../../src/crypto/http-signature.ts'
import { importKey } from '../../src/crypto/keys.ts'
import { AGENT_KEY, NONCE, NOW } from './redemption-vectors.ts'

const TYPE = 'application/json'
const OWN = { authorization: 'Unbearer CREDENTIAL', 'content-type': TYPE }
const SESSION = 'c2Vzc2lvbi1pZC0wMDAwMQ'

const REQUESTS: readonly { target: string; headers: Record<string, string>; value: JsonObject }[] = [
  { target: '/session', headers: { 'content-type': TYPE }, value: { txn: 'dHJhbnNhY3Rpb24taWQtMQ' } },
  {
    target: '/mcp/orders',
    headers: OWN,
    value: {
      jsonrpc: '2.0',
      id: 0,
      method: 'initialize',
      params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'python', version: '1' } },
    },
  },
  {
    target: '/mcp/orders',
    headers: { ...OWN, 'mcp-session-id': SESSION },
    value: {
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/call',
      params: { name: 'find_order', arguments: { order: 7, unbearer_intent: 'read: the user asked about order 7' } },
    },
  },
]

/** The requests of one session, and the headers that signing each of them adds. */
export function toAgentVector(): JsonObject {
  const key = importKey({ ...AGENT_KEY })
  const requests = REQUESTS.map(({ target, headers, value }) => {
    const body = canonicalize(value)
    const message = { key, method: 'POST', target, headers, body: Buffer.from(body), nonce: NONCE, now: NOW * 1000 }
    return { method: 'POST', target, headers, body, signed: asJson(signRequest(message)) }
  })
  return {
    note: 'the private key is that of RFC 8032 §7.1, test 3',
    key: asJson(AGENT_KEY),
    thumbprint: key.jkt,
    created: NOW,
    nonce: NONCE,
    requests,
  }
}

if (import.meta.main) console.log(JSON.stringify(toAgentVector(), undefined, 2))

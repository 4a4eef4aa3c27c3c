/**
 * @module
 * The tool service with Unbearer in its own process: the proof of the request, then `enforce` around the tool. The listener is the
 * same plain one as that of the bearer setups, so that what differs is the decision chain.
 */
import type { IncomingMessage } from 'node:http'

import { takeIntent } from '../src/adapters/mcp/intent.ts'
import { compose, type Composed } from '../src/config/compose.ts'
import { loadConfig } from '../src/config/load.ts'
import {
  InputError,
  isJsonObject,
  parseJson,
  RefusedError,
  type AccessRequest,
  type Caller,
  type JsonObject,
  type Reason,
} from '../src/index.ts'
import type { ReceivedRequest } from '../src/pdp/authenticate.ts'
import { DESCRIPTOR_HASHES, UPSTREAM } from './calls.ts'
import type { Handler, Reply } from './listener.ts'
import { callTool } from './tool.ts'

/** Composes the installation at `config`; it lives as long as the process. */
export async function createInProcess(
  config: string,
  report: (where: string, fault: unknown) => void,
): Promise<{ readonly handler: Handler; close(): Promise<void> }> {
  const composed = await compose(await loadConfig(config), report)
  const handler: Handler = async (request, body) => {
    const received = toReceived(request, body)
    return request.url === '/session' ? openSession(composed, received) : serve(composed, received)
  }
  return { handler, close: async () => composed.close() }
}

function toReceived(request: IncomingMessage, body: Buffer): ReceivedRequest {
  const header = (name: string): readonly string[] | undefined => request.headersDistinct[name]
  return { method: request.method ?? '', target: request.url ?? '', header, body }
}

function refuse(reason: Reason, nonce?: string): Reply {
  const headers = nonce === undefined ? {} : { 'unbearer-nonce': nonce }
  return { status: 401, body: JSON.stringify({ reason }), headers }
}

async function openSession(composed: Composed, received: ReceivedRequest): Promise<Reply> {
  const agent = await composed.authenticator.authenticateKey(received, ['agent'])
  if (!agent.ok) return refuse(agent.reason, agent.nonce)
  const { txn } = readObject(received.body)
  const session = await composed.issueSession(agent.value, typeof txn === 'string' ? txn : undefined)
  return { status: 200, body: JSON.stringify(session) }
}

async function serve({ authenticator, pep }: Composed, received: ReceivedRequest): Promise<Reply> {
  const caller = await authenticator.authenticateAgent(received)
  if (!caller.ok) return refuse(caller.reason)
  const { id = null, params } = readObject(received.body)
  if (!isJsonObject(params)) return refuse('system.malformed')
  const request = toAccessRequest(pep.newId(), caller.value, params)
  const enforced = await pep.enforce(request, async (context) => {
    const redemption = await context.redeem(context.body)
    if (!redemption.ok) throw new RefusedError(redemption.reason, 'the credential was not redeemed')
    return { output: await callTool(context.body) }
  })
  if (enforced.kind === 'refused') return { status: 403, body: JSON.stringify(enforced.refusal) }
  return { status: 200, body: JSON.stringify({ jsonrpc: '2.0', id, result: enforced.output }) }
}

/** A body that is a JSON object. */
export function readObject(body: Uint8Array): JsonObject {
  const value = parseJson(body)
  if (!isJsonObject(value)) throw new InputError('the body must be a JSON object')
  return value
}

/** The request of a call of `calls.ts`, by a caller who has proved who it is. */
export function toAccessRequest(id: string, { actor, proof, task }: Caller, params: JsonObject): AccessRequest {
  const { name, arguments: given } = params
  if (task === undefined || typeof name !== 'string' || !isJsonObject(given))
    throw new InputError('not a call of a task')
  const { rest, intent } = takeIntent(given)
  const descriptorHash = DESCRIPTOR_HASHES.get(name)
  return {
    id,
    plane: 'adapter',
    subject: task.principal,
    actor,
    action: { name: 'tools/call', body: { method: 'tools/call', name, arguments: rest } },
    resource: { type: 'tool', id: `${UPSTREAM}/${name}` },
    context: {
      aud: `urn:unbearer:upstream:${UPSTREAM}`,
      upstream: UPSTREAM,
      tool: name,
      ...(descriptorHash === undefined ? {} : { descriptorHash }),
      txn: task.txn,
      ...(intent === undefined ? {} : { intent }),
      proof,
    },
  }
}

/**
 * @module
 * A `fetch` that proves every request: a session credential that is worth nothing without the key, and a signature of that key
 * over this very request with its body.
 */
import { InputError } from '../core/errors.ts'
import { randomId } from '../crypto/base64.ts'
import type { KeyPair } from '../crypto/keys.ts'
import { openClientKey, type ClientKey } from './client-key.ts'
import { toOutgoing, type Plain } from './outgoing.ts'
import { toEndpoint } from './post-signed.ts'
import { readAnswer, send, toAnsweredReason, type Fetch } from './send.ts'
import { createSessionSource, type SessionCredential, type SessionSource } from './session-source.ts'

export interface SigningFetchOptions {
  /** The agent's key. */
  readonly key: ClientKey
  /** The gateway's origin, or any URL of it. */
  readonly url: string | URL
  /** The task that a host opened for this agent; without it the gateway opens one without a purpose. */
  readonly txn?: string
  /** What really sends; the platform's `fetch` when absent. */
  readonly fetch?: Fetch
  /** Milliseconds since the epoch; the clock of this machine when absent. */
  readonly now?: () => number
}

interface Client {
  readonly origin: string
  readonly sessions: SessionSource
  readonly key: () => Promise<KeyPair>
  readonly fetch: Fetch
  readonly now: () => number
}

/**
 * A function with the signature of `fetch`, for the gateway's origin only. Opens the key on the first request and fetches a
 * session credential, which it renews by itself. Bodies are read whole before sending, because the signature covers them.
 *
 * Rejects with `InputError` for another origin, `UnavailableError` for a redirect, `RefusedError` where the gateway issues no
 * session credential; refusals of the request itself are answers, as with `fetch`. Does not stream request bodies, does not
 * sign headers outside the profile, and does not retry what the gateway may have acted on.
 */
export function createSigningFetch(options: SigningFetchOptions): Fetch {
  const endpoint = toEndpoint(options.url, '/session')
  let opened: Promise<KeyPair> | undefined
  const key = async (): Promise<KeyPair> => (opened ??= openClientKey(options.key))
  const { url, txn, fetch = globalThis.fetch, now = Date.now } = options
  const sessions = createSessionSource({ url, key, fetch, now, ...(txn === undefined ? {} : { txn }) })
  const client: Client = { origin: endpoint.origin, sessions, key, fetch, now }
  return async (input, init) => fetchSigned(client, await toOutgoing(input, init))
}

async function fetchSigned(client: Client, plain: Plain): Promise<Response> {
  if (plain.url.origin !== client.origin) {
    throw new InputError(`this fetch signs only for \`${client.origin}\``)
  }
  const credential = await client.sessions.open()
  const response = await sendUnder(client, credential, plain)
  if (!(await isExpired(response))) return response
  // Only now is it certain that nothing was done: the gateway refused before it looked at the request.
  await response.body?.cancel()
  await client.sessions.drop(credential)
  return sendUnder(client, await client.sessions.open(), plain)
}

async function sendUnder(client: Client, credential: SessionCredential, plain: Plain): Promise<Response> {
  const headers = new Headers(plain.headers)
  headers.set('authorization', `Unbearer ${credential.compact}`)
  const { fetch, now } = client
  return send({ ...plain, headers, key: await client.key(), fetch, now, nonce: randomId() })
}

async function isExpired(response: Response): Promise<boolean> {
  if (response.status !== 401) return false
  return toAnsweredReason(await readAnswer(response.clone())) === 'identity.expired'
}

/**
 * @module
 * A `fetch` that proves every request: a session credential that is worth nothing without the key, and a signature of that key
 * over this very request with its body.
 */
import { InputError, UnavailableError } from '../core/errors.ts'
import { randomId } from '../crypto/base64.ts'
import type { KeyPair } from '../crypto/keys.ts'
import { openClientKey, type ClientKey } from './client-key.ts'
import { toOutgoing, type Plain } from './outgoing.ts'
import { postSigned, toEndpoint } from './post-signed.ts'
import { readAnswer, send, toAnsweredReason, type Fetch } from './send.ts'

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

interface SessionCredential {
  readonly compact: string
  /** Milliseconds since the epoch, by our clock, from which a new one is fetched. */
  readonly renewAt: number
}

interface Client {
  readonly origin: string
  readonly endpoint: URL
  readonly key: () => Promise<KeyPair>
  readonly fetch: Fetch
  readonly now: () => number
  txn: string | undefined
  credential: Promise<SessionCredential> | undefined
}

/** Fetched anew this long before it expires, so that no request is under way when it does. */
const RENEW_EARLY_MS = 30_000

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
  const client: Client = {
    origin: endpoint.origin,
    endpoint,
    key: async () => (opened ??= openClientKey(options.key)),
    fetch: options.fetch ?? globalThis.fetch,
    now: options.now ?? Date.now,
    txn: options.txn,
    credential: undefined,
  }
  return async (input, init) => fetchSigned(client, await toOutgoing(input, init))
}

async function fetchSigned(client: Client, plain: Plain): Promise<Response> {
  if (plain.url.origin !== client.origin) {
    throw new InputError(`this fetch signs only for \`${client.origin}\``)
  }
  const credential = await openCredential(client)
  const response = await sendUnder(client, credential, plain)
  if (!(await isExpired(response))) return response
  // Only now is it certain that nothing was done: the gateway refused before it looked at the request.
  await response.body?.cancel()
  await dropCredential(client, credential)
  return sendUnder(client, await openCredential(client), plain)
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

/** One request for a credential at a time, however many requests wait for it; a failed one is not remembered. */
async function openCredential(client: Client): Promise<SessionCredential> {
  const current = client.credential
  if (current !== undefined && client.now() < (await current).renewAt) return current
  if (client.credential === current) {
    const next = requestCredential(client)
    client.credential = next
    next.catch(() => {
      if (client.credential === next) client.credential = undefined
    })
  }
  return client.credential ?? openCredential(client)
}

/** Forgets a credential that the gateway called expired, unless another request has renewed it meanwhile. */
async function dropCredential(client: Client, refused: SessionCredential): Promise<void> {
  const current = client.credential
  if (current !== undefined && (await current) === refused && client.credential === current)
    client.credential = undefined
}

async function requestCredential(client: Client): Promise<SessionCredential> {
  const { endpoint: url, fetch, now, txn } = client
  const key = await client.key()
  const asked = now()
  const answer = await postSigned({ key, url, fetch, now, body: txn === undefined ? {} : { txn } })
  const { credential, expires_in: life, txn: given } = answer
  if (typeof credential !== 'string' || !/^[\w-]+\.[\w-]+\.[\w-]+$/.test(credential) || typeof life !== 'number') {
    throw new UnavailableError('the gateway did not answer with a session credential')
  }
  // A renewed credential stays in the task that the gateway opened for the first.
  if (client.txn === undefined && typeof given === 'string') client.txn = given
  const lifeMs = life * 1000
  return { compact: credential, renewAt: asked + Math.max(lifeMs - RENEW_EARLY_MS, lifeMs / 2) }
}

/**
 * @module
 * A call to the gateway itself under a key: JSON there and back, with a nonce of the gateway in the proof, so that no proof
 * that was made before is worth anything.
 */
import type { Json, JsonObject } from '../core/json.ts'
import { canonicalBytes } from '../core/canonical.ts'
import { InputError, UnavailableError } from '../core/errors.ts'
import { randomId } from '../crypto/base64.ts'
import type { KeyPair } from '../crypto/keys.ts'
import { readAnswer, send, toAnsweredReason, toFault, type Fetch } from './send.ts'

export interface PostSigned {
  readonly key: KeyPair
  /** The full URL. */
  readonly url: URL
  readonly body: Json
  readonly fetch?: Fetch
  /** Milliseconds since the epoch; the clock of this machine when absent. */
  readonly now?: () => number
  readonly signal?: AbortSignal
}

const NONCE = /^[A-Za-z0-9_-]{16,128}$/

/**
 * Posts and returns the JSON object of the answer. The first try is answered with a nonce; the second carries it.
 * Throws `RefusedError` or `InputError` with the gateway's reason, `UnavailableError` when there is no proper answer. Does not
 * try a second time for any other reason: what was asked may have been done.
 */
export async function postSigned(post: PostSigned): Promise<JsonObject> {
  const response = await sendSigned({ ...post, method: 'POST', body: Uint8Array.from(canonicalBytes(post.body)) })
  return settle(response, await readAnswer(response))
}

export interface SendSigned extends Omit<PostSigned, 'body'> {
  readonly method: 'GET' | 'POST'
  /** JSON. */
  readonly body?: Uint8Array<ArrayBuffer>
}

/**
 * Sends and gives back the answer as it is, once the gateway has given its nonce. Throws `UnavailableError` for a nonce that is
 * none, and what the platform's `fetch` throws.
 */
export async function sendSigned(asked: SendSigned): Promise<Response> {
  const first = await attempt(asked, undefined)
  const nonce = first.headers.get('unbearer-nonce')
  if (first.status !== 401 || nonce === null) return first
  if (toAnsweredReason(await readAnswer(first.clone())) !== 'identity.use-nonce') return first
  await first.body?.cancel()
  if (!NONCE.test(nonce)) throw new UnavailableError('the gateway sent a malformed nonce')
  return attempt(asked, `${nonce}.${randomId()}`)
}

async function attempt(asked: SendSigned, nonce: string | undefined): Promise<Response> {
  const { body } = asked
  return send({
    key: asked.key,
    fetch: asked.fetch ?? globalThis.fetch,
    url: asked.url,
    method: asked.method,
    headers: new Headers(body === undefined ? {} : { 'content-type': 'application/json' }),
    ...(body === undefined ? {} : { body }),
    ...(nonce === undefined ? {} : { nonce }),
    now: asked.now ?? Date.now,
    ...(asked.signal === undefined ? {} : { signal: asked.signal }),
  })
}

function settle(response: Response, answer: JsonObject | undefined): JsonObject {
  if (!response.ok) throw toFault(response, answer)
  if (answer === undefined) throw new UnavailableError('the gateway did not answer with a JSON object')
  return answer
}

/** The gateway's own endpoint beside `url`. Throws `InputError` unless it is `http:` or `https:` without credentials. */
export function toEndpoint(url: string | URL, path: `/${string}`): URL {
  if (!URL.canParse(String(url))) throw new InputError('the URL of the gateway cannot be parsed')
  const parsed = new URL(url)
  const plain = parsed.username === '' && parsed.password === ''
  if (!plain || (parsed.protocol !== 'http:' && parsed.protocol !== 'https:')) {
    throw new InputError('the URL of the gateway must be `http:` or `https:`, without a user or a password')
  }
  return new URL(path, parsed.origin)
}

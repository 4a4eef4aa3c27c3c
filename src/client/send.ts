/**
 * @module
 * Sends one signed request and nothing else: never to another origin, never after a redirect.
 */
import { InputError, RefusedError, UnavailableError } from '../core/errors.ts'
import { isJsonObject, type JsonObject } from '../core/json.ts'
import { parseJson } from '../core/parse-json.ts'
import { isReason, type Reason } from '../core/reasons.ts'
import { signRequest } from '../crypto/http-signature.ts'
import type { KeyPair } from '../crypto/keys.ts'

/** The `fetch` of the platform, or one that stands in for it. */
export type Fetch = typeof globalThis.fetch

export interface Outgoing {
  readonly key: KeyPair
  readonly fetch: Fetch
  readonly url: URL
  readonly method: string
  /** Signed where the profile covers them; the signature is added. */
  readonly headers: Headers
  readonly body?: Uint8Array<ArrayBuffer>
  readonly nonce?: string
  readonly now: () => number
  readonly signal?: AbortSignal | null
}

/** Signs and sends. Throws `UnavailableError` for a redirect; what the platform's `fetch` throws is passed on. */
export async function send(outgoing: Outgoing): Promise<Response> {
  const { key, url, method, body, nonce } = outgoing
  const headers = new Headers(outgoing.headers)
  const target = url.pathname + url.search
  const proof = signRequest({
    key,
    method,
    target,
    headers,
    ...(body === undefined ? {} : { body }),
    ...(nonce === undefined ? {} : { nonce }),
    now: outgoing.now(),
  })
  for (const [name, value] of Object.entries(proof)) headers.set(name, value)
  const response = await outgoing.fetch(url, {
    method,
    headers,
    // Following would carry the credential to wherever the answer says.
    redirect: 'manual',
    ...(body === undefined ? {} : { body }),
    ...(outgoing.signal === undefined ? {} : { signal: outgoing.signal }),
  })
  if (isRedirect(response)) {
    await response.body?.cancel()
    throw new UnavailableError(`\`${url.origin}\` answered with a redirect, which is never followed`)
  }
  return response
}

function isRedirect(response: Response): boolean {
  return (
    response.type === 'opaqueredirect' || (response.status >= 300 && response.status < 400 && response.status !== 304)
  )
}

/** The longest answer to a call of ours that is read, in characters. */
const MAX_ANSWER = 16 * 1024 * 1024

/** The JSON object of an answer; undefined when it is something else. Reads and closes the body. */
export async function readAnswer(response: Response): Promise<JsonObject | undefined> {
  const text = await response.text()
  if (text.length > MAX_ANSWER) return undefined
  try {
    const value = parseJson(text, { numbers: 'any', maxDepth: 576 })
    return isJsonObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

/** The reason of a refusal, where the answer has one. */
export function toAnsweredReason(answer: JsonObject | undefined): Reason | undefined {
  const reason = answer?.['reason']
  return typeof reason === 'string' && isReason(reason) ? reason : undefined
}

/** What to throw for an answer that is not a success. */
export function toFault(response: Response, answer: JsonObject | undefined): Error {
  const reason = toAnsweredReason(answer)
  const said = answer?.['message']
  if (reason === undefined) return new UnavailableError(`the gateway answered with status ${response.status}`)
  const message = typeof said === 'string' ? said : `the gateway refused: \`${reason}\``
  if (reason === 'system.malformed') return new InputError(message, reason)
  return new RefusedError(reason, message, { retryable: answer?.['retryable'] === true })
}

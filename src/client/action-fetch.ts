/**
 * @module
 * A `fetch` for APIs that take action credentials: for each request it asks the issuer for a credential for exactly that
 * request, and sends it with a fresh proof.
 */
import { ACTION_DETAIL } from '../core/credential.ts'
import { InputError, RefusedError, UnavailableError } from '../core/errors.ts'
import type { JsonObject } from '../core/json.ts'
import { signDpop } from '../crypto/dpop.ts'
import type { KeyPair } from '../crypto/keys.ts'
import { openClientKey, type ClientKey } from './client-key.ts'
import { toOutgoing, type Plain } from './outgoing.ts'
import { toEndpoint } from './post-signed.ts'
import { readAnswer, send, toAnsweredReason, type Fetch } from './send.ts'
import { createSessionSource, type SessionSource } from './session-source.ts'

export interface ActionFetchOptions {
  /** The agent's key. */
  readonly key: ClientKey
  /** The issuer's origin, or any URL of it. */
  readonly url: string | URL
  /** The task that a host opened for this agent. */
  readonly txn: string
  /** `url` of the audience in the issuer's configuration; the origin of each request when absent. */
  readonly audience?: string
  /** What really sends; the platform's `fetch` when absent. */
  readonly fetch?: Fetch
  /** Milliseconds since the epoch; the clock of this machine when absent. */
  readonly now?: () => number
}

/** What the platform's `fetch` takes, and why the agent does it. */
export type ActionInit = RequestInit & {
  /** In the agent's words: `spend: the user asked to refund 5 of order 7`. It only narrows. */
  readonly intent?: string
}

export type ActionFetch = (input: string | URL | Request, init?: ActionInit) => Promise<Response>

interface Asking {
  readonly options: ActionFetchOptions
  readonly endpoint: URL
  readonly sessions: SessionSource
  readonly key: () => Promise<KeyPair>
  readonly fetch: Fetch
  readonly now: () => number
}

const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'
const JWT = 'urn:ietf:params:oauth:token-type:jwt'

/**
 * A function like `fetch`. Bodies are read whole before sending, and must be text: the issuer decides over them. Redirects are
 * not followed.
 *
 * Rejects with `RefusedError` where the issuer refuses (`reason`; `ticket` where a person has to answer first), `InputError` for
 * what cannot be decided over, `UnavailableError` where the issuer does not answer. What the API refuses is an answer. Does not
 * send anything twice, but for a nonce that the API asks for before it looks at the credential.
 */
export function createActionFetch(options: ActionFetchOptions): ActionFetch {
  const { url, txn, fetch = globalThis.fetch, now = Date.now } = options
  let opened: Promise<KeyPair> | undefined
  const key = async (): Promise<KeyPair> => (opened ??= openClientKey(options.key))
  const sessions = createSessionSource({ url, key, txn, fetch, now })
  const asking: Asking = { options, endpoint: toEndpoint(url, '/token'), sessions, key, fetch, now }
  return async (input, init = {}) => {
    const { intent, ...rest } = init
    const plain = await toOutgoing(input, rest)
    const credential = await exchange(asking, plain, intent)
    const first = await sendWith(asking, plain, credential)
    const nonce = first.headers.get('dpop-nonce')
    const isNonceAsked =
      first.status === 401 && /error="use_dpop_nonce"/.test(first.headers.get('www-authenticate') ?? '')
    if (!isNonceAsked || nonce === null) return first
    await first.body?.cancel()
    return sendWith(asking, plain, credential, nonce)
  }
}

async function exchange(asking: Asking, plain: Plain, intent: string | undefined): Promise<string> {
  const session = await asking.sessions.open()
  const { audience = plain.url.origin } = asking.options
  const form = new URLSearchParams({
    grant_type: EXCHANGE,
    subject_token: session.compact,
    subject_token_type: JWT,
    resource: audience,
    authorization_details: JSON.stringify([toDetail(audience, plain, intent)]),
  })
  const response = await send({
    key: await asking.key(),
    fetch: asking.fetch,
    url: asking.endpoint,
    method: 'POST',
    headers: new Headers({ 'content-type': 'application/x-www-form-urlencoded' }),
    body: new TextEncoder().encode(form.toString()),
    now: asking.now,
    ...(plain.signal === undefined ? {} : { signal: plain.signal }),
  })
  const answer = await readAnswer(response)
  const credential = answer?.['access_token']
  if (response.ok && typeof credential === 'string') return credential
  // A session credential that is over is fetched anew with the next request.
  await asking.sessions.drop(session)
  throw toFault(response, answer)
}

function toDetail(audience: string, { method, url, headers, body }: Plain, intent: string | undefined): JsonObject {
  const contentType = headers.get('content-type')
  return {
    type: ACTION_DETAIL,
    actions: [method],
    locations: [audience],
    action: {
      method,
      target: `${url.pathname}${url.search}`,
      ...(body === undefined || body.length === 0 ? {} : { contentType: contentType ?? '', content: toText(body) }),
    },
    ...(intent === undefined ? {} : { intent }),
  }
}

function toText(body: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body)
  } catch {
    throw new InputError('a body that is no text cannot be decided over')
  }
}

function toFault(response: Response, answer: JsonObject | undefined): Error {
  const reason = toAnsweredReason(answer)
  const { error_description: said, ticket, retry } = answer ?? {}
  const message = typeof said === 'string' ? said : 'the issuer refused'
  if (reason === 'system.malformed') return new InputError(message, reason)
  if (reason === undefined)
    return new UnavailableError(`the issuer answered with status ${response.status}: ${message}`)
  return new RefusedError(reason, message, {
    retryable: retry === true,
    ...(typeof ticket === 'string' ? { ticket } : {}),
  })
}

async function sendWith(asking: Asking, plain: Plain, credential: string, nonce?: string): Promise<Response> {
  const { method, url, body, signal } = plain
  const key = await asking.key()
  const headers = new Headers(plain.headers)
  headers.set('authorization', `DPoP ${credential}`)
  const told = nonce === undefined ? {} : { nonce }
  headers.set('dpop', signDpop({ key, method, url: url.href, credential, now: asking.now(), ...told }))
  return asking.fetch(url, {
    method,
    headers,
    // Following would carry the credential to wherever the answer says.
    redirect: 'manual',
    ...(body === undefined ? {} : { body }),
    ...(signal === undefined ? {} : { signal }),
  })
}

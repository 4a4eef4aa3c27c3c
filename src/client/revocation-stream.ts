/**
 * @module
 * One stream of the feed of revocations, from the signed request to its end, and the answers to its canaries.
 */
import { ACTION_TYP } from '../core/credential.ts'
import { UnavailableError } from '../core/errors.ts'
import { isJsonObject } from '../core/json.ts'
import { parseJson } from '../core/parse-json.ts'
import type { Reason } from '../core/reasons.ts'
import { refuseRevoked } from '../core/revoked.ts'
import { parseActionClaims } from '../crypto/action-claims.ts'
import { findSigner } from '../crypto/issuer-keys.ts'
import { verifyJwt } from '../crypto/jwt.ts'
import type { KeyPair } from '../crypto/keys.ts'
import { randomId } from '../crypto/base64.ts'
import { readServerEvents } from './event-stream.ts'
import type { IssuerJwks } from './issuer-jwks.ts'
import { postSigned, sendSigned } from './post-signed.ts'
import type { Reading, RevocationReader } from './revocation-reader.ts'
import { readAnswer, toFault, type Fetch } from './send.ts'

export interface StreamOptions {
  readonly issuer: string
  readonly endpoint: URL
  readonly reader: RevocationReader
  readonly keys: IssuerJwks
  readonly key: () => Promise<KeyPair>
  readonly fetch: Fetch
  /** Names this reader among those that share the key. */
  readonly instance: string
  readonly tryCanary?: (credential: string) => Promise<Reason | undefined>
}

/** A stream has to begin, and to go on, within this. It may be stale before. */
const SILENT_MS = 5_000

/** Settles with what ended it, when it has ended. Never rejects. `onBeat` is called after each heartbeat that fits. */
export async function readStream(options: StreamOptions, signal: AbortSignal, onBeat: () => void): Promise<string> {
  const silence = new AbortController()
  const silent = setTimeout(() => silence.abort(), SILENT_MS)
  silent.unref()
  try {
    await read(options, AbortSignal.any([signal, silence.signal]), () => {
      silent.refresh()
      onBeat()
    })
    return 'the issuer ended the feed of revocations'
  } catch (fault) {
    if (silence.signal.aborted) return 'the feed of revocations fell silent'
    return fault instanceof Error ? fault.message : 'the feed of revocations failed'
  } finally {
    clearTimeout(silent)
  }
}

async function read(options: StreamOptions, signal: AbortSignal, onBeat: () => void): Promise<void> {
  const reading = options.reader.begin(randomId())
  try {
    const body = await openStream(options, reading, signal)
    for await (const event of readServerEvents(body)) {
      if (event.event === 'heartbeat') await options.keys.prepare(event.data)
      if (!reading.take(event)) throw new UnavailableError('the feed of revocations does not fit together')
      if (event.event === 'heartbeat') onBeat()
      // Beside the stream: a canary must not keep revocations from being read.
      if (event.event === 'canary') answerCanary(options, event.data, signal).catch(() => undefined)
    }
  } finally {
    // A server that has restarted does not know that we listened, and would not name us.
    reading.end()
  }
}

async function openStream(
  { endpoint, instance, key, fetch }: StreamOptions,
  { challenge, since }: Reading,
  signal: AbortSignal,
): Promise<ReadableStream<Uint8Array>> {
  const url = new URL(endpoint)
  const query = { challenge, instance, ...(since === undefined ? {} : { since }) }
  url.search = new URLSearchParams(query).toString()
  const response = await sendSigned({ method: 'GET', url, key: await key(), fetch, signal })
  if (!response.ok) throw toFault(response, await readAnswer(response))
  const isStream = response.headers.get('content-type')?.toLowerCase().startsWith('text/event-stream') === true
  if (!isStream || response.body === null) throw new UnavailableError('the answer is no feed of revocations')
  return response.body
}

/** Says only that a canary was refused for the right reason: anything else is for the operator to find silent. */
async function answerCanary(options: StreamOptions, data: string, signal: AbortSignal): Promise<void> {
  const asked = parseJson(data)
  const { id, credential } = isJsonObject(asked) ? asked : {}
  if (typeof id !== 'string' || typeof credential !== 'string') return
  const { endpoint, instance, key, fetch, tryCanary } = options
  const reason = tryCanary === undefined ? tryHere(options, credential) : await tryCanary(credential)
  const body = { id, instance, refused: reason === 'credential.revoked' }
  const url = new URL(`${endpoint.pathname}/canary`, endpoint)
  await postSigned({ key: await key(), url, body, fetch, signal })
}

function tryHere({ keys, issuer, reader }: StreamOptions, credential: string): Reason | undefined {
  const signer = findSigner(keys, credential)
  const claims = signer === undefined ? undefined : parseActionClaims(verifyJwt(signer, ACTION_TYP, credential))
  return claims?.iss === issuer ? refuseRevoked(reader, claims) : 'credential.invalid'
}

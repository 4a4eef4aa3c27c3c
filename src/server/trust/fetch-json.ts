/**
 * @module
 * Fetches a small JSON document from an issuer outside: from where an operator said, over TLS or on this machine, without
 * following anything, and never more of it than such a document has.
 */
import { isIPv4 } from 'node:net'

import { InputError, parseJson, UnavailableError, type Json } from '../../index.ts'

/** The `fetch` of the platform, or one that stands in for it. */
export type FetchDocument = (url: URL) => Promise<Json>

const MOST_BYTES = 256 * 1024
const TIMEOUT_MS = 5_000

/**
 * The document at `url`. Throws `InputError` for a URL that is neither `https:` nor on this machine, `UnavailableError` for
 * everything that the other side does wrong: no answer within five seconds, a redirect, another status, too much, no JSON.
 */
export async function fetchJson(url: URL, fetcher: typeof globalThis.fetch = globalThis.fetch): Promise<Json> {
  if (!isFetchable(url)) throw new InputError('only `https:` URLs, and `http:` ones of the loopback, are fetched')
  try {
    const response = await fetcher(url, {
      redirect: 'error',
      credentials: 'omit',
      headers: { accept: 'application/json' },
      signal: AbortSignal.timeout(TIMEOUT_MS),
    })
    if (response.status !== 200) {
      await response.body?.cancel()
      throw new UnavailableError(`\`${url.origin}\` answered with status ${response.status}`)
    }
    return parseJson(await readAtMost(response), { numbers: 'any' })
  } catch (cause) {
    if (cause instanceof UnavailableError) throw cause
    throw new UnavailableError(`\`${url.origin}\` did not answer with a JSON document`, { cause })
  }
}

/** Without user information, to another machine only over TLS. A name may resolve to anything, so that `localhost` is none. */
export function isFetchable(url: URL): boolean {
  if (url.username !== '' || url.password !== '') return false
  if (url.protocol === 'https:') return true
  const host = url.hostname.replace(/^\[|\]$/g, '')
  return url.protocol === 'http:' && (host === '::1' || (isIPv4(host) && host.startsWith('127.')))
}

async function readAtMost(response: Response): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of response.body ?? []) {
    length += chunk.length
    if (length > MOST_BYTES) throw new UnavailableError('the document is too large')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/**
 * @module
 * The issuer's public keys as a resource server has them: fetched, kept for minutes, and fetched again for a key that is new.
 */
import { ConfigError, InvariantError, UnavailableError } from '../core/errors.ts'
import { isJsonObject, type Json, type JsonObject } from '../core/json.ts'
import { parseJson } from '../core/parse-json.ts'
import type { IssuerKeys } from '../crypto/issuer-keys.ts'
import { importPublicKey, type KeyPair } from '../crypto/keys.ts'

export interface IssuerJwks extends IssuerKeys {
  /** Fetches where the key is not known, or where what is known is old. Rejects with `UnavailableError`. */
  ensure(kid: string): Promise<void>
}

export interface IssuerJwksOptions {
  readonly url: URL
  readonly fetch: typeof globalThis.fetch
  /** Milliseconds, of a clock that nobody sets. */
  readonly elapsed?: () => number
}

/** A key that the issuer has taken away is believed this long. Nothing that it issues lives longer than a minute. */
const MAX_AGE_MS = 300_000
/** However many unknown keys are shown, the issuer is not asked more often than this. */
const PAUSE_MS = 1_000
const TIMEOUT_MS = 5_000
const MAX_BYTES = 65_536

/** Keys from the issuer. Nothing is fetched before the first `ensure`. */
export function createIssuerJwks(options: IssuerJwksOptions): IssuerJwks {
  const elapsed = options.elapsed ?? (() => performance.now())
  let keys: ReadonlyMap<string, KeyPair> = new Map()
  let fetchedAt = Number.NEGATIVE_INFINITY
  let askedAt = Number.NEGATIVE_INFINITY
  let asking: Promise<void> | undefined
  const ask = async (): Promise<void> => {
    const pause = askedAt + PAUSE_MS - elapsed()
    // Whoever waits, waits together: junk does not keep a new key from being found.
    if (pause > 0) await new Promise((resolve) => setTimeout(resolve, pause))
    askedAt = elapsed()
    keys = await fetchKeys(options)
    fetchedAt = elapsed()
  }
  return {
    current: () => {
      throw new InvariantError('a resource server signs nothing as the issuer')
    },
    find: (kid) => keys.get(kid),
    async ensure(kid) {
      const isYoung = elapsed() - fetchedAt < MAX_AGE_MS
      if (isYoung && keys.has(kid)) return
      asking ??= ask().finally(() => {
        asking = undefined
      })
      await asking
    },
  }
}

/** Keys that are known already, for a resource server that must not fetch. Throws `ConfigError` where there is none. */
export function toFixedJwks(document: JsonObject): IssuerJwks {
  const keys = toKeys(document)
  if (keys.size === 0) throw new ConfigError('`jwks` holds no key of an issuer')
  return {
    current: () => {
      throw new InvariantError('a resource server signs nothing as the issuer')
    },
    find: (kid) => keys.get(kid),
    ensure: async () => Promise.resolve(),
  }
}

async function fetchKeys({ url, fetch }: IssuerJwksOptions): Promise<ReadonlyMap<string, KeyPair>> {
  try {
    const response = await fetch(url, { redirect: 'error', signal: AbortSignal.timeout(TIMEOUT_MS) })
    const bytes = new Uint8Array(await response.arrayBuffer())
    if (!response.ok || bytes.length > MAX_BYTES) throw new UnavailableError('the answer is not a key set')
    const keys = toKeys(parseJson(bytes))
    if (keys.size === 0) throw new UnavailableError('the key set holds no key')
    return keys
  } catch (cause) {
    throw new UnavailableError(`the keys of the issuer cannot be fetched from \`${url.origin}\``, { cause })
  }
}

/** Those that are of our two kinds and named by their own thumbprint; others may stand beside them and mean nothing here. */
function toKeys(document: Json): ReadonlyMap<string, KeyPair> {
  const listed = isJsonObject(document) ? document['keys'] : undefined
  const keys = new Map<string, KeyPair>()
  for (const jwk of isList(listed) ? listed : []) {
    const key = isJsonObject(jwk) ? toKey(jwk) : undefined
    if (key !== undefined) keys.set(key.jkt, key)
  }
  return keys
}

function isList(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value)
}

function toKey(jwk: JsonObject): KeyPair | undefined {
  try {
    const key = importPublicKey(jwk)
    return jwk['kid'] === key.jkt ? key : undefined
  } catch {
    return undefined
  }
}

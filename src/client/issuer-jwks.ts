/**
 * @module
 * The issuer's public keys as it publishes them (RFC 7517), kept and asked for again when a key is met that is not among them.
 */
import { setTimeout } from 'node:timers/promises'

import { ConfigError, UnavailableError } from '../core/errors.ts'
import { isJsonObject, type Json, type JsonObject } from '../core/json.ts'
import { isJsonArray } from '../core/pointer.ts'
import { decodeJwt } from '../crypto/jwt.ts'
import type { IssuerKeys } from '../crypto/issuer-keys.ts'
import { importPublicKey, type KeyPair } from '../crypto/keys.ts'
import { toEndpoint } from './post-signed.ts'
import { readAnswer, type Fetch } from './send.ts'

export interface IssuerJwks extends Pick<IssuerKeys, 'find'> {
  /**
   * Settles when the key that `compact` names is known, or was asked for in vain. Rejects with `UnavailableError` when the
   * issuer does not answer and no keys are known, or those that are known are too old. Asks at most once in a second, however
   * many ask; whoever asks in between waits, so that junk does not keep a new key from being found.
   */
  prepare(compact?: string): Promise<void>
}

export interface IssuerJwksOptions {
  readonly url: string | URL
  readonly fetch?: Fetch
  /** After so many milliseconds keys are asked for again, and a key that the issuer has taken away is believed no more. */
  readonly maxAgeMs?: number
}

/** Whoever sends us unknown key ids makes us ask no more often than this. */
const ASK_AGAIN_MS = 1_000
const TIMEOUT_MS = 10_000

/**
 * The keys of the issuer at `url`. Nothing is fetched before `prepare`. Trusts whoever answers at that origin: over `http:`
 * that is everybody on the way. Does not verify anything.
 */
export function createIssuerJwks(options: IssuerJwksOptions): IssuerJwks {
  const { maxAgeMs = Infinity } = options
  const url = toEndpoint(options.url, '/jwks.json')
  let keys: ReadonlyMap<string, KeyPair> = new Map()
  let askedAt = -Infinity
  let knownAt = -Infinity
  let asking: Promise<void> | undefined
  const ask = async (): Promise<void> => {
    const pause = askedAt + ASK_AGAIN_MS - performance.now()
    if (pause > 0) await setTimeout(pause, undefined, { ref: false })
    askedAt = performance.now()
    keys = await fetchKeys(url, options.fetch ?? globalThis.fetch)
    knownAt = performance.now()
  }
  const isOld = (): boolean => performance.now() - knownAt > maxAgeMs
  return {
    find: (kid) => keys.get(kid),
    async prepare(compact) {
      const kid = compact === undefined ? undefined : decodeJwt(compact)?.header['kid']
      const isKnown = typeof kid === 'string' ? keys.has(kid) : keys.size > 0
      if (isKnown && !isOld()) return
      asking ??= ask().finally(() => {
        asking = undefined
      })
      try {
        await asking
      } catch (fault) {
        if (keys.size === 0 || isOld()) throw fault
      }
    },
  }
}

async function fetchKeys(url: URL, fetch: Fetch): Promise<ReadonlyMap<string, KeyPair>> {
  const response = await fetch(url, { redirect: 'error', signal: AbortSignal.timeout(TIMEOUT_MS) }).catch(
    (cause: unknown) => {
      throw new UnavailableError(`\`${url.origin}\` does not answer with its keys`, { cause })
    },
  )
  const answer = await readAnswer(response)
  const listed = answer?.['keys']
  if (!response.ok || !isJsonArray(listed)) throw new UnavailableError(`\`${url.href}\` is not a list of keys`)
  return toKeyMap(listed)
}

/** Keys that are known already, for whoever must not fetch. Throws `ConfigError` where there is none. */
export function toFixedJwks(document: JsonObject): IssuerJwks {
  const listed = document['keys']
  const keys = toKeyMap(isJsonArray(listed) ? listed : [])
  if (keys.size === 0) throw new ConfigError('`jwks` holds no key of an issuer')
  return { find: (kid) => keys.get(kid), prepare: async () => Promise.resolve() }
}

function toKeyMap(listed: readonly Json[]): ReadonlyMap<string, KeyPair> {
  return new Map(listed.flatMap((jwk) => toKeys(jwk).map((key) => [key.jkt, key] as const)))
}

/** Keys of kinds that we do not know are another's. */
function toKeys(jwk: Json): readonly KeyPair[] {
  if (!isJsonObject(jwk)) return []
  try {
    const { kid: _kid, key_ops: _ops, ...parts } = jwk
    return [importPublicKey(parts)]
  } catch {
    return []
  }
}

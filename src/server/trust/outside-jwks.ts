/**
 * @module
 * The keys of one issuer outside: found by discovery or where an operator said, kept for minutes, asked for again when one is
 * missing, and never more often than the issuer can bear.
 */
import { findOutsideKey, parseOutsideKeys, type OutsideAlgorithm, type OutsideKey } from '../../crypto/outside-keys.ts'
import { InputError, isJsonObject, UnavailableError } from '../../index.ts'
import type { Clock } from '../../ports/clock.ts'
import type { FetchDocument } from './fetch-json.ts'

export interface OutsideJwks {
  /**
   * The key that `kid` names for `alg`; undefined when the issuer has none. Throws `UnavailableError` when the issuer cannot be
   * asked and what is known of it is too old to be believed.
   */
  find(kid: string | undefined, alg: OutsideAlgorithm): Promise<OutsideKey | undefined>
  /**
   * As `find`, and throws `UnavailableError` as well where the issuer has to be asked and was a moment ago: for whoever must not say
   * no for good of a key that is younger than that.
   */
  findSurely(kid: string | undefined, alg: OutsideAlgorithm): Promise<OutsideKey | undefined>
}

export interface OutsideJwksOptions {
  readonly issuer: string
  /** Where the keys are; absent: where the issuer says, on its own origin. */
  readonly jwks?: string
  readonly clock: Clock
  readonly fetchDocument: FetchDocument
}

/** A key that the issuer withdrew is believed for this long at most, in milliseconds. */
const KEPT_MS = 10 * 60_000
/** Whoever invents names of keys makes us ask this often at most. */
const AGAIN_MS = 30_000

interface Known {
  readonly keys: readonly OutsideKey[]
  readonly at: number
}

export function createOutsideJwks(options: OutsideJwksOptions): OutsideJwks {
  const { clock } = options
  let known: Known | undefined
  let asking: Promise<Known> | undefined
  let askedAt = -Infinity
  const ask = async (): Promise<Known> => {
    askedAt = clock.now()
    const keys = await fetchOutsideKeys(options)
    // As old as the question, so that an answer which took its time is not believed for longer.
    return (known = { keys, at: askedAt })
  }
  const refresh = async (): Promise<Known> => {
    asking ??= ask().finally(() => (asking = undefined))
    return asking
  }
  const mayAsk = (): boolean => asking !== undefined || !(Math.abs(clock.now() - askedAt) < AGAIN_MS)
  const look = async (kid: string | undefined, alg: OutsideAlgorithm): Promise<Looked> => {
    const isOld = known === undefined || !(Math.abs(clock.now() - known.at) < KEPT_MS)
    if (isOld && !mayAsk()) throw new UnavailableError('the keys of the issuer could not be read a moment ago')
    const current = isOld || known === undefined ? await refresh() : known
    const key = findOutsideKey(current.keys, kid, alg)
    if (key !== undefined || isOld) return { key, isSure: true }
    if (!mayAsk()) return { key, isSure: false }
    return { key: findOutsideKey((await refresh()).keys, kid, alg), isSure: true }
  }
  return {
    find: async (kid, alg) => (await look(kid, alg)).key,
    async findSurely(kid, alg) {
      const { key, isSure } = await look(kid, alg)
      if (!isSure) throw new UnavailableError('no such key of the issuer, which was asked a moment ago')
      return key
    },
  }
}

interface Looked {
  readonly key: OutsideKey | undefined
  /** False: the issuer may have it by now. */
  readonly isSure: boolean
}

/** The keys now, from where they are. Throws `UnavailableError` that says what is wrong with the issuer. */
export async function fetchOutsideKeys(options: Omit<OutsideJwksOptions, 'clock'>): Promise<readonly OutsideKey[]> {
  const { fetchDocument, jwks } = options
  const url = jwks === undefined ? await discover(options) : new URL(jwks)
  try {
    return parseOutsideKeys(await fetchDocument(url))
  } catch (cause) {
    // What an issuer publishes is no fault of whoever asks us.
    if (cause instanceof InputError)
      throw new UnavailableError(`the keys of \`${url.origin}\`: ${cause.message}`, { cause })
    throw cause
  }
}

/**
 * OpenID Connect Discovery §4: the document names the very issuer that was asked (mix-up), and keys on the same origin, so that
 * no document can send us elsewhere.
 */
async function discover({ issuer, fetchDocument }: Omit<OutsideJwksOptions, 'clock'>): Promise<URL> {
  const found = await fetchDocument(new URL(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`))
  const { issuer: said, jwks_uri: uri } = isJsonObject(found) ? found : {}
  if (said !== issuer) throw new UnavailableError(`\`${issuer}\` says that it is another issuer`)
  const url = typeof uri === 'string' ? URL.parse(uri) : null
  if (url === null || url.origin !== new URL(issuer).origin)
    throw new UnavailableError(`\`${issuer}\` has its keys at another origin; where they are, write it in \`jwks\``)
  return url
}

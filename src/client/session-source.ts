/**
 * @module
 * The session credential of an agent, fetched when it is needed and renewed before it expires, however many requests wait.
 */
import { UnavailableError } from '../core/errors.ts'
import type { KeyPair } from '../crypto/keys.ts'
import { postSigned, toEndpoint } from './post-signed.ts'
import type { Fetch } from './send.ts'

export interface SessionSource {
  /** One that lives a while still. Rejects as `postSigned` does. */
  open(): Promise<SessionCredential>
  /** Forgets one that was called expired, unless another request has renewed it meanwhile. */
  drop(refused: SessionCredential): Promise<void>
}

export interface SessionCredential {
  readonly compact: string
  /** Milliseconds since the epoch, by our clock, from which a new one is fetched. */
  readonly renewAt: number
}

export interface SessionSourceOptions {
  /** The gateway's origin, or any URL of it. */
  readonly url: string | URL
  readonly key: () => Promise<KeyPair>
  /** A credential that is renewed stays in the task; without one, in that which the gateway opened for the first. */
  readonly txn?: string
  readonly fetch: Fetch
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

/** Fetched anew this long before it expires, so that no request is under way when it does. */
const RENEW_EARLY_MS = 30_000

export function createSessionSource(options: SessionSourceOptions): SessionSource {
  const endpoint = toEndpoint(options.url, '/session')
  let { txn } = options
  let held: Promise<SessionCredential> | undefined
  const request = async (): Promise<SessionCredential> => {
    const { now, fetch } = options
    const key = await options.key()
    const asked = now()
    const answer = await postSigned({ key, url: endpoint, fetch, now, body: txn === undefined ? {} : { txn } })
    const { credential, expires_in: life, txn: given } = answer
    if (typeof credential !== 'string' || !/^[\w-]+\.[\w-]+\.[\w-]+$/.test(credential) || typeof life !== 'number') {
      throw new UnavailableError('the gateway did not answer with a session credential')
    }
    if (txn === undefined && typeof given === 'string') txn = given
    const lifeMs = life * 1000
    return { compact: credential, renewAt: asked + Math.max(lifeMs - RENEW_EARLY_MS, lifeMs / 2) }
  }
  const open = async (): Promise<SessionCredential> => {
    const current = held
    if (current !== undefined && options.now() < (await current).renewAt) return current
    if (held === current) {
      const next = request()
      held = next
      // A failed one is not remembered.
      next.catch(() => {
        if (held === next) held = undefined
      })
    }
    return held ?? open()
  }
  return {
    open,
    async drop(refused) {
      const current = held
      if (current !== undefined && (await current) === refused && held === current) held = undefined
    },
  }
}

/**
 * @module
 * Nonces of this server: a number of a time window under a key that lives as long as this process, so that a restart voids
 * them all, by a clock that nobody sets.
 *
 * What people spend need therefore be known here alone: neither a store that takes nothing nor a clock that jumped keeps them
 * from the control plane. What agents spend is burned in the store.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'

import type { Reason } from '../core/reasons.ts'

/** A nonce lives at least this long and at most twice as long, in milliseconds. */
const WINDOW_MS = 60_000
/** So many proofs of one key are remembered; more of them within two windows is nobody's way of working. */
const MAX_SPENT = 20_000

export interface Nonces {
  mint(): string
  /** True for a nonce of this server while it is young. Everybody who asks in the same minute has the same. */
  isFresh(nonce: string): boolean
  /** Spends a proof of a key that carries a fresh nonce: undefined the first time, and otherwise why not. */
  spend(jkt: string, proof: string): Reason | undefined
}

interface Spent {
  window: number
  young: Set<string>
  old: Set<string>
}

const windowNow = (): number => Math.floor(performance.now() / WINDOW_MS)

export function createNonces(): Nonces {
  const secret = randomBytes(32)
  const spent = new Map<string, Spent>()
  const toNonce = (window: number): string =>
    createHmac('sha256', secret).update(String(window)).digest('base64url').slice(0, 22)
  return {
    mint: () => toNonce(windowNow()),
    isFresh(nonce) {
      const given = Buffer.from(nonce)
      return [windowNow(), windowNow() - 1].some((candidate) => {
        const expected = Buffer.from(toNonce(candidate))
        return given.length === expected.length && timingSafeEqual(given, expected)
      })
    },
    spend(jkt, proof) {
      const { young, old } = spentBy(spent, jkt)
      if (young.has(proof) || old.has(proof)) return 'identity.replayed'
      if (young.size + old.size >= MAX_SPENT) return 'system.quota'
      young.add(proof)
      return undefined
    },
  }
}

/** Of two windows ago none is fresh any more, so that it need not be remembered. */
function spentBy(spent: Map<string, Spent>, jkt: string): Spent {
  const window = windowNow()
  const found = spent.get(jkt)
  if (found?.window === window) return found
  const old = found?.window === window - 1 ? found.young : new Set<string>()
  const fresh: Spent = { window, young: new Set(), old }
  spent.set(jkt, fresh)
  return fresh
}

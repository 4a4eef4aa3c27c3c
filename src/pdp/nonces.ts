/**
 * @module
 * Nonces of this server: stateless, a number of a time window under a key that lives as long as this process, so that a
 * restart voids them all. Single use is the business of burns.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'

import type { Clock } from '../ports/clock.ts'

/** A nonce lives at least this long and at most twice as long, in milliseconds. */
const WINDOW_MS = 60_000

export interface Nonces {
  mint(): string
  /** True for a nonce of this server while it is young. Everybody who asks in the same minute has the same. */
  isFresh(nonce: string): boolean
}

export function createNonces(clock: Clock): Nonces {
  const secret = randomBytes(32)
  const toNonce = (window: number): string =>
    createHmac('sha256', secret).update(String(window)).digest('base64url').slice(0, 22)
  const window = (): number => Math.floor(clock.now() / WINDOW_MS)
  return {
    mint: () => toNonce(window()),
    isFresh(nonce) {
      const given = Buffer.from(nonce)
      return [window(), window() - 1].some((candidate) => {
        const expected = Buffer.from(toNonce(candidate))
        return given.length === expected.length && timingSafeEqual(given, expected)
      })
    },
  }
}

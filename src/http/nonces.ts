/**
 * @module
 * Nonces of a resource server for DPoP (RFC 9449 §9): a number of a time window under a secret that its replicas share.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'

export interface ResourceNonces {
  mint(): string
  /** Young, and from here. */
  accept(nonce: string | undefined): boolean
}

/** A nonce lives at least this long and at most twice as long. */
const WINDOW_MS = 60_000

/** `secret`: at least 32 bytes that only the replicas know; random when absent, which is for one process. */
export function createResourceNonces(now: () => number, secret: Uint8Array = randomBytes(32)): ResourceNonces {
  const toNonce = (window: number): string =>
    createHmac('sha256', secret).update(`unbearer-resource-nonce\0${window}`).digest('base64url').slice(0, 22)
  const windowNow = (): number => Math.floor(now() / WINDOW_MS)
  return {
    mint: () => toNonce(windowNow()),
    accept(nonce) {
      const given = Buffer.from(nonce ?? '')
      return [windowNow(), windowNow() - 1].some((window) => {
        const expected = Buffer.from(toNonce(window))
        return given.length === expected.length && timingSafeEqual(given, expected)
      })
    },
  }
}

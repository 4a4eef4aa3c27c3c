/**
 * @module
 * Break-glass: a grant that was prepared in calm and is opened in need, by several people together, for at most 15 minutes
 * (design §8). It is a grant and nothing more: proof, approvals and the secrets of upstreams stay as they are.
 */
import { canonicalBytes } from './canonical.ts'
import type { JsonObject } from './json.ts'

/** What was prepared. Nothing of it changes afterwards. */
export interface BreakGlassPlan {
  readonly id: string
  readonly note: string
  /** Thumbprints of those who may sign: keys that may answer approvals. */
  readonly keys: readonly string[]
  /** How many of them must. */
  readonly need: number
  /** How long the grant lives once it is opened, 1 to 15. */
  readonly minutes: number
  /** The human form of the grant, without times, parent and depth. */
  readonly grant: JsonObject
  readonly preparedBy: string
  /** Milliseconds since the epoch. */
  readonly preparedAt: number
}

export interface BreakGlassSignature {
  /** Thumbprint. */
  readonly by: string
  readonly at: number
  /** base64url, over `toBreakGlassMessage`. */
  readonly signature: string
}

export interface BreakGlass extends BreakGlassPlan {
  /** How often it was opened; a signature is for one opening. */
  readonly round: number
  readonly signatures: readonly BreakGlassSignature[]
  /** The newest opening. */
  readonly opened?: { readonly grant: string; readonly at: number; readonly expires: number; readonly by: string }
}

export const MAX_BREAK_GLASS_MINUTES = 15
/** How long a signature waits for the others, in milliseconds. */
export const SIGNATURE_TTL_MS: number = 15 * 60_000
const SKEW_MS = 5 * 60_000
const DOMAIN = new TextEncoder().encode('unbearer-break-glass-v1\0')

/** What is signed: `unbearer-break-glass-v1`, a zero byte, RFC 8785 of the plan, the round, the time, the installation. */
export function toBreakGlassMessage(
  given: BreakGlassPlan & Pick<BreakGlass, 'round'>,
  at: number,
  issuer: string,
): Uint8Array {
  const { id, note, keys, need, minutes, grant, preparedBy, preparedAt, round } = given
  const plan = { id, note, keys, need, minutes, grant, preparedBy, preparedAt }
  const said = canonicalBytes({ issuer, round, at, plan })
  const message = new Uint8Array(DOMAIN.length + said.length)
  message.set(DOMAIN)
  message.set(said, DOMAIN.length)
  return message
}

/** True while a signature made at `at` counts. */
export function isSignatureFresh(at: number, now: number): boolean {
  return at - SKEW_MS <= now && now < at + SIGNATURE_TTL_MS
}

/** True while the grant of the newest opening lives. */
export function isBroken({ opened }: Pick<BreakGlass, 'opened'>, now: number): boolean {
  return opened !== undefined && now < opened.expires
}

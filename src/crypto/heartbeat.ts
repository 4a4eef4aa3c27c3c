/**
 * @module
 * The signed, numbered heartbeats of the feed of revocations (design §5; `docs/reference/wire.md`). A heartbeat covers every
 * revocation that was sent since the one before, so that none can be left out, added, changed or moved.
 */
import { hash } from 'node:crypto'

import type { JsonObject } from '../core/json.ts'
import { findSigner, type IssuerKeys } from './issuer-keys.ts'
import { signJwt, verifyJwt } from './jwt.ts'

export const HEARTBEAT_TYP = 'unbearer-heartbeat+jwt'

export interface Heartbeat {
  readonly iss: string
  /** Seconds since the epoch, for whoever has no challenge of their own. */
  readonly iat: number
  /** The feed: another one after each start of the server. */
  readonly feed: string
  /** One more than that of the heartbeat before, within a feed. */
  readonly n: number
  /** Milliseconds since the feed began, by a clock that nobody sets. */
  readonly elapsed: number
  /** The number of the last revocation before this heartbeat's, and the last known with it. */
  readonly prev: number
  readonly rev: number
  /** Over the data of the revocations since the heartbeat before: `digestOfLines`. */
  readonly digest: string
  /** False: something is in force that could not be recorded; what is not known to be revoked is refused as well. */
  readonly fresh: boolean
  /** After so many milliseconds without a heartbeat the feed is stale. */
  readonly stale_ms: number
  /** Only in the first heartbeat of a stream: the challenge of whoever asked. */
  readonly challenge?: string
}

/** `"sha-256:" + base64url(SHA-256(line ‖ LF ‖ …))` over the data of revocations as they stand on the wire. */
export function digestOfLines(lines: readonly string[]): string {
  return `sha-256:${hash('sha256', lines.map((line) => `${line}\n`).join(''), 'base64url')}`
}

/** Signs under the key that signs now. Throws `InvariantError` without its private part. */
export function signHeartbeat(keys: Pick<IssuerKeys, 'current'>, beat: Heartbeat): string {
  return signJwt(keys.current(), HEARTBEAT_TYP, { ...beat })
}

/**
 * The heartbeat that `issuer` signed with one of `keys`; undefined for anything else. Never throws. Looks at neither number,
 * digest nor time: the order of a stream is the reader's.
 */
export function verifyHeartbeat(
  keys: Pick<IssuerKeys, 'find'>,
  issuer: string,
  compact: string,
): Heartbeat | undefined {
  const key = findSigner(keys, compact)
  const claims = key === undefined ? undefined : verifyJwt(key, HEARTBEAT_TYP, compact)
  const beat = claims === undefined ? undefined : parseHeartbeat(claims)
  return beat?.iss === issuer ? beat : undefined
}

const MEMBERS = 'iss iat feed n elapsed prev rev digest fresh stale_ms'.split(' ')

function parseHeartbeat(claims: JsonObject): Heartbeat | undefined {
  const names = Object.keys(claims)
  const known = MEMBERS.every((name) => names.includes(name)) && names.length - MEMBERS.length <= 1
  const { iss, iat, feed, n, elapsed, prev, rev, digest, fresh, stale_ms, challenge } = claims
  if (!known || names.some((name) => !MEMBERS.includes(name) && name !== 'challenge')) return undefined
  if (!isText(iss) || !isText(feed) || !isText(digest) || typeof fresh !== 'boolean') return undefined
  if (!isCount(iat) || !isCount(n) || !isCount(elapsed) || !isCount(prev) || !isCount(rev)) return undefined
  if (!isCount(stale_ms) || (challenge !== undefined && !isText(challenge))) return undefined
  const said = { iss, iat, feed, n, elapsed, prev, rev, digest, fresh, stale_ms }
  return challenge === undefined ? said : { ...said, challenge }
}

function isText(value: JsonObject[string]): value is string {
  return typeof value === 'string' && value !== ''
}

function isCount(value: JsonObject[string]): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

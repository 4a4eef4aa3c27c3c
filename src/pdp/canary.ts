/**
 * @module
 * The canary of a revocation: a credential for a harmless action that never existed, issued as if before the revocation.
 * Whoever redeems it after the revocation is a PEP whose kill switch stops nothing (design §5).
 */
import { digestOf } from '../core/bind.ts'
import { ACTION_DETAIL, type ActionClaims } from '../core/credential.ts'
import type { RevocationDimension } from '../core/evidence.ts'
import type { ActionBody } from '../core/request.ts'
import type { Clock } from '../ports/clock.ts'
import type { CredentialAuthority } from '../ports/credentials.ts'
import type { RevocationFeed } from '../ports/revocations.ts'
import { newId } from './log-entries.ts'

export interface CanaryOptions {
  readonly authority: CredentialAuthority
  readonly feed: RevocationFeed
  readonly clock: Clock
  readonly issuer: string
}

const BODY: ActionBody = { method: 'canary' }
const AUD = 'urn:unbearer:canary'

export interface Canary {
  /** True when the redemption here was refused as revoked. Anything else, a fault included, is not a refusal. */
  isRefused(dimension: RevocationDimension, id: string): Promise<boolean>
  /** A signed one for whoever redeems elsewhere; undefined when nothing of the kind is revoked. No upstream is its audience. */
  issue(dimension: RevocationDimension, id: string): string | undefined
}

export function createCanary(options: CanaryOptions): Canary {
  const toCanary = (dimension: RevocationDimension, id: string): ActionClaims | undefined => {
    const revocation = options.feed.find(dimension, id)
    return revocation === undefined ? undefined : toClaims(options, dimension, id, revocation.rev - 1)
  }
  return {
    async isRefused(dimension, id) {
      const claims = toCanary(dimension, id)
      if (claims === undefined) return false
      const credential = options.authority.issue(claims, 'object')
      const redemption = await options.authority.redeem({ credential, aud: AUD, body: BODY, jkt: claims.cnf.jkt })
      return !redemption.ok && redemption.reason === 'credential.revoked'
    },
    issue(dimension, id) {
      const claims = toCanary(dimension, id)
      return claims === undefined ? undefined : options.authority.issue(claims, 'jwt').compact
    },
  }
}

/** Claims that the revocation is about, and that nothing else would refuse. */
function toClaims(
  { clock, issuer }: CanaryOptions,
  dimension: RevocationDimension,
  id: string,
  rev: number,
): ActionClaims {
  const named = (wanted: RevocationDimension, otherwise: string): string => (dimension === wanted ? id : otherwise)
  const seconds = Math.floor(clock.now() / 1000)
  const jkt = named('actor', newId())
  const salt = newId()
  return {
    iss: issuer,
    aud: AUD,
    iat: seconds,
    exp: seconds + 10,
    jti: named('credential', newId()),
    txn: named('task', newId()),
    sub: named('subject', `canary/${newId()}`),
    act: { sub: jkt },
    cnf: { jkt },
    grant: named('grant', newId()),
    rev,
    mode: 'enforce',
    authorization_details: [
      {
        type: ACTION_DETAIL,
        actions: ['canary'],
        locations: [AUD],
        identifier: named('tool', 'canary/canary'),
        digest: digestOf(BODY, Buffer.from(salt, 'base64url')),
        salt,
      },
    ],
    tctx: { evaluation_id: newId() },
    rctx: { proof: 'none' },
  }
}

/**
 * @module
 * Puts together whose word counts for principals.
 */
import type { Clock } from '../ports/clock.ts'
import type { Trust } from '../server/trust/delegations.ts'
import { fetchJson } from '../server/trust/fetch-json.ts'
import { createOutsideJwks } from '../server/trust/outside-jwks.ts'
import type { TrustConfig } from './trust.ts'

/** Fetches nothing yet: an issuer that is away keeps nobody from serving. */
export function createTrust({ issuers, signed }: TrustConfig, clock: Clock): Trust {
  return {
    issuers: issuers.map((each) => {
      const keys = createOutsideJwks({
        issuer: each.issuer,
        clock,
        fetchDocument: fetchJson,
        ...(each.jwks === undefined ? {} : { jwks: each.jwks }),
      })
      return { ...each, findKey: async (kid, alg) => keys.find(kid, alg) }
    }),
    ...(signed === undefined ? {} : { signed }),
  }
}

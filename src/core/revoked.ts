/**
 * @module
 * What of a credential can be revoked, and whether it was: one answer for whoever redeems, here, in another process, or by
 * introspection. Two lists of dimensions would one day differ, and what stands in one only would stop nothing.
 */
import type { ActionClaims } from './credential.ts'
import type { RevocationDimension } from './evidence.ts'
import type { Reason } from './reasons.ts'

/**
 * The id of dimension `all` under which everything that was issued before is refused, and nothing else: recorded when
 * continuity was lost (restore, recovery), because burns, debits and revocations may have been lost with it (design §5).
 */
export const ISSUED = 'issued'

/**
 * The id of dimension `all` that ends a stop of everything with a smaller number, and stops nothing. What was issued before the stop
 * ended is refused by `ISSUED`, which always comes before it.
 */
export const RESUMED = 'resumed'

/** What is asked of a feed of revocations; `ports/revocations.ts` has all of it. */
export interface Known {
  rev(): number
  fresh(): boolean
  find(dimension: RevocationDimension, id: string): { readonly rev: number } | undefined
}

/** Every dimension and id under which an action credential can be revoked: its grant with all that it was delegated from. */
export function dimensionsOf(claims: ActionClaims): readonly (readonly [RevocationDimension, string])[] {
  const grants = [...(claims.grant === undefined ? [] : [claims.grant]), ...(claims.tctx.delegated_from ?? [])]
  return [
    ['credential', claims.jti],
    ['actor', claims.cnf.jkt],
    ['subject', claims.sub],
    ...grants.map((id) => ['grant', id] as const),
    ['task', claims.txn],
    ['tool', claims.authorization_details[0].identifier],
    ['all', '*'],
    ['all', ISSUED],
  ]
}

/**
 * Why a credential with these claims is refused now: something of it was revoked after it was issued, or nobody can say
 * whether it was. Undefined otherwise. Pure over what `known` answers. Does not verify the claims, and does not look at time,
 * audience or use.
 */
export function refuseRevoked(
  known: Known,
  claims: ActionClaims,
): Extract<Reason, 'credential.revoked' | 'system.stale-revocations'> | undefined {
  // What is known to be revoked is said also by a feed that may not know of everything: the canary asks just that.
  const revoked = dimensionsOf(claims).some(([dimension, id]) => (known.find(dimension, id)?.rev ?? 0) > claims.rev)
  if (revoked) return 'credential.revoked'
  // A credential from further on than the feed has seen means that the feed lost something.
  return !known.fresh() || claims.rev > known.rev() ? 'system.stale-revocations' : undefined
}

/**
 * @module
 * The other end of a decision: no effect here, but an action credential for whoever performs it elsewhere (decision 15).
 */
import { toRefusal } from '../core/refusal.ts'
import type { Reason } from '../core/reasons.ts'
import type { AccessRequest } from '../core/request.ts'
import type { ActionCredential } from '../ports/credentials.ts'
import type { Refusal } from '../ports/pep.ts'
import { createDecider, type EnforcerOptions } from './enforcer.ts'
import { sweepIssued } from './issued.ts'

export type Issued =
  | {
      readonly kind: 'issued'
      readonly entry: string
      readonly credential: ActionCredential & { readonly compact: string }
    }
  | { readonly kind: 'refused'; readonly refusal: Refusal }

/**
 * Decides as `enforce` does, over the same chain, and issues a signed credential once the decision and the registration of its
 * `jti` are on the disk. Never rejects. Does not perform anything, and does not know what becomes of the action: a
 * consequential one stays marked as begun.
 */
export type Issue = (request: AccessRequest) => Promise<Issued>

export function createIssuer(options: EnforcerOptions): Issue {
  const decideRecorded = createDecider(options, 'outside')
  return async (request) =>
    decideRecorded(request, async ({ decided, flight }) => {
      try {
        if (decided.outside === undefined) return refuse(request, 'identity.missing')
        // Revoked while the disk was waited for. Redemption would say so too.
        if (flight.signal.aborted) return refuse(request, 'credential.revoked')
        const credential = options.authority.issue(decided.outside, 'jwt')
        if (credential.compact === undefined) return refuse(request, 'system.indeterminate')
        sweep(options)
        return { kind: 'issued', entry: request.id, credential: { ...credential, compact: credential.compact } }
      } catch (fault) {
        options.report('issue', fault)
        return refuse(request, 'system.indeterminate')
      } finally {
        flight.land()
      }
    })
}

function refuse(request: AccessRequest, reason: Reason): Issued {
  return { kind: 'refused', refusal: toRefusal({ kind: 'deny', reason, reasons: [reason] }, { entry: request.id }) }
}

/** Beside the answer: nobody waits for what was never redeemed to go. */
function sweep({ store, clock, report }: EnforcerOptions): void {
  sweepIssued(store, clock.now()).catch((fault: unknown) => report('sweep', fault))
}

/**
 * @module
 * Issues and redeems action credentials (design §5). One interface; by audience a branded single-use object within the
 * process (`object`) or a signed JWT (`jwt`); the same checks for both, and the log shows which.
 */
import type { ActionClaims } from '../core/credential.ts'
import type { Reason } from '../core/reasons.ts'
import type { ActionBody } from '../core/request.ts'

export interface ActionCredential {
  readonly form: 'object' | 'jwt'
  readonly claims: ActionClaims
  /** The compact JWS; present only with form `jwt`. Never logged. */
  readonly compact?: string
}

/** As somebody showed it: nothing of it is known before it is verified. */
export interface PresentedCredential {
  readonly form: 'jwt'
  readonly compact: string
}

/** `claims` is absent where nothing was minted (proof grade `none`, mode `observe`). */
export type Redemption =
  | { readonly ok: true; readonly claims?: ActionClaims }
  | { readonly ok: false; readonly reason: Reason }

export interface RedeemRequest {
  readonly credential: ActionCredential | PresentedCredential
  /** The audience of whoever redeems. */
  readonly aud: string
  /** The action as received, whose digest is recomputed; or the digest that a PEP has recomputed where it received it. */
  readonly body: ActionBody | string
  /** Thumbprint of the key that proved the request now. */
  readonly jkt: string
}

export interface CredentialAuthority {
  issue(claims: ActionClaims, form: 'object' | 'jwt'): ActionCredential
  /**
   * Checks form, signature, `typ`, audience, time, digest, key, revocation after `rev`, and burns the `jti`.
   * Redeems at most once. Does not decide anything: authority was decided before issue.
   */
  redeem(request: RedeemRequest): Promise<Redemption>
}

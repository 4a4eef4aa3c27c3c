/**
 * @module
 * Claims of what we issue. The action credential: `typ: unbearer-action+jwt` (design §5; RFC 8693, 9396, 7800 and the
 * names of Transaction Tokens). The session credential only lets its holder ask for decisions.
 */
import type { Mode } from './request.ts'

export const ACTION_TYP = 'unbearer-action+jwt'
export const SESSION_TYP = 'unbearer-session+jwt'
export const REDEMPTION_TYP = 'unbearer-redemption+jwt'
export const ACTION_DETAIL = 'urn:unbearer:action'

export interface ActionDetail {
  readonly type: typeof ACTION_DETAIL
  readonly actions: readonly [string]
  readonly locations: readonly [string]
  readonly identifier: string
  /** `sha-256:` + base64url(SHA-256(salt ‖ JCS(action))). */
  readonly digest: string
  /** 16 random bytes, base64url. */
  readonly salt: string
}

/** Times are seconds since the epoch, as in RFC 7519. */
export interface ActionClaims {
  readonly iss: string
  readonly aud: string
  readonly iat: number
  readonly exp: number
  readonly jti: string
  readonly txn: string
  readonly sub: string
  readonly act: { readonly sub: string }
  readonly cnf: { readonly jkt: string }
  readonly grant?: string
  /** The global revocation sequence at decision. */
  readonly rev: number
  readonly mode: Mode
  /** What decided the mode: a place in the configuration, or `act ID`. */
  readonly mode_from?: string
  readonly authorization_details: readonly [ActionDetail]
  readonly tctx: {
    readonly evaluation_id: string
    readonly approval_id?: string
    readonly purpose?: string
    /** The ancestors of `grant`, nearest first: revoking one of them takes what was delegated from it. */
    readonly delegated_from?: readonly string[]
  }
  readonly rctx: { readonly proof: string }
}

/** `x5t#S256`: also bound to the certificate of a connection (RFC 8705 §3.1). */
export interface SessionClaims {
  readonly iss: string
  readonly aud: string
  readonly iat: number
  readonly exp: number
  readonly jti: string
  readonly sub: string
  readonly txn?: string
  /** The global revocation sequence at issue; absent: 0, as version 0.1 issued them. */
  readonly rev?: number
  readonly cnf: { readonly jkt: string; readonly 'x5t#S256'?: string }
}

/** At most ten minutes (invariant 3). */
export const SESSION_TTL_SECONDS = 600

/** What the issuer says to a PEP that asked it to redeem (`POST /redeem`), signed. Good for the one question that it answers. */
export interface RedemptionClaims {
  readonly iss: string
  /** Thumbprint of the key of the PEP that asked. */
  readonly aud: string
  /** Seconds since the epoch. */
  readonly iat: number
  /** The nonce of the signature over the question, so that an answer given before is worth nothing. */
  readonly nonce: string
  /** base64url(SHA-256(credential)), as in RFC 9449 §4.2. */
  readonly ath: string
  /** True once for each credential. */
  readonly active: boolean
  /** The revocation sequence that was looked at. */
  readonly rev: number
  /** Why it is not active; absent where the credential is none of this PEP. */
  readonly reason?: string
  /** The decision that stands behind it. */
  readonly entry?: string
}

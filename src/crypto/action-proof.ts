/**
 * @module
 * The proof of whoever shows an action credential: a signature of our profile (RFC 9421), DPoP (RFC 9449), or both, under the
 * one key that the credential is bound to. Verified alike by a resource server and by the issuer that redeems for it.
 */
import type { DigestedBody } from '../core/http-action.ts'
import type { Reason } from '../core/reasons.ts'
import { verifyDpop } from './dpop.ts'
import { verifyRequest, type HeaderReader } from './http-signature.ts'
import type { KeyPair } from './keys.ts'

export interface VerifyActionProof {
  readonly method: string
  /** Path and query exactly as on the request line. */
  readonly target: string
  /** Where the request arrived, as clients know it: scheme, host and port, without a slash at the end. */
  readonly origin: string
  readonly headers: HeaderReader
  readonly body: Uint8Array | DigestedBody
  /** The credential as it was shown. */
  readonly credential: string
  /** `cnf.jkt` of the credential. */
  readonly jkt: string
  /** The key with this thumbprint, if it is known: a signature does not carry its key. */
  readonly resolveKey: (jkt: string) => KeyPair | undefined
  /** Whether a nonce is fresh (`VerifyDpop`). Absent: nonces are not required. */
  readonly acceptNonce?: (nonce: string | undefined) => boolean
  /** Milliseconds since the epoch. */
  readonly now: number
}

export type VerifiedActionProof =
  | { readonly ok: true; readonly grade: 'signature' | 'dpop' }
  | { readonly ok: false; readonly reason: Reason }

/**
 * Verifies every proof that the request carries; one that is wrong counts even beside one that is right. Synchronous; never
 * throws. Does not look for replay: whoever redeems burns the credential, and `ath` or the signature bind each proof to that
 * one credential. Does not compare the action of the credential, and a DPoP proof alone covers no body: the digest in the
 * credential does.
 */
export function verifyActionProof(request: VerifyActionProof): VerifiedActionProof {
  const { headers } = request
  const isSigned = ['signature', 'signature-input'].some((name) => linesOf(headers(name)).length > 0)
  const dpop = linesOf(headers('dpop'))
  if (!isSigned && dpop.length === 0) return { ok: false, reason: 'identity.missing' }
  const refused =
    (isSigned ? refuseSignature(request) : undefined) ?? (dpop.length > 0 ? refuseDpop(request, dpop) : undefined)
  return refused === undefined ? { ok: true, grade: isSigned ? 'signature' : 'dpop' } : { ok: false, reason: refused }
}

function refuseSignature(request: VerifyActionProof): Reason | undefined {
  const { method, target, headers, body, resolveKey, now, jkt } = request
  const verified = verifyRequest({ method, target, headers, body, resolveKey, now })
  if (!verified.ok) return verified.reason
  return verified.jkt === jkt ? undefined : 'identity.bad-proof'
}

function refuseDpop(request: VerifyActionProof, proofs: readonly string[]): Reason | undefined {
  const { method, target, origin, credential, jkt, acceptNonce, now } = request
  const verified = verifyDpop({
    proofs,
    method,
    url: `${origin}${target}`,
    credential,
    jkt,
    ...(acceptNonce === undefined ? {} : { acceptNonce }),
    now,
  })
  return verified.ok ? undefined : verified.reason
}

function linesOf(header: ReturnType<HeaderReader>): readonly string[] {
  return header === undefined ? [] : typeof header === 'string' ? [header] : header
}

/**
 * @module
 * How a resource server refuses: in the words of RFC 6750, 9449 and 9470, with our reason beside them.
 */
import { REASONS, type Reason } from '../core/reasons.ts'
import { DPOP_ALGORITHMS } from '../crypto/dpop.ts'

/** What is sent instead of the answer of the handler. */
export interface HttpRefusal {
  readonly reason: Reason
  readonly status: number
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** The class of authentication that a credential has to which a person said yes (RFC 9470 `acr_values`). */
export const APPROVED_ACR = 'urn:unbearer:approval'

export interface Refusing {
  readonly nonce?: string
  /** No credential was shown: then there is no error to name (RFC 6750 §3.1). */
  readonly isBare?: boolean
}

/** A refusal on the wire. Nothing of the request is in it. */
export function toHttpRefusal(reason: Reason, { nonce, isBare = false }: Refusing = {}): HttpRefusal {
  const { http, help } = REASONS[reason]
  const error = toError(reason)
  const status = reason === 'identity.weak-proof' ? 401 : http.status
  const headers: Record<string, string> = { 'cache-control': 'no-store', 'content-type': 'application/json' }
  if (status === 401 || status === 403) headers['www-authenticate'] = toChallenge(reason, error, isBare)
  if (nonce !== undefined) headers['dpop-nonce'] = nonce
  if (status === 503) headers['retry-after'] = '1'
  return { reason, status, headers, body: JSON.stringify({ error, reason, message: help }) }
}

function toChallenge(reason: Reason, error: string, isBare: boolean): string {
  const algs = `algs="${DPOP_ALGORITHMS.join(' ')}"`
  if (isBare) return `DPoP ${algs}`
  const acr = error === 'insufficient_user_authentication' ? `, acr_values="${APPROVED_ACR}"` : ''
  return `DPoP error="${error}", error_description="${reason}"${acr}, ${algs}`
}

/** What is wrong with the proof is `invalid_dpop_proof`, also of a signature: RFC 9449 has no other word for it. */
function toError(reason: Reason): string {
  const { error } = REASONS[reason].http
  return reason.startsWith('identity.') && error !== 'use_dpop_nonce' ? 'invalid_dpop_proof' : error
}

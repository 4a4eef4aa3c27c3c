/**
 * @module
 * How the endpoints of OAuth answer: in the words of RFC 6749 §5.2, 8628, 9396 and 9449, with our reason beside them.
 */
import { REASONS, type JsonObject, type Reason, type Refusal } from '../../index.ts'

export type OAuthError =
  | 'invalid_request'
  | 'invalid_client'
  | 'invalid_grant'
  | 'invalid_target'
  | 'invalid_dpop_proof'
  | 'use_dpop_nonce'
  | 'invalid_authorization_details'
  | 'unsupported_grant_type'
  | 'unsupported_token_type'
  | 'authorization_pending'
  | 'access_denied'
  | 'temporarily_unavailable'

/** Seconds after which it is worth asking again: for a person, and for whatever was in the way. */
const ASK_AGAIN = 5
const TRY_AGAIN = 1

export interface Told {
  readonly reason?: Reason
  readonly nonce?: string
  readonly more?: JsonObject
}

const STATUS: Partial<Record<OAuthError, number>> = { invalid_client: 401, temporarily_unavailable: 503 }

/** An error as RFC 6749 §5.2 has it. `description` never holds what was sent. */
export function toError(error: OAuthError, description: string, { reason, nonce, more = {} }: Told = {}): Response {
  const status = STATUS[error] ?? 400
  const headers = new Headers({ 'cache-control': 'no-store' })
  if (status === 401) headers.set('www-authenticate', 'Unbearer error="invalid_client"')
  if (nonce !== undefined) headers.set('dpop-nonce', nonce)
  if (error === 'authorization_pending') headers.set('retry-after', String(ASK_AGAIN))
  if (status === 503) headers.set('retry-after', String(TRY_AGAIN))
  const body = { error, error_description: description, ...(reason === undefined ? {} : { reason }), ...more }
  return Response.json(body, { status, headers })
}

/** What is said to whoever could not be authenticated; `dpop`: it showed a DPoP proof. */
export function toUnauthenticated(reason: Reason, dpop: boolean, nonce?: string): Response {
  const told: Told = { reason, ...(nonce === undefined ? {} : { nonce }) }
  return toError(toProofError(reason, dpop), REASONS[reason].help, told)
}

const OF_GRANT: readonly Reason[] = [
  'identity.expired',
  'identity.revoked',
  'identity.unknown-task',
  'identity.task-mismatch',
]

function toProofError(reason: Reason, dpop: boolean): OAuthError {
  if (reason === 'identity.use-nonce' && dpop) return 'use_dpop_nonce'
  if (OF_GRANT.includes(reason)) return 'invalid_grant'
  if (dpop || reason === 'identity.missing') return 'invalid_dpop_proof'
  return 'invalid_client'
}

/** A decision that was against it. A person who has to answer is `authorization_pending` (RFC 8628 §3.5), with the ticket. */
export function toRefused({ decision, reason, help, retry, ticket, entry }: Refusal): Response {
  const more = {
    retry,
    ...(ticket === undefined ? {} : { ticket }),
    ...(entry === undefined ? {} : { entry }),
    ...(decision === 'challenge' ? { interval: ASK_AGAIN } : {}),
  }
  return toError(toDecidedError(decision, reason), help, { reason, more })
}

function toDecidedError(decision: Refusal['decision'], reason: Reason): OAuthError {
  if (decision === 'challenge') return 'authorization_pending'
  if (decision === 'defer' || REASONS[reason].http.status >= 500) return 'temporarily_unavailable'
  return OF_GRANT.includes(reason) ? 'invalid_grant' : 'access_denied'
}

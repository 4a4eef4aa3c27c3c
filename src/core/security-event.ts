/**
 * @module
 * Security events (RFC 8417, 9493; OpenID CAEP 1.0) as far as they narrow anything here: what an event is about, and what it
 * asks for. Pure. Nothing that an event says can widen: there is no word for it below.
 */
import { isJsonObject, type Json, type JsonObject } from './json.ts'

export const SET_TYP = 'secevent+jwt'

const CAEP = 'https://schemas.openid.net/secevent/caep/event-type/'
export const SESSION_REVOKED: string = `${CAEP}session-revoked`
export const CREDENTIAL_CHANGE: string = `${CAEP}credential-change`
export const ASSURANCE_CHANGE: string = `${CAEP}assurance-level-change`
export const RISK_CHANGE: string = `${CAEP}risk-level-change`
/** Ours, for dimensions that CAEP has no word for. */
export const REVOKED_EVENT = 'urn:unbearer:event:revoked'

/** Whom an event is about (RFC 9493); every part that is there narrows it further. */
export interface EventSubject {
  readonly issSub?: { readonly iss: string; readonly sub: string }
  readonly email?: string
  readonly opaque?: string
  /** `txn` of a task. */
  readonly session?: string
}

/**
 * `sign-out`: what was opened for the principal before is over. `stop`: the key of an agent is no longer its own, and for a
 * principal as `sign-out`. `nothing`: the event widens, or says nothing that would narrow.
 */
export type Asked = 'sign-out' | 'stop' | 'nothing'

/** A subject, or undefined where it names nobody in a way that is understood. */
export function parseEventSubject(value: Json | undefined): EventSubject | undefined {
  if (!isJsonObject(value)) return undefined
  if (value['format'] !== 'complex') return parseSimple(value)
  const { format: _format, user, session, ...others } = value
  // A part that is not understood would have narrowed it.
  if (Object.keys(others).length > 0 || (user === undefined && session === undefined)) return undefined
  const who = user === undefined ? {} : parseSimple(user)
  const which = session === undefined ? {} : parseSimple(session)
  if (who === undefined || which === undefined) return undefined
  if (session !== undefined && which.opaque === undefined) return undefined
  return { ...who, ...(which.opaque === undefined ? {} : { session: which.opaque }) }
}

function parseSimple(value: Json): EventSubject | undefined {
  if (!isJsonObject(value)) return undefined
  const { format, iss, sub, email, id } = value
  if (format === 'iss_sub' && isText(iss) && isText(sub)) return { issSub: { iss, sub } }
  if (format === 'email' && isText(email)) return { email }
  return format === 'opaque' && isText(id) ? { opaque: id } : undefined
}

/** The risk level from which an event signs out. */
export type RiskThreshold = 'MEDIUM' | 'HIGH'

/** What an event of this type asks for. What is of an unknown type, or says that something got better, asks for nothing. */
export function toAsked(type: string, body: JsonObject, threshold: RiskThreshold): Asked {
  if (type === SESSION_REVOKED) return 'sign-out'
  if (type === CREDENTIAL_CHANGE) return body['change_type'] === 'create' ? 'nothing' : 'stop'
  if (type === ASSURANCE_CHANGE) return body['change_direction'] === 'increase' ? 'nothing' : 'sign-out'
  if (type === RISK_CHANGE) return isRisky(body['current_level'], threshold) ? 'sign-out' : 'nothing'
  return 'nothing'
}

/** A level that is not one of theirs is as bad as it can be. */
function isRisky(level: Json | undefined, threshold: RiskThreshold): boolean {
  return level !== 'LOW' && (level !== 'MEDIUM' || threshold === 'MEDIUM')
}

function isText(value: Json | undefined): value is string {
  return typeof value === 'string' && value !== '' && value.length <= 512
}

/**
 * @module
 * What is revoked here, in the words of CAEP where it has some, and in ours where it has none.
 */
import { CREDENTIAL_CHANGE, REVOKED_EVENT, SESSION_REVOKED } from '../../core/security-event.ts'
import { hashOf, type JsonObject } from '../../index.ts'
import type { Revocation } from '../../ports/revocations.ts'

export interface OutgoingEvent {
  readonly issuer: string
  readonly audience: string
  readonly revocation: Revocation
}

/**
 * The claims of one security event token. The same revocation to the same receiver always has the same `jti`, so that one that is
 * sent again is known for what it is. Pure.
 */
export function toEventClaims({ issuer, audience, revocation }: OutgoingEvent): JsonObject {
  const { rev, dimension, id, at } = revocation
  const [type, subject, more] = toWords(issuer, revocation)
  return {
    iss: issuer,
    aud: audience,
    jti: hashOf([audience, rev, dimension, id, at]),
    iat: Math.floor(at / 1000),
    sub_id: subject,
    events: { [type]: { event_timestamp: Math.floor(at / 1000), initiating_entity: 'admin', ...more } },
  }
}

function toWords(issuer: string, { rev, dimension, id }: Revocation): readonly [string, JsonObject, JsonObject] {
  if (dimension === 'subject') return [SESSION_REVOKED, { format: 'iss_sub', iss: issuer, sub: id }, {}]
  if (dimension === 'task') return [SESSION_REVOKED, { format: 'complex', session: { format: 'opaque', id } }, {}]
  if (dimension === 'actor') {
    return [CREDENTIAL_CHANGE, { format: 'opaque', id }, { credential_type: 'unbearer-key', change_type: 'revoke' }]
  }
  return [REVOKED_EVENT, { format: 'opaque', id: `${dimension}/${id}` }, { rev, dimension, id }]
}

/**
 * Everything that is signed, in the place of everything else: each object, and the claims of each under the type of each other,
 * all under ONE key, so that nothing but the type keeps them apart. Seen to fail: where `verifyJwt` does not compare `typ`.
 */
import { describe, expect, it } from 'vitest'

import { ACTION_TYP, REDEMPTION_TYP, SESSION_TYP } from '../../src/core/credential.ts'
import { asJson, type JsonObject } from '../../src/core/json.ts'
import { SET_TYP } from '../../src/core/security-event.ts'
import { openActionCredential } from '../../src/crypto/credential.ts'
import { DPOP_TYP, signDpop, verifyDpop } from '../../src/crypto/dpop.ts'
import { digestOfLines, HEARTBEAT_TYP, signHeartbeat, verifyHeartbeat } from '../../src/crypto/heartbeat.ts'
import { decodeJwt, signJws, signJwt } from '../../src/crypto/jwt.ts'
import { generateKey, importKey } from '../../src/crypto/keys.ts'
import { parseOutsideKeys } from '../../src/crypto/outside-keys.ts'
import { signRedemption, verifyRedemption } from '../../src/crypto/redemption-answer.ts'
import { findEventRule, signEvent, verifyEvent, VERIFICATION } from '../../src/crypto/security-event.ts'
import { issueSession, verifySession } from '../../src/crypto/session-credential.ts'
import { GRANT_TYP, signGrant, verifyGrant } from '../../src/crypto/signed-grant.ts'
import { toClaims } from '../support/action-request.ts'

// The issuer, the agent, the principal and the PEP are one, which they never are.
const key = importKey({ ...generateKey('Ed25519') })
const keys = { find: () => key, current: () => key }
const issuer = 'https://issuer.example'
const audience = 'https://orders.example'
const url = `${audience}/orders/7`
const now = Date.now()
const nonce = 'n'.repeat(22)
const iat = Math.floor(now / 1000)

const action = signJwt(
  key,
  ACTION_TYP,
  asJson(toClaims({ issuer, audience, agent: key, act: { method: 'GET', target: '/orders/7' } })),
)

const OBJECTS: Readonly<Record<string, string>> = {
  [ACTION_TYP]: action,
  [SESSION_TYP]: issueSession({ issuer, key, sub: 'agent', jkt: key.jkt, now }),
  [REDEMPTION_TYP]: signRedemption(key, { iss: issuer, aud: key.jkt, iat, nonce, active: true, rev: 0 }, action),
  [DPOP_TYP]: signDpop({ key, method: 'GET', url, credential: action, now }),
  [HEARTBEAT_TYP]: signHeartbeat(keys, {
    iss: issuer,
    iat,
    feed: 'f',
    n: 0,
    elapsed: 0,
    prev: 0,
    rev: 0,
    digest: digestOfLines([]),
    fresh: true,
    stale_ms: 5_000,
  }),
  [GRANT_TYP]: signGrant({ key, issuer, grant: { principal: 'alice' }, now }),
  [SET_TYP]: signEvent(keys, { iss: issuer, aud: audience, jti: 'j', iat, events: { [VERIFICATION]: {} } }),
}

const [outside] = parseOutsideKeys({ keys: [{ ...key.jwk, kid: key.jkt }] })

function isEvent(compact: string): boolean {
  const found = findEventRule([{ issuer, audience, algorithms: ['Ed25519'] }], compact)
  return found.ok && verifyEvent(found.header, outside, compact, now).ok
}

const ACCEPTS: Readonly<Record<string, (compact: string) => boolean>> = {
  [ACTION_TYP]: (compact) => openActionCredential(keys, issuer, compact) !== undefined,
  [SESSION_TYP]: (compact) => verifySession({ compact, issuer, key, jkt: key.jkt, now }).ok,
  [REDEMPTION_TYP]: (compact) =>
    verifyRedemption(compact, { keys, issuer, jkt: key.jkt, nonce, credential: action }) !== undefined,
  [DPOP_TYP]: (compact) => verifyDpop({ proofs: [compact], method: 'GET', url, credential: action, now }).ok,
  [HEARTBEAT_TYP]: (compact) => verifyHeartbeat(keys, issuer, compact) !== undefined,
  [GRANT_TYP]: (compact) => verifyGrant(key, compact, issuer, now).ok,
  [SET_TYP]: isEvent,
}

const TYPES = Object.keys(OBJECTS)

/** The claims of one under the type of another, with the header that the other has. */
function retype(compact: string, typ: string): string {
  const claims: JsonObject = decodeJwt(compact)?.claims ?? {}
  if (typ === DPOP_TYP) return signJws(key, { typ, alg: key.alg, jwk: { ...key.jwk } }, claims)
  return signJwt(key, typ, claims)
}

const placesOf = (compact: string): readonly string[] => TYPES.filter((place) => ACCEPTS[place]?.(compact) === true)

describe.each(TYPES)('a signed `%s`', (typ) => {
  const object = OBJECTS[typ] ?? ''

  it('is taken for itself alone', () => {
    expect(placesOf(object)).toEqual([typ])
  })

  it.each(TYPES.filter((other) => other !== typ))('under the type `%s` is nothing', (other) => {
    expect(placesOf(retype(object, other))).toEqual([])
  })

  it('under no type, a general one, or its own in capitals is nothing', () => {
    const bent = ['', 'JWT', 'at+jwt', `application/${typ}`, ` ${typ}`].map((other) => retype(object, other))
    // RFC 8417 §2.3 lets others write the type of an event in full.
    const expected = typ === SET_TYP ? [[], [], [], [SET_TYP], []] : [[], [], [], [], []]
    expect(bent.map(placesOf)).toEqual(expected)
  })
})

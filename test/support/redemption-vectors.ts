/**
 * @module
 * The vectors of `docs/reference/vectors/redemption.json`: one redemption with keys, salts, nonces and times that are fixed.
 * `node test/support/redemption-vectors.ts` prints them.
 */
import { digestOf } from '../../src/core/bind.ts'
import { canonicalBytes, canonicalize } from '../../src/core/canonical.ts'
import { ACTION_TYP } from '../../src/core/credential.ts'
import { toHttpAction } from '../../src/core/http-action.ts'
import { asJson, type JsonObject } from '../../src/core/json.ts'
import { toAth } from '../../src/crypto/dpop.ts'
import { signRequest } from '../../src/crypto/http-signature.ts'
import { signJws, signJwt } from '../../src/crypto/jwt.ts'
import { importKey, type KeyPair, type PrivateJwk } from '../../src/crypto/keys.ts'
import { signRedemption } from '../../src/crypto/redemption-answer.ts'
import { toSignatureKey } from '../../src/crypto/signature-key.ts'

// Ed25519 alone, whose signatures are always the same. Of RFC 8032 §7.1, tests 1 to 3: published, and worth nothing.
const jwkOf = (x: string, d: string): PrivateJwk => ({
  kty: 'OKP',
  crv: 'Ed25519',
  x: Buffer.from(x, 'hex').toString('base64url'),
  d: Buffer.from(d, 'hex').toString('base64url'),
})
const ISSUER_KEY = jwkOf(
  'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
  '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
)
const PEP_KEY = jwkOf(
  '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
  '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb',
)
export const AGENT_KEY: PrivateJwk = jwkOf(
  'fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025',
  'c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7',
)

export const NOW = 1_790_000_000
const ISSUER = 'https://unbearer.example'
const AUDIENCE = 'https://orders.example'
const BODY = '{"amount":5}'
const TYPE = 'application/json'
const TARGET = '/orders/7/refund'
export const NONCE = 'AAAAAAAAAAAAAAAAAAAAAA.BBBBBBBBBBBBBBBBBBBBBB'

function toCredential(issuer: KeyPair, agent: KeyPair, digest: string, salt: string): string {
  return signJwt(issuer, ACTION_TYP, {
    iss: ISSUER,
    aud: AUDIENCE,
    iat: NOW,
    exp: NOW + 30,
    jti: 'Y3JlZGVudGlhbC1pZC0wMQ',
    txn: 'dHJhbnNhY3Rpb24taWQtMQ',
    sub: 'user/alice',
    act: { sub: 'support-agent' },
    cnf: { jkt: agent.jkt },
    grant: 'Z3JhbnQtaWQtMDAwMDAwMQ',
    rev: 3,
    mode: 'enforce',
    authorization_details: [
      {
        type: 'urn:unbearer:action',
        actions: ['POST'],
        locations: [AUDIENCE],
        identifier: 'orders/refund',
        digest,
        salt,
      },
    ],
    tctx: { evaluation_id: 'ZW50cnktaWQtMDAwMDAwMQ' },
    rctx: { proof: 'signature' },
  })
}

/** All of one redemption: what is given, and what has to come out of it. */
export function toRedemptionVector(): JsonObject {
  const [issuer, pep, agent] = [importKey({ ...ISSUER_KEY }), importKey({ ...PEP_KEY }), importKey({ ...AGENT_KEY })]
  const salt = Buffer.alloc(16, 7).toString('base64url')
  const body = Buffer.from(BODY)
  const action = toHttpAction({ method: 'POST', target: TARGET, contentType: TYPE, body })
  const digest = digestOf(action, Buffer.from(salt, 'base64url'))
  const credential = toCredential(issuer, agent, digest, salt)
  const dpop = toDpop(agent, credential)
  const proof = { ...action, dpop }
  const question = canonicalize({ credential, digest, proof })
  const sent = { key: pep, method: 'POST', target: '/redeem', headers: { 'content-type': TYPE }, now: NOW * 1000 }
  const answer = {
    iss: ISSUER,
    aud: pep.jkt,
    iat: NOW,
    nonce: NONCE,
    active: true,
    rev: 3,
    entry: 'ZW50cnktaWQtMDAwMDAwMQ',
  }
  const headers = { authorization: `DPoP ${credential}`, 'content-type': TYPE }
  const signed = signRequest({
    key: agent,
    method: 'POST',
    target: TARGET,
    headers,
    body,
    now: NOW * 1000,
    nonce: NONCE,
  })
  return {
    note: 'the private keys are those of RFC 8032 §7.1, tests 1 to 3',
    keys: { issuer: asJson(ISSUER_KEY), pep: asJson(PEP_KEY), agent: asJson(AGENT_KEY) },
    thumbprints: { issuer: issuer.jkt, pep: pep.jkt, agent: agent.jkt },
    received: { method: 'POST', target: TARGET, contentType: TYPE, body: BODY },
    credential,
    salt,
    action,
    canonicalAction: Buffer.from(canonicalBytes(action)).toString(),
    digest,
    proofs: { dpop, signature: asJson({ ...signed, 'signature-key': toSignatureKey(agent) }) },
    question: {
      created: NOW,
      nonce: NONCE,
      body: question,
      headers: asJson(signRequest({ ...sent, body: Buffer.from(question), nonce: NONCE })),
    },
    answer: signRedemption(issuer, answer, credential),
    answerRefused: signRedemption(issuer, { ...answer, active: false, reason: 'credential.replayed' }, credential),
  }
}

/** As `signDpop`, with an id that is fixed. */
function toDpop(agent: KeyPair, credential: string): string {
  const header: JsonObject = { typ: 'dpop+jwt', alg: agent.alg, jwk: { ...agent.jwk } }
  const ath = toAth(credential)
  const htu = `${AUDIENCE}${TARGET}`
  return signJws(agent, header, { jti: 'cHJvb2YtaWQtMDAwMDAwMQ', htm: 'POST', htu, iat: NOW, ath })
}

if (import.meta.main) console.log(JSON.stringify(toRedemptionVector(), undefined, 2))

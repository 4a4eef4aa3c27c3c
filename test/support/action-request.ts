/**
 * @module
 * Requests with action credentials: issued by a key of the test or by a real installation, proved by DPoP or by a signature.
 */
import { createHash } from 'node:crypto'

import { digestOf } from '../../src/core/bind.ts'
import { ACTION_DETAIL, ACTION_TYP, type ActionClaims } from '../../src/core/credential.ts'
import { toHttpAction } from '../../src/core/http-action.ts'
import { asJson } from '../../src/core/json.ts'
import { signDpop } from '../../src/crypto/dpop.ts'
import { signRequest } from '../../src/crypto/http-signature.ts'
import { signJwt } from '../../src/crypto/jwt.ts'
import type { KeyPair } from '../../src/crypto/keys.ts'
import { toSignatureKey } from '../../src/crypto/signature-key.ts'

export interface Act {
  readonly method: string
  readonly target: string
  readonly contentType?: string
  readonly content?: string
}

export interface Issuing {
  readonly issuer: string
  readonly issuerKey: KeyPair
  readonly audience: string
  readonly agent: KeyPair
  readonly act: Act
  /** Claims that replace those of a proper credential. */
  readonly claims?: Partial<ActionClaims>
  readonly typ?: string
}

let issued = 0

export function toClaims({ issuer, audience, agent, act, claims = {} }: Omit<Issuing, 'issuerKey'>): ActionClaims {
  issued += 1
  const salt = createHash('sha256').update(String(issued)).digest().subarray(0, 16)
  const iat = Math.floor(Date.now() / 1000)
  const { method, target, contentType, content = '' } = act
  const body = Buffer.from(content)
  const action = toHttpAction({ method, target, body, ...(contentType === undefined ? {} : { contentType }) })
  return {
    iss: issuer,
    aud: audience,
    iat,
    exp: iat + 30,
    jti: `jti-${process.pid}-${issued}`,
    txn: 'txn-1',
    sub: 'user/alice',
    act: { sub: 'support-agent' },
    cnf: { jkt: agent.jkt },
    grant: 'grant-1',
    rev: 0,
    mode: 'enforce',
    authorization_details: [
      {
        type: ACTION_DETAIL,
        actions: [method],
        locations: [audience],
        identifier: 'orders/anything',
        digest: digestOf(action, salt),
        salt: salt.toString('base64url'),
      },
    ],
    tctx: { evaluation_id: `entry-${issued}` },
    rctx: { proof: 'signature' },
    ...claims,
  }
}

/** A credential as the issuer would sign it. */
export function issueAction(issuing: Issuing): string {
  return signJwt(issuing.issuerKey, issuing.typ ?? ACTION_TYP, asJson(toClaims(issuing)))
}

export interface Proving {
  readonly credential: string
  readonly key: KeyPair
  /** Where the agent sends it. */
  readonly origin: string
  readonly act: Act
  readonly by?: 'dpop' | 'signature' | 'both'
  readonly nonce?: string
  readonly now?: number
}

/** The headers of a request that proves itself. */
export function toProvedHeaders(proving: Proving): Record<string, string> {
  const { credential, key, origin, act, by = 'dpop', nonce, now = Date.now() } = proving
  const { method, target, contentType, content = '' } = act
  const headers: Record<string, string> = {
    authorization: `DPoP ${credential}`,
    ...(contentType === undefined ? {} : { 'content-type': contentType }),
  }
  const url = `${origin}${target}`
  const dpop = signDpop({ key, method, url, credential, now, ...(nonce === undefined ? {} : { nonce }) })
  const signed = { ...signRequest({ key, method, target, headers, body: Buffer.from(content), now }) }
  return {
    ...headers,
    ...(by === 'signature' ? {} : { dpop }),
    ...(by === 'dpop' ? {} : { ...signed, 'signature-key': toSignatureKey(key) }),
  }
}

/** The body of a request that has none. */
export async function readNothing(): Promise<Uint8Array> {
  return Promise.resolve(new Uint8Array())
}

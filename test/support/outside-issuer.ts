/**
 * @module
 * An issuer of others on a loopback port, as pliable as an attacker needs it: discovery, keys, and whatever it is told to sign.
 */
import { constants, generateKeyPairSync, randomUUID, sign, type KeyObject } from 'node:crypto'
import { createServer } from 'node:http'

import type { Json, JsonObject } from '../../src/index.ts'

export type Alg = 'RS256' | 'PS256' | 'ES256' | 'ES384' | 'Ed25519'

export interface OutsideKeyPair {
  readonly kid: string
  readonly alg: Alg
  readonly privateKey: KeyObject
  readonly jwk: JsonObject
}

export interface OutsideIssuer {
  readonly url: string
  /** What it publishes; replace members to make it another issuer. */
  readonly published: { discovery: Json; jwks: Json; status: number; body?: string; headers: Record<string, string> }
  /** Paths that were asked for, in order. */
  readonly asked: string[]
  readonly key: OutsideKeyPair
  /** Claims of a proof that counts, with members replaced; `undefined` takes one away. */
  claims(members?: Readonly<Record<string, Json | undefined>>): JsonObject
  idToken(
    members?: Readonly<Record<string, Json | undefined>>,
    header?: Readonly<Record<string, Json | undefined>>,
  ): string
  close(): Promise<void>
}

export const AUDIENCE = 'unbearer-desk'

export function makeOutsideKey(alg: Alg = 'RS256', kid = `k-${randomUUID()}`): OutsideKeyPair {
  const { privateKey, publicKey } = makePair(alg)
  return { kid, alg, privateKey, jwk: { ...toJson(publicKey), kid, alg, use: 'sig' } }
}

function makePair(alg: Alg): { privateKey: KeyObject; publicKey: KeyObject } {
  if (alg === 'RS256' || alg === 'PS256') return generateKeyPairSync('rsa', { modulusLength: 2048 })
  if (alg === 'Ed25519') return generateKeyPairSync('ed25519')
  return generateKeyPairSync('ec', { namedCurve: alg === 'ES256' ? 'P-256' : 'P-384' })
}

function toJson(key: KeyObject): JsonObject {
  const jwk: JsonObject = JSON.parse(JSON.stringify(key.export({ format: 'jwk' })))
  return jwk
}

const part = (value: Json | string): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')

export function signInput({ alg, privateKey }: Pick<OutsideKeyPair, 'alg' | 'privateKey'>, input: string): string {
  const bytes = Buffer.from(input)
  if (alg === 'Ed25519') return sign(null, bytes, privateKey).toString('base64url')
  if (alg === 'RS256') return sign('sha256', bytes, privateKey).toString('base64url')
  if (alg === 'PS256') {
    const key = { key: privateKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }
    return sign('sha256', bytes, key).toString('base64url')
  }
  const digest = alg === 'ES384' ? 'sha384' : 'sha256'
  return sign(digest, bytes, { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')
}

/** Header and payload as given, as values or as the very text. */
export function mint(
  key: Pick<OutsideKeyPair, 'alg' | 'privateKey'>,
  header: Json | string,
  payload: Json | string,
): string {
  const input = `${part(header)}.${part(payload)}`
  return `${input}.${signInput(key, input)}`
}

const present = (members: Readonly<Record<string, Json | undefined>>): JsonObject => JSON.parse(JSON.stringify(members))

export async function createOutsideIssuer({
  alg = 'RS256',
  path = '',
}: { readonly alg?: Alg; readonly path?: string } = {}): Promise<OutsideIssuer> {
  const key = makeOutsideKey(alg)
  const asked: string[] = []
  const published: OutsideIssuer['published'] = { discovery: {}, jwks: { keys: [key.jwk] }, status: 200, headers: {} }
  const server = createServer((request, response) => {
    asked.push(request.url ?? '')
    const found = request.url?.endsWith('/jwks') === true ? published.jwks : published.discovery
    response.writeHead(published.status, { 'content-type': 'application/json', ...published.headers })
    response.end(published.body ?? JSON.stringify(found))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const url = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}${path}`
  published.discovery = { issuer: url, jwks_uri: `${url}/jwks` }
  const claims: OutsideIssuer['claims'] = (members = {}) => {
    const now = Math.floor(Date.now() / 1000)
    // A second old, as what was issued before it was handed in is.
    return present({ iss: url, sub: 'alice', aud: AUDIENCE, iat: now, exp: now + 300, jti: randomUUID(), ...members })
  }
  return {
    url,
    published,
    asked,
    key,
    claims,
    idToken: (members, header = {}) =>
      mint(key, present({ alg: key.alg, kid: key.kid, typ: 'JWT', ...header }), claims(members)),
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

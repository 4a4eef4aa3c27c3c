/**
 * @module
 * The bearer side, as it is usually written: an EdDSA JWT, verified with `jose` on each request, in the tool service itself or in
 * a gateway before it.
 */
import { Agent, request as open, type IncomingMessage } from 'node:http'

import { importJWK, jwtVerify, SignJWT, type CryptoKey, type JWK } from 'jose'

import type { Handler, Reply } from './listener.ts'
import { answerMessage } from './tool.ts'

const ISSUER = 'https://login.example'
const AUDIENCE = 'https://records.example'
const SCOPE = 'records:read records:write'

/** A JWT as an authorisation server would issue it for one agent, good for an hour. */
export async function mintBearer(key: JWK, subject: string): Promise<string> {
  return new SignJWT({ scope: SCOPE, client_id: 'bench' })
    .setProtectedHeader({ alg: 'EdDSA', typ: 'at+jwt' })
    .setIssuer(ISSUER)
    .setAudience(AUDIENCE)
    .setSubject(subject)
    .setJti(crypto.randomUUID())
    .setIssuedAt()
    .setExpirationTime('1h')
    .sign(await importKey(key))
}

async function importKey(key: JWK): Promise<CryptoKey> {
  const imported = await importJWK(key, 'EdDSA')
  if (imported instanceof Uint8Array) throw new TypeError('not an EdDSA key')
  return imported
}

/** The tool service that verifies before it answers. */
export async function createBearerTool(publicKey: JWK): Promise<Handler> {
  const key = await importKey(publicKey)
  return async (request, body) => ((await isAuthorized(key, request)) ? answerMessage(body) : DENIED)
}

/** The gateway that verifies and sends on to the tool service, over connections that it keeps. */
export async function createBearerGateway(publicKey: JWK, upstream: string): Promise<Handler> {
  const key = await importKey(publicKey)
  const agent = new Agent({ keepAlive: true, maxSockets: 64 })
  return async (request, body) => ((await isAuthorized(key, request)) ? forward(agent, upstream, body) : DENIED)
}

const DENIED: Reply = { status: 401, body: '{"error":"invalid_token"}' }

async function isAuthorized(key: CryptoKey, { headers }: IncomingMessage): Promise<boolean> {
  const compact = /^Bearer ([\w-]+\.[\w-]+\.[\w-]+)$/.exec(headers.authorization ?? '')?.[1]
  if (compact === undefined) return false
  const options = { issuer: ISSUER, audience: AUDIENCE, algorithms: ['EdDSA'], typ: 'at+jwt', requiredClaims: ['exp'] }
  try {
    const { payload } = await jwtVerify(compact, key, options)
    return typeof payload['scope'] === 'string' && payload['scope'].split(' ').includes('records:write')
  } catch {
    return false
  }
}

async function forward(agent: Agent, upstream: string, body: Buffer): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'content-length': body.length }
    const sent = open(upstream, { agent, method: 'POST', headers }, (answer) => {
      const chunks: Buffer[] = []
      answer.on('data', (chunk: Buffer) => void chunks.push(chunk))
      answer.on('error', reject)
      answer.on('end', () =>
        resolve({ status: answer.statusCode ?? 502, body: Buffer.concat(chunks).toString('utf8') }),
      )
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

/**
 * Vectors of WIMSE, whose tokens we do not take: our primitives compute what theirs compute, and nothing of theirs is taken for
 * something of ours. The last test says where each vector of the file is run, so that a new one is not forgotten.
 */
import { hash } from 'node:crypto'
import { existsSync, globSync, readFileSync } from 'node:fs'

import { describe, expect, it } from 'vitest'

import { ACTION_TYP, REDEMPTION_TYP, SESSION_TYP } from '../core/credential.ts'
import { toContentDigest } from '../core/http-action.ts'
import { verifyDpop } from './dpop.ts'
import { HEARTBEAT_TYP } from './heartbeat.ts'
import { signatureBase, verifySignatureBase } from './http-signature.ts'
import { decodeJwt, verifyJwt } from './jwt.ts'
import { importKey, importPublicKey, signBytes, verifyBytes } from './keys.ts'
import { GRANT_TYP } from './signed-grant.ts'

const PATH = '../shared/data/vectors/crypto.json'
const vectors = existsSync(PATH) ? JSON.parse(readFileSync(PATH, 'utf8')) : undefined
if (vectors === undefined) console.info(`skipped: ${PATH} is absent`)

const sha256 = (text: string): string => hash('sha256', text, 'base64url')
const headerOf = (message: string, name: string): string => new RegExp(`^${name}: (.*)$`, 'm').exec(message)?.[1] ?? ''

describe.skipIf(vectors === undefined)('vectors of WIMSE', () => {
  it('identity and proof: signatures, hashes and claims', () => {
    const { wit, wpt, claims, wit_claims: witClaims, request, ...keys } = vectors.wimse_wpt
    const [identity, proof] = [decodeJwt(wit), decodeJwt(wpt)]
    if (identity === undefined || proof === undefined) throw new Error('cannot be taken apart')
    expect(identity.claims).toEqual(witClaims)
    expect(proof.claims).toEqual(claims)
    expect(verifyBytes(importPublicKey(keys.issuer_jwk), identity.input, identity.signature)).toBe(true)
    const workload = importKey(keys.workload_private_jwk)
    expect(importPublicKey(witClaims.cnf.jwk).jkt).toBe(workload.jkt)
    expect(verifyBytes(workload, proof.input, proof.signature)).toBe(true)
    expect(signBytes(workload, proof.input).equals(proof.signature)).toBe(true)
    expect(claims.wth).toBe(sha256(wit))
    expect(claims.ath).toBe(sha256(headerOf(request, 'Authorization').replace('Bearer ', '')))
  })

  it('the response to a signed request: digest and signature', () => {
    const { request, response, callee_private_jwk: callee, caller_private_jwk: caller } = vectors.wimse_httpsig
    const body = Buffer.from(response.slice(response.indexOf('\n\n') + 2))
    expect(toContentDigest(body)).toBe(headerOf(response, 'Content-Digest'))
    const params = headerOf(response, 'Signature-Input').replace('wimse=', '')
    const [line = ''] = request.split('\n')
    const [method = '', target = ''] = line.split(' ')
    const values: Record<string, string> = {
      '"@status"': '404',
      '"workload-identity-token"': headerOf(response, 'Workload-Identity-Token'),
      '"content-type"': headerOf(response, 'Content-Type'),
      '"content-digest"': headerOf(response, 'Content-Digest'),
      '"@method";req': method,
      '"@request-target";req': target,
    }
    const names = (/^\(([^)]*)\)/.exec(params)?.[1] ?? '').split(' ')
    expect(names.every((name) => values[name] !== undefined)).toBe(true)
    // Parameters of components are no part of our profile: the lines are written here.
    const end = signatureBase([], params)
    const base = [...names.map((name) => `${name}: ${values[name]}`), end].join('\n')
    const signature = /^wimse=:(.*):$/.exec(headerOf(response, 'Signature'))?.[1] ?? ''
    expect(verifySignatureBase(importKey(callee), base, signature)).toBe(true)
    expect(verifySignatureBase(importKey(caller), base, signature)).toBe(false)
  })

  it('nothing of theirs is taken for anything of ours', () => {
    const { wit, wpt, issuer_jwk: issuer, workload_private_jwk: workload } = vectors.wimse_wpt
    for (const typ of [ACTION_TYP, SESSION_TYP, REDEMPTION_TYP, HEARTBEAT_TYP, GRANT_TYP])
      for (const compact of [wit, wpt])
        for (const key of [importPublicKey(issuer), importKey(workload)])
          expect(verifyJwt(key, typ, compact)).toBeUndefined()
    const proof = { proofs: [wpt], method: 'POST', url: 'https://workload.example.com/path', now: 1_745_510_000_000 }
    expect(verifyDpop(proof)).toEqual({ ok: false, reason: 'identity.bad-proof' })
  })

  it('every vector of the file is run by some test', () => {
    const tests = globSync('src/{core,crypto}/*.test.ts').map((file) => readFileSync(file, 'utf8'))
    for (const name of Object.keys(vectors))
      expect([name, tests.some((text) => text.includes(name))]).toEqual([name, true])
  })
})

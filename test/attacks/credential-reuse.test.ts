/**
 * A stolen action credential in time and space: other audiences, other replicas, after a restart, after revocation, after its
 * end, and objects of other types in its place. Seen to fail: with a store for each replica, without `since`, without the look
 * after the burn, without `typ`.
 */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Worker } from 'node:worker_threads'

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'

import { ACTION_TYP } from '../../src/core/credential.ts'
import { toContentDigest } from '../../src/core/http-action.ts'
import { asJson } from '../../src/core/json.ts'
import { signJwt } from '../../src/crypto/jwt.ts'
import { generateKey, importKey } from '../../src/crypto/keys.ts'
import {
  memoryBurns,
  redeemAtIssuer,
  redeemHere,
  requireCredential,
  sqliteBurns,
  type Burns,
} from '../../src/http/index.ts'
import { issueAction, toClaims } from '../support/action-request.ts'
import {
  API,
  API_ISSUER,
  callOf,
  createParties,
  createSharedBurns,
  createWorld,
  nodeApi,
  NOTE_ACT,
  startApi,
  toFeed,
  toJwks,
  type Api,
} from '../support/orders-api.ts'
import { scaled } from '../support/scale.ts'

const parties = createParties()
const started: Api[] = []

async function start(options: Parameters<typeof startApi>[2] = {}): Promise<Api> {
  const api = await startApi(nodeApi, parties, options)
  started.push(api)
  return api
}

afterEach(async () => {
  for (const api of started.splice(0)) await api.close()
})

interface Answer {
  readonly status: number
  readonly reason: string | undefined
  readonly challenge: string | null
  readonly headers: Headers
}

async function send(api: Api, headers: Record<string, string>): Promise<Answer> {
  const { method, target, content = '' } = NOTE_ACT
  const response = await fetch(`http://${api.host}${target}`, { method, headers, body: content })
  const text = await response.text()
  const reason = /"reason":"([a-z.-]+)"/.exec(text)?.[1]
  return {
    status: response.status,
    reason,
    challenge: response.headers.get('www-authenticate'),
    headers: response.headers,
  }
}

const call = (calling: Parameters<typeof callOf>[1] = {}): Record<string, string> => callOf(parties, calling)
const secondsFromNow = (seconds: number): number => Math.floor(Date.now() / 1000) + seconds

describe('another place', () => {
  it('of the same issuer takes nothing that is for here', async () => {
    const api = await start()
    expect(await send(api, call({ claims: { aud: 'https://billing.example' } }))).toMatchObject({
      status: 401,
      reason: 'credential.mismatch',
    })
    const billing = await start({ audience: 'https://billing.example', origin: API })
    expect(await send(billing, call())).toMatchObject({ status: 401, reason: 'credential.mismatch' })
    expect([...api.seen, ...billing.seen]).toEqual([])
  })

  it('takes nothing of another issuer, nor of a key that is not published', async () => {
    const api = await start()
    const other = createParties()
    const act = NOTE_ACT
    const issue = (issuing: object): string =>
      issueAction({ issuer: API_ISSUER, audience: API, ...parties, act, ...issuing })
    expect(await send(api, call({ credential: issue({ issuer: 'https://a.example' }) }))).toMatchObject({
      reason: 'credential.invalid',
    })
    expect(await send(api, call({ credential: issue({ issuerKey: other.issuerKey }) }))).toMatchObject({
      reason: 'credential.invalid',
    })
    expect(await send(api, call({ credential: issue({ issuerKey: parties.agent }) }))).toMatchObject({
      reason: 'credential.invalid',
    })
    expect(api.seen).toEqual([])
  })

  it('takes no proof that was made for another place or another credential', async () => {
    const api = await start()
    expect(await send(api, call({ origin: 'https://a.example' }))).toMatchObject({ reason: 'identity.bad-proof' })
    const one = call()
    const { dpop = '' } = call()
    expect(await send(api, { ...one, dpop })).toMatchObject({ reason: 'identity.bad-proof' })
    expect(await send(api, one)).toMatchObject({ status: 200 })
  })
})

describe('a proof that says less than it should', () => {
  it('is refused also of its owner: a body that is not covered, a digest of another body', async () => {
    const api = await start()
    const credential = issueAction({ issuer: API_ISSUER, audience: API, ...parties, act: NOTE_ACT })
    const { method, target } = NOTE_ACT
    const bare = call({ credential, act: { method, target }, by: 'signature' })
    expect(await send(api, { ...bare, 'content-type': 'application/json' })).toMatchObject({
      reason: 'identity.bad-proof',
    })
    const claimed = { ...call({ credential }), 'content-digest': toContentDigest(Buffer.from('{}')) }
    expect(await send(api, claimed)).toMatchObject({ reason: 'identity.bad-proof' })
    expect(await send(api, call({ credential }))).toMatchObject({ status: 200 })
  })
})

describe('another time', () => {
  it.each<[string, Parameters<typeof callOf>[1], string]>([
    ['after its end', { claims: { iat: secondsFromNow(-40), exp: secondsFromNow(-10) } }, 'credential.expired'],
    ['before it was issued', { claims: { iat: secondsFromNow(60), exp: secondsFromNow(90) } }, 'credential.invalid'],
    ['a life longer than a minute', { claims: { exp: secondsFromNow(3600) } }, 'credential.invalid'],
    ['an old proof', { now: Date.now() - 120_000 }, 'identity.stale-proof'],
    ['an old signature', { now: Date.now() - 120_000, by: 'signature' }, 'identity.stale-proof'],
    ['a proof of tomorrow', { now: Date.now() + 86_400_000 }, 'identity.stale-proof'],
    ['from before the restart of the feed', { claims: { rev: 9 } }, 'system.stale-revocations'],
  ])('%s', async (_name, calling, reason) => {
    const api = await start()
    const answer = await send(api, call(calling))
    expect(answer.reason).toBe(reason)
    expect(answer.status).toBe(reason.startsWith('system.') ? 503 : 401)
    expect(api.seen).toEqual([])
  })

  it.each([
    ['credential', (claims: ReturnType<typeof toClaims>) => claims.jti],
    ['actor', (claims: ReturnType<typeof toClaims>) => claims.cnf.jkt],
    ['subject', (claims: ReturnType<typeof toClaims>) => claims.sub],
    ['grant', (claims: ReturnType<typeof toClaims>) => claims.grant ?? ''],
    ['task', (claims: ReturnType<typeof toClaims>) => claims.txn],
    ['tool', () => 'orders/anything'],
    ['all', () => '*'],
    ['all', () => 'issued'],
  ] as const)('after the revocation of its %s', async (dimension, idOf) => {
    const world = createWorld()
    const api = await start({ world })
    const claims = toClaims({ issuer: API_ISSUER, audience: API, agent: parties.agent, act: NOTE_ACT })
    const headers = call({ credential: signJwt(parties.issuerKey, ACTION_TYP, asJson(claims)) })
    world.revoked.set(`${dimension} ${idOf(claims)}`, 3)
    expect(await send(api, headers)).toMatchObject({ status: 401, reason: 'credential.revoked' })
    world.revoked.clear()
    world.fresh = false
    expect(await send(api, call())).toMatchObject({ status: 503 })
    expect(api.seen).toEqual([])
  })

  it('when it is revoked while it is burned, and told while the handler works', async () => {
    const world = createWorld()
    const burns: Burns = {
      ...createSharedBurns(),
      async burn() {
        world.revoked.set('all *', 9)
        return Promise.resolve(true)
      },
    }
    const late = await start({ world, burns })
    expect(await send(late, call())).toMatchObject({ reason: 'credential.revoked' })
    expect(late.seen).toEqual([])
    const calm = createWorld()
    const signals: boolean[] = []
    const api = await startApi(
      (guard) =>
        guard.node(async (request, response) => {
          const { signal } = guard.of(request) ?? {}
          for (const listener of calm.listeners) listener({ rev: 6, dimension: 'actor', id: parties.agent.jkt, at: 0 })
          signals.push(signal?.aborted ?? false)
          response.end()
        }),
      parties,
      { world: calm },
    )
    started.push(api)
    await send(api, call())
    expect(signals).toEqual([true])
    await expect.poll(() => calm.listeners.size).toBe(0)
  })
})

describe('another replica', () => {
  it('over one store redeems nothing twice, whoever is first', async () => {
    const burns = createSharedBurns()
    const replicas = await Promise.all(Array.from({ length: 3 }, async () => start({ burns })))
    for (let round = 0; round < scaled(20); round += 1) {
      const headers = call()
      const answers = await Promise.all(replicas.flatMap((api) => [send(api, headers), send(api, headers)]))
      expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
    }
    expect(replicas.flatMap(({ seen }) => seen)).toHaveLength(scaled(20))
  })

  it('does not start without one', () => {
    const revocations = toFeed(createWorld())
    expect(() => redeemHere({ burns: memoryBurns(), replicas: 2, revocations })).toThrow(/store that they share/)
    expect(() => redeemHere({ burns: memoryBurns(), replicas: 0, revocations })).toThrow(/whole number/)
    expect(() => redeemHere({ burns: createSharedBurns(), replicas: 2, revocations })).not.toThrow()
  })

  it('does not start in a worker of a cluster, nor in a thread', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'unbearer-cluster-'))
    const module = join(import.meta.dirname, '..', '..', 'src', 'http', 'memory-burns.ts')
    const began = `import(${JSON.stringify(module)}).then(({ memoryBurns }) => memoryBurns()).then(() => 'began', (fault) => fault.message)`
    const clustered = `const cluster = require('node:cluster')
if (cluster.isPrimary) cluster.fork().on('message', (said) => { console.log(said); process.exit() })
else ${began}.then((said) => process.send(said))`
    const file = join(dir, 'clustered.cjs')
    writeFileSync(file, clustered)
    const { stdout } = await promisify(execFile)(process.execPath, [file])
    rmSync(dir, { recursive: true })
    expect(stdout).toMatch(/one of several/)
    const threaded = `const { parentPort } = require('node:worker_threads'); ${began}.then((said) => parentPort.postMessage(said))`
    const worker = new Worker(threaded, { eval: true })
    expect(await new Promise((resolve) => worker.on('message', resolve))).toMatch(/one of several/)
    await worker.terminate()
  })
})

describe('after a restart', () => {
  let dir: string
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'unbearer-burns-'))
  })
  afterAll(() => rmSync(dir, { recursive: true, force: true }))

  it('a store on the disk remembers, in two processes at once too', async () => {
    const path = join(dir, 'burns.db')
    const [first, second] = [await sqliteBurns(path), await sqliteBurns(path)]
    const far = Date.now() + 60_000
    const answers = await Promise.all([first, second, first, second].map(async (burns) => burns.burn('a', far)))
    expect(answers.filter(Boolean)).toHaveLength(1)
    const since = first.since()
    first.close()
    second.close()
    const third = await sqliteBurns(path)
    expect(await third.burn('a', far)).toBe(false)
    expect(await third.burn('b', Date.now() - 1)).toBe(false)
    expect(third.since()).toBe(since)
    third.close()
    await expect(sqliteBurns(join(dir, 'nowhere', 'burns.db'))).rejects.toThrow(/cannot be opened/)
  })

  it('what was issued before a store remembers is refused, with room for a clock that is ahead', async () => {
    const burns: Burns = { ...createSharedBurns(), since: () => Date.now() - 2_000 }
    const api = await start({ burns })
    expect(await send(api, call())).toMatchObject({ status: 401, reason: 'credential.expired' })
    const close = await start({ burns, skewSeconds: 0 })
    expect(await send(close, call({ claims: { iat: secondsFromNow(-3) } }))).toMatchObject({
      reason: 'credential.expired',
    })
    expect(await send(close, call())).toMatchObject({ status: 200 })
    expect(api.seen).toEqual([])
  })

  it('a store that is away redeems nothing', async () => {
    const burns: Burns = { ...createSharedBurns(), burn: async () => Promise.reject(new Error('away')) }
    const api = await start({ burns })
    const answer = await send(api, call())
    expect(answer).toMatchObject({ status: 503, reason: 'system.indeterminate' })
    expect(answer.headers.get('retry-after')).toBe('1')
    expect(api.seen).toEqual([])
    expect(api.faults).toMatchObject([{ message: 'away' }])
  })
})

describe('another type', () => {
  it.each([
    'unbearer-session+jwt',
    'unbearer-redemption+jwt',
    'at+jwt',
    'JWT',
    'unbearer-action+jwt ',
    'UNBEARER-ACTION+JWT',
  ])('the claims of an action under the type `%s`', async (typ) => {
    const api = await start()
    const credential = issueAction({ issuer: API_ISSUER, audience: API, ...parties, act: NOTE_ACT, typ })
    expect(await send(api, call({ credential }))).toMatchObject({ status: 401, reason: 'credential.invalid' })
    expect(api.seen).toEqual([])
  })
})

describe('what else an API can ask for', () => {
  it('an action that was only observed is refused where nobody says otherwise', async () => {
    const api = await start()
    const claims = { mode: 'observe' } as const
    const answer = await send(api, call({ claims }))
    expect(answer).toMatchObject({ status: 403, reason: 'policy.denied' })
    expect(answer.challenge).toMatch(/^DPoP error="insufficient_scope"/)
    const trying = await start({ observed: true })
    expect(await send(trying, call({ claims }))).toMatchObject({ status: 200 })
  })

  it('the yes of a person, in the words of RFC 9470, without using the credential up', async () => {
    const burns = createSharedBurns()
    const headers = call()
    const api = await start({ burns, needsApproval: ({ sub }) => sub === 'user/alice' })
    const answer = await send(api, headers)
    expect(answer).toMatchObject({ status: 401, reason: 'policy.approval-required' })
    expect(answer.challenge).toMatch(
      /error="insufficient_user_authentication", .*acr_values="urn:unbearer:approval", algs=/,
    )
    expect(await send(await start({ burns }), headers)).toMatchObject({ status: 200 })
    const claims = { tctx: { evaluation_id: 'e', approval_id: 'a' } }
    expect(await send(api, call({ claims }))).toMatchObject({ status: 200 })
  })

  it('a nonce from here, the same in every replica that shares the secret', async () => {
    const secret = 's'.repeat(32)
    const burns = createSharedBurns()
    const [api, other] = [await start({ burns, nonces: { secret } }), await start({ burns, nonces: { secret } })]
    const credential = issueAction({ issuer: API_ISSUER, audience: API, ...parties, act: NOTE_ACT })
    const first = await send(api, call({ credential }))
    expect(first).toMatchObject({ status: 401, reason: 'identity.use-nonce' })
    expect(first.challenge).toMatch(/^DPoP error="use_dpop_nonce"/)
    const nonce = first.headers.get('dpop-nonce') ?? ''
    expect(await send(api, call({ credential, nonce: `${nonce.slice(0, -1)}_` }))).toMatchObject({ status: 401 })
    const second = await send(other, call({ credential, nonce }))
    expect(second.status).toBe(200)
    expect(second.headers.get('dpop-nonce')).toBe(nonce)
    const own = await start({ burns, nonces: true })
    expect(await send(own, call({ nonce }))).toMatchObject({ reason: 'identity.use-nonce' })
  })
})

describe('a guard that cannot be one', () => {
  const base = { issuer: API_ISSUER, audience: API, jwks: toJwks(parties.issuerKey) }
  const redemption = redeemHere({ burns: createSharedBurns(), revocations: toFeed(createWorld()) })
  it.each<[string, object, RegExp]>([
    ['keys from a place that anybody answers for', { server: 'http://issuer.example' }, /must be an https URL/],
    ['an audience that is no place', { audience: 'orders' }, /say in `origin`/],
    ['no key of an issuer', { jwks: { keys: [] } }, /holds no key/],
    ['a short secret', { nonces: { secret: 'short' } }, /32 bytes/],
  ])('does not start: %s', (_name, options, message) => {
    expect(() => requireCredential({ ...base, redemption, ...options })).toThrow(message)
  })

  it('refuses everything without its issuer, or without a private key of its own', async () => {
    const api = await start({
      ...base,
      server: 'http://127.0.0.1:9',
      redemption: redeemAtIssuer({ key: { ...importKey({ ...generateKey('Ed25519') }).jwk } }),
    })
    expect(await send(api, call())).toMatchObject({ status: 503, reason: 'system.indeterminate' })
    expect(api.seen).toEqual([])
  })

  it('reads a body of at most as many bytes as it is told', async () => {
    const api = await start({ bodyBytes: 8 })
    expect(await send(api, call())).toMatchObject({ status: 413, reason: 'system.too-large' })
    expect(api.seen).toEqual([])
  })
})

/**
 * Grants that principals sign with keys of their own: forged, widened, repeated, put into another place, outliving their key.
 * Each attack goes through the listener. Seen to fail: without the look for an existing grant (replay), without `parseWithin`,
 * with names of agents accepted, without `toVouching` in `gather.ts` and `revokeMadeBy` in `control.ts` together.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { callControl, handInGrant, openGrant, signGrant } from '../../src/client/index.ts'
import { asJson } from '../../src/core/json.ts'
import { generateKey, importKey, type KeyPair } from '../../src/crypto/keys.ts'
import { signJws, signJwt } from '../../src/crypto/jwt.ts'
import { ISSUED } from '../../src/ports/revocations.ts'
import { isJsonObject, type EnrolledKey, type Json, type JsonObject } from '../../src/index.ts'
import { createInstallation, ISSUER, type Installation, type Name } from '../support/installation.ts'
import { acceptOrders, askSigned, NOTE, ORDERS_GRANT, ORDERS_YAML, READ } from '../support/orders-audience.ts'
import { AUDIENCE, createOutsideIssuer, type OutsideIssuer } from '../support/outside-issuer.ts'
import { openCredential } from './wire.ts'

const CEILING = `{ operations: [{ tool: orders/read-order }, { tool: orders/note-order, effects: [write] }], budgets: [{ id: all, limit: 20 }], expires: 2h }`

let at: Installation
let issuer: OutsideIssuer
let alice: KeyPair
let bob: KeyPair

const enrol = async (name: string, key: KeyPair, more: JsonObject = {}): Promise<Json> =>
  at.control('operator', 'key.enrol', { role: 'principal', name, jwk: { ...key.jwk }, ...more })

async function begin(): Promise<void> {
  issuer = await createOutsideIssuer()
  at = await createInstallation({
    upstream: { url: 'http://127.0.0.1:9/mcp' },
    store: 'sqlite',
    yaml: `${ORDERS_YAML}
trust:
  issuers: [{ issuer: '${issuer.url}', audience: ${AUDIENCE}, grants: ${CEILING} }]
  signed: ${CEILING}
`,
    grant: ORDERS_GRANT,
  })
  await acceptOrders(at)
  alice = importKey(generateKey('ES256'))
  bob = importKey(generateKey('Ed25519'))
  await enrol('alice-phone', alice, { principal: 'alice' })
  await enrol('bob', bob)
}

async function end(): Promise<void> {
  await at.close()
  await issuer.close()
}

interface Signing {
  readonly key?: KeyPair
  readonly issuer?: string
  readonly grant?: JsonObject
  readonly now?: number
  readonly waitSeconds?: number
}

function sign({ grant = {}, ...more }: Signing = {}): string {
  return signGrant({
    key: alice,
    issuer: ISSUER,
    grant: { actor: at.keys.agent.jkt, ...grant },
    now: Date.now(),
    ...more,
  })
}

const take = async (signed: string, key: KeyPair = alice): Promise<string> =>
  handInGrant({ url: at.origin, key, signed }).then(
    ({ id }) => id,
    (fault: { reason?: string }) => fault.reason ?? 'a fault',
  )
const refusal = async (attempt: Promise<Json>): Promise<string> =>
  attempt.then(
    () => 'accepted',
    (fault: { reason?: string }) => fault.reason ?? 'a fault',
  )
const ID = /^[A-Za-z0-9_-]{22}$/

async function openTask(principal: Json, grant: string): Promise<string> {
  const params = { purpose: 'look at order 7 and note on it that it is urgent', principal, actor: 'agent', grant }
  const task = await at.control('host', 'task.open', params)
  const txn = isJsonObject(task) ? task['txn'] : undefined
  if (typeof txn !== 'string') throw new Error('no task')
  return openCredential(at.origin, at.keys.agent, txn)
}

const ask = async (credential: string, detail: JsonObject = READ): Promise<JsonObject> =>
  (await askSigned(at.origin, at.keys.agent, { credential, detail })).body

const revoke = async (dimension: string, id?: string): Promise<Json> =>
  at.control('operator', 'revoke', { dimension, wait: 0, ...(id === undefined ? {} : { id }) })

describe('a grant that its principal signed', () => {
  beforeAll(begin)
  afterAll(end)

  it('needs no operator: the principal hands it in, opens the task, and the agent acts', async () => {
    const signed = sign()
    const id = await take(signed)
    expect(id).toMatch(ID)
    const params = { purpose: 'look at order 7', principal: 'alice', actor: 'agent', grant: id }
    const task = await callControl({ url: at.origin, key: alice, method: 'task.open', params })
    const txn = isJsonObject(task) ? task['txn'] : ''
    const credential = await openCredential(at.origin, at.keys.agent, typeof txn === 'string' ? txn : '')
    const answered = await ask(credential)
    expect(answered).toMatchObject({ token_type: 'DPoP' })
    const [entry] = (await at.entries()).filter((each) => each.kind === 'control' && each.act === 'grant.take')
    const { values } = await at.evidence(entry?.id ?? '')
    expect(values['detail']).toMatchObject({
      principal: { type: 'user', id: 'alice' },
      issuedBy: { role: 'principal', jkt: alice.jkt },
      budgets: [{ id: 'all', limit: 20 }],
      signed,
      handedInBy: alice.jkt,
    })
    const decision = (await at.entries()).findLast(({ kind }) => kind === 'decision')
    const evidence = await at.evidence(decision?.id ?? '')
    expect(evidence.values['evidence']).toMatchObject({ identity: { assurance: 'signed' } })
  })

  it('is handed in by whoever has it, once', async () => {
    const signed = sign()
    const outcomes = await Promise.all(
      [at.keys.host, at.keys.operator, alice, bob].map(async (key) => take(signed, key)),
    )
    expect(outcomes.filter((outcome) => ID.test(outcome))).toHaveLength(1)
    expect(outcomes.filter((outcome) => outcome === 'identity.replayed')).toHaveLength(3)
  })

  it('is the same one under the other signature that verifies', async () => {
    const signed = sign()
    const dot = signed.lastIndexOf('.')
    const bytes = Buffer.from(signed.slice(dot + 1), 'base64url')
    const order = BigInt('0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551')
    const s = order - BigInt(`0x${bytes.subarray(32).toString('hex')}`)
    const twin = Buffer.concat([bytes.subarray(0, 32), Buffer.from(s.toString(16).padStart(64, '0'), 'hex')])
    expect(await take(signed)).toMatch(ID)
    expect(await take(`${signed.slice(0, dot)}.${twin.toString('base64url')}`)).toBe('identity.replayed')
  })

  it.each<[string, JsonObject]>([
    ['every tool', { operations: [{ tool: 'orders/*' }] }],
    ['a tool above the ceiling', { operations: [{ tool: 'orders/delete-order', effects: ['delete'] }] }],
    ['a graver effect', { operations: [{ tool: 'orders/read-order', effects: ['write'] }] }],
    ['a larger budget', { budgets: [{ id: 'all', limit: 21 }] }],
    ['a longer life', { expires: '3h' }],
    ['delegation', { depth: 1 }],
    ['a parent', { parent: 'x' }],
    ['another principal', { principal: 'bob' }],
    ['the principal as another type', { principal: { type: 'oidc', id: 'alice' } }],
    ['an agent by its name, which operators give', { actor: 'agent' }],
    ['a key that is no agent', { actor: 'nobody' }],
    ['a member that nobody knows', { breakGlass: true }],
  ])('does not get %s', async (_title, grant) => {
    expect(await take(sign({ grant }))).toMatch(/^(scope\.operation|system\.malformed)$/)
  })

  it('does not count from the time that it is handed in', async () => {
    const grant = { expires: '10s' }
    expect(await take(sign({ grant, now: Date.now() - 60_000 }))).toMatch(/^(system\.malformed|identity\.expired)$/)
  })

  it.each<[string, Signing, string]>([
    ['another issuer', { issuer: 'https://other.example' }, 'identity.bad-proof'],
    ['our issuer with a slash', { issuer: `${ISSUER}/` }, 'identity.bad-proof'],
    ['too old', { now: Date.now() - 601_000 }, 'identity.expired'],
    ['from the future', { now: Date.now() + 60_000 }, 'identity.expired'],
  ])('for %s', async (_title, signing, reason) => {
    expect(await take(sign(signing))).toBe(reason)
  })

  it('signed by a key that speaks for nobody', async () => {
    for (const name of ['agent', 'host', 'pep', 'operator', 'approver'] satisfies readonly Name[])
      expect(await take(sign({ key: at.keys[name] }))).toBe('identity.unknown-key')
    expect(await take(sign({ key: importKey(generateKey('Ed25519')) }))).toBe('identity.unknown-key')
  })

  it('under the name of another key', async () => {
    const claims = () => ({
      iss: alice.jkt,
      aud: ISSUER,
      iat: Math.floor(Date.now() / 1000),
      exp: Math.floor(Date.now() / 1000) + 60,
      jti: 'x'.repeat(22),
      grant: { actor: at.keys.agent.jkt },
    })
    const typ = 'unbearer-grant+jwt'
    const forged = [
      signJws(bob, { alg: bob.alg, kid: alice.jkt, typ }, claims()),
      signJws(bob, { alg: alice.alg, kid: alice.jkt, typ }, claims()),
      signJwt(bob, typ, claims()),
      signJws(alice, { alg: alice.alg, kid: alice.jkt, typ, jwk: { ...alice.jwk } }, claims()),
      signJws(alice, { alg: 'none', kid: alice.jkt, typ }, claims()),
      signJwt(alice, typ, { ...claims(), sub: 'user/root' }),
      signJwt(alice, typ, { ...claims(), exp: Math.floor(Date.now() / 1000) + 90_000 }),
      signJwt(alice, typ, { ...claims(), jti: '' }),
      signJwt(alice, typ, { ...claims(), grant: 'all' }),
      sign().slice(0, -6),
      `${sign()}.x`,
      'x'.repeat(20_000),
    ]
    for (const each of forged) expect(await take(each)).toMatch(/^identity\.(bad-proof|unknown-key)$/)
  })

  it.each(['unbearer-session+jwt', 'unbearer-action+jwt', 'dpop+jwt', 'JWT', 'at+jwt', ''])(
    'is of its own type, not `%s`',
    async (typ) => {
      const now = Math.floor(Date.now() / 1000)
      const claims = { iss: alice.jkt, aud: ISSUER, iat: now, exp: now + 60, jti: 'y'.repeat(22), grant: {} }
      expect(await take(signJwt(alice, typ, claims))).toBe('identity.bad-proof')
    },
  )

  it('is no login, and a login is no signed grant', async () => {
    const params = { grant: { actor: 'agent' }, subject_token: sign(), subject_token_type: 'id-token' }
    expect(await refusal(at.control('host', 'grant.open', params))).toBe('identity.bad-proof')
    expect(await take(issuer.idToken())).toBe('identity.unknown-key')
  })

  it('gives no other authority to the key: nothing but own grants and own tasks', async () => {
    const call = async (method: string, params: JsonObject = {}): Promise<string> =>
      refusal(callControl({ url: at.origin, key: alice, method, params }))
    for (const method of ['grant.create', 'grant.list', 'key.enrol', 'approval.list', 'revoke', 'grant.open', 'status'])
      expect(await call(method)).toBe('identity.key-role')
    expect(await call('task.open', { purpose: 'x', principal: 'bob', actor: 'agent' })).toBe('identity.key-role')
    await expect(openCredential(at.origin, alice)).rejects.toThrow('another role')
  })

  it('does not come from a key that an agent, a host or a lesser operator enrolled', async () => {
    const key = importKey(generateKey('Ed25519'))
    const params = { role: 'principal', name: 'mallory', principal: 'alice', jwk: { ...key.jwk } }
    for (const name of ['agent', 'host', 'approver'] satisfies readonly Name[])
      expect(await refusal(at.control(name, 'key.enrol', params))).toBe('identity.key-role')
    const lesser = importKey(generateKey('Ed25519'))
    await at.control('operator', 'key.enrol', {
      role: 'operator',
      name: 'author',
      roles: ['policy-author'],
      jwk: { ...lesser.jwk },
    })
    expect(await refusal(callControl({ url: at.origin, key: lesser, method: 'key.enrol', params }))).toBe(
      'identity.key-role',
    )
    expect(await take(sign({ key }))).toBe('identity.unknown-key')
    await expect(enrol('alice-phone', alice, { principal: 'bob' })).rejects.toThrow('another principal')
  })
})

describe('what was stopped', () => {
  beforeAll(begin)
  afterAll(end)

  it('a principal’s key ends what it signed, and signs no more', async () => {
    const late = sign()
    const id = await take(sign())
    const credential = await openTask('alice', id)
    expect(await ask(credential)).toMatchObject({ token_type: 'DPoP' })
    await revoke('actor', 'alice-phone')
    expect(await ask(credential)).toMatchObject({ error: 'invalid_grant', reason: 'identity.revoked' })
    expect(await take(late)).toBe('identity.revoked')
    expect(await take(late, at.keys.host)).toBe('identity.revoked')
    const { revocations } = at.serving.composed.services
    expect(revocations.find('grant', id)).toBeDefined()
    expect(revocations.find('grant', at.grant.id)).toBeUndefined()
  })

  it('is stopped before the grants that it made can be listed', async () => {
    const id = await take(sign({ key: bob }), bob)
    const credential = await openTask('bob', id)
    const by: EnrolledKey = at.enrolled.operator
    await at.serving.composed.services.revocations.revoke('actor', bob.jkt, by)
    expect(await ask(credential)).toMatchObject({ reason: 'identity.revoked' })
  })

  it('an agent, a principal, a host: no grant begins for them or by them', async () => {
    const open = async (sub: string): Promise<Json> =>
      asJson(
        await openGrant({
          url: at.origin,
          key: at.keys.host,
          grant: { actor: 'agent' },
          subjectToken: issuer.idToken({ sub }),
          subjectTokenType: 'id-token',
        }),
      )
    const opened = await open('carol')
    const [id, principal] = isJsonObject(opened) ? [opened['id'], opened['principal']] : []
    const credential = await openTask(principal ?? '', typeof id === 'string' ? id : '')
    expect(await ask(credential, NOTE)).toMatchObject({ token_type: 'DPoP' })
    await revoke('subject', `oidc/${issuer.url}#dave`)
    expect(await refusal(open('dave'))).toBe('identity.revoked')
    await revoke('actor', at.keys.host.jkt)
    expect(await refusal(open('erin'))).toBe('identity.revoked')
    expect(await ask(credential)).toMatchObject({ reason: 'identity.revoked' })
  })

  it('what was issued before continuity was lost: it may have been used up, and that forgotten', async () => {
    const frank = importKey(generateKey('Ed25519'))
    await enrol('frank', frank)
    const { revocations } = at.serving.composed.services
    const [signed, login] = [sign({ key: frank }), issuer.idToken({ sub: 'frank' })]
    await revocations.revoke('all', ISSUED, at.enrolled.operator)
    expect(await take(signed, frank)).toBe('identity.expired')
    const later = importKey(generateKey('Ed25519'))
    await at.control('operator', 'key.enrol', { role: 'host', name: 'host-2', jwk: { ...later.jwk } })
    const open = async (subjectToken: string): Promise<string> =>
      openGrant({
        url: at.origin,
        key: later,
        grant: { actor: 'agent' },
        subjectToken,
        subjectTokenType: 'id-token',
      }).then(
        ({ id }) => id,
        (fault: { reason?: string }) => fault.reason ?? 'a fault',
      )
    expect(await open(login)).toBe('identity.expired')
    // Issued after it.
    expect(await open(issuer.idToken({ sub: 'frank', iat: Math.floor(Date.now() / 1000) + 2 }))).toMatch(ID)
    expect(await take(sign({ key: frank, now: Date.now() + 2_000 }), frank)).toMatch(ID)
  })

  it('everything: nothing begins any more', async () => {
    const carol = importKey(generateKey('Ed25519'))
    await enrol('carol', carol)
    await revoke('all')
    expect(await take(sign({ key: carol }), carol)).toBe('identity.revoked')
  })
})

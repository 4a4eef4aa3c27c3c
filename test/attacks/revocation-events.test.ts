/**
 * @module
 * Security events by push: whoever can reach `POST /events`, an issuer that speaks of whom it may not, and one whose words are
 * turned against it. An event may end what somebody does; it may never begin anything, and never touch anybody else's.
 *
 * Broken once on purpose, and the test that fell:
 *
 * | broken on purpose                                        | fell                                                |
 * | -------------------------------------------------------- | --------------------------------------------------- |
 * | `events/namespace.ts` whatever issuer a subject names    | is refused: a principal of another issuer, …        |
 * | `events/namespace.ts` any domain, or any agent           | is refused: an address …, an agent …                |
 * | `events/narrowing.ts` a task by its id alone             | cannot reach a task of others by its id             |
 * | `events/narrowing.ts` whenever it was opened             | and replays one ends nothing that was opened since  |
 * | `events/receiver.ts` what was received is not remembered | and replays one ends nothing that was opened since  |
 * | `crypto/security-event.ts` no type, audience or end      | with an ID token …, for another audience …, …       |
 * | `crypto/security-event.ts` no signature                  | with a key of their own kind under its name         |
 * | `core/security-event.ts` a new credential narrows        | … a credential that was created                     |
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import { ASSURANCE_CHANGE, CREDENTIAL_CHANGE, RISK_CHANGE, SESSION_REVOKED } from '../../src/core/security-event.ts'
import { VERIFICATION } from '../../src/crypto/security-event.ts'
import { isJsonObject, parseJson, type Json, type JsonObject, type Task } from '../../src/index.ts'
import { createInstallation, type Installation } from '../support/installation.ts'
import { makeOutsideKey, mint, type OutsideKeyPair } from '../support/outside-issuer.ts'
import { startRecordingUpstream, type RecordingUpstream } from '../support/recording-upstream.ts'

const IDP = 'https://idp.example'
const OTHER = 'https://other.example'
const AUDIENCE = 'https://unbearer-test.invalid/events'
const ADDRESS = 'alice@corp.example'

const idp = makeOutsideKey('RS256', 'idp-1')
const other = makeOutsideKey('ES256', 'other-1')

let upstream: RecordingUpstream
let on: Installation
let dir: string
let jti = 0

/** Two issuers: one with a domain and an agent of its own, and one that speaks of its own principals only. */
function toYaml(folder: string): string {
  writeFileSync(join(folder, 'idp.json'), JSON.stringify({ keys: [idp.jwk] }))
  writeFileSync(join(folder, 'other.json'), JSON.stringify({ keys: [other.jwk] }))
  return `events:
  receive:
    - issuer: ${IDP}
      audience: ${AUDIENCE}
      domains: [corp.example]
      agents: [agent]
      keys: ${join(folder, 'idp.json')}
    - { issuer: ${OTHER}, audience: ${AUDIENCE}, algorithms: [ES256], keys: ${join(folder, 'other.json')} }
`
}

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'unbearer-events-'))
  upstream = await startRecordingUpstream()
  on = await createInstallation({ upstream, store: 'sqlite', yaml: toYaml(dir) })
})

afterEach(async () => {
  await on.close()
  await upstream.close()
  rmSync(dir, { recursive: true, force: true })
})

function signSet(signer: OutsideKeyPair, claims: JsonObject, header: JsonObject = {}): string {
  return mint(signer, { typ: 'secevent+jwt', alg: signer.alg, kid: signer.kid, ...header }, claims)
}

function toSet(type: string, body: JsonObject = {}, claims: JsonObject = {}): JsonObject {
  return {
    iss: IDP,
    aud: AUDIENCE,
    jti: `set-${(jti += 1)}`,
    iat: Math.floor(Date.now() / 1000),
    sub_id: { format: 'email', email: ADDRESS },
    events: { [type]: { event_timestamp: 0, ...body } },
    ...claims,
  }
}

interface Answered {
  readonly status: number
  readonly err?: Json | undefined
}

async function push(compact: string, type = 'application/secevent+jwt'): Promise<Answered> {
  const headers = { 'content-type': type, accept: 'application/json' }
  const response = await fetch(new URL('/events', on.origin), { method: 'POST', body: compact, headers })
  const text = await response.text()
  const parsed = text === '' ? {} : parseJson(text)
  return { status: response.status, ...(isJsonObject(parsed) ? { err: parsed['err'] } : {}) }
}

const TAKEN = { status: 202 }
const refusedAs = (err: string) => ({ status: 400, err })

/** A grant for a principal, and a task under it. */
async function openTask(principal: string | { type: string; id: string } = ADDRESS): Promise<Task> {
  const { services } = on.serving.composed
  return services.tasks.open({ purpose: 'look at r1', principal, actor: 'agent', openedBy: on.enrolled.host })
}

function isRevoked(dimension: 'task' | 'actor' | 'subject' | 'grant', id: string): boolean {
  return on.serving.composed.services.revocations.find(dimension, id) !== undefined
}

async function count(): Promise<number> {
  return on.serving.composed.services.revocations.list().length
}

describe('an event of an issuer', () => {
  it.each([
    ['session-revoked', SESSION_REVOKED, {}],
    ['a credential that was revoked', CREDENTIAL_CHANGE, { credential_type: 'password', change_type: 'revoke' }],
    ['a credential that was changed', CREDENTIAL_CHANGE, { credential_type: 'password', change_type: 'update' }],
    ['less assurance', ASSURANCE_CHANGE, { change_direction: 'decrease', current_level: 'nist-aal1' }],
    ['assurance that went nobody says where', ASSURANCE_CHANGE, { current_level: 'nist-aal1' }],
    ['high risk', RISK_CHANGE, { current_level: 'HIGH' }],
    ['a risk of a kind that nobody knows', RISK_CHANGE, { current_level: 'EXTREME' }],
  ])('ends what its principal has open: %s', async (_what, type, body) => {
    const task = await openTask()
    const bystander = await openTask('bob@elsewhere.example')
    expect(await push(signSet(idp, toSet(type, body)))).toMatchObject(TAKEN)
    expect(isRevoked('task', task.txn)).toBe(true)
    expect(isRevoked('task', bystander.txn)).toBe(false)
    // The principal is not stopped for good: what is opened anew is another thing.
    expect(isRevoked('subject', `user/${ADDRESS}`)).toBe(false)
    expect((await on.entries()).at(-1)).toMatchObject({ kind: 'control', act: 'event.receive', by: IDP })
  })

  it.each([
    ['a credential that was created', CREDENTIAL_CHANGE, { credential_type: 'fido2', change_type: 'create' }],
    ['more assurance', ASSURANCE_CHANGE, { change_direction: 'increase' }],
    ['low risk', RISK_CHANGE, { current_level: 'LOW' }],
    ['medium risk, where only high counts', RISK_CHANGE, { current_level: 'MEDIUM' }],
    ['a type that nobody knows', 'https://schemas.openid.net/secevent/risc/event-type/identifier-changed', {}],
  ])('changes nothing where it would have to widen: %s', async (_what, type, body) => {
    const { keys, grants } = on.serving.composed.services
    const before = [(await keys.list()).length, (await grants.list()).length]
    await openTask()
    const known = { jwk: { ...on.jwks.other }, fido2_aaguid: 'x', x509_serial: '1' }
    expect(await push(signSet(idp, toSet(type, { ...body, ...known })))).toMatchObject(TAKEN)
    expect(await count()).toBe(0)
    expect([(await keys.list()).length, (await grants.list()).length]).toEqual(before)
  })

  it('about an agent that it may speak of stops its key, and only on a credential of its own', async () => {
    const sub_id = { format: 'opaque', id: 'agent' }
    const task = await openTask()
    expect(await push(signSet(idp, toSet(SESSION_REVOKED, {}, { sub_id })))).toMatchObject(TAKEN)
    expect([isRevoked('actor', on.keys.agent.jkt), isRevoked('task', task.txn)]).toEqual([false, true])
    const change = { credential_type: 'x509', change_type: 'delete' }
    expect(await push(signSet(idp, toSet(CREDENTIAL_CHANGE, change, { sub_id })))).toMatchObject(TAKEN)
    expect(isRevoked('actor', on.keys.agent.jkt)).toBe(true)
  })

  it('about a session ends that task and no other', async () => {
    const [task, beside] = [await openTask(), await openTask()]
    const sub_id = {
      format: 'complex',
      user: { format: 'email', email: ADDRESS.toUpperCase() },
      session: { format: 'opaque', id: task.txn },
    }
    expect(await push(signSet(idp, toSet(SESSION_REVOKED, {}, { sub_id })))).toMatchObject(TAKEN)
    expect([isRevoked('task', task.txn), isRevoked('task', beside.txn)]).toEqual([true, false])
  })

  it('that asks whether the stream works is answered', async () => {
    const claims = { sub_id: { format: 'opaque', id: 'stream-1' } }
    expect(await push(signSet(idp, toSet(VERIFICATION, { state: 'x' }, claims)))).toMatchObject(TAKEN)
    expect(await count()).toBe(0)
  })

  it('stops what is decided, and what is under way', async () => {
    const task = await openTask('alice')
    const { services } = on.serving.composed
    const issued = { type: 'oidc', id: `${IDP}#alice` }
    const theirs = await openTask(issued)
    const aborted: string[] = []
    const { inFlight } = on.serving.composed.pdp
    const flight = inFlight.begin('e1', [['task', theirs.txn]])
    flight.signal.addEventListener('abort', () => aborted.push('e1'))
    const sub_id = { format: 'iss_sub', iss: IDP, sub: 'alice' }
    expect(await push(signSet(idp, toSet(SESSION_REVOKED, {}, { sub_id })))).toMatchObject(TAKEN)
    expect(aborted).toEqual(['e1'])
    // `user/alice` is one of ours: no issuer outside may name her.
    expect(isRevoked('task', task.txn)).toBe(false)
    expect(services.revocations.list()).toHaveLength(1)
  })
})

describe('an issuer that speaks of whom it may not', () => {
  it.each([
    ['a principal of another issuer', { format: 'iss_sub', iss: IDP, sub: 'alice' }],
    ['an address of another domain', { format: 'email', email: ADDRESS }],
    ['an address that only looks like one of its own', { format: 'email', email: `${ADDRESS}@x` }],
    ['an agent that nobody gave it', { format: 'opaque', id: 'agent' }],
    ['one of our names', { format: 'iss_sub', iss: 'https://unbearer-test.invalid', sub: 'user/alice' }],
    ['a principal through the id of another', { format: 'iss_sub', iss: `${OTHER}#x`, sub: 'alice' }],
    ['a device beside a user', { format: 'complex', user: { format: 'iss_sub', iss: OTHER, sub: 'a' }, device: {} }],
    ['everybody', { format: 'complex' }],
  ])('is refused: %s', async (_what, sub_id) => {
    await openTask()
    await openTask({ type: 'oidc', id: `${IDP}#alice` })
    const answered = await push(signSet(other, toSet(SESSION_REVOKED, {}, { iss: OTHER, sub_id })))
    expect(answered.status).toBe(400)
    expect(['access_denied', 'invalid_request']).toContain(answered.err)
    expect(await count()).toBe(0)
  })

  it('cannot reach a task of others by its id', async () => {
    const task = await openTask()
    const session = { format: 'opaque', id: task.txn }
    for (const sub_id of [
      { format: 'complex', session },
      { format: 'complex', user: { format: 'iss_sub', iss: OTHER, sub: 'alice' }, session },
    ]) {
      expect(await push(signSet(other, toSet(SESSION_REVOKED, {}, { iss: OTHER, sub_id })))).toMatchObject(TAKEN)
      expect(await count()).toBe(0)
    }
  })

  it('learns nothing of who is known here', async () => {
    const of = async (sub: string): Promise<Answered> =>
      push(signSet(other, toSet(SESSION_REVOKED, {}, { iss: OTHER, sub_id: { format: 'iss_sub', iss: OTHER, sub } })))
    await openTask({ type: 'oidc', id: `${OTHER}#known` })
    expect(await of('known')).toEqual(await of('nobody'))
  })
})

const claims = (more: JsonObject = {}): JsonObject => toSet(SESSION_REVOKED, {}, more)

describe('whoever can reach the endpoint', () => {
  it.each([
    ['with a key of their own', () => signSet({ ...other, kid: idp.kid }, claims()), 'invalid_key'],
    [
      'with a key of their own kind under its name',
      () => signSet({ ...makeOutsideKey('RS256', 'idp-1') }, claims()),
      'authentication_failed',
    ],
    ['with the key of another issuer', () => signSet(other, claims()), 'invalid_key'],
    [
      'without a signature',
      () => `${signSet(idp, claims(), { alg: 'none' }).split('.').slice(0, 2).join('.')}.`,
      'invalid_request',
    ],
    ['with a shared secret', () => signSet(idp, claims(), { alg: 'HS256' }), 'invalid_key'],
    [
      'with a key in the header',
      () => signSet(makeOutsideKey('RS256', 'x'), claims(), { kid: 'x', jwk: idp.jwk }),
      'invalid_key',
    ],
    ['with an ID token', () => signSet(idp, claims(), { typ: 'JWT' }), 'invalid_request'],
    ['with a logout token', () => signSet(idp, claims(), { typ: 'logout+jwt' }), 'invalid_request'],
    ['with one without a type', () => signSet(idp, claims(), { typ: undefined }), 'invalid_request'],
    ['with what is critical', () => signSet(idp, claims(), { crit: ['x'], x: 1 }), 'invalid_request'],
    ['for another audience', () => signSet(idp, claims({ aud: 'https://else.example' })), 'invalid_audience'],
    ['of nobody', () => signSet(idp, claims({ iss: 'https://nobody.example' })), 'invalid_issuer'],
    ['with a subject of a token', () => signSet(idp, claims({ sub: 'alice' })), 'invalid_request'],
    ['with an end', () => signSet(idp, claims({ exp: 2e9 })), 'invalid_request'],
    ['from the future', () => signSet(idp, claims({ iat: Math.floor(Date.now() / 1000) + 600 })), 'invalid_request'],
    [
      'from last week',
      () => signSet(idp, claims({ iat: Math.floor(Date.now() / 1000) - 7 * 86_400 })),
      'invalid_request',
    ],
    ['without a number', () => signSet(idp, claims({ jti: undefined })), 'invalid_request'],
    ['without an event', () => signSet(idp, claims({ events: {} })), 'invalid_request'],
    ['with rubbish', () => 'rubbish', 'invalid_request'],
  ])('%s is told why in the words of RFC 8935, and stops nothing', async (_what, make, err) => {
    await openTask()
    expect(await push(make())).toEqual(refusedAs(err))
    expect(await count()).toBe(0)
  })

  it('in another form is refused', async () => {
    await openTask()
    expect(await push(signSet(idp, claims()), 'application/jwt')).toEqual(refusedAs('invalid_request'))
    expect(await count()).toBe(0)
  })

  it('and replays one ends nothing that was opened since, also after a restart', async () => {
    const before = await openTask()
    const compact = signSet(idp, claims({ iat: Math.floor(Date.now() / 1000) - 120 }))
    // Opened after the event, whenever the event arrives.
    expect(await push(compact)).toMatchObject(TAKEN)
    expect(isRevoked('task', before.txn)).toBe(false)
    const now = signSet(idp, claims())
    expect(await push(now)).toMatchObject(TAKEN)
    expect(isRevoked('task', before.txn)).toBe(true)
    const after = await openTask()
    expect(await push(now)).toMatchObject(TAKEN)
    expect(isRevoked('task', after.txn)).toBe(false)
    await on.restart()
    expect(isRevoked('task', before.txn)).toBe(true)
    expect(await push(now)).toMatchObject(TAKEN)
    expect(isRevoked('task', after.txn)).toBe(false)
  })
})

import { randomBytes } from 'node:crypto'

import { beforeEach, describe, expect, it } from 'vitest'

import { digestOf } from '../core/bind.ts'
import { ACTION_DETAIL, ACTION_TYP, SESSION_TYP, type ActionClaims } from '../core/credential.ts'
import { InvariantError } from '../core/errors.ts'
import type { RevocationDimension } from '../core/evidence.ts'
import { asJson, type JsonObject } from '../core/json.ts'
import type { ActionCredential, CredentialAuthority, RedeemRequest } from '../ports/credentials.ts'
import type { RevocationFeed } from '../ports/revocations.ts'
import { createCredentialAuthority } from './credential.ts'
import { signJwt } from './jwt.ts'
import { generateKey, importKey, importPublicKey } from './keys.ts'
import { issueSession } from './session-credential.ts'

const ISSUER = 'https://unbearer.example'
const AUD = 'https://unbearer.example/mcp/orders'
const NOW = 1_790_000_000_000
const SECONDS = NOW / 1000
const KEY = importKey({ ...generateKey('Ed25519') })
const BODY = { method: 'tools/call', name: 'query', arguments: { sql: 'SELECT 1', n: 1 } }
const SALT = randomBytes(16)

const CLAIMS: ActionClaims = {
  iss: ISSUER,
  aud: AUD,
  iat: SECONDS,
  exp: SECONDS + 30,
  jti: 'j1',
  txn: 't1',
  sub: 'user/alice',
  act: { sub: 'support-agent' },
  cnf: { jkt: 'agent-key' },
  grant: 'g1',
  rev: 7,
  mode: 'enforce',
  authorization_details: [
    {
      type: ACTION_DETAIL,
      actions: ['tools/call'],
      locations: [AUD],
      identifier: 'orders/query',
      digest: digestOf(BODY, SALT),
      salt: SALT.toString('base64url'),
    },
  ],
  tctx: { evaluation_id: 'e1', purpose: 'sha-256:x' },
  rctx: { proof: 'signature' },
}

interface World {
  now: number
  rev: number
  fresh: boolean
  readonly revoked: Map<string, number>
  readonly burned: Map<string, number>
  /** What happens while a burn is under way. */
  during: () => void
}

let world: World
let authority: CredentialAuthority

function createFeed(): RevocationFeed {
  return {
    rev: () => world.rev,
    fresh: () => world.fresh,
    find(dimension, id) {
      const rev = world.revoked.get(`${dimension} ${id}`)
      return rev === undefined ? undefined : { rev, dimension, id, at: 0 }
    },
    subscribe: () => () => undefined,
  }
}

function createWorld(key = KEY): CredentialAuthority {
  return createCredentialAuthority({
    issuer: ISSUER,
    key,
    feed: createFeed(),
    clock: { now: () => world.now },
    async burn(jti, expires) {
      await new Promise((resolve) => setImmediate(resolve))
      const first = !world.burned.has(jti)
      world.burned.set(jti, expires)
      world.during()
      return first
    },
  })
}

beforeEach(() => {
  world = { now: NOW, rev: 7, fresh: true, revoked: new Map(), burned: new Map(), during: () => undefined }
  authority = createWorld()
})

async function redeeming(credential: ActionCredential, change: Partial<RedeemRequest> = {}): Promise<string> {
  const result = await authority.redeem({ credential, aud: AUD, body: BODY, jkt: 'agent-key', ...change })
  return result.ok ? 'ok' : result.reason
}

const present = (compact: string): ActionCredential => ({ form: 'jwt', claims: CLAIMS, compact })
const forge = (claims: JsonObject, typ = ACTION_TYP, key = KEY): ActionCredential => present(signJwt(key, typ, claims))

describe.each(['object', 'jwt'] as const)('as %s', (form) => {
  it('redeems once and gives back the claims that were issued', async () => {
    const credential = authority.issue(CLAIMS, form)
    const result = await authority.redeem({ credential, aud: AUD, body: BODY, jkt: 'agent-key' })
    expect(result).toEqual({ ok: true, claims: CLAIMS })
    expect(await redeeming(credential)).toBe('credential.replayed')
    expect(world.burned.get('j1')).toBeGreaterThanOrEqual(CLAIMS.exp * 1000)
  })

  it('redeems exactly once for 64 at the same time', async () => {
    const credential = authority.issue(CLAIMS, form)
    const results = await Promise.all(Array.from({ length: 64 }, async () => redeeming(credential)))
    expect(results.filter((result) => result === 'ok').length).toBe(1)
    expect(results.filter((result) => result === 'credential.replayed').length).toBe(63)
  })

  it.each<[string, Partial<RedeemRequest>]>([
    ['another audience', { aud: 'https://unbearer.example/mcp/crm' }],
    ['an audience that only starts like it', { aud: `${AUD}/x` }],
    ['another key', { jkt: 'other-key' }],
    ['no key', { jkt: '' }],
    ['another argument', { body: { ...BODY, arguments: { sql: 'DROP TABLE x', n: 1 } } }],
    ['another type of an argument', { body: { ...BODY, arguments: { sql: 'SELECT 1', n: '1' } } }],
    ['one argument more', { body: { ...BODY, arguments: { ...BODY.arguments, m: null } } }],
    ['another tool', { body: { ...BODY, name: 'delete' } }],
    ['no body', { body: {} }],
  ])('is not for %s, and stays unburned', async (_, change) => {
    const credential = authority.issue(CLAIMS, form)
    expect(await redeeming(credential, change)).toBe('credential.mismatch')
    expect(await redeeming(credential)).toBe('ok')
  })

  it('does not care about the order of members', async () => {
    const body = { arguments: { n: 1, sql: 'SELECT 1' }, name: 'query', method: 'tools/call' }
    expect(await redeeming(authority.issue(CLAIMS, form), { body })).toBe('ok')
  })

  it.each<[string, number, string]>([
    ['in its first moment', 0, 'ok'],
    ['in its last', 29_999, 'ok'],
    ['at its end', 30_000, 'credential.expired'],
    ['5 s before it was issued', -5000, 'ok'],
    ['earlier', -5001, 'credential.invalid'],
    ['at no time', Number.NaN, 'credential.invalid'],
  ])('%s', async (_, later, expected) => {
    const credential = authority.issue(CLAIMS, form)
    world.now = NOW + later
    expect(await redeeming(credential)).toBe(expected)
  })

  const dimensions: readonly (readonly [RevocationDimension, string])[] = [
    ['credential', 'j1'],
    ['actor', 'agent-key'],
    ['subject', 'user/alice'],
    ['grant', 'g1'],
    ['task', 't1'],
    ['tool', 'orders/query'],
    ['all', '*'],
  ]
  describe.each(dimensions)('revoked by %s', (dimension, id) => {
    it('after its decision', async () => {
      const credential = authority.issue(CLAIMS, form)
      world.revoked.set(`${dimension} ${id}`, 8)
      world.rev = 8
      expect(await redeeming(credential)).toBe('credential.revoked')
      expect(world.burned.size).toBe(0)
    })

    it('while it is being burned', async () => {
      const credential = authority.issue(CLAIMS, form)
      world.during = () => {
        world.revoked.set(`${dimension} ${id}`, 8)
        world.rev = 8
      }
      expect(await redeeming(credential)).toBe('credential.revoked')
    })

    it('before its decision, which knew of it', async () => {
      world.revoked.set(`${dimension} ${id}`, 7)
      expect(await redeeming(authority.issue(CLAIMS, form))).toBe('ok')
    })

    it('of something else', async () => {
      world.revoked.set(`${dimension} ${id}-other`, 8)
      world.rev = 8
      expect(await redeeming(authority.issue(CLAIMS, form))).toBe('ok')
    })
  })

  it('is refused when nobody knows what was revoked', async () => {
    const credential = authority.issue(CLAIMS, form)
    world.fresh = false
    expect(await redeeming(credential)).toBe('system.stale-revocations')
    world.fresh = true
    world.rev = 6
    expect(await redeeming(credential)).toBe('system.stale-revocations')
    world.rev = 7
    world.during = () => {
      world.fresh = false
    }
    expect(await redeeming(credential)).toBe('system.stale-revocations')
  })

  it('is refused when it expires during the burn', async () => {
    const credential = authority.issue(CLAIMS, form)
    world.during = () => {
      world.now = NOW + 30_000
    }
    expect(await redeeming(credential)).toBe('credential.expired')
  })

  it('is refused when the burn fails', async () => {
    const credential = authority.issue(CLAIMS, form)
    world.during = () => {
      throw new Error('disk full')
    }
    expect(await redeeming(credential)).toBe('system.indeterminate')
    world.during = () => undefined
    expect(await redeeming(credential)).toBe('credential.replayed')
  })
})

describe('issue', () => {
  it.each<[string, Partial<ActionClaims>]>([
    ['another issuer', { iss: 'https://other.example' }],
    ['more than a minute', { exp: SECONDS + 61 }],
    ['no life', { exp: SECONDS }],
    ['a fraction of a second', { iat: SECONDS + 0.5 }],
    ['a negative sequence', { rev: -1 }],
    ['an empty key', { cnf: { jkt: '' } }],
  ])('refuses %s', (_, change) => {
    expect(() => authority.issue({ ...CLAIMS, ...change }, 'object')).toThrow(InvariantError)
    expect(() => authority.issue({ ...CLAIMS, ...change }, 'jwt')).toThrow(InvariantError)
  })

  it('without a private key makes no JWT', () => {
    const verifier = createWorld(importPublicKey({ ...KEY.jwk }))
    expect(() => verifier.issue(CLAIMS, 'jwt')).toThrow(InvariantError)
  })

  it('keeps a copy of its own, frozen to the bottom', async () => {
    const claims = structuredClone(CLAIMS)
    const credential = authority.issue(claims, 'object')
    Object.assign(claims.cnf, { jkt: 'other-key' })
    expect(await redeeming(credential, { jkt: 'other-key' })).toBe('credential.mismatch')
    expect(() => Object.assign(credential, { form: 'jwt' })).toThrow(TypeError)
    expect(() => Object.assign(credential.claims.cnf, { jkt: 'other-key' })).toThrow(TypeError)
    expect(() => Object.assign(credential.claims.authorization_details[0], { digest: 'x' })).toThrow(TypeError)
  })
})

describe('forgeries of the object', () => {
  it.each<[string, (credential: ActionCredential) => ActionCredential]>([
    ['equal in structure', () => ({ form: 'object', claims: CLAIMS })],
    ['a copy', (credential) => ({ ...credential })],
    ['a deep copy', (credential) => structuredClone(credential)],
    ['a proxy', (credential) => new Proxy(credential, {})],
    ['an heir', (credential) => Object.create(credential)],
    ['of another authority', () => createWorld().issue(CLAIMS, 'object')],
    ['a JWT shown as an object', () => ({ ...authority.issue(CLAIMS, 'jwt'), form: 'object' })],
    ['an object shown as a JWT', (credential) => ({ ...credential, form: 'jwt' })],
  ])('%s', async (_, forgery) => {
    const credential = authority.issue(CLAIMS, 'object')
    expect(await redeeming(forgery(credential))).toBe('credential.invalid')
    expect(await redeeming(credential)).toBe('ok')
  })

  it('no credential at all is a refusal, not a crash', async () => {
    const request = JSON.parse('{"credential":null,"aud":"x","body":{},"jkt":"x"}')
    expect((await authority.redeem(request)).ok).toBe(false)
    expect((await authority.redeem(JSON.parse('{}'))).ok).toBe(false)
  })
})

describe('forgeries of the JWT', () => {
  const claims = asJson(CLAIMS)
  const [detail = {}] = JSON.parse(JSON.stringify(CLAIMS.authorization_details))
  const compact = signJwt(KEY, ACTION_TYP, claims)

  it('signed by the issuer as it should be, it is none (the rows below differ only in their defect)', async () => {
    expect(await redeeming(forge(claims))).toBe('ok')
  })

  it('counts only what is signed, not what is said beside it', async () => {
    const credential: ActionCredential = { form: 'jwt', claims: { ...CLAIMS, aud: 'x' }, compact }
    expect(await redeeming(credential, { aud: 'x' })).toBe('credential.mismatch')
  })

  it.each<[string, () => ActionCredential]>([
    ['no JWT', () => ({ form: 'jwt', claims: CLAIMS })],
    ['a truncated signature', () => present(compact.slice(0, -4))],
    ['another key', () => forge(claims, ACTION_TYP, importKey({ ...generateKey('Ed25519') }))],
    ['another key of the other kind', () => forge(claims, ACTION_TYP, importKey({ ...generateKey('ES256') }))],
    ['typ of a session credential', () => forge(claims, SESSION_TYP)],
    ['typ JWT', () => forge(claims, 'JWT')],
    [
      'a session credential',
      () =>
        present(issueSession({ issuer: ISSUER, aud: AUD, key: KEY, sub: 'user/alice', jkt: 'agent-key', now: NOW })),
    ],
    ['another issuer', () => forge({ ...claims, iss: 'https://other.example' })],
    ['a long life', () => forge({ ...claims, exp: SECONDS + 3600 })],
    ['a list of audiences', () => forge({ ...claims, aud: [AUD, 'https://other.example'] })],
    ['one claim more', () => forge({ ...claims, scope: '*' })],
    ['nbf', () => forge({ ...claims, nbf: 0 })],
    ['no jti', () => forge({ ...claims, jti: undefined })],
    ['no rev', () => forge({ ...claims, rev: undefined })],
    ['rev as text', () => forge({ ...claims, rev: '7' })],
    ['exp as text', () => forge({ ...claims, exp: String(SECONDS + 30) })],
    ['no key', () => forge({ ...claims, cnf: undefined })],
    ['a key by value', () => forge({ ...claims, cnf: { jwk: { ...KEY.jwk } } })],
    ['a key in two ways', () => forge({ ...claims, cnf: { jkt: 'agent-key', 'x5t#S256': 'x' } })],
    ['another mode', () => forge({ ...claims, mode: 'off' })],
    ['no action', () => forge({ ...claims, authorization_details: [] })],
    ['two actions', () => forge({ ...claims, authorization_details: [detail, detail] })],
    ['an action of another type', () => forge({ ...claims, authorization_details: [{ ...detail, type: 'x' }] })],
    [
      'an action with more to it',
      () => forge({ ...claims, authorization_details: [{ ...detail, privileges: ['admin'] }] }),
    ],
    ['no salt', () => forge({ ...claims, authorization_details: [{ ...detail, salt: undefined }] })],
    ['a short salt', () => forge({ ...claims, authorization_details: [{ ...detail, salt: 'AAAA' }] })],
    ['an actor with more to it', () => forge({ ...claims, act: { sub: 'x', act: { sub: 'y' } } })],
    ['no context', () => forge({ ...claims, tctx: {} })],
  ])('%s', async (_, forgery) => {
    expect(await redeeming(forgery())).toBe('credential.invalid')
    expect(world.burned.size).toBe(0)
  })
})

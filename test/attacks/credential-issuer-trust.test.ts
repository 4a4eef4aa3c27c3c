/**
 * A principal's proof from an issuer outside, in every way that it could be forged, stolen, widened or used twice. Each attack
 * goes through the listener of a real installation. Seen to fail: without the comparison of `aud`, without the burn, with the
 * algorithm taken from the header, without `parseWithin`, without the look at the feed (each broken once on purpose).
 */
import { createHmac, createPublicKey, randomUUID } from 'node:crypto'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { callControl } from '../../src/client/index.ts'
import { loadConfig } from '../../src/config/load.ts'
import { toGrantNonce } from '../../src/core/grant-nonce.ts'
import type { Json, JsonObject } from '../../src/index.ts'
import { isJsonObject } from '../../src/index.ts'
import { signJwt } from '../../src/crypto/jwt.ts'
import { createInstallation, type Installation, type Name } from '../support/installation.ts'
import { AUDIENCE, createOutsideIssuer, makeOutsideKey, mint, type OutsideIssuer } from '../support/outside-issuer.ts'
import { SERVER } from '../support/tools.ts'
import { openCredential } from './wire.ts'

let at: Installation
let issuer: OutsideIssuer
let other: OutsideIssuer
let strict: OutsideIssuer
let jag: OutsideIssuer
let strange: OutsideIssuer

const CEILING = `{ operations: [{ tool: ${SERVER}/read_note }], expires: 1h }`

beforeAll(async () => {
  issuer = await createOutsideIssuer()
  // Many an issuer does not say which algorithm a key is for.
  const { alg: _alg, ...unnamed } = issuer.key.jwk
  issuer.published.jwks = { keys: [unnamed] }
  other = await createOutsideIssuer({ alg: 'ES256', path: '/tenant' })
  strict = await createOutsideIssuer({ alg: 'PS256' })
  jag = await createOutsideIssuer({ alg: 'Ed25519' })
  strange = await createOutsideIssuer()
  at = await createInstallation({
    upstream: { url: 'http://127.0.0.1:9/mcp' },
    // A store in memory refuses whatever was issued before it was there.
    store: 'sqlite',
    yaml: `trust:
  issuers:
    - { issuer: '${issuer.url}', audience: ${AUDIENCE}, grants: ${CEILING} }
    - { issuer: '${other.url}', audience: ${AUDIENCE}, algorithms: [ES256], grants: ${CEILING} }
    - issuer: '${strict.url}'
      audience: ${AUDIENCE}
      algorithms: [PS256]
      clients: [desk-app]
      maxAge: 2m
      maxAuthAge: 10m
      acr: [urn:strong]
      nonce: bound
      grants: ${CEILING}
    - { issuer: '${jag.url}', audience: ${AUDIENCE}, algorithms: [EdDSA, Ed25519], accept: [id-jag, access-token], clients: [desk-app], grants: ${CEILING} }
`,
  })
})

afterAll(async () => {
  await at.close()
  for (const each of [issuer, other, strict, jag, strange]) await each.close()
})

interface Trying {
  readonly as?: Name
  readonly type?: string
  readonly grant?: JsonObject
  readonly salt?: string
}

async function open(
  subject: string,
  { as = 'host', type = 'id-token', grant = {}, salt }: Trying = {},
): Promise<JsonObject> {
  const result = await at.control(as, 'grant.open', {
    grant: { actor: 'agent', ...grant },
    subject_token: subject,
    subject_token_type: type,
    ...(salt === undefined ? {} : { salt }),
  })
  if (!isJsonObject(result)) throw new Error('no grant')
  return result
}

const refusal = async (attempt: Promise<Json>): Promise<string> =>
  attempt.then(
    () => 'accepted',
    (fault: { reason?: string }) => fault.reason ?? 'a fault',
  )

describe('a proof that counts', () => {
  it('opens one grant, for the principal of that issuer, for the key of the agent, and is recorded', async () => {
    const token = issuer.idToken()
    const grant = await open(token)
    expect(grant).toMatchObject({
      principal: { type: 'oidc', id: `${issuer.url}#alice` },
      actor: at.keys.agent.jkt,
      issuedBy: { role: 'host', jkt: at.keys.host.jkt, issuer: issuer.url },
      operations: [{ upstream: SERVER, tool: 'read_note', effects: ['read'] }],
    })
    const entry = (await at.entries()).findLast((each) => each.kind === 'control' && each.act === 'grant.open')
    const { values } = await at.evidence(entry?.id ?? '')
    expect(values['detail']).toMatchObject({ proof: { iss: issuer.url, sub: 'alice', kind: 'id-token' } })
    expect(JSON.stringify(values)).not.toContain(token.split('.')[2])
    expect(await refusal(open(token))).toBe('identity.replayed')
  })

  it('counts once, however it is written and whoever asks first', async () => {
    const token = other.idToken({ jti: undefined })
    const end = token.lastIndexOf('.')
    const [input, signature] = [token.slice(0, end), token.slice(end + 1)]
    // The other signature of ES256 that verifies as well: r, n - s.
    const order = BigInt('0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551')
    const bytes = Buffer.from(signature, 'base64url')
    const s = order - BigInt(`0x${bytes.subarray(32).toString('hex')}`)
    const twin = Buffer.concat([bytes.subarray(0, 32), Buffer.from(s.toString(16).padStart(64, '0'), 'hex')])
    const outcomes = await Promise.all(
      [token, `${input}.${twin.toString('base64url')}`, token, token].map(async (each) => refusal(open(each))),
    )
    expect(outcomes.toSorted()).toEqual(['accepted', ...Array<string>(3).fill('identity.replayed')].toSorted())
  })

  it('is not used up by a grant that is refused', async () => {
    const token = issuer.idToken()
    expect(await refusal(open(token, { grant: { operations: [{ tool: `${SERVER}/*` }] } }))).toBe('scope.operation')
    expect(await refusal(open(token))).toBe('accepted')
  })

  it('counts as an ID-JAG and as an access token where these are accepted', async () => {
    const claims = { client_id: 'desk-app' }
    const assertion = mint(jag.key, { alg: 'EdDSA', kid: jag.key.kid, typ: 'oauth-id-jag+jwt' }, jag.claims(claims))
    expect(await open(assertion, { type: 'urn:ietf:params:oauth:token-type:id-jag' })).toMatchObject({
      principal: { type: 'oidc', id: `${jag.url}#alice` },
    })
    const access = mint(jag.key, { alg: 'EdDSA', kid: jag.key.kid, typ: 'at+jwt' }, jag.claims(claims))
    expect(await refusal(open(access, { type: 'access-token' }))).toBe('accepted')
  })

  it('lets the agent begin nothing by itself: only the grant that the host then opens a task under', async () => {
    const { principal, id } = await open(issuer.idToken({ sub: 'carol' }))
    const task = await at.control('host', 'task.open', {
      purpose: 'read the note',
      principal: isJsonObject(principal) ? principal : '',
      actor: 'agent',
      grant: id ?? '',
    })
    expect(task).toMatchObject({ grant: id, principal })
  })
})

describe('whose principal it is', () => {
  it('two issuers with one `sub` are two principals, and neither is the local one', async () => {
    const [a, b] = [await open(issuer.idToken()), await open(other.idToken())]
    expect(a['principal']).not.toEqual(b['principal'])
    for (const { principal, id } of [a, b]) {
      expect(principal).not.toMatchObject({ type: 'user' })
      const asLocal = at.control('host', 'task.open', {
        purpose: 'x',
        principal: 'alice',
        actor: 'agent',
        grant: id ?? '',
      })
      expect(await refusal(asLocal)).toBe('scope.no-grant')
    }
  })

  it('a `sub` that imitates another issuer stays its own issuer’s', async () => {
    const { principal } = await open(issuer.idToken({ sub: `x#${other.url}#alice` }))
    expect(principal).toEqual({ type: 'oidc', id: `${issuer.url}#x#${other.url}#alice` })
  })

  it.each<[string, JsonObject]>([
    ['a local name', { principal: 'alice' }],
    ['another type', { principal: { type: 'user', id: 'alice' } }],
    ['another principal of the issuer', { principal: { type: 'oidc', id: 'https://x.example#bob' } }],
  ])('the host cannot name %s', async (_title, grant) => {
    expect(await refusal(open(issuer.idToken(), { grant }))).toBe('system.malformed')
  })
})

type Members = Readonly<Record<string, Json | undefined>>
const now = (): number => Math.floor(Date.now() / 1000)

describe('claims that do not fit', () => {
  it.each<[string, () => Members, string]>([
    ['an issuer that nobody trusts', () => ({ iss: strange.url }), 'identity.bad-proof'],
    ['the other issuer (mix-up)', () => ({ iss: other.url }), 'identity.bad-proof'],
    ['the issuer with a slash', () => ({ iss: `${issuer.url}/` }), 'identity.bad-proof'],
    ['the issuer in capitals', () => ({ iss: issuer.url.toUpperCase() }), 'identity.bad-proof'],
    ['a list of issuers', () => ({ iss: [issuer.url] }), 'identity.bad-proof'],
    ['another audience', () => ({ aud: 'other' }), 'identity.bad-proof'],
    ['no audience', () => ({ aud: undefined }), 'identity.bad-proof'],
    ['an empty list of audiences', () => ({ aud: [] }), 'identity.bad-proof'],
    ['ours among others, of nobody that is known', () => ({ aud: [AUDIENCE, 'other'] }), 'identity.bad-proof'],
    ['ours among others, of ourselves', () => ({ aud: [AUDIENCE, 'other'], azp: AUDIENCE }), 'identity.bad-proof'],
    ['an audience in another case', () => ({ aud: AUDIENCE.toUpperCase() }), 'identity.bad-proof'],
    ['issued to another client', () => ({ azp: 'other' }), 'identity.bad-proof'],
    ['an `azp` that is no text', () => ({ azp: [AUDIENCE] }), 'identity.bad-proof'],
    ['no subject', () => ({ sub: undefined }), 'identity.bad-proof'],
    ['an empty subject', () => ({ sub: '' }), 'identity.bad-proof'],
    ['a subject with a break', () => ({ sub: 'alice\nbob' }), 'identity.bad-proof'],
    ['a subject that is a number', () => ({ sub: 7 }), 'identity.bad-proof'],
    ['a subject without end', () => ({ sub: 'x'.repeat(256) }), 'identity.bad-proof'],
    ['no `exp`', () => ({ exp: undefined }), 'identity.bad-proof'],
    ['an `exp` that is text', () => ({ exp: String(now() + 60) }), 'identity.bad-proof'],
    ['an `exp` before `iat`', () => ({ exp: now() - 10 }), 'identity.bad-proof'],
    ['no `iat`', () => ({ iat: undefined }), 'identity.bad-proof'],
    ['a negative `iat`', () => ({ iat: -1 }), 'identity.bad-proof'],
    ['milliseconds', () => ({ iat: Date.now(), exp: Date.now() + 1000 }), 'identity.bad-proof'],
    ['an end that has come', () => ({ iat: now() - 60, exp: now() }), 'identity.expired'],
    ['too old, though it has not ended', () => ({ iat: now() - 301, exp: now() + 600 }), 'identity.expired'],
    ['from the future', () => ({ iat: now() + 60 }), 'identity.expired'],
    ['not yet', () => ({ nbf: now() + 60 }), 'identity.expired'],
    [
      'a logout token',
      () => ({ events: { 'http://schemas.openid.net/event/backchannel-logout': {} } }),
      'identity.bad-proof',
    ],
    ['a `jti` that is no text', () => ({ jti: 1 }), 'identity.bad-proof'],
  ])('%s', async (_title, members, reason) => {
    expect(await refusal(open(issuer.idToken(members())))).toBe(reason)
  })

  it('clock edges: what is just young and just ripe enough counts', async () => {
    const young = { iat: now() - 290, exp: now() + 5 }
    expect(await refusal(open(issuer.idToken(young)))).toBe('accepted')
    expect(await refusal(open(issuer.idToken({ iat: now() + 20, nbf: now() + 20 })))).toBe('accepted')
  })

  it('the same `jti` again in another proof of the issuer', async () => {
    const jti = randomUUID()
    expect(await refusal(open(issuer.idToken({ jti })))).toBe('accepted')
    expect(await refusal(open(issuer.idToken({ jti, nonce: 'fresh' })))).toBe('identity.replayed')
    expect(await refusal(open(other.idToken({ jti })))).toBe('accepted')
  })
})

/** The secret is what everybody can read: the public key, as a library would hand it to HMAC. */
function hmacOf(issuing: OutsideIssuer): string {
  const input = issuing.idToken({}, { alg: 'HS256' }).split('.').slice(0, 2).join('.')
  const secret = createPublicKey(issuing.key.privateKey).export({ type: 'spki', format: 'pem' })
  return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`
}

describe('signatures and headers', () => {
  const forged = makeOutsideKey('RS256')

  it.each<[string, () => string]>([
    [
      'a key of the attacker under the right name',
      () => mint(forged, { alg: 'RS256', kid: issuer.key.kid }, issuer.claims()),
    ],
    [
      'a key that the proof brings along (`jwk`)',
      () => mint(forged, { alg: 'RS256', jwk: forged.jwk }, issuer.claims()),
    ],
    [
      'a key set that the proof points to (`jku`)',
      () => mint(forged, { alg: 'RS256', kid: forged.kid, jku: `${strange.url}/jwks` }, issuer.claims()),
    ],
    [
      'a certificate that the proof points to (`x5u`)',
      () => mint(forged, { alg: 'RS256', kid: forged.kid, x5u: `${strange.url}/cert` }, issuer.claims()),
    ],
    ['a `kid` that is a path', () => mint(forged, { alg: 'RS256', kid: '../../../../dev/null' }, issuer.claims())],
    [
      'a `kid` that is a question to a database',
      () => mint(forged, { alg: 'RS256', kid: "' or 1=1 --" }, issuer.claims()),
    ],
    ['a `kid` that is a member of everything', () => mint(forged, { alg: 'RS256', kid: '__proto__' }, issuer.claims())],
    ['a `kid` that is no text', () => issuer.idToken({}, { kid: [issuer.key.kid] })],
    ['a `kid` without end', () => issuer.idToken({}, { kid: 'k'.repeat(5_000) })],
    [
      'another algorithm that the key could do',
      () => mint({ ...issuer.key, alg: 'PS256' }, { alg: 'PS256', kid: issuer.key.kid }, issuer.claims()),
    ],
    ['an algorithm that is not what was signed with', () => issuer.idToken({}, { alg: 'PS256' })],
    ['an algorithm in another case', () => issuer.idToken({}, { alg: 'rs256' })],
    ['no algorithm', () => issuer.idToken({}, { alg: undefined })],
    ['`none`', () => `${issuer.idToken({}, { alg: 'none' }).split('.').slice(0, 2).join('.')}.`],
    ['`none`, signed', () => issuer.idToken({}, { alg: 'none' })],
    ['`HS256` under the public key', () => hmacOf(issuer)],
    ['critical extensions', () => issuer.idToken({}, { crit: ['exp'] })],
    ['an unencoded payload', () => issuer.idToken({}, { b64: false, crit: ['b64'] })],
    ['a nested one', () => issuer.idToken({}, { cty: 'JWT' })],
    [
      'one within another',
      () => mint(issuer.key, { alg: 'RS256', kid: issuer.key.kid }, JSON.stringify(issuer.idToken())),
    ],
    ['five parts', () => `${issuer.idToken()}.a.b`],
    ['two parts', () => issuer.idToken().split('.').slice(0, 2).join('.')],
    ['a line break', () => `${issuer.idToken()}\n`.replace('.', '.\n')],
    ['another form of base64', () => `${issuer.idToken()}=`],
    ['a huge one', () => issuer.idToken({ padding: 'x'.repeat(20_000) })],
    ['nothing', () => '.'],
    ['a signature cut off', () => issuer.idToken().slice(0, -8)],
  ])('%s', async (_title, make) => {
    const asked = strange.asked.length
    expect(await refusal(open(make()))).toMatch(/^(identity\.bad-proof|system\.malformed)$/)
    expect(strange.asked.length).toBe(asked)
  })

  it.each<[string, (claims: string) => string]>([
    ['a claim twice', (claims) => claims.replace('"sub":"alice"', '"sub":"alice","sub":"root"')],
    [
      'a claim twice, once escaped',
      (claims) => claims.replace('"sub":"alice"', String.raw`"sub":"alice","\u0073ub":"root"`),
    ],
    ['a lone surrogate', (claims) => claims.replace('"alice"', String.raw`"ali\ud800ce"`)],
    ['a byte order mark', (claims) => `\ufeff${claims}`],
    ['something after the end', (claims) => `${claims}{}`],
    ['a number that means two', (claims) => claims.replace('{', '{"n":9007199254740993,')],
  ])('%s', async (_title, bend) => {
    const text = bend(JSON.stringify(issuer.claims()))
    const token = mint(issuer.key, { alg: 'RS256', kid: issuer.key.kid }, text)
    expect(await refusal(open(token))).toBe('identity.bad-proof')
  })
})

describe('what is no proof of a principal', () => {
  it('our own credentials, whatever they are said to be', async () => {
    const task = await at.openTask('read the note')
    const credential = await openCredential(at.origin, at.keys.agent, task.txn)
    const made = signJwt(at.keys.host, 'JWT', issuer.claims())
    for (const compact of [credential, made])
      for (const type of ['id-token', 'access-token', 'id-jag'])
        expect(await refusal(open(compact, { type }))).toBe('identity.bad-proof')
  })

  it.each<[string, string, string]>([
    ['an access token said to be an ID Token', 'at+jwt', 'id-token'],
    ['an ID-JAG said to be an ID Token', 'oauth-id-jag+jwt', 'id-token'],
    ['a security event', 'secevent+jwt', 'id-token'],
    ['one of our own types', 'unbearer-action+jwt', 'id-token'],
    ['an ID Token where none is accepted', 'JWT', 'access-token'],
  ])('%s', async (_title, typ, type) => {
    expect(await refusal(open(issuer.idToken({}, { typ }), { type }))).toBe('identity.bad-proof')
  })

  it('an ID Token of an issuer of which only others are accepted, and an ID-JAG without its client', async () => {
    expect(await refusal(open(jag.idToken({ client_id: 'desk-app' }, { alg: 'EdDSA' })))).toBe('identity.bad-proof')
    const header = { alg: 'EdDSA', kid: jag.key.kid, typ: 'oauth-id-jag+jwt' }
    expect(await refusal(open(mint(jag.key, header, jag.claims()), { type: 'id-jag' }))).toBe('identity.bad-proof')
    const wrong = mint(jag.key, header, jag.claims({ client_id: 'other' }))
    expect(await refusal(open(wrong, { type: 'id-jag' }))).toBe('identity.bad-proof')
    const nameless = mint(jag.key, header, jag.claims({ client_id: 'desk-app', jti: undefined }))
    expect(await refusal(open(nameless, { type: 'id-jag' }))).toBe('identity.bad-proof')
  })

  it('a type of something that nobody knows', async () => {
    expect(await refusal(open(issuer.idToken(), { type: 'urn:ietf:params:oauth:token-type:refresh_token' }))).toBe(
      'system.malformed',
    )
  })
})

describe('who hands it in, and for what', () => {
  it.each<Name>(['agent', 'other', 'pep', 'approver', 'operator'])('not with the key of %s', async (as) => {
    expect(await refusal(open(issuer.idToken(), { as }))).toBe('identity.key-role')
  })

  it('not with a key that nobody enrolled', async () => {
    const { generateKey } = await import('../../src/crypto/keys.ts')
    const params = { grant: { actor: 'agent' }, subject_token: issuer.idToken(), subject_token_type: 'id-token' }
    const stranger = callControl({ url: at.origin, key: generateKey('Ed25519'), method: 'grant.open', params })
    expect(await refusal(stranger)).toBe('identity.unknown-key')
  })

  it.each<[string, JsonObject]>([
    ['every tool', { operations: [{ tool: `${SERVER}/*` }] }],
    ['a graver effect', { operations: [{ tool: `${SERVER}/read_note`, effects: ['write'] }] }],
    ['another tool', { operations: [{ tool: `${SERVER}/send_mail`, effects: ['send'] }] }],
    ['a longer life', { expires: '2h' }],
    ['delegation', { depth: 1 }],
    ['an agent that is a host', { actor: 'host' }],
    ['an agent that is nobody', { actor: 'ghost' }],
    ['a grant of somebody else as its parent', { parent: 'x' }],
  ])('not for %s', async (_title, grant) => {
    expect(await refusal(open(issuer.idToken(), { grant }))).toMatch(/^(scope\.operation|system\.malformed)$/)
  })

  it('another agent cannot act under it', async () => {
    const { principal, id } = await open(issuer.idToken())
    const params = {
      purpose: 'x',
      principal: isJsonObject(principal) ? principal : '',
      actor: 'other',
      grant: id ?? '',
    }
    expect(await refusal(at.control('host', 'task.open', params))).toBe('scope.no-grant')
  })
})

describe('an issuer that is not trusted any more', () => {
  it('opens nothing from the next reload on, and is asked anew when it is trusted again', async () => {
    const config = await loadConfig(join(at.dir, 'unbearer.yaml'))
    const [first, ...others] = config.trust.issuers
    if (first === undefined) throw new Error('no issuer')
    await at.serving.reload({ ...config, trust: { issuers: others } })
    const token = issuer.idToken()
    expect(await refusal(open(token))).toBe('identity.bad-proof')
    await at.serving.reload({ ...config, trust: { issuers: [{ ...first, audience: 'other' }, ...others] } })
    expect(await refusal(open(token))).toBe('identity.bad-proof')
    const before = issuer.asked.length
    await at.serving.reload(config)
    expect(await refusal(open(token))).toBe('accepted')
    expect(issuer.asked.length).toBeGreaterThan(before)
  })

  it('leaves everything as it was where the reload is refused', async () => {
    const config = await loadConfig(join(at.dir, 'unbearer.yaml'))
    await expect(at.serving.reload({ ...config, issuer: 'https://x.example', trust: { issuers: [] } })).rejects.toThrow(
      'issuer',
    )
    expect(await refusal(open(issuer.idToken()))).toBe('accepted')
  })
})

describe('an issuer of which more is asked', () => {
  const GRANT = { actor: 'agent', expires: '30m' }
  const SALT = 'a-salt-of-this-login'
  const good = (): Members => ({
    azp: 'desk-app',
    acr: 'urn:strong',
    auth_time: now() - 60,
    nonce: toGrantNonce(GRANT, SALT),
  })
  const ask = async (members: Members, trying: Trying = {}): Promise<string> =>
    refusal(open(strict.idToken({ ...good(), ...members }), { grant: GRANT, salt: SALT, ...trying }))

  it('is satisfied by all of it', async () => {
    expect(await ask({})).toBe('accepted')
  })

  it.each<[string, Members, string]>([
    ['no `acr`', { acr: undefined }, 'identity.weak-login'],
    ['another `acr`', { acr: 'urn:weak' }, 'identity.weak-login'],
    ['no `auth_time`', { auth_time: undefined }, 'identity.weak-login'],
    ['an old login', { auth_time: now() - 601 }, 'identity.weak-login'],
    ['a login in the future', { auth_time: now() + 600 }, 'identity.weak-login'],
    ['another client', { azp: 'other' }, 'identity.bad-proof'],
    ['no client', { azp: undefined }, 'identity.bad-proof'],
    ['no nonce', { nonce: undefined }, 'identity.bad-proof'],
    ['another nonce', { nonce: 'x' }, 'identity.bad-proof'],
    ['older than it may be', { iat: now() - 121 }, 'identity.expired'],
  ])('%s', async (_title, members, reason) => {
    expect(await ask(members)).toBe(reason)
  })

  it('a stolen proof opens no other grant, and not without its salt', async () => {
    const token = strict.idToken(good())
    expect(await refusal(open(token, { grant: { ...GRANT, actor: 'other' }, salt: SALT }))).toBe('identity.bad-proof')
    expect(await refusal(open(token, { grant: { ...GRANT, expires: '1h' }, salt: SALT }))).toBe('identity.bad-proof')
    expect(await refusal(open(token, { grant: GRANT, salt: 'another' }))).toBe('identity.bad-proof')
    expect(await refusal(open(token, { grant: GRANT }))).toBe('identity.bad-proof')
    expect(await refusal(open(token, { grant: GRANT, salt: SALT }))).toBe('accepted')
  })

  it('is told in the words of RFC 9470', async () => {
    const token = strict.idToken({ ...good(), acr: 'urn:weak' })
    await expect(open(token, { grant: GRANT, salt: SALT })).rejects.toMatchObject({ reason: 'identity.weak-login' })
  })
})

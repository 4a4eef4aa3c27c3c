/**
 * @module
 * The AuthZEN PDP over real HTTP: the cases derived from the certification scenario, the todo and the search sets, and
 * cases of our own for what no published test covers. The data lives outside the project; the policies are fixtures here.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { request as httpsRequest } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { parseListen } from '../../src/config/load.ts'
import { createSecret } from '../../src/config/secrets.ts'
import { servePdp, type PdpOptions, type ServingPdp } from '../../src/config/serve-pdp.ts'
import { isJsonObject, parseJson, type Json, type JsonObject } from '../../src/index.ts'

const DATA = join('..', 'shared', 'data', 'authzen')
const FIXTURES = join('test', 'fixtures', 'authzen')
const hasData = existsSync(DATA)
if (!hasData) console.info(`skipped: no AuthZEN data at ${DATA}`)

const dir = mkdtempSync(join(tmpdir(), 'unbearer-authzen-'))
const open: ServingPdp[] = []
afterAll(async () => {
  await Promise.all(open.map(async (pdp) => pdp.close()))
  rmSync(dir, { recursive: true, force: true })
})

async function start(folder: string, entities: string, more: Partial<PdpOptions> = {}): Promise<ServingPdp> {
  const pdp = await servePdp({
    policies: folder,
    entities,
    listening: { listen: parseListen('127.0.0.1:0', false) },
    trustClaims: false,
    report: (where, fault) => console.error(where, fault),
    ...more,
  })
  open.push(pdp)
  return pdp
}

interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly body: Json | undefined
  readonly text: string
}

async function ask(origin: string, path: string, body?: Json | string, headers: Record<string, string> = {}) {
  const response = await fetch(`${origin}${path}`, {
    ...(body === undefined ? {} : { method: 'POST', body: typeof body === 'string' ? body : JSON.stringify(body) }),
    headers: { 'content-type': 'application/json', ...headers },
  })
  const raw = await response.text()
  const isJson = response.headers.get('content-type')?.startsWith('application/json') === true
  const answer: Answer = {
    status: response.status,
    headers: response.headers,
    text: raw,
    body: isJson ? parseJson(raw) : undefined,
  }
  return answer
}

function load(name: string): JsonObject {
  const value = parseJson(readFileSync(join(DATA, name), 'utf8'))
  if (!isJsonObject(value)) throw new TypeError(`${name} is not an object`)
  return value
}

function member(value: Json | undefined, ...path: readonly (string | number)[]): Json | undefined {
  return path.reduce<Json | undefined>((at, key) => {
    if (isList(at)) return at[Number(key)]
    return isJsonObject(at) ? at[String(key)] : undefined
  }, value)
}

function isList(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value)
}

function list(value: Json | undefined): readonly Json[] {
  if (!isList(value)) throw new TypeError('not a list')
  return value
}

function text(value: Json | undefined): string {
  if (typeof value !== 'string') throw new TypeError('not a text')
  return value
}

const sorted = (value: Json | undefined): readonly string[] =>
  list(value)
    .map((each) => JSON.stringify(each))
    .toSorted()

describe.skipIf(!hasData)('the cases derived from the certification scenario', () => {
  const cases = hasData ? list(load(join('certification', 'cases.json'))['cases']) : []
  const answers = new Map<string, Answer>()
  let pdp: ServingPdp
  beforeAll(async () => {
    const folder = join(FIXTURES, 'certification')
    pdp = await start(folder, join(folder, 'entities.ndjson'), { trustClaims: true })
  })

  it('are the 57 that we know', () => {
    const levels = Object.entries(Object.groupBy(cases, (each) => text(member(each, 'level'))))
    console.info(`cases by level: ${levels.map(([level, some]) => `${level} ${some?.length ?? 0}`).join(', ')}`)
    expect(cases).toHaveLength(57)
  })

  it.each(cases.map((each) => [`${text(member(each, 'level'))}: ${text(member(each, 'id'))}`, each] as const))(
    '%s',
    async (_name, each) => {
      const answer = await askCase(each)
      answers.set(text(member(each, 'id')), answer)
      expect(toComplaints(each, answer)).toEqual([])
    },
  )

  async function askCase(each: Json): Promise<Answer> {
    const path = text(member(each, 'path'))
    if (member(each, 'method') === 'GET') return ask(pdp.origin, path)
    const headers = Object.fromEntries(
      Object.entries(toObject(member(each, 'headers') ?? {})).map(([name, value]) => [name, text(value)]),
    )
    const given = member(each, 'rawBody') ?? withRealPage(member(each, 'request') ?? null)
    const times = Number(member(each, 'repeat') ?? 1)
    let answer = await ask(pdp.origin, path, given, headers)
    for (let time = 1; time < times; time += 1) {
      const again = await ask(pdp.origin, path, given, headers)
      expect(again.body).toEqual(answer.body)
      answer = again
    }
    return answer
  }

  /** The case says: the `next_token` of the page before. */
  function withRealPage(request: Json): Json {
    if (!isJsonObject(request) || !isPlaceholder(member(request, 'page', 'token'))) return request
    return { ...request, page: { token: text(member(answers.get('c-4-5-1')?.body, 'page', 'next_token')) } }
  }

  /** What is not as the case expects; every kind of expectation that the cases know is looked at. */
  function toComplaints(each: Json, { status, headers, body }: Answer): readonly string[] {
    const expected = toObject(member(each, 'expect'))
    const has = (name: string): boolean => expected[name] !== undefined
    const results = (): readonly string[] => sorted(member(body, 'results'))
    const wanted: readonly (readonly [string, () => boolean])[] = [
      ['decision', () => member(body, 'decision') === expected['decision']],
      ['evaluations', () => isBatch(list(expected['evaluations']), body)],
      ['resultsInclude', () => sorted(expected['resultsInclude']).every((one) => results().includes(one))],
      ['resultsExactly', () => results().join() === sorted(expected['resultsExactly']).join()],
      [
        'sameResultsAs',
        () => results().join() === sorted(member(answers.get(text(expected['sameResultsAs']))?.body, 'results')).join(),
      ],
      ['resultsArray', () => isList(member(body, 'results'))],
      ['pageNextTokenString', () => typeof member(body, 'page', 'next_token') === 'string'],
      ['required', () => list(expected['required']).every((name) => typeof member(body, text(name)) === 'string')],
      ['policy_decision_point_equals_base_url', () => member(body, 'policy_decision_point') === pdp.origin],
      ['contentType', () => headers.get('content-type')?.startsWith(text(expected['contentType'])) === true],
    ]
    const named = Object.entries(toObject(expected['responseHeaders'] ?? {}))
    return [
      ...(status === expected['status'] ? [] : [`status ${status}`]),
      ...named.flatMap(([name, value]) => (headers.get(name) === value ? [] : [`header ${name}`])),
      ...wanted.flatMap(([name, isMet]) => (!has(name) || isMet() ? [] : [name])),
    ]
  }
})

function isPlaceholder(value: Json | undefined): boolean {
  return typeof value === 'string' && value.startsWith('<')
}

/** `null` stands for any decision. */
function isBatch(expected: readonly Json[], body: Json | undefined): boolean {
  const got = list(member(body, 'evaluations')).map((each) => member(each, 'decision'))
  const isMet = (decision: Json, at: number): boolean =>
    decision === null ? typeof got[at] === 'boolean' : got[at] === decision
  return got.length === expected.length && expected.every(isMet)
}

function toObject(value: Json | undefined): JsonObject {
  if (!isJsonObject(value)) throw new TypeError('not an object')
  return value
}

describe.skipIf(!hasData)('the todo set', () => {
  it('is decided as published, from what the operator says of users and not the PEP', async () => {
    const folder = join(FIXTURES, 'todo')
    const { origin } = await start(folder, join(folder, 'entities.ndjson'))
    const data = load(join('todo', 'decisions-authorization-api-1_0-02.json'))
    const single = list(data['evaluation'])
    const batches = list(data['evaluations'])
    expect([single.length, batches.length]).toEqual([40, 3])
    for (const each of single) {
      const { body } = await ask(origin, '/access/v1/evaluation', member(each, 'request') ?? null)
      expect({ ...toObject(each), decision: member(body, 'decision') }).toMatchObject({
        decision: member(each, 'expected'),
      })
    }
    for (const each of batches) {
      const { body } = await ask(origin, '/access/v1/evaluations', member(each, 'request') ?? null)
      expect(list(member(body, 'evaluations')).map((item) => member(item, 'decision'))).toEqual(
        list(member(each, 'expected')).map((item) => member(item, 'decision')),
      )
    }
  })
})

describe.skipIf(!hasData)('the search sets', () => {
  it.each([
    ['subject', 60],
    ['resource', 18],
    ['action', 120],
  ] as const)('%s', async (sought, count) => {
    const entities = join(dir, `search-${sought}.ndjson`)
    writeFileSync(entities, [...toLines('user', 'users.json'), ...toLines('record', 'records.json')].join('\n'))
    const { origin } = await start(join(FIXTURES, 'search'), entities)
    const searches = list(load(join('search', `${sought}-results.json`))['evaluation'])
    expect(searches).toHaveLength(count)
    for (const each of searches) {
      const { body } = await ask(origin, `/access/v1/search/${sought}`, member(each, 'request') ?? null)
      expect(sorted(member(body, 'results'))).toEqual(sorted(member(each, 'expected', 'results')))
    }
  })
})

const ENTITIES = [
  { type: 'user', id: 'alice', properties: { role: 'admin', note: null, share: 0.5, 'a b': ['x', 2] } },
  { type: 'user', id: 'bob' },
  { type: 'paper', id: 'p1', properties: { type: 'invoice', id: 'INV-1' } },
  { type: 'api-route', id: '/orders', properties: { owner: 'alice' } },
  ...Array.from({ length: 7 }, (_, at) => ({ type: 'doc', id: `d${at}`, properties: { n: at } })),
]
const POLICIES = `
@id("admins-read")
permit (principal is user, action == Action::"read", resource) when { principal has role && principal.role == "admin" };
@id("odd-types")
permit (principal, action == Action::"call", resource == Unbearer::Entity::"api-route//orders")
when { resource.type == "api-route" && resource.owner == principal.id };
@id("says-so")
permit (principal, action == Action::"claim", resource) when { context.claimed.subject has role && context.claimed.subject.role == "admin" };
@id("by-attribute")
permit (principal, action == Action::"trust", resource) when { principal has role && principal.role == "root" };
@id("null-and-half")
permit (principal, action == Action::"odd", resource)
when { principal.note has "unbearer:null" && principal.share has "unbearer:number" && principal.share["unbearer:number"] == "0.5" };
@id("fails")
permit (principal, action == Action::"fail", resource) when { principal.nothing == 1 };
@id("open-to-all") permit (principal, action == Action::"fail", resource);
@id("own-names")
permit (principal, action == Action::"file", resource is paper) when { resource.type == "invoice" && resource.id == "INV-1" };
@id("at-night")
permit (principal, action == Action::"clean", resource) when { context has window && context.window == "night" };
@id("by-a-fact")
permit (principal, action == Action::"forge", resource) when { context has grant || context has approved || context has proof };
@id("by-a-name")
permit (principal, action == Action::"rename", resource) when { context.action.name == "forge" || context.claimed has x };
@id("banned") forbid (principal, action == Action::"ban", resource);
@id("step") @obligation("step-up:urn:mfa notification:ops")
permit (principal, action == Action::"pay", resource);
`

describe('what no published test covers', () => {
  let origin = ''
  let trusting = ''
  beforeAll(async () => {
    writeFileSync(join(dir, 'p.cedar'), POLICIES)
    writeFileSync(join(dir, 'entities.ndjson'), ENTITIES.map((each) => JSON.stringify(each)).join('\n'))
    origin = (await start(dir, join(dir, 'entities.ndjson'))).origin
    trusting = (await start(dir, join(dir, 'entities.ndjson'), { trustClaims: true })).origin
  })
  const decide = async (body: JsonObject, at = origin): Promise<Json | undefined> =>
    (await ask(at, '/access/v1/evaluation', body)).body

  it('gives a plain permit no context, and says of a denial why, by a closed reason', async () => {
    expect(await decide(question('read'))).toEqual({ decision: true })
    expect(await decide(question('nothing'))).toEqual({
      decision: false,
      context: { evaluation_id: expect.any(String), reason: 'policy.undefined' },
    })
    expect(await decide(question('ban'))).toMatchObject({ decision: false, context: { reason: 'policy.denied' } })
  })

  it('denies when any policy fails, also where another would permit', async () => {
    expect(await decide(question('fail'))).toMatchObject({ decision: false, context: { reason: 'policy.error' } })
  })

  it('takes what a PEP says for a claim, unless it is told to trust it', async () => {
    const bob = { subject: { type: 'user', id: 'bob', properties: { role: 'root' } } }
    expect(await decide(question('trust', bob))).toMatchObject({ decision: false })
    expect(await decide(question('trust', bob), trusting)).toEqual({ decision: true })
    const claims = { subject: { type: 'user', id: 'bob', properties: { role: 'admin' } } }
    expect(await decide(question('claim', claims))).toEqual({ decision: true })
    expect(await decide(question('read', claims))).toMatchObject({ decision: false })
  })

  it('gives policies the environment as the PEP tells it, under no name of a fact that somebody verified', async () => {
    expect(await decide(question('clean', { context: { window: 'night' } }))).toEqual({ decision: true })
    expect(await decide(question('clean'))).toMatchObject({ context: { reason: 'policy.undefined' } })
    const facts = { grant: { covered: true }, approved: true, proof: { grade: 'signature' } }
    expect(await decide(question('forge', { context: facts }))).toMatchObject({ decision: false })
    const names = { action: { name: 'forge' }, claimed: { x: true } }
    expect(await decide(question('rename', { context: names }))).toMatchObject({ decision: false })
  })

  it('reads a property `type` or `id` of the entity file as it stands there', async () => {
    const paper = { resource: { type: 'paper', id: 'p1', properties: { type: 'letter' } } }
    expect(await decide(question('file', paper))).toEqual({ decision: true })
    expect(await decide(question('file', paper), trusting)).toEqual({ decision: true })
  })

  it('lets nobody choose who they are by a property', async () => {
    const forged = { subject: { type: 'user', id: 'bob', properties: { id: 'alice', type: 'user' } } }
    const route = { resource: { type: 'api-route', id: '/orders' } }
    expect(await decide(question('call', { ...forged, ...route }), trusting)).toMatchObject({ decision: false })
    expect(await decide(question('call', route))).toEqual({ decision: true })
  })

  it('encodes null and fractions so that policies can tell them, and refuses keys that Cedar would read as more', async () => {
    expect(await decide(question('odd'))).toEqual({ decision: true })
    for (const key of ['__entity', '__extn', '__expr', 'unbearer:null']) {
      const hostile = {
        subject: { type: 'user', id: 'bob', properties: { role: { [key]: { type: 'user', id: 'x' } } } },
      }
      expect(await decide(question('read', hostile), trusting)).toMatchObject({ decision: false })
      expect(await decide(question('read', { context: { deep: [{ [key]: 1 }] } }))).toMatchObject({ decision: false })
    }
  })

  it('sends obligations with the permit', async () => {
    expect(await decide(question('pay'))).toEqual({
      decision: true,
      context: {
        obligations: [
          { id: 'step/1', type: 'step-up', properties: { acr_value: 'urn:mfa' } },
          { id: 'step/2', type: 'notification', properties: { topic: 'ops' } },
        ],
      },
    })
  })

  it.each([
    ['execute_all', ['ban', 'read', 'ban', 'read'], [false, true, false, true]],
    ['deny_on_first_deny', ['read', 'ban', 'read'], [true, false]],
    ['deny_on_first_deny', ['read', 'read'], [true, true]],
    ['permit_on_first_permit', ['ban', 'read', 'read'], [false, true]],
    ['permit_on_first_permit', ['ban', 'ban'], [false, false]],
  ] as const)('%s of %j', async (semantic, actions, expected) => {
    const { body } = await ask(origin, '/access/v1/evaluations', {
      ...question('read'),
      options: { evaluations_semantic: semantic },
      evaluations: actions.map((name) => ({ action: { name } })),
    })
    expect(list(member(body, 'evaluations')).map((each) => member(each, 'decision'))).toEqual(expected)
  })

  it('denies an item that cannot be read, by itself, and stops there where the first denial ends it', async () => {
    const at = origin
    const asked = async (semantic: string): Promise<Json | undefined> =>
      (
        await ask(at, '/access/v1/evaluations', {
          ...question('read'),
          options: { evaluations_semantic: semantic },
          evaluations: [{ resource: 'd1' }, {}],
        })
      ).body
    const broken = { decision: false, context: { error: { status: 400, message: '`resource` must be an object' } } }
    expect(await asked('execute_all')).toEqual({ evaluations: [broken, { decision: true }] })
    expect(await asked('deny_on_first_deny')).toEqual({ evaluations: [broken] })
    expect(await asked('permit_on_first_permit')).toEqual({ evaluations: [broken, { decision: true }] })
  })

  it('replaces a whole member of the defaults, without merging', async () => {
    const { body } = await ask(origin, '/access/v1/evaluations', {
      ...question('claim', { subject: { type: 'user', id: 'bob', properties: { role: 'admin' } } }),
      evaluations: [{}, { subject: { type: 'user', id: 'bob' } }],
    })
    expect(list(member(body, 'evaluations')).map((each) => member(each, 'decision'))).toEqual([true, false])
  })

  it.each([
    ['an unknown semantic', { options: { evaluations_semantic: 'maybe' }, evaluations: [{}] }],
    ['evaluations that are no list', { evaluations: {} }],
    ['an item that is no object', { evaluations: ['x'] }],
  ])('answers 400 to %s', async (_name, more) => {
    expect((await ask(origin, '/access/v1/evaluations', { ...question('read'), ...more })).status).toBe(400)
  })

  it('pages through a search, and takes a page token only for the search it belongs to', async () => {
    const search = { subject: { type: 'user', id: 'alice' }, action: { name: 'read' }, resource: { type: 'doc' } }
    const found: Json[] = []
    let token = ''
    for (let page = 0; page < 4; page += 1) {
      const { body } = await ask(origin, '/access/v1/search/resource', {
        ...search,
        page: { limit: 3, ...(token === '' ? {} : { token }) },
      })
      found.push(...list(member(body, 'results')))
      token = text(member(body, 'page', 'next_token'))
      expect(member(body, 'page', 'total')).toBe(7)
      if (token === '') break
      const other = await ask(origin, '/access/v1/search/resource', {
        ...search,
        subject: { type: 'user', id: 'bob' },
        page: { limit: 3, token },
      })
      expect(other.status).toBe(400)
    }
    expect(found.map((each) => member(each, 'id'))).toEqual(['d0', 'd1', 'd2', 'd3', 'd4', 'd5', 'd6'])
  })

  it('goes on with the limit of the first page, refuses another, and takes a limit of zero', async () => {
    const search = { subject: { type: 'user', id: 'alice' }, action: { name: 'read' }, resource: { type: 'doc' } }
    const page = async (asked: Json) => ask(origin, '/access/v1/search/resource', { ...search, page: asked })
    const token = text(member((await page({ limit: 2 })).body, 'page', 'next_token'))
    expect(list(member((await page({ token })).body, 'results')).length).toBe(2)
    expect((await page({ token, limit: 3 })).status).toBe(400)
    expect((await page({ token: token.replace('2.2.', '2.9.') })).status).toBe(400)
    const none = (await page({ limit: 0 })).body
    expect([member(none, 'results'), member(none, 'page', 'total')]).toEqual([[], 7])
    expect(member(none, 'page', 'next_token')).not.toBe('')
    expect((await page({ limit: -1 })).status).toBe(400)
  })

  it('gives the request id back with every answer, and says how an endpoint is asked', async () => {
    const headers = { 'x-request-id': 'r 1/' }
    const answers = [
      await fetch(`${origin}/access/v1/evaluation`, { method: 'POST', body: '{}', headers }),
      await fetch(`${origin}/access/v1/evaluation`, { headers }),
      await fetch(`${origin}/.well-known/authzen-configuration`, { headers }),
      await fetch(`${origin}/nowhere`, { headers }),
      await fetch(`${origin}/access/v1/evaluation`, { headers: { ...headers, origin: 'https://evil.example' } }),
    ]
    expect(answers.map(({ status }) => status)).toEqual([400, 405, 200, 404, 403])
    expect(answers.map((answer) => answer.headers.get('x-request-id'))).toEqual(Array(5).fill('r 1/'))
    expect(answers[1]?.headers.get('allow')).toBe('POST')
  })

  it('refuses a page of another origin and another host name', async () => {
    const headers = { origin: 'https://evil.invalid' }
    expect((await ask(origin, '/access/v1/evaluation', question('read'), headers)).status).toBe(403)
  })

  it('is strict about what JSON is', async () => {
    const twice = '{"subject":{"type":"user","id":"bob"},"subject":{"type":"user","id":"alice"}}'
    expect((await ask(origin, '/access/v1/evaluation', twice)).status).toBe(400)
  })

  it('says how it was asked in every entry', async () => {
    expect(open.at(-1)?.authentication).toBe('none')
  })
})

describe('what refuses to start', () => {
  const PERMIT = 'permit (principal, action, resource);'

  it.each([
    ['no policy', '', '', 'at least one'],
    ['text that is no policy', 'permit', '', 'p.cedar'],
    ['a misspelt obligation', `@obligations("step-up:x") ${PERMIT}`, '', '@obligations'],
    ['an obligation on a forbid', '@obligation("step-up:x") forbid (principal, action, resource);', '', 'forbid'],
    ['an unknown obligation', `@obligation("dance:x") ${PERMIT}`, '', 'dance'],
    ['two policies of one id', `@id("a") ${PERMIT} @id("a") ${PERMIT}`, '', '`a`'],
    ['a template', 'permit (principal == ?principal, action, resource);', '', 'templates'],
    ['a line that is no JSON', PERMIT, '{"type":"user","id":"a"}\n{', 'line 2'],
    ['an unknown member', PERMIT, '{"type":"user","id":"a","props":{}}', '`props`'],
    ['an entity twice', PERMIT, '{"type":"user","id":"a"}\n{"type":"user","id":"a"}', 'line 2'],
  ])('%s', async (_name, policies, entities, said) => {
    expect(await attempt(policies, entities)).toMatchObject({
      code: 'ERR_UNBEARER_CONFIG',
      message: expect.stringContaining(said),
    })
  })

  it('a listener beyond the loopback where nobody is authenticated, TLS or not', async () => {
    const tls = { cert: createSecret({ env: 'C' }, { C: 'x' }), key: createSecret({ env: 'K' }, { K: 'x' }) }
    const listening = { listen: parseListen('0.0.0.0:0', true), tls }
    expect(await attempt(PERMIT, '', { listening })).toMatchObject({ message: expect.stringContaining('loopback') })
  })
})

describe('discovery', () => {
  it('names itself and its endpoints by https where it speaks TLS', async ({ skip }) => {
    const [cert, key] = [join(dir, 'cert.pem'), join(dir, 'key.pem')]
    try {
      const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1']
      const made = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2']
      execFileSync('openssl', ['req', ...made, ...subject, '-keyout', key, '-out', cert], { stdio: 'ignore' })
    } catch {
      console.info('skipped: no openssl to make a certificate')
      skip()
    }
    writeFileSync(join(dir, 'p.cedar'), POLICIES)
    writeFileSync(join(dir, 'e.ndjson'), '')
    const secrets = { cert: createSecret({ file: cert }, {}), key: createSecret({ file: key }, {}) }
    const listening = { listen: parseListen('127.0.0.1:0', true), tls: secrets }
    const { origin } = await start(dir, join(dir, 'e.ndjson'), { listening })
    expect(origin).toMatch(/^https:/)
    const found = await getTls(`${origin}/.well-known/authzen-configuration`, readFileSync(cert, 'utf8'))
    expect(found['policy_decision_point']).toBe(origin)
    expect(Object.values(found).filter((value) => !text(value).startsWith('https://'))).toEqual([])
  })
})

function toLines(type: string, name: string): readonly string[] {
  const rows = list(parseJson(readFileSync(join(DATA, 'search', name), 'utf8')))
  return rows.map((row) => {
    const { id, ...properties } = toObject(row)
    return JSON.stringify({ type, id: typeof id === 'number' ? `${id}` : text(id), properties })
  })
}

async function getTls(url: string, ca: string): Promise<JsonObject> {
  return new Promise((resolve, reject) => {
    httpsRequest(url, { ca }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () => resolve(toObject(parseJson(Buffer.concat(chunks)))))
    })
      .on('error', reject)
      .end()
  })
}

function question(action: string, more: JsonObject = {}): JsonObject {
  return {
    subject: { type: 'user', id: 'alice' },
    action: { name: action },
    resource: { type: 'doc', id: 'd1' },
    ...more,
  }
}

async function attempt(policies: string, entities: string, more: Partial<PdpOptions> = {}): Promise<unknown> {
  const folder = mkdtempSync(join(dir, 'refused-'))
  writeFileSync(join(folder, 'p.cedar'), policies)
  writeFileSync(join(folder, 'e.ndjson'), entities)
  return start(folder, join(folder, 'e.ndjson'), more).catch((cause: unknown) => cause)
}

/**
 * @module
 * What each engine sends and how it reads what comes back, beyond the contract: requests are looked at on the other side.
 */
import { afterEach, describe, expect, it } from 'vitest'
import { toDocument } from '../../test/fixtures/engine-request.ts'
import type { EngineServer } from '../../test/support/engine-servers.ts'
import { startStandIn, type Respond } from '../../test/support/stand-in.ts'
import { isJsonObject, type Json, type JsonObject } from '../core/json.ts'
import { createAuthzenEngine } from './authzen.ts'
import { parseEngineUrl } from './http-client.ts'
import { createOpaEngine } from './opa.ts'
import { createTopazEngine } from './topaz.ts'

const servers: EngineServer[] = []
afterEach(async () => {
  await Promise.all(servers.splice(0).map(async (server) => server.stop()))
})

interface Seen {
  readonly path: string
  readonly body: JsonObject
}

async function serve(respond: Respond): Promise<{ readonly url: string; readonly seen: Seen[] }> {
  const seen: Seen[] = []
  const server = await startStandIn((path, body, url) => {
    if (isJsonObject(body)) seen.push({ path, body })
    return respond(path, body, url)
  })
  servers.push(server)
  return { url: server.url, seen }
}

const always = async (body: Json, status = 200): ReturnType<typeof serve> => serve(() => ({ status, body }))
const timeoutMs = 2_000
const plain: Json = JSON.parse(JSON.stringify(toDocument()))

describe('opa', () => {
  it('is asked strictly for the rule, with the document as input, and its decision id is kept', async () => {
    const { url, seen } = await always({ result: true, decision_id: 'd-1' })
    const engine = await createOpaEngine({ url, path: '/agents/allow', timeoutMs })
    const verdict = await engine.evaluate(toDocument())
    expect(verdict).toMatchObject({ outcome: 'permit', decisionId: 'd-1', policies: ['/agents/allow'] })
    expect(seen.at(-1)).toEqual({
      path: '/v1/data/agents/allow?provenance=true&strict-builtin-errors=true',
      body: { input: plain },
    })
  })

  it('names the bundles that spoke as version, and says so when there are none', async () => {
    let bundles: Json = { authz: { revision: 'r1' } }
    const { url } = await serve(() => ({ body: { result: true, provenance: { bundles } } }))
    const engine = await createOpaEngine({ url, path: 'a/b', timeoutMs })
    const versionOf = async (): Promise<string> => (await engine.evaluate(toDocument())).version
    const first = await versionOf()
    expect(first).toMatch(/^sha-256:/)
    expect(engine.version).toBe(first)
    bundles = { authz: { revision: 'r2' } }
    expect(await versionOf()).not.toBe(first)
    for (const silent of [{}, { authz: {} }, { authz: { revision: '' } }]) {
      bundles = silent
      expect(await versionOf()).toMatch(/^unversioned:sha-256:/)
    }
  })

  it('encodes names in the path, so that none reaches another rule', async () => {
    const { url, seen } = await always({ result: true })
    await createOpaEngine({ url, path: 'a/b?x=1#y', timeoutMs })
    expect(seen[0]?.path).toMatch(/^\/v1\/data\/a\/b%3Fx%3D1%23y\?provenance/)
    for (const path of ['', '/', 'a//b', '../system', 'a/./b'])
      await expect(createOpaEngine({ url, path, timeoutMs })).rejects.toThrow('is not the path of a rule')
  })

  it('does not start when it is away, not healthy, or refuses us', async () => {
    await expect(createOpaEngine({ url: 'http://127.0.0.1:1', path: 'a', timeoutMs })).rejects.toThrow(
      'cannot be reached',
    )
    const sick = await serve((path) => ({ status: path.startsWith('/health') ? 500 : 200, body: {} }))
    await expect(createOpaEngine({ url: sick.url, path: 'a', timeoutMs })).rejects.toThrow('a bundle is not active')
    const closed = await serve((path) => ({ status: path.startsWith('/health') ? 200 : 401, body: {} }))
    await expect(createOpaEngine({ url: closed.url, path: 'a', timeoutMs })).rejects.toThrow('secrets.authorization')
  })

  it('is asked with what the policies of a shop expect', async () => {
    const { url, seen } = await always({ result: { allow: true, policies: ['b', 'a'] } })
    const input = { user: '/subject/id', tool: '/resource/properties/tool', args: '/context/arguments', v: 2 }
    const engine = await createOpaEngine({ url, path: 'shop/allow', input, timeoutMs })
    expect((await engine.evaluate(toDocument())).policies).toEqual(['a', 'b'])
    expect(seen.at(-1)?.body).toEqual({ input: { user: 'alice', tool: 'query', args: { sql: 'select 1' }, v: 2 } })
  })
})

describe('topaz', () => {
  const yes: Json = { decisions: [{ decision: 'allowed', is: true }] }

  it('takes a principal whom the directory does not have for undefined, and a refusal of us for a fault', async () => {
    for (const [code, outcome] of [
      [5, 'undefined'],
      [16, 'error'],
      ['5', 'error'],
    ] as const) {
      let asked = 0
      const { url } = await serve(() => {
        asked += 1
        return asked < 3 ? { body: yes } : { status: 401, body: { code, message: 'authentication failed' } }
      })
      const engine = await createTopazEngine({ url, path: 'agents.tools', timeoutMs })
      expect([code, (await engine.evaluate(toDocument())).outcome]).toEqual([code, outcome])
      await engine.close()
    }
  })

  it('is asked at start in the name of nobody, and says when its rule is not there', async () => {
    const { url, seen } = await serve(() => ({
      status: 400,
      body: { message: 'invalid query: invalid rule: "data.a"' },
    }))
    await expect(createTopazEngine({ url, path: 'a', timeoutMs })).rejects.toThrow('topaz has no rule `a.allowed`')
    expect(seen[0]?.body['identity_context']).toEqual({ type: 'IDENTITY_TYPE_NONE' })
  })

  it('gets the subject as identity and the document as resource context', async () => {
    const { url, seen } = await always(yes)
    const engine = await createTopazEngine({ url, path: 'agents.tools', instance: 'prod', timeoutMs })
    expect((await engine.evaluate(toDocument())).outcome).toBe('permit')
    expect(seen.at(-1)).toEqual({
      path: '/api/v2/authz/is',
      body: {
        identity_context: { type: 'IDENTITY_TYPE_SUB', identity: 'alice' },
        policy_context: { path: 'agents.tools', decisions: ['allowed'] },
        policy_instance: { name: 'prod' },
        resource_context: plain,
      },
    })
  })

  it('gets no identity, or another resource context, where it is told so', async () => {
    const { url, seen } = await always(yes)
    const input = { tool: '/resource/id' }
    const engine = await createTopazEngine({ url, path: 'a', identity: 'none', input, timeoutMs })
    expect((await engine.evaluate(toDocument())).outcome).toBe('permit')
    expect(seen.at(-1)?.body).toMatchObject({
      identity_context: { type: 'IDENTITY_TYPE_NONE' },
      resource_context: { tool: 'orders/query' },
    })
    expect(seen.at(-1)?.body['identity_context']).not.toHaveProperty('identity')
  })

  it.each(['a b', 'a.b; true', '', 'a..b', 'a.b\n', 'a[0]', '1a', 'data.x = true or data'])(
    'is never given a path that could be another query: %j',
    async (path) => {
      const { url, seen } = await always(yes)
      await expect(createTopazEngine({ url, path, timeoutMs })).rejects.toThrow('is not a package')
      await expect(createTopazEngine({ url, path: 'a', decision: path, timeoutMs })).rejects.toThrow('name of a rule')
      expect(seen).toEqual([])
    },
  )

  it.each([
    [{ decisions: [] }, 'error'],
    [{ decisions: [{ decision: 'visible', is: true }] }, 'error'],
    [
      {
        decisions: [
          { decision: 'allowed', is: true },
          { decision: 'allowed', is: false },
        ],
      },
      'error',
    ],
    [{ decisions: [{ is: true }] }, 'error'],
    [{ decisions: [{ decision: 'allowed' }] }, 'deny'],
  ])('reads %j as %s', async (body, outcome) => {
    const { url } = await always(body)
    const engine = await createTopazEngine({ url, path: 'a', timeoutMs })
    expect((await engine.evaluate(toDocument())).outcome).toBe(outcome)
  })
})

const metadata = (base: string): JsonObject => ({
  policy_decision_point: base,
  access_evaluation_endpoint: `${base}/eval`,
  access_evaluations_endpoint: `${base}/evals`,
})

describe('authzen', () => {
  it('sends the document as it is to the endpoint of the metadata, for a tenant too', async () => {
    const { url, seen } = await serve((path, _body, origin) =>
      path === '/.well-known/authzen-configuration/tenant'
        ? { body: metadata(`${origin}/tenant`) }
        : { status: path === '/tenant/eval' ? 200 : 404, body: { decision: true, context: { evaluation_id: 'e-1' } } },
    )
    const engine = await createAuthzenEngine({ url: `${url}/tenant/`, timeoutMs })
    expect(await engine.evaluate(toDocument())).toMatchObject({ outcome: 'permit', decisionId: 'e-1' })
    expect(seen.at(-1)).toEqual({ path: '/tenant/eval', body: plain })
  })

  it('takes an item that could not be decided there for a fault, which no approval would lift', async () => {
    const error = { decision: false, context: { error: { status: 500, message: 'evaluation failed' } } }
    const { url } = await serve((path, _body, base) =>
      path.startsWith('/.well-known')
        ? { body: { ...metadata(base), access_evaluations_endpoint: `${base}/both` } }
        : { body: { decision: true, evaluations: [error, { decision: true }] } },
    )
    const engine = await createAuthzenEngine({ url, evaluations: true, timeoutMs })
    expect(await engine.evaluate(toDocument())).toMatchObject({ outcome: 'error', fault: 'evaluation failed there' })
    await engine.close()
  })

  it.each([
    [
      'another decision point',
      (base: string) => ({ ...metadata(base), policy_decision_point: 'https://other.example' }),
    ],
    [
      'an endpoint elsewhere',
      (base: string) => ({ ...metadata(base), access_evaluation_endpoint: 'https://e.example/' }),
    ],
    [
      'an endpoint that only looks like ours',
      (base: string) => ({ ...metadata(base), access_evaluation_endpoint: `${base}@evil.example/x` }),
    ],
    ['no endpoint', (base: string) => ({ policy_decision_point: base })],
  ])('does not start with metadata of %s', async (_what, make) => {
    const { url } = await serve((path, _body, origin) => ({ body: path.startsWith('/.well') ? make(origin) : {} }))
    await expect(createAuthzenEngine({ url, timeoutMs })).rejects.toThrow('the metadata of authzen')
  })

  it('hands obligations on, which deny when nobody knows them, and denies when they cannot be read', async () => {
    const obligations = [{ id: '1', type: 'step-up', properties: { acr_value: 'x' } }]
    let context: Json = { obligations }
    const { url } = await serve((path) =>
      path.startsWith('/.well') ? { status: 404, body: {} } : { body: { decision: true, context } },
    )
    const engine = await createAuthzenEngine({ url, timeoutMs })
    expect(await engine.evaluate(toDocument())).toMatchObject({
      outcome: 'permit',
      obligations: [{ type: 'step-up', properties: { acr_value: 'x' } }],
    })
    for (const broken of [{ obligations: {} }, { obligations: ['redact'] }, 'none', []]) {
      context = broken
      expect((await engine.evaluate(toDocument())).outcome).toBe('error')
    }
  })

  it('asks both questions in one exchange where it is told so', async () => {
    let answers: Json = [{ decision: false }, { decision: true }]
    const { url, seen } = await serve((path, _body, origin) => {
      if (path.startsWith('/.well')) return { body: metadata(origin) }
      return { body: path === '/evals' ? { evaluations: answers } : { decision: false } }
    })
    const engine = await createAuthzenEngine({ url, evaluations: true, timeoutMs })
    expect((await engine.evaluate(toDocument())).outcome).toBe('challenge')
    const { evaluations } = seen.at(-1)?.body ?? {}
    expect(evaluations).toHaveLength(2)
    expect(JSON.stringify(evaluations).match(/"approved":(true|false)/g)).toEqual([
      '"approved":false',
      '"approved":true',
    ])
    // Short of one, the answer to the second question would pass for that to the first.
    for (const broken of [[{ decision: true }], [], [{ decision: true }, { decision: true }, { decision: true }], {}]) {
      answers = broken
      expect((await engine.evaluate(toDocument())).outcome).toBe('error')
    }
  })
})

describe('the address of an engine', () => {
  it.each([
    'https://opa.example',
    'http://127.0.0.1:8181',
    'http://localhost:1',
    'http://[::1]:1',
    'https://a.example/t',
  ])('%s is taken', (url) => {
    expect(parseEngineUrl(url).href).toContain(url)
  })

  it.each([
    'http://opa.example',
    'http://10.0.0.1:8181',
    'http://127.0.0.1.evil.example',
    'http://localhost.evil.example',
    'ftp://127.0.0.1',
    'unix:///run/opa.sock',
    'https://u:p@opa.example',
    'https://opa.example/?x=1',
    'opa',
  ])('%s is refused', (url) => {
    expect(() => parseEngineUrl(url)).toThrow('engine `url`')
  })
})

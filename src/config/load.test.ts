import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import { ConfigError } from '../core/errors.ts'
import { assertDeployment } from './deployment.ts'
import { isDuration, parseDuration } from './durations.ts'
import { loadConfig, parseConfig, type Config } from './load.ts'

const LEAST = 'issuer: https://unbearer.example\ndeployment: same-user\n'
const parse = (text: string): Config => parseConfig(text, { dir: '/etc/unbearer' })

describe('configuration', () => {
  it('needs only an issuer and a deployment', () => {
    const config = parse(LEAST)
    expect(config).toMatchObject({
      dir: '/etc/unbearer',
      issuer: 'https://unbearer.example',
      listen: { host: '127.0.0.1', port: 8700 },
      deployment: 'same-user',
      mode: 'enforce',
      store: { kind: 'sqlite', path: '/etc/unbearer/state/unbearer.db' },
      audit: { head: '/etc/unbearer/head/unbearer.head' },
      keys: { rotate: 30 * 86_400_000 },
      engine: [{ kind: 'cedar', policies: '/etc/unbearer/policies' }],
      manifests: '/etc/unbearer/manifests',
      upstreams: [],
      limits: { deadline: 50, approvalsPerTask: 3, messageBytes: 4_194_304 },
      credential: { ttl: 30_000 },
      anomaly: { falsePositivesPerTask: 0.01 },
    })
    expect(config.keys.issuer.source).toEqual({ file: '/etc/unbearer/keys/issuer.jwk' })
    expect(config.audit.checkpointKey.source).toEqual({ file: '/etc/unbearer/keys/log.jwk' })
  })

  it('reads the example of the contract', () => {
    const config = parse(`
issuer: https://unbearer.example
listen: 127.0.0.1:8700
deployment: { agentUid: 1001 }
mode: enforce
store: sqlite:./state/unbearer.db
audit: { head: ./head/unbearer.head, checkpointKey: { file: ./keys/log.jwk } }
keys: { issuer: { file: ./keys/issuer.jwk }, rotate: 30d }
engine: [{ kind: cedar, policies: ./policies }]
manifests: ./manifests
upstreams:
  - { name: orders, kind: mcp, command: [npx, -y, some-server], secrets: { TOKEN: { env: ORDERS_TOKEN } }, mode: observe }
  - { name: crm, kind: mcp, url: http://127.0.0.1:9000/mcp }
limits: { deadline: 50ms, approvalsPerTask: 3, messageBytes: 4194304 }
credential: { ttl: 30s }
anomaly: { falsePositivesPerTask: 0.01 }
`)
    expect(config.deployment).toEqual({ agentUid: 1001 })
    expect(config.upstreams[0]).toMatchObject({
      name: 'orders',
      command: ['npx', '-y', 'some-server'],
      mode: 'observe',
    })
    expect(config.upstreams[1]).toMatchObject({ name: 'crm', url: 'http://127.0.0.1:9000/mcp', mode: 'enforce' })
  })

  it('reads engines of every kind, stacked', () => {
    const { engine } = parse(
      `${LEAST}engine:
  - { kind: cedar, policies: ./policies }
  - { kind: opa, url: https://opa.example:8181, path: agents/allow, tls: { ca: ca.pem }, secrets: { authorization: { env: T } } }
  - { kind: opa-wasm, bundle: b.tar.gz, entrypoint: agents/allow, input: { user: /subject/id, n: 1 } }
  - { kind: topaz, url: "https://127.0.0.1:8383", path: agents.tools }
  - { kind: authzen, url: https://pdp.example, evaluations: true }
  - kind: authzen
    url: https://pdp.example
    coaz: { audience: https://mcp.example, mappings: { crm/get: { evaluation: { subject: { id: $token.sub } } } } }
`,
    )
    expect(engine.map(({ kind }) => kind)).toEqual(['cedar', 'opa', 'opa-wasm', 'topaz', 'authzen', 'authzen'])
    expect(engine[1]).toMatchObject({ path: 'agents/allow', tls: { ca: expect.stringMatching(/^\/.*ca\.pem$/) } })
    expect(engine[1]).toHaveProperty('secrets.authorization.source', { env: 'T' })
    expect(engine[2]).toMatchObject({ input: { user: '/subject/id', n: 1 } })
    expect(engine[3]).toMatchObject({ decision: 'allowed', identity: 'sub' })
    expect(engine[5]).toMatchObject({
      coaz: { strict: false, mappings: { 'crm/get': { evaluation: { subject: { id: '$token.sub' } } } } },
    })
  })

  it.each([
    ['moed: observe', 'unknown key `moed` in the configuration, did you mean `mode`'],
    ['limits: { deadlin: 50ms }', 'unknown key `limits.deadlin` in the configuration, did you mean `deadline`'],
    ['keys: { issuer: { flie: x } }', 'did you mean `file`'],
    [
      'upstreams: [{ name: a, kind: mcp, url: "http://127.0.0.1/", moode: observe }]',
      'unknown key `upstreams[0].moode`',
    ],
    [
      'upstreams: [{ name: a, kind: mcp, url: "https://a/", secrets: { T: { evn: X } } }]',
      'unknown key `upstreams[0].secrets.T.evn`',
    ],
    ['engine: [{ kind: cedar, policies: p, extra: 1 }]', 'unknown key `engine[0].extra`'],
    ['engine: [{ kind: opa, url: "https://a/", paht: p }]', 'unknown key `engine[0].paht`'],
    ['engine: [{ kind: opa, url: "https://a/", path: p, policies: q }]', 'unknown key `engine[0].policies`'],
    ['engine: [{ kind: opal }]', '`engine[0].kind` in the configuration: must be `cedar`'],
    ['engine: [{ kind: opa, url: "https://a/" }]', '`engine[0].path`'],
    ['engine: [{ kind: opa, url: "https://a/", path: p, secrets: { authorization: s3cret } }]', 'never written'],
    ['engine: [{ kind: opa, url: "https://a/", path: p, tls: { key: { file: k } } }]', 'needs `cert` and `key`'],
    ['constructor: 1', 'unknown key `constructor`'],
    ['__proto__: { mode: observe }', '__proto__'],
    ['mode: Enforce', '`mode` in the configuration: must be `observe` or `enforce`'],
    ['mode: observe\nmode: enforce', 'DUPLICATE_KEY'],
    ['limits: { deadline: 50 }', '`limits.deadline`'],
    ['limits: { deadline: 50 ms }', 'is not a duration'],
    ['limits: { deadline: -50ms }', 'is not a duration'],
    ['limits: { deadline: 0s }', '`limits.deadline`'],
    ['limits: { deadline: 1.5s }', 'is not a duration'],
    ['limits: { approvalsPerTask: 0 }', '`limits.approvalsPerTask`'],
    ['limits: { messageBytes: 4e99 }', '`limits.messageBytes`'],
    ['limits:', '`limits`'],
    ['credential: { ttl: 1h }', 'at most `60s`'],
    ['anomaly: { falsePositivesPerTask: 1 }', '`anomaly.falsePositivesPerTask`'],
    ['keys: { issuer: s3cret }', 'a secret is never written in the configuration'],
    ['keys: { issuer: { file: a, env: B } }', '`keys.issuer`'],
    ['keys: { issuer: { file: "" } }', '`keys.issuer.file`'],
    ['listen: 0.0.0.0:8700', 'reachable from other machines'],
    ['listen: "[::]:8700"', 'reachable from other machines'],
    ['listen: 192.168.1.4:8700', 'reachable from other machines'],
    ['listen: unbearer.example:8700', 'reachable from other machines'],
    ['listen: 127.0.0.1.evil.example:8700', 'reachable from other machines'],
    ['listen: 127.0.0.1', 'is not ADDRESS:PORT'],
    ['listen: 127.0.0.1:99999', 'is not ADDRESS:PORT'],
    ['listen: ":8700"', 'is not ADDRESS:PORT'],
    ['origin: https://unbearer.example/path', 'is not an origin'],
    ['store: postgres://localhost/x', '`store`'],
    ['engine: []', '`engine`'],
    ['upstreams: [{ name: a, kind: mcp }]', 'needs either `command` or `url`'],
    ['upstreams: [{ name: a, kind: mcp, url: "http://127.0.0.1/", command: [x] }]', 'needs either'],
    ['upstreams: [{ name: a, kind: mcp, url: "http://u:p@127.0.0.1/" }]', 'without user information'],
    ['upstreams: [{ name: a, kind: mcp, url: "file:///etc/passwd" }]', '`upstreams[0].url`'],
    ['upstreams: [{ name: a, kind: mcp, command: [] }]', '`upstreams[0].command`'],
    ['upstreams: [{ name: ../x, kind: mcp, command: [x] }]', '`upstreams[0].name`'],
    [
      'upstreams: [{ name: a, kind: mcp, command: [x] }, { name: a, kind: mcp, command: [y] }]',
      'two upstreams are called `a`',
    ],
    [
      'upstreams: [{ name: a, kind: mcp, url: "http://crm.example/", secrets: { Authorization: { env: X } } }]',
      'in the clear',
    ],
    [
      'upstreams: [{ name: a, kind: mcp, command: [x], secrets: { __proto__x: { env: X } } }]',
      '`upstreams[0].secrets.__proto__x`',
    ],
    ['limits: &a { deadline: 50ms }', 'anchors'],
    ['limits: !!map { deadline: 50ms }', 'tags'],
    ['limits: [', 'not usable YAML'],
    ['---\nissuer: x', 'not usable YAML'],
  ])('refuses %j', (text, message) => {
    expect(() => parse(LEAST + text)).toThrow(ConfigError)
    expect(() => parse(LEAST + text)).toThrow(message)
  })

  it.each([
    ['', 'the configuration: expected'],
    ['- a', 'the configuration: expected'],
    ['deployment: same-user', '`issuer`'],
    ['issuer: https://u.example', '`deployment`'],
    ['issuer: https://u.example\ndeployment: { agentUid: 0 }', '`deployment.agentUid`'],
    ['issuer: https://u.example\ndeployment: other', 'must be `same-user` or `{ agentUid: N }`'],
    ['issuer: https://u:p@u.example\ndeployment: same-user', '`issuer`'],
    ['issuer: unbearer\ndeployment: same-user', '`issuer`'],
  ])('refuses the whole file %j', (text, message) => {
    expect(() => parse(text)).toThrow(message)
  })

  it('listens beyond loopback with TLS only', () => {
    const tls = 'tls: { cert: { file: ./tls.crt }, key: { file: ./tls.key } }\n'
    expect(parse(`${LEAST}listen: 0.0.0.0:443\n${tls}`).listen).toEqual({ host: '0.0.0.0', port: 443 })
    expect(parse(`${LEAST}listen: "[::1]:0"\n`).listen).toEqual({ host: '::1', port: 0 })
    expect(parse(`${LEAST}listen: localhost:1\n`).listen).toEqual({ host: '127.0.0.1', port: 1 })
  })

  it('never holds the value of a secret', () => {
    const text = `${LEAST}keys: { issuer: { env: ISSUER } }\n`
    const config = parseConfig(text, { dir: '/x', env: { ISSUER: 's3cret' } })
    expect(JSON.stringify(config)).not.toContain('s3cret')
    expect(config.keys.issuer.reveal()).toBe('s3cret')
    expect(() => parseConfig(text, { dir: '/x', env: {} }).keys.issuer.reveal()).toThrow('`ISSUER` is not set')
    expect(() => parse(`${LEAST}keys: { issuer: { env: toString } }`).keys.issuer.reveal()).toThrow('not set')
    expect(() => parse(LEAST).keys.issuer.reveal()).toThrow('cannot be read')
  })

  it('says what to do when there is no file', async () => {
    await expect(loadConfig('/nowhere/unbearer.yaml')).rejects.toThrow('unbearer init')
  })
})

describe('durations', () => {
  it.each([
    ['50ms', 50],
    ['30s', 30_000],
    ['10m', 600_000],
    ['8h', 28_800_000],
    ['30d', 2_592_000_000],
  ])('%s', (text, milliseconds) => {
    expect(parseDuration(text)).toBe(milliseconds)
  })

  it.each(['', '30', 's', '0s', '-1s', '1e3s', '1w', ' 1s', '1s ', '1S', '9999999999d'])('refuses %j', (text) => {
    expect(isDuration(text)).toBe(false)
  })
})

describe('deployment', () => {
  let dir: string
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'unbearer-deployment-'))
    for (const folder of ['keys', 'state', 'head', 'policies', 'manifests']) {
      await mkdir(join(dir, folder), { mode: 0o700 })
    }
    for (const file of ['keys/issuer.jwk', 'keys/log.jwk', 'policies/a.cedar', 'unbearer.yaml']) {
      await writeFile(join(dir, file), LEAST, { mode: 0o600 })
    }
  })
  afterEach(async () => {
    await rm(dir, { recursive: true })
  })

  const ours = process.getuid?.() ?? 0
  const load = async (): Promise<Config> => loadConfig(join(dir, 'unbearer.yaml'))

  it('takes an installation that only we can read', async () => {
    const config = await load()
    expect(() => assertDeployment(config)).not.toThrow()
    expect(() => assertDeployment({ ...config, deployment: { agentUid: ours + 1 } })).not.toThrow()
  })

  it('refuses an agent that is us, or a system without user ids', async () => {
    const config: Config = { ...(await load()), deployment: { agentUid: 1001 } }
    expect(() => assertDeployment(config, 1001)).toThrow('which is the user of this process')
    expect(() => assertDeployment(config, undefined)).not.toThrow('which is')
  })

  it.each([
    ['keys/issuer.jwk', 0o640, 'chmod 600'],
    ['keys/log.jwk', 0o604, 'chmod 600'],
    ['state', 0o750, 'chmod 700'],
    ['head', 0o770, 'chmod go-w'],
    ['policies', 0o777, 'chmod go-w'],
    ['policies/a.cedar', 0o666, 'chmod go-w'],
    ['manifests', 0o720, 'chmod go-w'],
    ['unbearer.yaml', 0o622, 'chmod go-w'],
    ['.', 0o770, 'chmod go-w'],
  ])('refuses %s with mode %o', async (path, mode, remedy) => {
    await chmod(join(dir, path), mode)
    const config = await load()
    expect(() => assertDeployment(config)).toThrow(`${remedy} ${join(dir, path)}`)
  })

  it('refuses what belongs to the agent', async () => {
    const config: Config = { ...(await load()), deployment: { agentUid: ours } }
    expect(() => assertDeployment(config, ours + 1)).toThrow('belongs to the user of the agent')
  })
})

describe('audiences', () => {
  const ORDERS = '{ name: orders, url: https://orders.example, operations: { refund: "POST /orders/{id}/refund" } }'

  it('are read with their operations', () => {
    const [orders] = parse(`${LEAST}audiences: [${ORDERS}]`).audiences
    expect(orders).toMatchObject({ name: 'orders', url: 'https://orders.example', peps: [] })
    expect(orders?.operations[0]).toMatchObject({ name: 'refund', method: 'POST', path: '/orders/{id}/refund' })
  })

  it.each([
    ['a name twice', `audiences: [${ORDERS}, ${ORDERS.replace('https://orders', 'https://other')}]`],
    ['a url twice', `audiences: [${ORDERS}, ${ORDERS.replace('name: orders', 'name: other')}]`],
    ['the name of an upstream', `upstreams: [{ name: orders, kind: mcp, command: [x] }]\naudiences: [${ORDERS}]`],
    ['a route that is none', `audiences: [${ORDERS.replace('POST ', '')}]`],
    [
      'two routes that are one',
      `audiences: [${ORDERS.replace('{ refund', '{ other: "POST /orders/{n}/refund", refund')}]`,
    ],
    ['a url with a query', `audiences: [${ORDERS.replace('.example', '.example/?a')}]`],
  ])('%s is refused', (_title, yaml) => {
    expect(() => parse(`${LEAST}${yaml}`)).toThrow(ConfigError)
  })
})

/**
 * The gateway gets the tokens of an upstream by itself. Nothing of them reaches the agent, a log or an error; nothing of the agent
 * reaches the upstream's authorization server; neither the upstream nor a redirect can send the secret elsewhere. Seen to fail:
 * with `issuer` of the metadata not compared, with `redirect: 'follow'`, with the protected resource metadata not looked at.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import { createAuthorizer, type UpstreamOAuth } from '../../src/adapters/mcp/upstream-oauth.ts'
import { scanTools } from '../../src/adapters/mcp/scan.ts'
import { parseConfig } from '../../src/config/load.ts'
import { revealOAuth } from '../../src/config/upstream-oauth.ts'
import { startAuthorizationServer, type AuthorizationServer } from '../support/authorization-server.ts'

const SECRET = 'client secret: 9b1e77'

let at: AuthorizationServer
let now = 0

const clock = { now: () => now }
const oauth = (more: Partial<UpstreamOAuth> = {}): UpstreamOAuth => ({
  issuer: at.origin,
  client: 'gate:way',
  secret: SECRET,
  resource: at.resource,
  ...more,
})

beforeEach(async () => {
  now = Date.now()
  at = await startAuthorizationServer()
})

afterEach(async () => at.close())

describe('client credentials of an upstream', () => {
  it('are shown to its authorization server only, for its resource only', async () => {
    const authorizer = createAuthorizer(oauth({ scope: 'notes.read' }), clock)
    const { descriptors } = await scanTools({ upstream: { url: at.resource, authorizer } })
    expect(descriptors).toHaveLength(1)
    expect(at.asked).toHaveLength(1)
    const [asked] = at.asked
    expect(Object.fromEntries(asked?.form ?? [])).toEqual({
      grant_type: 'client_credentials',
      resource: at.resource,
      scope: 'notes.read',
    })
    const pair = Buffer.from((asked?.authorization ?? '').replace('Basic ', ''), 'base64').toString()
    expect(pair).toBe('gate%3Away:client+secret%3A+9b1e77')
    expect(new Set(at.presented)).toEqual(new Set(['Bearer made-1-3f9c']))
  })

  it('are asked for once by many at once, and again before the end', async () => {
    at.answer = { expires_in: 100 }
    const authorizer = createAuthorizer(oauth(), clock)
    await Promise.all(Array.from({ length: 20 }, async () => authorizer.header()))
    expect(at.asked).toHaveLength(1)
    now += 60_000
    await authorizer.header()
    expect(at.asked).toHaveLength(1)
    now += 15_000
    expect(await authorizer.header()).toBe('Bearer made-2-3f9c')
  })

  it('are asked for anew where the upstream takes a token no more, and the call is sent again once', async () => {
    const authorizer = createAuthorizer(oauth(), clock)
    await authorizer.header()
    at.good.clear()
    expect((await scanTools({ upstream: { url: at.resource, authorizer } })).descriptors).toHaveLength(1)
    expect(at.asked).toHaveLength(2)
    at.good.clear()
    at.answer = { access_token: 'never-good' }
    await expect(scanTools({ upstream: { url: at.resource, authorizer } })).rejects.toThrow('status 401')
    expect(at.asked).toHaveLength(3)
  })

  it('replace a refresh token where it lies, before the new one counts', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'unbearer-refresh-'))
    const file = join(dir, 'refresh')
    writeFileSync(file, 'refresh-1\n', { mode: 0o600 })
    at.answer = { refresh_token: 'refresh-2' }
    const config = parseConfig(toYaml(`{ issuer: '${at.origin}', client: pub, refresh: { file: ${file} } }`), { dir })
    const [upstream] = config.upstreams
    const made = upstream?.oauth === undefined ? oauth() : revealOAuth(upstream.oauth)
    await createAuthorizer(made, clock).header()
    expect(Object.fromEntries(at.asked[0]?.form ?? [])).toEqual({
      grant_type: 'refresh_token',
      refresh_token: 'refresh-1',
      client_id: 'pub',
      resource: at.resource,
    })
    expect(readFileSync(file, 'utf8')).toBe('refresh-2\n')
    await createAuthorizer(made, clock).header()
    expect(at.asked[1]?.form.get('refresh_token')).toBe('refresh-2')
    rmSync(dir, { recursive: true })
  })

  it.each([
    ['another issuer under that address', () => (at.metadata = { issuer: 'https://evil.example' }), 'another name'],
    ['a token endpoint in the clear', () => (at.metadata = { token_endpoint: 'http://evil.example/token' }), 'safe'],
    ['no token endpoint', () => (at.metadata = { token_endpoint: null }), 'safe'],
    [
      'no client secrets taken',
      () => (at.metadata = { token_endpoint_auth_methods_supported: ['none'] }),
      'no client secret',
    ],
    [
      'an upstream that names another server',
      () => (at.protected = { authorization_servers: ['https://evil.example'] }),
      'another authorization server',
    ],
    [
      'an upstream that is another resource',
      () => (at.protected = { resource: 'https://evil.example/mcp' }),
      'another resource',
    ],
  ])('go nowhere with %s', async (_what, arrange, said) => {
    arrange()
    await expect(createAuthorizer(oauth(), clock).header()).rejects.toThrow(said)
    expect(at.asked).toEqual([])
  })

  it.each([
    ['no token', { access_token: null }, 'without a token'],
    ['a token that would split a header', { access_token: 'a\r\nx: y' }, 'without a token'],
    ['a type that is not known', { token_type: 'DPoP' }, 'type'],
  ])('are nothing with %s', async (_what, answer, said) => {
    at.answer = answer
    await expect(createAuthorizer(oauth(), clock).header()).rejects.toThrow(said)
  })

  it('are not in what an error says, even where the server repeats them', async () => {
    at.status = 400
    at.answer = { error: `invalid ${SECRET}`, error_description: SECRET }
    const failed = await createAuthorizer(oauth(), clock)
      .header()
      .catch((fault: unknown) => fault)
    const said = failed instanceof Error ? `${failed.message} ${failed.stack ?? ''} ${JSON.stringify(failed)}` : ''
    expect(said).toContain('status 400')
    expect(said).not.toContain('9b1e77')
  })

  it('do not follow a redirect', async () => {
    const seen: string[] = []
    const thief = createServer((request, response) => {
      seen.push(request.url ?? '')
      response.end('{}')
    })
    await new Promise<void>((resolve) => thief.listen(0, '127.0.0.1', resolve))
    const address = thief.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    const hop = createServer((_request, response) =>
      response.writeHead(307, { location: `http://127.0.0.1:${port}/x` }).end(),
    )
    await new Promise<void>((resolve) => hop.listen(0, '127.0.0.1', resolve))
    const hopped = hop.address()
    const endpoint = `http://127.0.0.1:${typeof hopped === 'object' && hopped !== null ? hopped.port : 0}/token`
    at.metadata = { token_endpoint: endpoint }
    await expect(createAuthorizer(oauth(), clock).header()).rejects.toThrow('could not be reached')
    expect(seen).toEqual([])
    for (const server of [thief, hop]) {
      server.closeAllConnections()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    }
  })
})

function toYaml(given: string, url = at.resource): string {
  return `issuer: https://unbearer.example
deployment: same-user
upstreams: [{ name: notes, kind: mcp, url: '${url}', oauth: ${given} }]
`
}

describe('the configuration of it', () => {
  it.each([
    ['a secret that is written', () => toYaml(`{ issuer: '${at.origin}', client: c, secret: hunter2 }`), 'oauth'],
    ['nothing to show', () => toYaml(`{ issuer: '${at.origin}', client: c }`), 'needs `secret`, `refresh` or both'],
    [
      'a key that is not known',
      () => toYaml(`{ issuer: '${at.origin}', client: c, secret: { env: A }, secrets: x }`),
      'unknown key',
    ],
    [
      'tokens in the clear',
      () => toYaml(`{ issuer: '${at.origin}', client: c, secret: { env: A } }`, 'http://mcp.example/mcp'),
      'in the clear',
    ],
  ])('refuses %s', (_what, text, said) => {
    expect(() => parseConfig(text(), { dir: '/tmp' })).toThrow(said)
  })
})

/**
 * The whole way with nothing of ours at either end: `oidc-provider` logs a person in, `openid-client` gets the ID Token, a host
 * opens a grant with it, `oauth4webapi` gets the agent a credential at our `/token`, and a resource server takes it once.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { cpSync } from 'node:fs'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'

import { openGrant, openTask, toGrantNonce } from '../../src/client/index.ts'
import { redeemAtIssuer, requireCredential } from '../../src/http/index.ts'
import { isJsonObject, parseJson, type Json, type JsonObject } from '../../src/index.ts'
import { installFramework } from '../adapters/install-framework.ts'
import { openCredential } from '../attacks/wire.ts'
import { toProvedHeaders } from '../support/action-request.ts'
import { findPort, listenOn } from '../support/listen-on.ts'
import { createInstallation, type Installation } from '../support/installation.ts'
import { acceptOrders, askSigned, DELETE, ORDERS, ORDERS_YAML, READ, textOf } from '../support/orders-audience.ts'

// Several processes, on machines that do other things beside.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 })

const installed = await installFramework(import.meta.dirname)
const folder = installed ?? ''

const REDIRECT = 'http://127.0.0.1:9/back'
const AUDIENCE = 'https://unbearer-test.invalid'
const CEILING = '{ operations: [{ tool: orders/read-order }], budgets: [{ id: looks, limit: 2 }], expires: 1h }'

/** The third-party clients are those of `test/oauth`. */
function start(script: string, args: readonly string[] = []): ChildProcess {
  const from = script === 'clients.mjs' ? join(import.meta.dirname, '..', 'oauth') : import.meta.dirname
  cpSync(join(from, script), join(folder, script))
  return spawn(process.execPath, [join(folder, script), ...args], {
    stdio: ['pipe', 'pipe', 'ignore'],
    timeout: 60_000,
  })
}

async function run(script: string, input: JsonObject): Promise<JsonObject> {
  const child = start(script)
  const chunks: Buffer[] = []
  child.stdout?.on('data', (chunk: Buffer) => void chunks.push(chunk))
  child.stdin?.end(JSON.stringify(input))
  await new Promise((resolve) => child.on('close', resolve))
  const parsed: Json = parseJson(Buffer.concat(chunks))
  return isJsonObject(parsed) ? parsed : {}
}

async function firstLine(child: ChildProcess): Promise<JsonObject> {
  const line = await new Promise<string>((resolve) =>
    child.stdout?.once('data', (chunk: Buffer) => resolve(String(chunk))),
  )
  const parsed: Json = parseJson(line.trim())
  return isJsonObject(parsed) ? parsed : {}
}

describe.skipIf(installed === undefined)('an identity provider of somebody else', () => {
  let at: Installation
  let provider: ChildProcess
  let issuer: string

  beforeAll(async () => {
    provider = start('provider.mjs', [JSON.stringify({ audience: AUDIENCE, redirect: REDIRECT })])
    issuer = textOf((await firstLine(provider))['issuer'])
    const port = await findPort()
    at = await createInstallation({
      upstream: { url: 'http://127.0.0.1:9/mcp' },
      store: 'sqlite',
      issuer: `http://127.0.0.1:${port}`,
      port,
      yaml: `${ORDERS_YAML}
trust:
  issuers:
    - { issuer: '${issuer}', audience: desk-app, maxAuthAge: 10m, nonce: bound, grants: ${CEILING} }
`,
    })
    await acceptOrders(at)
  })

  afterAll(async () => {
    provider.stdin?.end()
    await at.close()
  })

  const login = async (kind: string, nonce = ''): Promise<string> => {
    const asked = { kind, issuer, redirect: REDIRECT, resource: 'urn:unbearer', login: 'alice', nonce }
    return textOf((await run('login.mjs', asked))['subjectToken'])
  }

  it('a login opens one grant; under it a credential is issued for one action, which is done once', async () => {
    const grant = { actor: at.keys.agent.jkt }
    const salt = crypto.randomUUID()
    const subjectToken = await login('id-token', toGrantNonce(grant, salt))
    const opening = { url: at.origin, key: at.keys.host, subjectToken, subjectTokenType: 'id-token', salt }
    // Whoever steals it, with a host key and all, cannot turn it to another agent.
    const stolen = openGrant({ ...opening, grant: { actor: at.keys.other.jkt } })
    await expect(stolen).rejects.toMatchObject({ reason: 'identity.bad-proof' })
    const opened = await openGrant({ ...opening, grant })
    expect(opened.principal).toEqual({ type: 'oidc', id: `${issuer}#alice` })
    await expect(openGrant({ ...opening, grant })).rejects.toMatchObject({ reason: 'identity.replayed' })

    const { txn } = await openTask({
      url: at.origin,
      key: at.keys.host,
      purpose: 'look at order 7',
      principal: opened.principal,
      actor: 'agent',
      grant: opened.id,
    })
    const session = await openCredential(at.origin, at.keys.agent, txn)
    const asked = { issuer: at.origin, jwk: { ...at.jwks.agent }, credential: session, resource: ORDERS, detail: READ }
    const clients = await run('clients.mjs', asked)
    const credential = textOf(isJsonObject(clients['oauth4webapi']) ? clients['oauth4webapi']['access_token'] : '')

    const on = await listenOn((host) => {
      const guard = requireCredential({
        issuer: at.origin,
        audience: ORDERS,
        hosts: [host],
        redemption: redeemAtIssuer({ key: at.keys.pep }),
      })
      return guard.node((incoming, response) => void response.end(guard.of(incoming)?.claims.sub))
    })
    const act = { method: 'GET', target: '/orders/7' }
    const send = async (): Promise<Response> => {
      const headers = toProvedHeaders({ act, origin: ORDERS, key: at.keys.agent, credential })
      return fetch(`http://${on.host}/orders/7`, { headers })
    }
    const first = await send()
    expect([first.status, await first.text()]).toEqual([200, `oidc/${issuer}#alice`])
    expect((await send()).status).toBe(401)
    await on.close()

    // What the ceiling does not hold is not granted, whatever the agent asks for.
    const refused = await askSigned(at.origin, at.keys.agent, { credential: session, detail: DELETE })
    expect(refused.body).toMatchObject({ error: 'access_denied', reason: 'scope.operation' })
  })

  it('a login for another nonce, and an access token where none is accepted, open nothing', async () => {
    const grant = { actor: 'agent' }
    const attempts = [
      { subjectToken: await login('id-token', 'another'), subjectTokenType: 'id-token' },
      { subjectToken: await login('access-token'), subjectTokenType: 'access-token' },
      { subjectToken: await login('access-token'), subjectTokenType: 'id-token' },
    ]
    for (const attempt of attempts) {
      const opening = openGrant({ url: at.origin, key: at.keys.host, grant, salt: 'x', ...attempt })
      await expect(opening).rejects.toMatchObject({ reason: 'identity.bad-proof' })
    }
  })

  it('a JWT access token of its client credentials opens a grant of the client, where it is accepted', async () => {
    const yaml = `trust: { issuers: [{ issuer: '${issuer}', audience: '${AUDIENCE}', accept: [access-token], clients: [desk-app], grants: ${CEILING} }] }`
    const other = await createInstallation({ upstream: { url: 'http://127.0.0.1:9/mcp' }, store: 'sqlite', yaml })
    const opening = {
      url: other.origin,
      key: other.keys.host,
      grant: { actor: 'agent' },
      subjectToken: await login('access-token'),
      subjectTokenType: 'urn:ietf:params:oauth:token-type:access_token',
    }
    expect(await openGrant(opening)).toMatchObject({ principal: { type: 'oidc', id: `${issuer}#desk-app` } })
    await expect(openGrant(opening)).rejects.toMatchObject({ reason: 'identity.replayed' })
    await other.close()
  })
})

/**
 * `oidc-provider` as the authorization server of an upstream: the gateway finds it, proves itself as a client, and gets a token
 * for the resource that it asked for.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { cpSync } from 'node:fs'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { createAuthorizer } from '../../src/adapters/mcp/upstream-oauth.ts'
import { parseJson } from '../../src/index.ts'
import { installFramework } from '../adapters/install-framework.ts'

const installed = await installFramework(import.meta.dirname)
const folder = installed ?? ''
const RESOURCE = 'http://127.0.0.1:9/mcp'

describe.skipIf(installed === undefined)('oidc-provider in front of an upstream', () => {
  let provider: ChildProcess
  let issuer = ''

  beforeAll(async () => {
    cpSync(join(import.meta.dirname, 'provider.mjs'), join(folder, 'provider.mjs'))
    const asked = JSON.stringify({ audience: RESOURCE, redirect: 'http://127.0.0.1:9/back' })
    const args = [join(folder, 'provider.mjs'), asked]
    provider = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'ignore'], timeout: 60_000 })
    const line = await new Promise<string>((resolve) =>
      provider.stdout?.once('data', (chunk: Buffer) => resolve(String(chunk))),
    )
    const said: { issuer: string } = JSON.parse(line)
    issuer = said.issuer
  })

  afterAll(() => {
    provider.stdin?.end()
  })

  const oauth = { client: 'desk-app', secret: 'a secret of this test alone', scope: 'delegate', resource: RESOURCE }
  const clock = { now: () => Date.now() }

  it('gives a token for that resource, once for all who ask', async () => {
    const there = createAuthorizer({ ...oauth, issuer, resource: `${issuer}/mcp` }, clock)
    const [first, second] = await Promise.all([there.header(), there.header()])
    expect(second).toBe(first)
    const [, payload = ''] = first.split('.')
    expect(parseJson(Buffer.from(payload, 'base64url'))).toMatchObject({
      aud: RESOURCE,
      client_id: 'desk-app',
      iss: issuer,
    })
  })

  it('takes no wrong secret, and the error does not say it', async () => {
    const authorizer = createAuthorizer({ ...oauth, issuer, secret: 'wrong-77aa', resource: `${issuer}/mcp` }, clock)
    const failed = await authorizer.header().catch((fault: unknown) => String(fault))
    expect(failed).toContain('invalid_client')
    expect(failed).not.toContain('wrong-77aa')
  })
})

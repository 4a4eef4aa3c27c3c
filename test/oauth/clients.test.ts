/**
 * `oauth4webapi` and `openid-client`, which know nothing of us, discover the issuer and get action credentials by DPoP.
 */
import { spawn } from 'node:child_process'
import { cpSync } from 'node:fs'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { isJsonObject, parseJson, type Json, type JsonObject } from '../../src/index.ts'
import { installFramework } from '../adapters/install-framework.ts'
import { openCredential } from '../attacks/wire.ts'
import { findPort } from '../support/listen-on.ts'
import { createInstallation, type Installation } from '../support/installation.ts'
import { acceptOrders, NOTE, ORDERS, ORDERS_GRANT, ORDERS_YAML, READ } from '../support/orders-audience.ts'

const installed = await installFramework(import.meta.dirname)

async function runClients(folder: string, input: JsonObject): Promise<JsonObject> {
  const script = join(folder, 'clients.mjs')
  cpSync(join(import.meta.dirname, 'clients.mjs'), script)
  const child = spawn(process.execPath, [script], { stdio: ['pipe', 'pipe', 'inherit'], timeout: 20_000 })
  child.stdin.end(JSON.stringify(input))
  const chunks: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => void chunks.push(chunk))
  await new Promise((resolve) => child.on('close', resolve))
  const parsed: Json = parseJson(Buffer.concat(chunks))
  return isJsonObject(parsed) ? parsed : {}
}

describe.skipIf(installed === undefined)('clients of others', () => {
  let at: Installation
  let asked: JsonObject

  beforeAll(async () => {
    const port = await findPort()
    const issuer = `http://127.0.0.1:${port}`
    at = await createInstallation({
      upstream: { url: 'http://127.0.0.1:9/mcp' },
      yaml: ORDERS_YAML,
      grant: ORDERS_GRANT,
      issuer,
      port,
    })
    await acceptOrders(at)
    const { txn } = await at.openTask('look at order 7 and note on it that it is urgent')
    const credential = await openCredential(at.origin, at.keys.agent, txn)
    asked = { issuer, jwk: { ...at.jwks.agent }, credential, resource: ORDERS }
  })

  afterAll(async () => at.close())

  it('get a credential to read, after the nonce that they are asked for', async () => {
    const answered = await runClients(installed ?? '', { ...asked, detail: READ })
    const good = { token_type: 'dpop', expires_in: 30, authorization_details: [{ identifier: 'orders/read-order' }] }
    expect(answered).toMatchObject({ oauth4webapi: { ...good, askedForNonce: true }, openidClient: good })
  })

  it('are told in words that they know that DPoP alone is not enough to write', async () => {
    const answered = await runClients(installed ?? '', { ...asked, detail: NOTE })
    const refused = { error: 'access_denied', status: 400, reason: 'identity.weak-proof' }
    expect(answered).toMatchObject({ oauth4webapi: refused, openidClient: refused })
  })
})

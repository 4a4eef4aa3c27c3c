/**
 * @module
 * The kill switch over three parties: a real issuer, a resource server that redeems by itself and follows the feed, and an agent in
 * the middle of a request to it.
 */
import { once } from 'node:events'

import { afterEach, describe, expect, it, vi } from 'vitest'

import { createRevocationView } from '../../src/client/index.ts'
import { redeemHere, requireCredential } from '../../src/http/index.ts'
import { openCredential } from '../attacks/wire.ts'
import { toProvedHeaders } from '../support/action-request.ts'
import { createInstallation, ISSUER, type Installation } from '../support/installation.ts'
import { listenOn } from '../support/listen-on.ts'
import { acceptOrders, askSigned, ORDERS, ORDERS_GRANT, ORDERS_YAML, textOf } from '../support/orders-audience.ts'
import { createSharedBurns } from '../support/orders-api.ts'

const closers: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close()
})

const ACT = { method: 'GET', target: '/orders/7' }

interface Orders {
  readonly host: string
  /** What became of the requests that were begun. */
  readonly ended: string[]
  begun: number
}

/** An API whose answers take as long as somebody lets them. */
async function startOrders(on: Installation): Promise<Orders> {
  const revocations = createRevocationView({ url: on.origin, issuer: ISSUER, key: on.keys.pep })
  closers.push(() => revocations.close())
  await revocations.ready()
  const orders = { ended: new Array<string>(), begun: 0 }
  const api = await listenOn((host) => {
    const redemption = redeemHere({ burns: createSharedBurns(), revocations })
    const guard = requireCredential({ issuer: ISSUER, server: on.origin, audience: ORDERS, hosts: [host], redemption })
    return guard.node(async (request, response) => {
      orders.begun += 1
      const signal = guard.of(request)?.signal ?? AbortSignal.abort()
      if (!signal.aborted) await once(signal, 'abort')
      orders.ended.push('stopped')
      response.writeHead(503).end('revoked')
    })
  })
  closers.push(async () => api.close())
  return Object.assign(orders, { host: api.host })
}

async function call(on: Installation, { host }: Orders, txn: string): Promise<Response> {
  const { agent } = on.keys
  const session = await openCredential(on.origin, agent, txn)
  const asked = await askSigned(on.origin, agent, { credential: session })
  const credential = textOf(asked.body['access_token'])
  const headers = toProvedHeaders({ credential, key: agent, origin: ORDERS, act: ACT })
  return fetch(`http://${host}${ACT.target}`, { headers })
}

describe('an agent that is revoked while a service of others works for it', () => {
  it.each(['task', 'grant', 'subject', 'all'] as const)(
    'is stopped there, by %s, and the service has refused the canary',
    async (dimension) => {
      const on = await createInstallation({
        upstream: { url: 'http://127.0.0.1:9/mcp' },
        yaml: ORDERS_YAML,
        grant: ORDERS_GRANT,
      })
      closers.push(async () => on.close())
      await acceptOrders(on)
      const orders = await startOrders(on)
      const { txn } = await on.openTask('look at order 7')
      const answered = call(on, orders, txn)
      await vi.waitFor(() => expect(orders.begun).toBe(1), 10_000)
      const ids = { task: txn, grant: on.grant.id, subject: 'alice', all: undefined }
      const id = ids[dimension]
      const params = { dimension, ...(id === undefined ? {} : { id }) }
      expect(await on.control('operator', 'revoke', params)).toMatchObject({ peps: ['gateway', 'pep'], silent: [] })
      expect((await answered).status).toBe(503)
      expect(orders.ended).toEqual(['stopped'])
    },
  )

  it('redeems nothing that was issued before, although nobody was asked', async () => {
    const on = await createInstallation({
      upstream: { url: 'http://127.0.0.1:9/mcp' },
      yaml: ORDERS_YAML,
      grant: ORDERS_GRANT,
    })
    closers.push(async () => on.close())
    await acceptOrders(on)
    const orders = await startOrders(on)
    const { agent } = on.keys
    const { txn } = await on.openTask('look at order 7')
    const session = await openCredential(on.origin, agent, txn)
    const asked = await askSigned(on.origin, agent, { credential: session })
    const credential = textOf(asked.body['access_token'])
    await on.control('operator', 'revoke', { dimension: 'tool', id: 'orders/read-order' })
    const headers = toProvedHeaders({ credential, key: agent, origin: ORDERS, act: ACT })
    const refused = await fetch(`http://${orders.host}${ACT.target}`, { headers })
    expect(refused.status).toBeGreaterThanOrEqual(400)
    expect(await refused.text()).toContain('credential.revoked')
    expect(orders.begun).toBe(0)
  })
})

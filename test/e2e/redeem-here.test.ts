/**
 * A resource server that burns in a store of its own and follows the feed of a real issuer: nobody is asked for a redemption,
 * what is revoked is refused, what is under way is told, and without the issuer it goes stale.
 */
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'

import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { createActionFetch, createRevocationView, type RevocationView } from '../../src/client/index.ts'
import { redeemHere, requireCredential, sqliteBurns, type Burns } from '../../src/http/index.ts'
import { createInstallation, ISSUER, type Installation } from '../support/installation.ts'
import { listenOn, type Listening } from '../support/listen-on.ts'
import { acceptOrders, ORDERS, ORDERS_GRANT, ORDERS_YAML } from '../support/orders-audience.ts'

let at: Installation
let view: RevocationView
let burns: Burns
let on: Listening
/** What a handler that waits was told. */
let told: Promise<string> | undefined

beforeAll(async () => {
  at = await createInstallation({
    upstream: { url: 'http://127.0.0.1:9/mcp' },
    yaml: ORDERS_YAML,
    grant: ORDERS_GRANT,
  })
  await acceptOrders(at)
  view = createRevocationView({ url: at.origin, issuer: ISSUER, key: at.keys.pep, staleMs: 2_000 })
  burns = await sqliteBurns(join(at.dir, 'burns.db'))
  // It remembers from here on, and `iat` has whole seconds.
  await setTimeout(1_100)
  await view.ready()
  on = await listenOn((host) => {
    const guard = requireCredential({
      issuer: ISSUER,
      server: at.origin,
      audience: ORDERS,
      origin: `http://${host}`,
      skewSeconds: 0,
      redemption: redeemHere({ burns, revocations: view, replicas: 2 }),
    })
    return guard.node(async (request, response) => {
      const signal = guard.of(request)?.signal
      if (request.url?.includes('slow') !== true || signal === undefined) return response.end('done')
      told = new Promise((resolve) => signal.addEventListener('abort', () => resolve('revoked')))
      response.write('begun')
      return response.end(await told)
    })
  })
})

afterAll(async () => {
  await on.close()
  view.close()
  burns.close()
  await at.close()
})

const INTENT = { intent: 'read: the user asked about order 7' }

async function agentOf(txn: string): Promise<ReturnType<typeof createActionFetch>> {
  return createActionFetch({ key: at.keys.agent, url: at.origin, txn, audience: ORDERS })
}

describe('a resource server with a store of its own and the feed', () => {
  it('redeems without the issuer, once, until the task is revoked, and stops what is under way', async () => {
    const { txn } = await at.openTask('look at order 7')
    const agent = await agentOf(txn)
    expect((await agent(`http://${on.host}/orders/7`, INTENT)).status).toBe(200)
    const slow = await agent(`http://${on.host}/orders/7?slow=yes`, INTENT)
    // One credential was issued before the revocation and is shown after it.
    const held: RequestInit[] = []
    const holding = createActionFetch({
      key: at.keys.agent,
      url: at.origin,
      txn,
      audience: ORDERS,
      fetch: async (input, init = {}) => {
        const url = input instanceof Request ? input.url : String(input)
        if (!url.startsWith(`http://${on.host}`)) return fetch(input, init)
        held.push(init)
        return new Response()
      },
    })
    await holding(`http://${on.host}/orders/7`, INTENT)
    await at.control('operator', 'revoke', { dimension: 'task', id: txn })
    expect(await slow.text()).toBe('begunrevoked')
    const late = await fetch(`http://${on.host}/orders/7`, held[0])
    expect([late.status, await late.json()]).toMatchObject([401, { reason: 'credential.revoked' }])
    await expect(agent(`http://${on.host}/orders/7`, INTENT)).rejects.toMatchObject({ code: 'ERR_UNBEARER_REFUSED' })
    // Nothing was asked of the issuer but keys and revocations: it knows of no redemption.
    const outcomes = (await at.entries()).filter((entry) => entry.kind === 'outcome')
    expect(outcomes).toEqual([])
  })

  it('refuses when the feed has fallen silent', async () => {
    const { txn } = await at.openTask('look at order 7')
    const agent = await agentOf(txn)
    view.close()
    await expect.poll(() => view.fresh(), { timeout: 10_000 }).toBe(false)
    const answer = await agent(`http://${on.host}/orders/7`, INTENT)
    expect([answer.status, await answer.json()]).toMatchObject([503, { reason: 'system.stale-revocations' }])
  })
})

/**
 * Many clients race for one credential, round after round: exactly one redeems it, wherever it is burned. 1,000 rounds of 64
 * clients in `npm run soak`, fewer in `npm test`; the figures are in `docs/guide/resource-servers.md`.
 */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import {
  redeemAtIssuer,
  redeemHere,
  requireCredential,
  type Burns,
  type CredentialGuard,
} from '../../src/http/index.ts'
import { openCredential } from '../attacks/wire.ts'
import { issueAction, readNothing, toProvedHeaders, type Act } from '../support/action-request.ts'
import { createInstallation, ISSUER, type Installation } from '../support/installation.ts'
import { acceptOrders, askSigned, ORDERS, ORDERS_GRANT, ORDERS_YAML, textOf } from '../support/orders-audience.ts'
import {
  API,
  API_ISSUER,
  createParties,
  createSharedBurns,
  createWorld,
  toFeed,
  toJwks,
} from '../support/orders-api.ts'
import { scaled } from '../support/scale.ts'

const CLIENTS = 64
const ROUNDS = scaled(20, 50)
const ACT: Act = { method: 'GET', target: '/orders/7' }

type Accept = CredentialGuard['accept']
type Headers = Readonly<Record<string, string>>

async function attempt(accept: Accept, headers: Headers): Promise<string> {
  const accepted = await accept({
    ...ACT,
    host: 'orders.example',
    header: (name) => headers[name],
    readBody: readNothing,
  })
  return accepted.ok ? 'redeemed' : accepted.refusal.reason
}

/** How often each thing came out of a race. */
async function race(guards: readonly Accept[], headers: Headers): Promise<Record<string, number>> {
  const outcomes = await Promise.all(
    Array.from({ length: CLIENTS }, async (_, client) => {
      const accept = guards[client % guards.length]
      return accept === undefined ? 'no guard' : attempt(accept, headers)
    }),
  )
  return Object.fromEntries(
    [...new Set(outcomes)].map((name) => [name, outcomes.filter((each) => each === name).length]),
  )
}

const ONE_WINS = { redeemed: 1, 'credential.replayed': CLIENTS - 1 }

describe(`${CLIENTS} clients for one credential, ${ROUNDS} rounds`, () => {
  const parties = createParties()
  const guardOver = (burns: Burns): Accept =>
    requireCredential({
      issuer: API_ISSUER,
      audience: API,
      jwks: toJwks(parties.issuerKey),
      redemption: redeemHere({ burns, revocations: toFeed(createWorld()) }),
    }).accept
  const issued = (): Headers => {
    const credential = issueAction({ issuer: API_ISSUER, audience: API, ...parties, act: ACT })
    return toProvedHeaders({ credential, act: ACT, origin: API, key: parties.agent })
  }

  it('eight replicas over one store of their own', async () => {
    const burns = createSharedBurns()
    const guards = Array.from({ length: 8 }, () => guardOver(burns))
    for (let round = 0; round < ROUNDS; round += 1) expect(await race(guards, issued())).toEqual(ONE_WINS)
  })

  it('four processes over one file', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'unbearer-race-'))
    const children = Array.from({ length: 4 }, () =>
      fork(join(import.meta.dirname, '..', 'support', 'burn-child.ts'), [join(dir, 'burns.db')]),
    )
    try {
      for (const child of children) await once(child, 'message')
      for (let round = 0; round < ROUNDS; round += 1) {
        const wins = await Promise.all(children.map(async (child) => burnIn(child, `jti-${round}`, CLIENTS / 4)))
        expect(wins.reduce((sum, each) => sum + each, 0)).toBe(1)
      }
    } finally {
      for (const child of children) child.kill()
      rmSync(dir, { recursive: true, force: true })
    }
  })
})

/** How often one process burned the id. */
async function burnIn(child: ChildProcess, id: string, times: number): Promise<number> {
  child.send({ id, times })
  const [wins] = await once(child, 'message')
  return Number(wins)
}

describe(`${CLIENTS} replicas that redeem at the issuer, ${ROUNDS} rounds`, () => {
  let at: Installation
  let session: string
  beforeAll(async () => {
    at = await createInstallation({
      upstream: { url: 'http://127.0.0.1:9/mcp' },
      store: 'sqlite',
      yaml: ORDERS_YAML,
      grant: ORDERS_GRANT,
      limits: 'decisionsPerMinute: 100000',
    })
    await acceptOrders(at)
    session = await begin()
  })
  afterAll(async () => at.close())

  const begin = async (): Promise<string> => {
    const { txn } = await at.openTask('look at order 7')
    return openCredential(at.origin, at.keys.agent, txn)
  }
  const issue = async (round: number): Promise<Headers> => {
    if (round % 200 === 199) session = await begin()
    const { body } = await askSigned(at.origin, at.keys.agent, { credential: session })
    const credential = textOf(body['access_token'])
    return toProvedHeaders({ credential, act: ACT, origin: ORDERS, key: at.keys.agent })
  }

  it('one of them, on the disk, and the log says so once', async () => {
    const guards = Array.from({ length: CLIENTS }, () =>
      requireCredential({
        issuer: ISSUER,
        server: at.origin,
        audience: ORDERS,
        redemption: redeemAtIssuer({ key: at.keys.pep }),
      }),
    )
    const accepts = guards.map(({ accept }) => accept)
    for (let round = 0; round < ROUNDS; round += 1) expect(await race(accepts, await issue(round))).toEqual(ONE_WINS)
    const redeemed = (await at.entries()).filter((entry) => entry.kind === 'outcome' && entry.outcome === 'redeemed')
    expect(redeemed).toHaveLength(ROUNDS)
  })
})

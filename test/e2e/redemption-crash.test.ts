/**
 * `kill -9` of the issuer while it redeems for others, again and again on one installation, under a seed that is printed: no
 * credential redeems twice, and each redemption that was answered stands in the log. 50 rounds in `npm run soak`.
 * Seen to fail: where `redeemIssued` does not wait for the disk, or does not take the credential out of the register.
 */
import { decodeJwt } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { openTask } from '../../src/client/index.ts'
import { openInstallation } from '../../src/config/compose.ts'
import { redeemAtIssuer, requireCredential } from '../../src/http/index.ts'
import { openCredential } from '../attacks/wire.ts'
import { readNothing, toProvedHeaders, type Act } from '../support/action-request.ts'
import { ISSUER, prepareInstallation, toEntries, type Prepared } from '../support/installation.ts'
import {
  askSigned,
  ORDERS,
  ORDERS_GRANT,
  ORDERS_YAML,
  textOf,
  writeOrdersManifest,
} from '../support/orders-audience.ts'
import { createRandom, toSeed } from '../support/random.ts'
import { scaled } from '../support/scale.ts'
import { startServe } from '../support/serve-child.ts'

const ACT: Act = { method: 'GET', target: '/orders/7' }
const CREDENTIALS = 24
const ROUNDS = scaled(3, 17)

let prepared: Prepared

beforeAll(async () => {
  prepared = await prepareInstallation({
    upstream: { url: 'http://127.0.0.1:9/mcp' },
    yaml: ORDERS_YAML,
    grant: ORDERS_GRANT,
    limits: 'decisionsPerMinute: 100000',
  })
  writeOrdersManifest(prepared.dir, prepared.keys.operator)
})

afterAll(() => prepared.remove())

async function issueMany(origin: string): Promise<readonly string[]> {
  const { agent, host } = prepared.keys
  const asked = { url: origin, key: host, principal: 'alice', actor: 'agent', purpose: 'look at order 7' }
  const session = await openCredential(origin, agent, (await openTask(asked)).txn)
  const issued: string[] = []
  for (let count = 0; count < CREDENTIALS; count += 1) {
    const { body } = await askSigned(origin, agent, { credential: session })
    issued.push(textOf(body['access_token']))
  }
  return issued
}

/** Redeems each once, four at a time; those that were answered with yes. `onAnswer` is told how many were answered so far. */
async function redeemAll(
  origin: string,
  credentials: readonly string[],
  onAnswer: (answered: number) => void = () => undefined,
): Promise<readonly string[]> {
  const guard = requireCredential({
    issuer: ISSUER,
    server: origin,
    audience: ORDERS,
    redemption: redeemAtIssuer({ key: prepared.keys.pep }),
  })
  const left = [...credentials]
  const redeemed: string[] = []
  const redeemNext = async (): Promise<void> => {
    for (let credential = left.pop(); credential !== undefined; credential = left.pop()) {
      const headers = toProvedHeaders({ credential, act: ACT, origin: ORDERS, key: prepared.keys.agent })
      const action = { ...ACT, host: 'orders.example', header: (name: string) => headers[name], readBody: readNothing }
      if ((await guard.accept(action)).ok) redeemed.push(credential)
      onAnswer(credentials.length - left.length)
    }
  }
  await Promise.all(Array.from({ length: 4 }, redeemNext))
  return redeemed
}

async function findRedeemed(): Promise<readonly string[]> {
  const opened = await openInstallation(prepared.config)
  try {
    const entries = toEntries(await opened.store.log.entries(0, await opened.store.log.size()))
    return entries.flatMap((entry) => (entry.kind === 'outcome' && entry.outcome === 'redeemed' ? [entry.of] : []))
  } finally {
    await opened.close()
  }
}

function entryOf(credential: string): string {
  const { tctx } = decodeJwt<{ tctx: { evaluation_id: string } }>(credential)
  return tctx.evaluation_id
}

describe('kill -9 while others redeem', () => {
  it('lets nothing redeem twice, and loses no redemption', { timeout: scaled(120_000, 10) }, async () => {
    const seed = toSeed()
    console.info(`kill -9 while others redeem: UNBEARER_SEED=${seed}`)
    const random = createRandom(seed)
    const counts = { before: 0, after: 0 }
    for (let round = 0; round < ROUNDS; round += 1) {
      const first = await startServe(prepared.dir)
      const credentials = await issueMany(first.origin)
      const at = 4 + random.below(CREDENTIALS - 4)
      const before = await redeemAll(first.origin, credentials, (answered) => {
        if (answered === at) first.signal('SIGKILL')
      })
      await first.exit
      const second = await startServe(prepared.dir)
      const after = await redeemAll(second.origin, credentials)
      await second.kill()
      expect(after.filter((credential) => before.includes(credential))).toEqual([])
      const redeemed = await findRedeemed()
      const acknowledged = [...before, ...after].map(entryOf)
      expect(acknowledged.filter((entry) => redeemed.filter((each) => each === entry).length !== 1)).toEqual([])
      counts.before += before.length
      counts.after += after.length
    }
    console.info(`redeemed ${counts.before} before and ${counts.after} after ${ROUNDS} times kill -9, none twice`)
    expect(counts.before + counts.after).toBeGreaterThan(0)
  })
})

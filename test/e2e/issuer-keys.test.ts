/**
 * The issuer's key is replaced while it serves: what was issued goes on, nothing is signed with the old key, a restart knows both.
 */
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'

import { findSigner } from '../../src/crypto/issuer-keys.ts'
import { redeemAtIssuer, requireCredential } from '../../src/http/index.ts'
import { toProvedHeaders } from '../support/action-request.ts'
import { createInstallation, ISSUER, type Installation } from '../support/installation.ts'
import { listenOn, type Listening } from '../support/listen-on.ts'
import { acceptOrders, askSigned, ORDERS, ORDERS_GRANT, ORDERS_YAML, textOf } from '../support/orders-audience.ts'
import { openCredential } from '../attacks/wire.ts'

// Several processes, on machines that do other things beside.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 })

let at: Installation
let txn: string

beforeAll(async () => {
  at = await createInstallation({
    upstream: { url: 'http://127.0.0.1:9/mcp' },
    store: 'sqlite',
    yaml: ORDERS_YAML,
    grant: ORDERS_GRANT,
  })
  await acceptOrders(at)
  txn = (await at.openTask('look at order 7')).txn
})

afterAll(async () => at.close())

const published = async (): Promise<readonly string[]> => {
  const { keys }: { keys: { kid: string }[] } = JSON.parse(await (await fetch(`${at.origin}/jwks.json`)).text())
  return keys.map(({ kid }) => kid)
}

describe('a rotation', () => {
  it('refuses nobody, publishes both keys, and survives a restart', async () => {
    const [before] = await published()
    const old = await openCredential(at.origin, at.keys.agent, txn)
    await at.control('operator', 'key.rotate')
    const [after, ...others] = await published()
    expect(after).not.toBe(before)
    expect(others).toEqual([before])
    // Under the old key still, and what comes of it is signed with the new one.
    const issued = await askSigned(at.origin, at.keys.agent, { credential: old })
    expect(issued.status).toBe(200)
    const { issuerKeys } = at.serving.composed
    expect(findSigner(issuerKeys, textOf(issued.body['access_token']))?.jkt).toBe(after)
    await at.restart()
    expect(await published()).toEqual([after, before])
    expect((await askSigned(at.origin, at.keys.agent, { credential: old })).status).toBe(200)
    const acts = (await at.entries()).filter((entry) => entry.kind === 'control' && entry.act === 'key.rotate')
    expect(acts).toHaveLength(2)
  })

  it('is for admins, and keeps the key to its owner', async () => {
    await expect(at.control('host', 'key.rotate')).rejects.toMatchObject({ reason: 'identity.key-role' })
    const file = join(at.dir, 'keys', 'issuer.jwk')
    expect(statSync(file).mode & 0o777).toBe(0o600)
    const { d }: { d: string } = JSON.parse(readFileSync(file, 'utf8'))
    const listed = JSON.stringify([await at.control('operator', 'key.issuer'), at.reports])
    expect(listed).not.toContain(d)
  })

  it('forgets a key once nothing that it signed can be alive', async () => {
    const { issuerKeys } = at.serving.composed
    const [, old] = issuerKeys.list()
    expect(issuerKeys.find(old?.jkt ?? '')?.privateKey).toBeUndefined()
    expect((old?.until ?? 0) - Date.now()).toBeLessThanOrEqual(660_000)
    expect(issuerKeys.find('unknown')).toBeUndefined()
  })
})

describe('rotations under load', () => {
  let on: Listening
  beforeAll(async () => {
    on = await listenOn((host) => {
      const guard = requireCredential({
        issuer: ISSUER,
        server: at.origin,
        audience: ORDERS,
        hosts: [host],
        redemption: redeemAtIssuer({ key: at.keys.pep }),
      })
      return guard.node((_incoming, response) => void response.end('done'))
    })
  })
  afterAll(async () => on.close())

  /** A session, a credential, its redemption by a resource server that keeps keys: what became of it. */
  async function act(session: string | undefined): Promise<string> {
    const asking = session ?? (await openCredential(at.origin, at.keys.agent, txn))
    const issued = await askSigned(at.origin, at.keys.agent, { credential: asking })
    if (issued.status !== 200) return JSON.stringify(issued.body)
    const credential = textOf(issued.body['access_token'])
    const headers = toProvedHeaders({
      act: { method: 'GET', target: '/orders/7' },
      origin: ORDERS,
      key: at.keys.agent,
      credential,
    })
    const response = await fetch(`http://${on.host}/orders/7`, { headers })
    return response.status === 200 ? 'done' : `${response.status} ${await response.text()}`
  }

  it('refuse nobody: old sessions, new ones, and credentials on their way', async () => {
    const old = await openCredential(at.origin, at.keys.agent, txn)
    const outcomes: string[] = []
    const rotated = new AbortController()
    const work = async (session: string | undefined): Promise<void> => {
      for (let rounds = 0; !rotated.signal.aborted && rounds < 40; rounds += 1) outcomes.push(await act(session))
    }
    const workers = [old, old, undefined, undefined].map(work)
    const used = new Set<string>()
    for (let rotations = 0; rotations < 5; rotations += 1) {
      used.add(JSON.stringify(await at.control('operator', 'key.rotate')))
      // At least one whole round under each key.
      const before = outcomes.length
      await expect.poll(() => outcomes.length, { timeout: 60_000 }).toBeGreaterThan(before + 4)
    }
    rotated.abort()
    await Promise.all(workers)
    expect(used.size).toBe(5)
    expect(outcomes.filter((outcome) => outcome !== 'done')).toEqual([])
    expect(outcomes.length).toBeGreaterThan(20)
  })
})

/**
 * @module
 * Engines under the contract suite over real servers of others: Topaz, OPA with its AuthZEN plugin, Cerbos. Each that is not here
 * is said to be skipped; `npm run engines` builds the first two. Seen to fail: Topaz could not be asked at all as `sub`, while
 * the question at start was asked in the name of nobody; without the code of gRPC a stranger was a fault of ours.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createAuthzenEngine } from '../../src/engines/authzen.ts'
import { createTopazEngine } from '../../src/engines/topaz.ts'
import { engineContract, sampleDocument, type ContractCase, type EngineBehaviour } from '../../src/testing/index.ts'
import { CERBOS_INPUT, startCerbos, startOpaAuthzen } from '../support/authzen-servers.ts'
import { findEngine, type EngineServer } from '../support/engine-servers.ts'
import { startTopaz, type TopazServer } from '../support/topaz-server.ts'

const FIXTURES = 'test/fixtures/engines'
const timeoutMs = 10_000
const BEHAVIOURS: readonly EngineBehaviour[] = ['permit', 'deny', 'undefined', 'failing']

const at = (user: string) => ({ ...sampleDocument, subject: { ...sampleDocument.subject, id: user } })

const runs = (cases: readonly ContractCase[]): void => {
  it.each(cases)('$name', { timeout: 30_000 }, async (contract) => {
    await expect(contract.run()).resolves.toBeUndefined()
  })
}

const topazd = findEngine('topazd')

describe.skipIf(topazd === undefined)('topaz engine, with a real server', () => {
  let server: TopazServer
  const start = async (decision: string, identity: 'sub' | 'manual' | 'none' = 'sub', secret = 's3cret') =>
    createTopazEngine({
      url: server.url,
      tls: { ca: server.ca },
      headers: { authorization: `basic ${secret}` },
      path: 'topaz',
      decision,
      identity,
      timeoutMs,
    })
  beforeAll(async () => {
    const policies = [`${FIXTURES}/contract`, `${FIXTURES}/topaz`]
    server = await startTopaz(topazd ?? '', { policies, apiKey: 's3cret' })
    await server.addUsers({ alice: { department: 'support' }, bob: { department: 'support' } })
    await server.relate('desk/refunds', 'clerk', 'alice')
  }, 60_000)
  afterAll(async () => server?.stop())

  runs(engineContract(async (behaviour) => start(behaviour)))

  it('says yes to nobody whom its directory does not have, whatever the policy says', async () => {
    const engine = await start('permit')
    const { outcome, policies } = await engine.evaluate(at('mallory'))
    expect([outcome, policies]).toEqual(['undefined', []])
    expect((await engine.evaluate(at(''))).outcome).toBe('undefined')
    expect((await engine.evaluate(at('alice'))).outcome).toBe('permit')
    await engine.close()
  })

  it('lets policies ask the directory about the user and about relations', async () => {
    const engine = await start('clerk')
    const outcomes = await Promise.all(['alice', 'bob', 'mallory'].map(async (user) => engine.evaluate(at(user))))
    expect(outcomes.map(({ outcome }) => outcome)).toEqual(['permit', 'deny', 'undefined'])
    await engine.close()
  })

  it('gives a policy the id as it is, or none', async () => {
    const [manual, none] = [await start('named', 'manual'), await start('named', 'none')]
    expect((await manual.evaluate(at('mallory'))).outcome).toBe('permit')
    expect((await none.evaluate(at('mallory'))).outcome).toBe('undefined')
    await Promise.all([manual.close(), none.close()])
  })

  it('is not started for a rule that is not there, with another key, or behind another authority', async () => {
    await expect(start('nowhere')).rejects.toThrow('topaz has no rule `topaz.nowhere`')
    await expect(start('permit', 'sub', 'other')).rejects.toThrow('topaz refuses us with status 401')
    const unknown = createTopazEngine({ url: server.url, path: 'topaz', decision: 'permit', timeoutMs })
    await expect(unknown).rejects.toThrow('its certificate is not accepted')
  })
})

const plugin = findEngine('opa-authzen-plugin')

describe.skipIf(plugin === undefined)('authzen engine, with OPA and its AuthZEN plugin', () => {
  const servers = new Map<EngineBehaviour, EngineServer>()
  beforeAll(async () => {
    for (const behaviour of BEHAVIOURS) {
      const path = `contract/${behaviour === 'failing' ? 'conflicting' : behaviour}`
      servers.set(behaviour, await startOpaAuthzen(plugin ?? '', [`${FIXTURES}/contract`], { path, decision: 'allow' }))
    }
  }, 60_000)
  afterAll(async () => Promise.all([...servers.values()].map(async (server) => server.stop())))

  describe.each([false, true])('evaluations: %s', (evaluations) => {
    const all = engineContract(async (behaviour) =>
      createAuthzenEngine({ url: servers.get(behaviour)?.url ?? '', evaluations, timeoutMs }),
    )
    // The plugin takes a body of 1 MB and no byte more, so that a document around an argument of that size is a fault.
    runs(all.filter(({ name }) => !name.startsWith('decides about a text of 1 MB')))
  })

  it('denies what is too large for it', async () => {
    const engine = await createAuthzenEngine({ url: servers.get('permit')?.url ?? '', timeoutMs })
    const context = { ...sampleDocument.context, arguments: { body: 'x'.repeat(1024 * 1024) } }
    const { outcome, fault } = await engine.evaluate({ ...sampleDocument, context })
    expect([outcome, fault]).toEqual(['error', 'status 400'])
    await engine.close()
  })
})

/** One rule of Cerbos, in JSON, which is YAML. */
function toCerbosPolicy(rules: readonly (readonly [effect: string, expr: string])[]): string {
  const resourcePolicy = {
    resource: 'agent_action',
    version: 'default',
    rules: rules.map(([effect, expr], index) => ({
      name: `rule-${index}`,
      actions: ['*'],
      roles: ['*'],
      effect: `EFFECT_${effect}`,
      condition: { match: { expr } },
    })),
  }
  return JSON.stringify({ apiVersion: 'api.cerbos.dev/v1', resourcePolicy })
}

const CERBOS: Readonly<Record<Exclude<EngineBehaviour, 'failing'>, string>> = {
  permit: toCerbosPolicy([['ALLOW', 'true']]),
  deny: toCerbosPolicy([
    ['ALLOW', 'true'],
    ['DENY', 'true'],
  ]),
  undefined: toCerbosPolicy([['ALLOW', 'R.attr.subject.id == "bob"']]),
}

const folder = mkdtempSync(join(tmpdir(), 'unbearer-cerbos-'))
const cerbos = new Map<string, EngineServer>()
for (const [behaviour, policy] of Object.entries(CERBOS)) {
  const own = mkdtempSync(join(folder, 'policies-'))
  writeFileSync(join(own, 'policy.json'), policy)
  const server = await startCerbos(own)
  if (server === undefined) break
  cerbos.set(behaviour, server)
}
afterAll(async () => {
  await Promise.all([...cerbos.values()].map(async (server) => server.stop()))
  rmSync(folder, { recursive: true })
})

describe.skipIf(cerbos.size === 0)('authzen engine, with Cerbos', () => {
  const all = engineContract(async (behaviour) =>
    createAuthzenEngine({ url: cerbos.get(behaviour)?.url ?? '', input: CERBOS_INPUT, timeoutMs }),
  )
  // Cerbos takes a condition that fails for one that does not hold and does not say so; examples/policies/authzen says how to
  // write rules that deny all the same.
  runs(all.filter(({ name }) => !name.startsWith('denies where a policy fails')))
})

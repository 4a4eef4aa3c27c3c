/**
 * @module
 * Engines that are sent JSON under the contract suites that `unbearer/testing` exports: OPA as a real server where it was
 * built, OPA in WebAssembly, and the wire of each against a hostile server. Seen to fail: without `strict-builtin-errors`
 * OPA permits where a policy fails; without the check of the status a 500 with `true` permits.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createAuthzenEngine } from '../../src/engines/authzen.ts'
import { createOpaEngine } from '../../src/engines/opa.ts'
import { createOpaWasmEngine } from '../../src/engines/opa-wasm.ts'
import { createTopazEngine } from '../../src/engines/topaz.ts'
import type { Json } from '../../src/index.ts'
import {
  engineContract,
  engineWireContract,
  type ContractCase,
  type EngineBehaviour,
  type EngineWire,
} from '../../src/testing/index.ts'
import { findEngine, startOpa, type EngineServer } from '../support/engine-servers.ts'
import { startStandIn, type StandInAnswer } from '../support/stand-in.ts'

const FIXTURES = 'test/fixtures/engines'
const TIMEOUT = 10_000

const runs = (cases: readonly ContractCase[]): void => {
  it.each(cases)('$name', async (contract) => {
    await expect(contract.run()).resolves.toBeUndefined()
  })
}

const opa = findEngine('opa')

describe.skipIf(opa === undefined)('opa engine, with a real server', () => {
  let server: EngineServer
  beforeAll(async () => {
    server = await startOpa(opa ?? '', [`${FIXTURES}/contract`])
  })
  afterAll(async () => server.stop())
  runs(
    engineContract(async (behaviour) =>
      createOpaEngine({ url: server.url, path: `contract/${behaviour}/allow`, timeoutMs: TIMEOUT }),
    ),
  )
})

const entrypoint = (behaviour: EngineBehaviour): string => (behaviour === 'failing' ? 'conflicting' : behaviour)

describe('opa-wasm engine', () => {
  runs(
    engineContract(async (behaviour) =>
      createOpaWasmEngine({
        bundle: `${FIXTURES}/contract.tar.gz`,
        entrypoint: `contract/${entrypoint(behaviour)}/allow`,
      }),
    ),
  )
})

/** How the protocols say the four behaviours. */
const TOPAZ: Readonly<Record<EngineBehaviour, StandInAnswer>> = {
  permit: { body: { decisions: [{ decision: 'allowed', is: true }] } },
  deny: { body: { decisions: [{ decision: 'allowed' }] } },
  undefined: { status: 400, body: { code: 3, message: 'bad query: undefined results: x0 = data.contract.allowed' } },
  failing: {
    status: 400,
    body: { code: 3, message: 'bad query: query evaluation failed: x0 = data.contract.allowed' },
  },
}
const AUTHZEN: Readonly<Record<EngineBehaviour, StandInAnswer>> = {
  permit: { body: { decision: true } },
  deny: { body: { decision: false, context: { reason: 'no' } } },
  undefined: { body: { decision: false } },
  failing: { status: 500, body: 'policy failed' },
}

const behaviourOf = (text: string): EngineBehaviour => {
  for (const each of ['permit', 'deny', 'undefined', 'failing'] as const) if (text.includes(each)) return each
  throw new Error('not a behaviour')
}

describe('topaz engine, with a stand-in', () => {
  let server: EngineServer
  beforeAll(async () => {
    server = await startStandIn((_path, body) => {
      const { policy_context: context } = Object(body)
      return TOPAZ[behaviourOf(JSON.stringify(context))]
    })
  })
  afterAll(async () => server.stop())
  runs(
    engineContract(async (behaviour) =>
      createTopazEngine({ url: server.url, path: `contract.${behaviour}`, timeoutMs: TIMEOUT }),
    ),
  )
})

describe.each([false, true])('authzen engine, with a stand-in (evaluations: %s)', (evaluations) => {
  let server: EngineServer
  beforeAll(async () => {
    server = await startStandIn((path, _body, url) => {
      const behaviour = behaviourOf(path)
      const base = `${url}/${behaviour}`
      if (path.startsWith('/.well-known/authzen-configuration')) return { body: toMetadata(base) }
      const answer = AUTHZEN[behaviour]
      const isBoth = path.endsWith('/evaluations') && answer.status === undefined
      return isBoth ? { body: { evaluations: [answer.body, answer.body] } } : answer
    })
  })
  afterAll(async () => server.stop())
  runs(
    engineContract(async (behaviour) =>
      createAuthzenEngine({ url: `${server.url}/${behaviour}`, evaluations, timeoutMs: TIMEOUT }),
    ),
  )
})

function toMetadata(base: string): Json {
  return {
    policy_decision_point: base,
    access_evaluation_endpoint: `${base}/access/v1/evaluation`,
    access_evaluations_endpoint: `${base}/access/v1/evaluations`,
  }
}

const WIRES: Readonly<Record<string, EngineWire>> = {
  opa: {
    make: async (url) => createOpaEngine({ url, path: 'agents/allow', timeoutMs: 300 }),
    isQuestion: (path) => path.startsWith('/v1/data/'),
    answer: (result) => JSON.stringify({ result, decision_id: 'd' }),
  },
  topaz: {
    make: async (url) => createTopazEngine({ url, path: 'agents', timeoutMs: 300 }),
    isQuestion: (path) => path === '/api/v2/authz/is',
    answer: (is) => JSON.stringify({ decisions: [{ decision: 'allowed', is }] }),
  },
  authzen: {
    make: async (url) => createAuthzenEngine({ url, timeoutMs: 300 }),
    isQuestion: (path) => path === '/access/v1/evaluation',
    answer: (decision) => JSON.stringify({ decision }),
    other: () => ({ status: 404, body: 'none' }),
  },
  'authzen, both at once': {
    make: async (url) => createAuthzenEngine({ url, evaluations: true, timeoutMs: 300 }),
    isQuestion: (path) => path === '/access/v1/evaluations' || path === '/access/v1/evaluation',
    answer: (decision) => JSON.stringify({ decision, evaluations: [{ decision }, { decision: false }] }),
    other: (_path, url) => ({ status: 200, body: JSON.stringify(toMetadata(url)) }),
  },
  'authzen, by COAZ': {
    make: async (url) =>
      createAuthzenEngine({
        url,
        timeoutMs: 300,
        coaz: { audience: 'https://mcp.invalid', strict: true, mappings: {} },
      }),
    isQuestion: (path) => path === '/access/v1/evaluation',
    answer: (decision) => JSON.stringify({ decision }),
    other: (_path, url) => ({ status: 200, body: JSON.stringify(toMetadata(url)) }),
  },
}

describe.each(Object.entries(WIRES))('the wire of %s', (_kind, wire) => {
  runs(engineWireContract(wire))
})

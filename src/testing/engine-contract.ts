/**
 * @module
 * The contract of `Engine` (`ports/engine.ts`) as cases that any implementation runs, under any test runner. What they
 * hold it to above all: whatever goes wrong, the verdict is one that denies.
 */
import assert from 'node:assert/strict'
import type { Engine, EngineDocument, JsonObject, PolicyVerdict } from '../index.ts'
import type { ContractCase } from './store-contract.ts'

/**
 * What the policies of the engine under test say.
 * `permit`: yes to everything. `deny`: a rule that says no to everything. `undefined`: rules that speak of other requests
 * only. `failing`: yes to everything, beside a rule that would say no and fails while it is evaluated.
 */
export type EngineBehaviour = 'permit' | 'deny' | 'undefined' | 'failing'

export type MakeEngine = (behaviour: EngineBehaviour) => Promise<Engine>

/** The cases. All must pass, in any order. Does not say whether an engine understands its own policy language. */
export function engineContract(make: MakeEngine): readonly ContractCase[] {
  return [...verdictCases(make), ...hostileCases(make), ...wrongCases(make), ...lifeCases(make)]
}

/** A well-formed document: a proven read under a grant. */
export const sampleDocument: EngineDocument = {
  subject: {
    type: 'user',
    id: 'alice',
    properties: { assurance: 'granted', act: { type: 'agent', id: 'support', jkt: 'agent-key' } },
  },
  action: {
    name: 'tools/call',
    properties: {
      effect: 'read',
      effects: ['read'],
      reversible: true,
      bounded: true,
      destinations: [],
      objects: ['customers'],
      source: 'parser',
    },
  },
  resource: {
    type: 'api-route',
    id: 'orders/query',
    properties: { upstream: 'orders', tool: 'query', status: 'accepted', idempotent: true },
  },
  context: {
    arguments: { sql: 'select 1' },
    intent: { stated: true, text: 'read: one customer', source: 'argument' },
    provenance: {
      attested: true,
      taint: { trust: 'own', confidentiality: 'public' },
      length: 0,
      roles: [],
      unvouched: [],
      arguments: [],
    },
    anomaly: { outcome: 'pass', events: 40, signals: {} },
    grant: { covered: true, id: 'grant-1', issuedBy: 'operator', expires: 1_790_000_060_000 },
    task: { open: true, attested: true, txn: 'task-1', openedBy: 'host' },
    proof: { grade: 'signature', bodyBound: true, jkt: 'agent-key' },
    mode: 'enforce',
    time: 1_790_000_000_000,
    deployment: 'separate',
    approved: false,
    findings: { identity: 'pass', intent: 'pass', scope: 'pass', context: 'pass', anomaly: 'pass' },
    reasons: [],
    claimed: {},
  },
}

function verdictCases(make: MakeEngine): readonly ContractCase[] {
  return [
    engineCase(make, 'permit', 'permits what its policies permit, and says which they are', async (engine) => {
      const verdict = await engine.evaluate(sampleDocument)
      assert.equal(verdict.outcome, 'permit')
      assert.equal(verdict.engine, engine.kind)
      assert.equal(verdict.version, engine.version)
      assert.notEqual(verdict.version, '')
      assert.deepEqual(verdict.policies, verdict.policies.toSorted())
    }),
    engineCase(make, 'deny', 'denies what its policies forbid', async (engine) => {
      assert.equal((await engine.evaluate(sampleDocument)).outcome, 'deny')
    }),
    engineCase(make, 'undefined', 'denies where no policy speaks', async (engine) => {
      assertDenies(await engine.evaluate(sampleDocument))
    }),
    engineCase(make, 'failing', 'denies where a policy fails, whatever the others permit', async (engine) => {
      const verdict = await engine.evaluate(sampleDocument)
      assert.equal(verdict.outcome, 'error')
      assert.notEqual(verdict.fault ?? '', '')
    }),
    engineCase(make, 'permit', 'gives the same verdict again, and side by side', async (engine) => {
      const all = await Promise.all(Array.from({ length: 8 }, () => engine.evaluate(sampleDocument)))
      // An id under which the engine logs each answer differs by intention.
      const [first, ...rest] = all.map((verdict) => ({ ...verdict, decisionId: '' }))
      for (const verdict of rest) assert.deepEqual(verdict, first)
    }),
    engineCase(make, 'permit', 'leaves the document alone', async (engine) => {
      const frozen = deepFreeze(structuredClone(sampleDocument))
      assert.equal((await engine.evaluate(frozen)).outcome, 'permit')
      assert.deepEqual(frozen, sampleDocument)
    }),
  ]
}

function hostileCases(make: MakeEngine): readonly ContractCase[] {
  const entity = { type: 'Unbearer::Subject', id: 'user/alice' }
  const reserved = ['__entity', '__extn', '__expr'].flatMap((key) => [
    engineCase(make, 'permit', `refuses the reserved key ${key} in arguments`, async (engine) => {
      assertDenies(await engine.evaluate(withContext({ arguments: { [key]: entity } })))
      assertDenies(await engine.evaluate(withContext({ arguments: { to: [{ deep: { [key]: entity } }] } })))
    }),
    engineCase(make, 'permit', `refuses the reserved key ${key} in claims`, async (engine) => {
      assertDenies(await engine.evaluate(withContext({ claimed: { to: { [key]: entity } } })))
    }),
  ])
  return [
    ...reserved,
    engineCase(make, 'permit', 'keeps its wits over a key `__proto__`', async (engine) => {
      const parsed: JsonObject = JSON.parse('{"__proto__": {"polluted": true}, "constructor": {"prototype": 1}}')
      await engine.evaluate(withContext({ arguments: parsed, claimed: parsed }))
      assert.equal(Reflect.get({}, 'polluted'), undefined)
      assert.equal((await engine.evaluate(sampleDocument)).outcome, 'permit')
    }),
    engineCase(make, 'permit', 'decides about a text of 1 MB like about any other', async (engine) => {
      const verdict = await engine.evaluate(withContext({ arguments: { body: 'x'.repeat(1024 * 1024) } }))
      assert.equal(verdict.outcome, 'permit')
    }),
    engineCase(make, 'deny', 'denies with a text of 1 MB too', async (engine) => {
      assertDenies(await engine.evaluate(withContext({ arguments: { body: '\u{1F600}'.repeat(262_144) } })))
    }),
    engineCase(make, 'permit', 'survives 1 MB of small values', async (engine) => {
      await engine.evaluate(withContext({ arguments: { list: Array.from({ length: 500_000 }, () => 1) } }))
      assert.equal((await engine.evaluate(sampleDocument)).outcome, 'permit')
    }),
    engineCase(make, 'permit', 'refuses what is nested beyond what any parser of ours accepts', async (engine) => {
      let deep: JsonObject = {}
      for (let depth = 0; depth < 50_000; depth += 1) deep = { deep }
      assertDenies(await engine.evaluate(withContext({ arguments: deep })))
    }),
    engineCase(make, 'permit', 'refuses a lone surrogate, which would become another character', async (engine) => {
      assertDenies(await engine.evaluate(withContext({ arguments: { to: '\ud800' } })))
    }),
  ]
}

/** One member of the sample made wrong. Our own encoder never builds these; a caller in another language might. */
const WRONG: Readonly<Record<string, (document: object) => void>> = {
  'a subject id that is a number': (document) => setAt(document, ['subject', 'id'], 5),
  'a resource type that is null': (document) => setAt(document, ['resource', 'type'], null),
  'effects that are a text': (document) => setAt(document, ['action', 'properties', 'effects'], 'read'),
  'an effect that is an object': (document) => setAt(document, ['action', 'properties', 'effects'], [{}]),
  'an approval that is a text': (document) => setAt(document, ['context', 'approved'], 'true'),
  'a covered grant that is a number': (document) => setAt(document, ['context', 'grant', 'covered'], 1),
  'a time that is not finite': (document) => setAt(document, ['context', 'time'], Number.NaN),
  'arguments that are a list': (document) => setAt(document, ['context', 'arguments'], []),
  'an argument that is a function': (document) => setAt(document, ['context', 'arguments', 'sql'], () => 1),
  'an argument that is a bigint': (document) => setAt(document, ['context', 'arguments', 'sql'], 1n),
  'no proof': (document) => setAt(document, ['context', 'proof'], undefined),
  'no context': (document) => setAt(document, ['context'], undefined),
  'no subject': (document) => setAt(document, ['subject'], null),
}

function wrongCases(make: MakeEngine): readonly ContractCase[] {
  return Object.entries(WRONG).map(([name, spoil]) =>
    engineCase(make, 'permit', `denies, and does not throw, for ${name}`, async (engine) => {
      const document = structuredClone(sampleDocument)
      spoil(document)
      assertDenies(await engine.evaluate(document))
    }),
  )
}

function lifeCases(make: MakeEngine): readonly ContractCase[] {
  return [
    {
      name: 'denies once closed, and closes twice',
      run: async () => {
        const engine = await make('permit')
        await engine.close()
        await engine.close()
        assertDenies(await engine.evaluate(sampleDocument))
      },
    },
    {
      name: 'keeps two engines apart, and tells them by their version',
      run: async () => {
        const [permits, denies] = await Promise.all([make('permit'), make('deny')])
        const verdicts = await Promise.all([permits.evaluate(sampleDocument), denies.evaluate(sampleDocument)])
        assert.deepEqual(
          verdicts.map(({ outcome }) => outcome),
          ['permit', 'deny'],
        )
        assert.notEqual(permits.version, denies.version)
        await permits.close()
        assert.equal((await denies.evaluate(sampleDocument)).outcome, 'deny')
        await denies.close()
      },
    },
  ]
}

function engineCase(
  make: MakeEngine,
  behaviour: EngineBehaviour,
  name: string,
  run: (engine: Engine) => Promise<void>,
): ContractCase {
  return {
    name,
    run: async () => {
      const engine = await make(behaviour)
      try {
        await run(engine)
      } finally {
        await engine.close()
      }
    },
  }
}

/** Not a permit, and not a question to a person either. */
function assertDenies({ outcome, obligations }: PolicyVerdict): void {
  assert.ok(['deny', 'undefined', 'error', 'unavailable'].includes(outcome), `outcome is ${outcome}`)
  assert.deepEqual(obligations, [])
}

function withContext(members: JsonObject): EngineDocument {
  return { ...sampleDocument, context: { ...sampleDocument.context, ...members } }
}

function setAt(target: object, [member = '', ...rest]: readonly string[], value: unknown): void {
  if (rest.length === 0) {
    Reflect.set(target, member, value)
    return
  }
  const inner: unknown = Reflect.get(target, member)
  if (typeof inner === 'object' && inner !== null) setAt(inner, rest, value)
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    Object.freeze(value)
    for (const member of Object.values(value)) deepFreeze(member)
  }
  return value
}

/**
 * @module
 * Scope, from the attack: what was not granted, by any link of the chain, is not done.
 */
import { assert, describe, expect, it } from 'vitest'
import type { Evidence } from '../evidence.ts'
import type { Finding } from '../finding.ts'
import type { Constraint, Grant, Operation } from '../grant.ts'
import type { JsonObject } from '../json.ts'
import { budgetRecord } from '../records.ts'
import type { AccessRequest } from '../request.ts'
import { GRANT, makeEvidence, makeRequest, NOW, report } from './scenario.test-data.ts'
import { debitsOf, verifyScope } from './scope.ts'

const pay: Operation = { upstream: 'shop', tool: 'query', effects: ['write', 'spend'], where: {} }
const spend = report(['write', 'spend'])

function withGrant(
  change: Partial<Grant>,
  evidence: Partial<Evidence> = {},
  used: Record<string, number> = {},
): Evidence {
  return makeEvidence({ grant: { chain: [{ ...GRANT, ...change }], used }, ...evidence })
}

const where = (constraints: Readonly<Record<string, Constraint>>, evidence: Partial<Evidence> = {}): Evidence =>
  withGrant({ operations: [{ ...pay, where: constraints }] }, { effect: spend, ...evidence })

const call = (args: JsonObject): AccessRequest => makeRequest({}, args)

function outcomeOf(request: AccessRequest, evidence: Evidence): string {
  const finding = verifyScope(request, evidence)
  return finding.outcome === 'pass' ? 'pass' : `${finding.outcome} ${finding.reason}`
}

function rewriteOf(finding: Finding): unknown {
  return finding.outcome === 'pass' ? undefined : finding.rewrite
}

const { grant: _grant, ...lost } = makeEvidence()
const { grant: _named, ...task } = lost.task ?? assert.fail('the scene has a task')
const ungranted: Evidence = { ...lost, task }
const { tool } = makeEvidence()
const known = tool.status === 'accepted' ? tool : undefined
const parent: Grant = { ...GRANT, id: 'G0', actor: 'jkt-other', depth: 1 }
const child: Grant = { ...GRANT, parent: 'G0' }
const chain = (leaf: Partial<Grant>, root: Partial<Grant>, evidence: Partial<Evidence> = {}): Evidence =>
  makeEvidence({
    grant: {
      chain: [
        { ...child, ...leaf },
        { ...parent, ...root },
      ],
      used: {},
    },
    ...evidence,
  })

const limit = (max: number): Partial<Grant> => ({
  operations: [{ ...pay, where: { n: { range: { max, clamp: true } } } }],
})

describe('verifyScope', () => {
  const rows: readonly [string, AccessRequest, Evidence, string][] = [
    ['what was granted', makeRequest(), makeEvidence(), 'pass'],
    ['an unknown tool', makeRequest(), makeEvidence({ tool: { status: 'unknown' } }), 'fail scope.unknown-tool'],
    [
      'a drafted tool',
      makeRequest(),
      known === undefined ? ungranted : makeEvidence({ tool: { ...known, status: 'unaccepted' } }),
      'fail scope.unknown-tool',
    ],
    [
      'a changed tool',
      makeRequest(),
      known === undefined ? ungranted : makeEvidence({ tool: { ...known, status: 'changed' } }),
      'fail scope.tool-changed',
    ],
    ['a read without grant', makeRequest(), ungranted, 'insufficient scope.no-grant'],
    [
      'a read with an empty chain',
      makeRequest(),
      { ...ungranted, grant: { chain: [], used: {} } },
      'insufficient scope.no-grant',
    ],
    ['a read of a task that lost its grant', makeRequest(), lost, 'fail scope.no-grant'],
    [
      'a read of a task whose chain is broken',
      makeRequest(),
      makeEvidence({ grant: { chain: [], used: {} } }),
      'fail scope.no-grant',
    ],
    ['a write without grant', makeRequest(), { ...ungranted, effect: report(['write']) }, 'fail scope.no-grant'],
    ['a send without grant', makeRequest(), { ...ungranted, effect: report(['send']) }, 'fail scope.no-grant'],
    [
      "another principal's grant",
      makeRequest(),
      withGrant({ principal: { type: 'user', id: 'bob' } }),
      'fail scope.no-grant',
    ],
    ["another actor's grant", makeRequest(), withGrant({ actor: 'jkt-other' }), 'fail scope.no-grant'],
    ['an actor without key', makeRequest({ actor: { type: 'agent', id: 'a' } }), makeEvidence(), 'fail scope.no-grant'],
    ["another task's grant", makeRequest(), withGrant({ id: 'G9' }), 'fail scope.no-grant'],
    ['an expired grant', makeRequest(), withGrant({ expires: NOW }), 'fail scope.grant-expired'],
    ['a grant that has not begun', makeRequest(), withGrant({ notBefore: NOW + 1 }), 'fail scope.grant-expired'],
    ['a grant without end', makeRequest(), withGrant({ expires: NaN }), 'fail scope.grant-expired'],
    ['a graver effect', makeRequest(), makeEvidence({ effect: report(['write']) }), 'fail scope.operation'],
    ['an effect beside', makeRequest(), makeEvidence({ effect: report(['read', 'execute']) }), 'fail scope.operation'],
    [
      'a lower level',
      makeRequest(),
      withGrant({ operations: [{ ...pay, effects: ['delete'] }] }, { effect: report(['write']) }),
      'pass',
    ],
    [
      'a send under a grant to send',
      makeRequest(),
      withGrant({ operations: [{ ...pay, effects: ['send'] }] }, { effect: report(['send']) }),
      'pass',
    ],
    [
      'a grant of no effect',
      makeRequest(),
      withGrant({ operations: [{ ...pay, effects: [] }] }),
      'fail scope.operation',
    ],
    ['another tool', makeRequest({ context: { tool: 'execute' } }), makeEvidence(), 'fail scope.operation'],
    ['another upstream', makeRequest({ context: { upstream: 'bank' } }), makeEvidence(), 'fail scope.operation'],
    [
      'every tool of the upstream',
      makeRequest({ context: { tool: 'execute' } }),
      withGrant({ operations: [{ ...pay, tool: '*' }] }),
      'pass',
    ],
    ['an argument within', call({ to: 'a@x.test' }), where({ to: { hostSuffix: 'x.test' } }), 'pass'],
    ['an argument outside', call({ to: 'a@y.test' }), where({ to: { hostSuffix: 'x.test' } }), 'fail scope.argument'],
    ['a missing argument', call({}), where({ to: { hostSuffix: 'x.test' } }), 'fail scope.argument'],
    ['an inherited argument', call({}), where({ 'constructor/name': { in: ['Object'] } }), 'fail scope.argument'],
    ['a nested argument', call({ order: { id: 7 } }), where({ 'order/id': { in: [7] } }), 'pass'],
    ['an escaped pointer', call({ 'a/b~': [1, 2] }), where({ 'a~1b~0/1': { in: [2] } }), 'pass'],
    ['a malformed pointer', call({ '~2': 1 }), where({ '~2': { in: [1] } }), 'fail scope.argument'],
    [
      'two operations that only together would do',
      call({ to: 'a@y.test', n: 1 }),
      withGrant(
        {
          operations: [
            { ...pay, where: { to: { hostSuffix: 'x.test' } } },
            { ...pay, effects: ['read'] },
          ],
        },
        { effect: spend },
      ),
      'fail scope.argument',
    ],
    ['a chain', makeRequest(), chain({}, {}), 'pass'],
    [
      'a chain whose end is missing',
      makeRequest(),
      makeEvidence({ grant: { chain: [child], used: {} } }),
      'fail scope.no-grant',
    ],
    ['a chain of strangers', makeRequest(), chain({ parent: 'G8' }, {}), 'fail scope.no-grant'],
    ['a chain that widens', makeRequest(), chain({ operations: [pay] }, {}), 'fail scope.no-grant'],
    ['a chain without depth', makeRequest(), chain({}, { depth: 0 }), 'fail scope.no-grant'],
    [
      "a chain from another principal's grant",
      makeRequest(),
      chain({}, { principal: { type: 'user', id: 'bob' } }),
      'fail scope.no-grant',
    ],
    ['a number above a range', call({ n: 11 }), where({ n: { range: { max: 10 } } }), 'fail scope.argument'],
    [
      'a number above a clamp',
      call({ n: 11 }),
      where({ n: { range: { max: 10, clamp: true } } }),
      'concern scope.clamped',
    ],
    ['a number below a clamp', call({ n: 0 }), where({ n: { range: { min: 1, clamp: true } } }), 'fail scope.argument'],
    [
      'a text above a clamp',
      call({ n: '11' }),
      where({ n: { range: { max: 10, clamp: true } } }),
      'fail scope.argument',
    ],
    ['no number for a clamp', call({}), where({ n: { range: { max: 10, clamp: true } } }), 'fail scope.argument'],
    [
      'a clamp and something else',
      call({ n: 11, to: 'a@y.test' }),
      where({ n: { range: { max: 10, clamp: true } }, to: { hostSuffix: 'x.test' } }),
      'fail scope.argument',
    ],
    [
      'a clamp beside a hard range',
      call({ n: 11 }),
      where({ n: { all: [{ range: { max: 10, clamp: true } }, { range: { max: 5 } }] } }),
      'fail scope.argument',
    ],
  ]
  for (const [name, request, evidence, expected] of rows) {
    it(`${name}: ${expected}`, () => expect(outcomeOf(request, evidence)).toBe(expected))
  }

  it('rewrites the one number and nothing else', () => {
    const evidence = where({ 'order/n': { range: { max: 10, clamp: true } } })
    const finding = verifyScope(call({ order: { n: 11, x: [1] }, y: null }), evidence)
    expect(rewriteOf(finding)).toEqual({
      method: 'tools/call',
      name: 'query',
      arguments: { order: { n: 10, x: [1] }, y: null },
    })
  })
  it('clamps by every grant of a chain', () => {
    const finding = verifyScope(call({ n: 11 }), chain(limit(5), limit(10), { effect: spend }))
    expect(rewriteOf(finding)).toMatchObject({ arguments: { n: 5 } })
  })
})

describe('budgets', () => {
  const budgets: Grant['budgets'] = [
    { id: 'calls', limit: 3, per: 'task', effects: ['write'] },
    { id: 'sum', limit: 100, per: 'grant', amount: 'amount' },
  ]
  const calls = budgetRecord('G1', 'calls', 'T1')
  const sum = budgetRecord('G1', 'sum')
  const evidence = (used: Record<string, number>, effect = spend): Evidence =>
    withGrant({ operations: [pay], budgets }, { effect }, used)

  it('names what is debited', () => {
    expect(debitsOf(call({ amount: 40 }), evidence({}))).toEqual([
      { key: calls, amount: 1 },
      { key: sum, amount: 40 },
    ])
    expect(debitsOf(call({ amount: 40 }), evidence({}, report(['read', 'spend'])))).toEqual([{ key: sum, amount: 40 }])
    expect(debitsOf(call({ amount: 'all' }), evidence({}))).toEqual([{ key: calls, amount: 1 }])
    expect(debitsOf(call({ amount: 40 }), ungranted)).toEqual([])
  })
  it('counts what is graver than what the budget names', () => {
    expect(debitsOf(call({ amount: 1 }), evidence({}, report(['delete']))).map(({ key }) => key)).toContain(calls)
  })
  it('debits every grant of the chain', () => {
    const own = { ...child, budgets: [{ id: 'calls', limit: 1, per: 'grant' as const }] }
    const above = { ...parent, budgets: [{ id: 'calls', limit: 2, per: 'grant' as const }] }
    const keys = [budgetRecord('G1', 'calls'), budgetRecord('G0', 'calls')]
    const used = (first: number, second: number): Evidence =>
      makeEvidence({ grant: { chain: [own, above], used: { [keys[0] ?? '']: first, [keys[1] ?? '']: second } } })
    expect(debitsOf(makeRequest(), used(0, 0)).map(({ key }) => key)).toEqual(keys)
    expect(outcomeOf(makeRequest(), used(0, 1))).toBe('pass')
    expect(outcomeOf(makeRequest(), used(0, 2))).toBe('fail scope.budget')
  })
  const rows: readonly [string, JsonObject, Record<string, number>, string][] = [
    ['room for the last one', { amount: 40 }, { [calls]: 2, [sum]: 60 }, 'pass'],
    ['no room for another call', { amount: 0 }, { [calls]: 3, [sum]: 0 }, 'fail scope.budget'],
    ['no room for the amount', { amount: 41 }, { [calls]: 0, [sum]: 60 }, 'fail scope.budget'],
    ['an amount that gives back', { amount: -40 }, { [calls]: 0, [sum]: 60 }, 'fail scope.budget'],
    ['an amount as text', { amount: '1' }, { [calls]: 0, [sum]: 0 }, 'fail scope.budget'],
    ['no amount', {}, { [calls]: 0, [sum]: 0 }, 'fail scope.budget'],
    ['an endless amount', { amount: Infinity }, { [calls]: 0, [sum]: 0 }, 'fail scope.budget'],
    ['a use that was not read', { amount: 1 }, { [calls]: 0 }, 'fail scope.budget'],
    ['a use that is not a number', { amount: 1 }, { [calls]: 0, [sum]: NaN }, 'fail scope.budget'],
    ['a negative use', { amount: 1 }, { [calls]: 0, [sum]: -1000 }, 'fail scope.budget'],
  ]
  for (const [name, args, used, expected] of rows) {
    it(`${name}: ${expected}`, () => expect(outcomeOf(call(args), evidence(used))).toBe(expected))
  }
})

/**
 * The policies that ship, role by role, and what start-up refuses. Seen to fail: with `viewer` added to the policy of admins;
 * with errors of evaluation taken for silence.
 */
import { readFileSync, writeFileSync } from 'node:fs'

import { afterEach, describe, expect, it } from 'vitest'

import { CONTROL_ACTIONS, controlActionOf, type ControlGroup, type ControlMethod } from '../core/control-actions.ts'
import { OPERATOR_ROLES, type EnrolledKey, type OperatorRole } from '../core/evidence.ts'
import type { OperatorPolicy, OperatorQuestion } from '../ports/operator-policy.ts'
import { createOperatorPolicy, toOperatorSchema } from './cedar-operators.ts'
import { defaultOperatorPolicyFolder, loadPolicyFolder } from './policy-files.ts'

const METHODS = Object.keys(CONTROL_ACTIONS).filter((name): name is ControlMethod => name in CONTROL_ACTIONS)
const SCHEMA = new URL('../../policies/operators/schema.cedarschema', import.meta.url)
const PAGE = new URL('../../docs/reference/operators.md', import.meta.url)

const operator = (...roles: readonly OperatorRole[]): EnrolledKey => ({
  jkt: 'thumbprint',
  name: 'someone',
  role: 'operator',
  roles,
  jwk: {},
  enrolledAt: 0,
  by: 'system',
})

const ask = (
  key: EnrolledKey,
  method: string,
  resource: Partial<OperatorQuestion['resource']> = {},
): OperatorQuestion => ({
  key,
  method,
  resource: { type: 'system', id: '', roles: [], own: false, ...resource },
  time: 1,
})

const inline = (text: string): OperatorPolicy => createOperatorPolicy([{ name: 'x.cedar', text }])

let policy: OperatorPolicy | undefined
afterEach(() => policy?.close())

const MAY: Readonly<Record<OperatorRole, readonly ControlGroup[]>> = {
  viewer: ['read', 'queue', 'evidence'],
  approver: ['queue', 'answer'],
  revoker: ['read', 'queue', 'stop'],
  'policy-author': ['read', 'queue', 'evidence', 'author'],
  admin: ['read', 'queue', 'evidence', 'stop', 'author', 'open', 'administer'],
}

describe('the policies of operators that ship', () => {
  it.each(OPERATOR_ROLES)('let a %s call its groups and nothing else', async (role) => {
    policy = createOperatorPolicy(await loadPolicyFolder(defaultOperatorPolicyFolder))
    for (const method of METHODS) {
      const expected = MAY[role].includes(controlActionOf(method).group) ? 'permit' : 'deny'
      expect([method, policy.decide(ask(operator(role), method))]).toEqual([method, expected])
    }
  })

  it('let hosts open tasks, and agents and PEPs nothing', async () => {
    policy = createOperatorPolicy(await loadPolicyFolder(defaultOperatorPolicyFolder))
    for (const role of ['agent', 'pep', 'host'] as const) {
      const { roles: _none, ...key } = operator()
      const permitted = METHODS.filter((method) => policy?.decide(ask({ ...key, role }, method)) === 'permit')
      expect(permitted).toEqual(role === 'host' ? ['grant.open', 'grant.take', 'task.open'] : [])
    }
  })

  it('count an operator without roles as an admin, and one with an empty list as nobody', async () => {
    policy = createOperatorPolicy(await loadPolicyFolder(defaultOperatorPolicyFolder))
    const { roles: _none, ...before } = operator()
    expect(policy.decide(ask(before, 'key.enrol'))).toBe('permit')
    expect(policy.decide(ask(operator(), 'status'))).toBe('deny')
  })
})

describe('policies of operators', () => {
  it.each([
    ['permit (principal, action, resource);', 'needs an annotation'],
    ['@id("a") permit (principal in Control::Role::"admn", action, resource);', 'admn'],
    ['@id("a") permit (principal, action == Control::Action::"key.delete", resource);', 'key.delete'],
    ['@id("a") permit (principal, action, resource) when { resource.nme == "" };', 'nme'],
    ['@id("a") @challenge("x") forbid (principal, action, resource);', 'no meaning'],
    ['@id("a") permit (principal, action, resource', 'x.cedar'],
    ['', 'no policy'],
  ])('refuse to load %s', (text, message) => {
    expect(() => inline(text)).toThrow(message)
  })

  it('deny when one of them fails, also a forbid beside a permit', () => {
    policy = inline(`
      @id("all") permit (principal, action, resource);
      @id("fails") forbid (principal, action, resource) when { context.time + 9223372036854775807 > 0 };`)
    expect(policy.decide(ask(operator('admin'), 'status'))).toBe('error')
  })

  it('deny a method that is not in the schema, and text that is not well formed', () => {
    policy = inline('@id("all") permit (principal, action, resource);')
    expect(policy.decide(ask(operator('admin'), 'status'))).toBe('permit')
    expect(policy.decide(ask(operator('admin'), 'key.delete'))).toBe('error')
    expect(policy.decide(ask(operator('admin'), 'status', { id: '\ud800' }))).toBe('error')
  })

  it('see what is touched, and whether it is the own key', () => {
    policy = inline(`
      @id("others") permit (principal, action == Control::Action::"key.roles", resource) unless { resource.own };
      @id("small") permit (principal, action == Control::Action::"key.enrol", resource)
        unless { resource.roles.contains("admin") || (resource has role && resource.role == "approver") };`)
    const decide = (method: string, resource: Partial<OperatorQuestion['resource']>): unknown =>
      policy?.decide(ask(operator('revoker'), method, resource))
    expect(decide('key.roles', { own: false })).toBe('permit')
    expect(decide('key.roles', { own: true })).toBe('deny')
    expect(decide('key.enrol', { role: 'operator', roles: ['viewer'] })).toBe('permit')
    expect(decide('key.enrol', { role: 'operator', roles: ['viewer', 'admin'] })).toBe('deny')
    expect(decide('key.enrol', { role: 'approver' })).toBe('deny')
  })
})

describe('the reference', () => {
  it('has the schema as it is', () => {
    if (process.env['UPDATE_REFERENCE'] === '1') writeFileSync(SCHEMA, toOperatorSchema())
    expect(readFileSync(SCHEMA, 'utf8')).toBe(toOperatorSchema())
  })

  it('has a row for each method', () => {
    const rows = METHODS.map((method) => {
      const { group, logged, touches } = controlActionOf(method)
      const recorded = { itself: 'its act', reading: 'each look', no: '' }[logged]
      return `| \`${method}\` | \`${group}\` | ${touches.map((part) => `\`${part}\``).join(' ')} | ${recorded} |`
    })
    const table = ['| method | group | touches | recorded |', '|---|---|---|---|', ...rows].join('\n')
    const [before = '', rest = ''] = readFileSync(PAGE, 'utf8').split(
      '<!-- methods: made from src/core/control-actions.ts -->',
    )
    const after = rest.slice(rest.indexOf('<!-- end of methods -->'))
    const made = `${before}<!-- methods: made from src/core/control-actions.ts -->\n\n${table}\n\n${after}`
    if (process.env['UPDATE_REFERENCE'] === '1') writeFileSync(PAGE, made)
    expect(readFileSync(PAGE, 'utf8')).toBe(made)
  })
})

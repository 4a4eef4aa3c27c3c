/** @module The state of a grant as a person reads it, and tools that nobody knows. */
import { expect, test } from 'vitest'

import type { Grant } from '../core/grant.ts'
import { findUnknownTools, toGrantStates } from './grant-state.ts'

const base: Grant = {
  id: 'a',
  principal: { type: 'user', id: 'alice' },
  actor: 'agent-key',
  issuedBy: { role: 'operator', jkt: 'operator-key' },
  notBefore: 1_000,
  expires: 9_000,
  operations: [],
  budgets: [],
  depth: 1,
}
const child: Grant = { ...base, id: 'b', parent: 'a', actor: 'other-key' }

const states = (grants: readonly Grant[], revoked: readonly string[] = [], now = 5_000): readonly string[] =>
  toGrantStates({
    grants,
    now,
    feed: {
      find: (dimension, id) => (revoked.includes(`${dimension} ${id}`) ? { rev: 1, dimension, id, at: 0 } : undefined),
    },
  })

test.each([
  ['in force', [base, child], [], 5_000, ['valid', 'valid']],
  ['too early', [base], [], 999, ['early']],
  ['over at its last millisecond', [base], [], 9_000, ['expired']],
  ['under a parent that is over', [{ ...base, expires: 4_000 }, child], [], 5_000, ['expired', 'expired']],
  ['under a parent that is revoked', [base, child], ['grant a'], 5_000, ['revoked', 'revoked']],
  ['of an agent that is revoked', [base, child], ['actor other-key'], 5_000, ['valid', 'revoked']],
  ['of a principal who is revoked', [base], ['subject user/alice'], 5_000, ['revoked']],
  ['while everything is stopped', [base], ['all *'], 5_000, ['revoked']],
  ['whose parent is not there', [child], [], 5_000, ['cut']],
])('a grant %s', (_name, grants, revoked, now, expected) => {
  expect(states(grants, revoked, now)).toEqual(expected)
})

const operation = (upstream: string, tool: string): Grant['operations'][number] => ({
  upstream,
  tool,
  effects: ['read'],
  where: {},
})

test('a tool that no manifest knows is named, a pattern is not', () => {
  const operations = [
    operation('orders', 'query'),
    operation('orders', 'qeury'),
    operation('orders', '*'),
    operation('none', 'x'),
  ]
  expect(findUnknownTools({ operations }, () => undefined)).toEqual(['orders/query', 'orders/qeury', 'none/x'])
})

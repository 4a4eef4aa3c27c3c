/**
 * @module
 * Intent, from the attack: the call does something else than the agent said.
 */
import { describe, expect, it } from 'vitest'
import type { EffectReport } from '../effect.ts'
import { toWorstReport } from '../effect.ts'
import type { Finding } from '../finding.ts'
import { verifyIntent } from './intent.ts'
import { makeEvidence, makeRequest, report } from './scenario.test-data.ts'

function verify(text: string | undefined, effect: EffectReport, purpose = 'help the customer'): Finding {
  const request = makeRequest()
  const { intent: _intent, ...unstated } = request.context
  const { task } = makeEvidence()
  return verifyIntent(
    { ...request, context: text === undefined ? unstated : { ...unstated, intent: { text, source: 'argument' } } },
    makeEvidence({ effect, ...(task === undefined ? {} : { task: { ...task, purpose } }) }),
  )
}

function outcomeOf(finding: Finding): string {
  return finding.outcome === 'pass' ? 'pass' : `${finding.outcome} ${finding.reason}`
}

const mail = (to: readonly string[], objects: readonly string[] = []): EffectReport =>
  report(['write', 'send'], { destinations: to, objects, source: 'manifest' })

describe('verifyIntent', () => {
  const rows: readonly [string, string | undefined, EffectReport, string][] = [
    ['silence', undefined, report(['read']), 'fail intent.missing'],
    ['too little', 'read it', report(['read']), 'fail intent.malformed'],
    ['an effect and nothing', 'execute:', report(['read']), 'fail intent.malformed'],
    ['an honest read', 'read: the e-mail of customer 42', report(['read']), 'pass'],
    ['drift to a deletion', 'read: the e-mail of customer 42', report(['delete']), 'fail intent.effect-mismatch'],
    ['drift to a write', 'look up the e-mail of customer 42', report(['write']), 'fail intent.effect-mismatch'],
    ['drift to a send', 'write: note it for customer 42', mail(['a@x.test']), 'fail intent.effect-mismatch'],
    ['a send that deletes', 'send: tell the customer', report(['delete', 'send']), 'fail intent.effect-mismatch'],
    ['a send that pays', 'send: tell the customer', report(['send', 'spend']), 'fail intent.effect-mismatch'],
    [
      'a claim of the gravest level beside a send',
      'delete: the customer',
      report(['send']),
      'fail intent.effect-mismatch',
    ],
    [
      'what nobody could compute',
      'admin: do all for the customer',
      toWorstReport('unknown'),
      'fail intent.effect-mismatch',
    ],
    ['less than was said', 'delete: the customer', report(['write']), 'pass'],
    ['an honest write', 'write: change the address of customer 42', report(['write']), 'pass'],
    [
      'another object',
      'write: change the order',
      report(['write'], { objects: ['invoices'] }),
      'concern intent.object-mismatch',
    ],
    [
      'one object of two',
      'write: change the customer',
      report(['write'], { objects: ['customers', 'users'] }),
      'concern intent.object-mismatch',
    ],
    ['an object that the purpose names', 'write: change it as asked', report(['write']), 'pass'],
    [
      'an object that cannot be told',
      'write: change the customer',
      report(['write'], { objects: ['*'] }),
      'concern intent.object-mismatch',
    ],
    [
      'an object that a manifest cannot tell',
      'write: change the customer',
      report(['write'], { objects: ['*'], source: 'manifest' }),
      'pass',
    ],
    ['another object of a read', 'read: the order of May', report(['read'], { objects: ['invoices'] }), 'pass'],
    ['a named destination', 'send: the answer to bob@x.test', mail(['bob@x.test']), 'pass'],
    ['another destination', 'send: the answer to bob@x.test', mail(['eve@y.test']), 'concern intent.object-mismatch'],
    [
      'a longer destination',
      'send: the answer to bob@x.test.evil.test',
      mail(['bob@x.test']),
      'concern intent.object-mismatch',
    ],
    [
      'a destination that cannot be told',
      'send: the answer to the customer',
      mail(['*']),
      'concern intent.object-mismatch',
    ],
  ]
  for (const [name, text, effect, expected] of rows) {
    it(`${name}: ${expected}`, () => expect(outcomeOf(verify(text, effect))).toBe(expected))
  }
  it('counts destinations that the purpose names', () => {
    expect(outcomeOf(verify('send: the answer as asked', mail(['bob@x.test']), 'write to bob@x.test'))).toBe('pass')
  })
  it('notes what it compared', () => {
    expect(verify('read: the order of May', report(['read'], { objects: ['invoices'] })).facts).toEqual({
      source: 'argument',
      stated: true,
      claimed: ['read'],
      computed: ['read'],
      unnamed: ['invoices'],
    })
  })
})

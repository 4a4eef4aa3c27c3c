import { describe, expect, it } from 'vitest'
import { approved, toDocument, withEffect } from '../../test/fixtures/engine-request.ts'
import type { PolicyVerdict } from '../core/decision.ts'
import type { EngineDocument } from '../core/engine-document.ts'
import { ConfigError } from '../core/errors.ts'
import { createCedarEngine } from './cedar.ts'

const PERMIT = '@id("yes") permit (principal, action, resource);'
const FAILS = '@id("fails") forbid (principal, action, resource) when { context.time * 9223372036854775807 > 0 };'

async function evaluate(text: string, document: EngineDocument = toDocument()): Promise<PolicyVerdict> {
  const engine = await createCedarEngine({ policies: [{ name: 'test.cedar', text }] })
  try {
    return await engine.evaluate(document)
  } finally {
    await engine.close()
  }
}

/** Permits everything but where `when` holds. */
function rule(when: string): string {
  return `${PERMIT} @id("no") forbid (principal, action, resource) when { ${when} };`
}

async function refusal(text: string, schema?: string): Promise<string> {
  const policies = [{ name: 'test.cedar', text }]
  const created = createCedarEngine(schema === undefined ? { policies } : { policies, schema })
  const fault: unknown = await created.then(
    () => undefined,
    (cause: unknown) => cause,
  )
  expect(fault).toBeInstanceOf(ConfigError)
  return fault instanceof Error ? fault.message : ''
}

describe('createCedarEngine', () => {
  it('permits with the ids of the policies, sorted, and their version', async () => {
    const verdict = await evaluate(`${PERMIT} @id("also") permit (principal, action, resource);`)
    expect(verdict).toMatchObject({ engine: 'cedar', outcome: 'permit', policies: ['also', 'yes'], obligations: [] })
    expect(verdict.version).toMatch(/^sha-256:[\w-]{43}$/)
  })

  it('denies by a forbid and is undefined where nothing speaks', async () => {
    const no = '@id("no") forbid (principal, action, resource);'
    expect(await evaluate(PERMIT + no)).toMatchObject({ outcome: 'deny', policies: ['no'] })
    const bob = '@id("bob") permit (principal == Unbearer::Subject::"user/bob", action, resource);'
    expect(await evaluate(bob)).toMatchObject({ outcome: 'undefined', policies: [] })
  })

  it('denies when a policy fails, because Cedar skips it even where it forbids', async () => {
    expect(await evaluate(PERMIT + FAILS)).toMatchObject({ outcome: 'error', policies: [], obligations: [] })
    const no = '@id("no") forbid (principal, action, resource);'
    expect(await evaluate(PERMIT + FAILS + no)).toMatchObject({ outcome: 'error' })
  })

  it('denies when a policy fails only once approval is supposed', async () => {
    const late =
      '@id("late") forbid (principal, action, resource) when { context.approved && context.time * 9223372036854775807 > 0 };'
    const asks = '@id("asks") @challenge("why") forbid (principal, action, resource) unless { context.approved };'
    expect(await evaluate(PERMIT + asks + late)).toMatchObject({ outcome: 'error' })
  })

  it('never throws: an engine document that is none is an error', async () => {
    const engine = await createCedarEngine({ policies: [{ name: 'a.cedar', text: PERMIT }] })
    const evaluateUnknown = (document: EngineDocument): Promise<PolicyVerdict> => engine.evaluate(document)
    const broken: unknown[] = [null, {}, { subject: null }, 5]
    for (const document of broken) {
      expect(await Reflect.apply(evaluateUnknown, undefined, [document])).toMatchObject({ outcome: 'error' })
    }
  })

  it('answers unavailable once closed, also when its place was taken by another engine', async () => {
    const first = await createCedarEngine({
      policies: [{ name: 'a.cedar', text: '@id("no") forbid (principal, action, resource);' }],
    })
    await first.close()
    await first.close()
    const [second, third] = await Promise.all([
      createCedarEngine({ policies: [{ name: 'b.cedar', text: PERMIT }] }),
      createCedarEngine({ policies: [{ name: 'c.cedar', text: '@id("no") forbid (principal, action, resource);' }] }),
    ])
    expect(await first.evaluate(toDocument())).toMatchObject({ outcome: 'unavailable' })
    expect(await second.evaluate(toDocument())).toMatchObject({ outcome: 'permit' })
    expect(await third.evaluate(toDocument())).toMatchObject({ outcome: 'deny' })
  })

  it('has one version for the same policies in other files, and another for another text', async () => {
    const also = '@id("also") permit (principal, action, resource);'
    const one = await createCedarEngine({
      policies: [
        { name: 'a', text: PERMIT },
        { name: 'b', text: also },
      ],
    })
    const same = await createCedarEngine({ policies: [{ name: 'c', text: also + PERMIT }] })
    const other = await createCedarEngine({ policies: [{ name: 'a', text: PERMIT }] })
    expect(same.version).toBe(one.version)
    expect(other.version).not.toBe(one.version)
  })
})

describe('challenge', () => {
  const asks = '@id("asks") @challenge("why") forbid (principal, action, resource) unless { context.approved };'

  it('is for what an approval would permit', async () => {
    expect(await evaluate(PERMIT + asks)).toMatchObject({ outcome: 'challenge', policies: ['asks'], obligations: [] })
    expect(await evaluate(PERMIT + asks, toDocument({ evidence: approved }))).toMatchObject({ outcome: 'permit' })
  })

  it('is not for what nobody permits', async () => {
    expect(await evaluate(asks)).toMatchObject({ outcome: 'deny', policies: ['asks'] })
  })

  it('is not where a plain forbid stands beside it, or would after the approval', async () => {
    const no = '@id("no") forbid (principal, action, resource);'
    expect(await evaluate(PERMIT + asks + no)).toMatchObject({ outcome: 'deny', policies: ['asks', 'no'] })
    const late = '@id("late") forbid (principal, action, resource) when { context.approved };'
    expect(await evaluate(PERMIT + asks + late)).toMatchObject({ outcome: 'deny', policies: ['asks'] })
  })

  it('is not where a forbid without the annotation determines, even one that an approval would lift', async () => {
    const silent = '@id("silent") forbid (principal, action, resource) unless { context.approved };'
    expect(await evaluate(PERMIT + asks + silent)).toMatchObject({ outcome: 'deny' })
  })

  it('is not for a forbid that an approval does not lift', async () => {
    const stays = '@id("stays") @challenge("why") forbid (principal, action, resource);'
    expect(await evaluate(PERMIT + stays)).toMatchObject({ outcome: 'deny' })
    expect(await evaluate(PERMIT + stays, toDocument({ evidence: approved }))).toMatchObject({ outcome: 'deny' })
  })
})

describe('obligations', () => {
  it('come from every determining permit, once each', async () => {
    const a = '@id("a") @obligation("redact:/rows/*/ssn notify:security") permit (principal, action, resource);'
    const b = '@id("b") @obligation("notify:security") permit (principal, action, resource);'
    const other =
      '@id("c") @obligation("notify:other") permit (principal == Unbearer::Subject::"user/bob", action, resource);'
    expect((await evaluate(a + b + other)).obligations).toEqual([
      { type: 'notify', properties: { topic: 'security' } },
      { type: 'redact', properties: { fields: ['/rows/*/ssn'] } },
    ])
  })
})

describe('what refuses to start', () => {
  it.each([
    ['no policy', '// nothing', /no policy/],
    ['text that is not Cedar', 'permit (', /`test\.cedar`/],
    ['a template', '@id("t") permit (principal == ?principal, action, resource);', /templates/],
    ['a policy without an id', 'permit (principal, action, resource);', /`test\.cedar#1` needs an annotation/],
    ['an id twice', PERMIT + PERMIT, /two policies have the id `yes`/],
    [
      'an unknown annotation',
      '@id("a") @obligaton("redact:/x") permit (principal, action, resource);',
      /`a` has an unknown annotation `@obligaton`/,
    ],
    [
      'a challenge on a permit',
      '@id("a") @challenge("x") permit (principal, action, resource);',
      /`@challenge` has no meaning on a permit/,
    ],
    [
      'an obligation on a forbid',
      '@id("a") @obligation("x") forbid (principal, action, resource);',
      /`@obligation` has no meaning on a forbid/,
    ],
    [
      'an obligation that nobody discharges',
      '@id("a") @obligation("shred:/x") permit (principal, action, resource);',
      /not an obligation/,
    ],
    [
      'an obligation without a value',
      '@id("a") @obligation("redact:") permit (principal, action, resource);',
      /not an obligation/,
    ],
    [
      'an obligation that is none',
      '@id("a") @obligation("Redact /x") permit (principal, action, resource);',
      /not an obligation/,
    ],
    [
      'an attribute that does not exist',
      '@id("a") forbid (principal, action, resource) when { context.gone };',
      /`a`.*`gone`/,
    ],
    ['`in` on a string', '@id("a") forbid (principal, action, resource) when { context.mode in ["observe"] };', /`a`/],
    [
      'an optional attribute without `has`',
      '@id("a") permit (principal, action, resource) when { context.grant.id == "g" };',
      /`a`/,
    ],
    [
      'a policy that can never apply',
      '@id("a") forbid (principal, action, resource) when { principal is Unbearer::Resource };',
      /impossible/,
    ],
    [
      'an action that does not exist',
      '@id("a") forbid (principal, action == Unbearer::Action::"read", resource);',
      /`a`/,
    ],
  ])('%s', async (_name, text, message) => {
    expect(await refusal(text)).toMatch(message)
  })

  it('a schema that is none, and one that does not fit the encoding', async () => {
    expect(await refusal(PERMIT, 'namespace {')).toMatch(/schema/)
    const strange =
      'namespace Unbearer { entity Subject, Resource; action perform appliesTo { principal: Subject, resource: Resource, context: { mine: Bool } }; }'
    const reads = '@id("a") permit (principal, action, resource) when { context.mine };'
    expect(await refusal(reads, strange)).toMatch(/the schema does not fit/)
  })
})

describe('arguments', () => {
  const big = 'x'.repeat(1024 * 1024)
  const to = (value: unknown): EngineDocument =>
    toDocument({
      request: {
        action: { name: 'tools/call', body: JSON.parse(JSON.stringify({ arguments: { to: value, rest: [big] } })) },
      },
    })

  it.each([
    [
      'text',
      'context.arguments.hasTag("/to") && context.arguments.getTag("/to") has text && context.arguments.getTag("/to").text == "5"',
      '5',
      5,
    ],
    [
      'an integer',
      'context.arguments.hasTag("/to") && context.arguments.getTag("/to") has integer && context.arguments.getTag("/to").integer > 4',
      5,
      '5',
    ],
    [
      'a value at a computed pointer',
      'context.arguments.hasTag(context.action.name) || (context.arguments.hasTag("/to/0") && context.arguments.getTag("/to/0").kind == "null")',
      [null],
      ['null'],
    ],
  ])('are compared as %s', async (_name, when, hit, miss) => {
    expect(await evaluate(rule(when), to(hit))).toMatchObject({ outcome: 'deny' })
    expect(await evaluate(rule(when), to(miss))).toMatchObject({ outcome: 'permit' })
  })

  it('with reserved keys are an error, wherever the key stands', async () => {
    for (const key of ['__entity', '__extn', '__expr']) {
      const hostile = { [key]: { type: 'Unbearer::Subject', id: 'user/root' } }
      expect(await evaluate(PERMIT, to(hostile))).toMatchObject({ outcome: 'error' })
      expect(await evaluate(PERMIT, to([[hostile]]))).toMatchObject({ outcome: 'error' })
      expect(await evaluate(PERMIT, toDocument({ context: { claimed: { a: hostile } } }))).toMatchObject({
        outcome: 'error',
      })
    }
  })

  it('beyond a thousand are an error only where policies want them all', async () => {
    const many = to(Array.from({ length: 5_000 }, (_, at) => at))
    expect(await evaluate(PERMIT, many)).toMatchObject({ outcome: 'permit' })
    expect(await evaluate(rule('context.arguments.hasTag(context.action.name)'), many)).toMatchObject({
      outcome: 'error',
    })
  })
})

it('shows an effect outside the read level to every rule that asks for it', async () => {
  const sends = '@id("sends") forbid (principal, action, resource) when { context.action.effects.contains("delete") };'
  const both = toDocument({ evidence: withEffect({ level: 'delete', beside: ['send', 'admin'] }) })
  expect(await evaluate(PERMIT + sends, both)).toMatchObject({ outcome: 'deny' })
})

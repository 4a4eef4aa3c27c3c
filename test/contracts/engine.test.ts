/**
 * @module
 * Cedar under the contract suite that `unbearer/testing` exports.
 */
import { describe, expect, it } from 'vitest'
import { createCedarEngine } from '../../src/engines/cedar.ts'
import { engineContract, type EngineBehaviour } from '../../src/testing/engine-contract.ts'

const PERMIT = '@id("yes") permit (principal, action, resource);'
const POLICIES: Readonly<Record<EngineBehaviour, string>> = {
  permit: PERMIT,
  deny: `${PERMIT} @id("no") forbid (principal, action, resource);`,
  undefined: '@id("other") permit (principal == Unbearer::Subject::"user/bob", action, resource);',
  failing: `${PERMIT} @id("no") forbid (principal, action, resource) when { context.time * 9223372036854775807 > 0 };`,
}

describe('cedar engine', () => {
  const cases = engineContract((behaviour) =>
    createCedarEngine({ policies: [{ name: `${behaviour}.cedar`, text: POLICIES[behaviour] }] }),
  )

  it.each(cases)('$name', async (contract) => {
    await expect(contract.run()).resolves.toBeUndefined()
  })
})

describe('the suite itself', () => {
  it('fails an engine that permits everything', async () => {
    const cases = engineContract(async () => ({
      kind: 'careless',
      version: '1',
      evaluate: async () => ({ engine: 'careless', version: '1', outcome: 'permit', policies: [], obligations: [] }),
      close: async () => {},
    }))
    const failed = await Promise.all(
      cases.map(({ run }) =>
        run().then(
          () => false,
          () => true,
        ),
      ),
    )
    expect(failed.filter(Boolean).length).toBeGreaterThan(20)
  })
})

import { describe, expect, it } from 'vitest'

import { STAGES } from '../finding.ts'
import { verifyAll, verifyGuarded } from './index.ts'
import { makeEvidence, makeRequest } from './scenario.test-data.ts'

const INDETERMINATE = { outcome: 'fail', reason: 'system.indeterminate' }

describe('verifyAll', () => {
  it('lets every stage speak, once, in order', () => {
    expect(verifyAll(makeRequest(), makeEvidence()).map(({ stage }) => stage)).toEqual(STAGES)
  })

  it('turns a stage that cannot be judged into a failure of that stage, and hides none', () => {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- broken evidence is the point
    const broken = { ...makeEvidence(), provenance: undefined, behaviour: null } as unknown as ReturnType<
      typeof makeEvidence
    >
    const findings = verifyAll(makeRequest(), broken)
    expect(findings.map(({ stage }) => stage)).toEqual(STAGES)
    expect(findings[3]).toMatchObject(INDETERMINATE)
    expect(findings[4]).toMatchObject(INDETERMINATE)
  })

  it('does not take one stage for another, and tells nothing of the fault', () => {
    const misplaced = verifyGuarded(
      'scope',
      () => ({ stage: 'intent', outcome: 'pass', facts: {} }),
      makeRequest(),
      makeEvidence(),
    )
    expect(misplaced).toMatchObject({ stage: 'scope', ...INDETERMINATE })
    const thrown = verifyGuarded(
      'scope',
      () => {
        throw new Error('the password is swordfish')
      },
      makeRequest(),
      makeEvidence(),
    )
    expect(JSON.stringify(thrown)).not.toContain('swordfish')
  })
})

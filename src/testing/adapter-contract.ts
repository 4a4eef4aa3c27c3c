/**
 * @module
 * The contract of an adapter (a PEP in front of tools) as cases that any adapter runs, ours or other people's, under any test
 * runner: whatever the decision point does, decisions equal executions, and the model sees only what was released.
 */
import { approvalCases } from './adapter-cases/approvals.ts'
import { callCases } from './adapter-cases/calls.ts'
import { failureCases } from './adapter-cases/failures.ts'
import { outputCases } from './adapter-cases/outputs.ts'
import { openWorld, type AdapterCase, type AdapterHarness } from './adapter-cases/world.ts'
import type { ContractCase } from './store-contract.ts'

export type {
  AdapterHarness,
  AdapterTrait,
  AdapterUnderTest,
  AdapterWorld,
  CallOptions,
  ContractTool,
  Seen,
} from './adapter-cases/world.ts'

/**
 * The cases. All must pass, in any order. A case that asks for a trait that the harness does not claim is left out: a trait
 * is something that the host can do at all, never something that the adapter would rather not. Does not look for ways to
 * reach a tool around the adapter: those differ with each host.
 */
export function adapterContract({ make, traits }: AdapterHarness): readonly ContractCase[] {
  const cases: readonly AdapterCase[] = [...callCases, ...failureCases, ...outputCases, ...approvalCases]
  return cases
    .filter(({ needs = [] }) => needs.every((trait) => traits.includes(trait)))
    .map(({ name, run }) => ({ name, run: async () => openWorld(make, run) }))
}

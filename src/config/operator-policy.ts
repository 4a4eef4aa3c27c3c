/**
 * @module
 * The policies of operators as they are put in force: read from their folder, parsed, and refused when they would leave
 * nobody who can enrol a key or revoke.
 */
import { controlActionOf, type ControlMethod } from '../core/control-actions.ts'
import type { EnrolledKey } from '../core/evidence.ts'
import { ConfigError } from '../core/errors.ts'
import type { OperatorPolicy } from '../ports/operator-policy.ts'

/** What nobody may be left unable to do, with parameters as they usually are. */
const NEEDED: readonly (readonly [ControlMethod, string, string])[] = [
  ['key.enrol', 'operator/someone', 'operator'],
  ['revoke', 'actor/someone', ''],
]

/**
 * Reads and parses the folder; without one, the policies that come with this package. Throws `ConfigError` that names the
 * folder, the file or the policy. Does not look at who is enrolled: `assertNotLockedOut` does.
 */
export async function loadOperatorPolicy(folder: string | undefined): Promise<OperatorPolicy> {
  const [{ createOperatorPolicy }, files] = await Promise.all([
    import('../engines/cedar-operators.ts'),
    import('../engines/policy-files.ts'),
  ])
  const from = folder ?? files.defaultOperatorPolicyFolder
  const read = await files.loadPolicyFolder(from)
  try {
    return createOperatorPolicy(read)
  } catch (cause) {
    if (!(cause instanceof ConfigError)) throw cause
    throw new ConfigError(`the policies of operators in \`${from}\`: ${cause.message}`, { cause })
  }
}

/**
 * Throws `ConfigError` unless one of these operators may enrol an operator and one may revoke. Nobody enrolled yet is nobody
 * locked out. A policy with a condition on what is touched may still refuse another name.
 */
export function assertNotLockedOut(policy: OperatorPolicy, operators: readonly EnrolledKey[], now: number): void {
  if (operators.length === 0) return
  for (const [method, id, role] of NEEDED) {
    const [type] = controlActionOf(method).touches
    const resource = { type, id, own: false, roles: [], ...(role === '' ? {} : { role }) }
    const verdicts = operators.map((key) => policy.decide({ key, method, resource, time: now }))
    if (verdicts.includes('permit')) continue
    const why = verdicts.includes('error') ? 'a policy of operators fails when it is evaluated: ' : ''
    throw new ConfigError(
      `${why}under the policies of operators no enrolled key may call \`${method}\`, mend the folder of \`operators.policies\``,
    )
  }
}

/** True for a key whose signature may leave `enforce`; asked whenever an act of it is used. */
export function mayObserve(policy: OperatorPolicy, key: EnrolledKey, now: number): boolean {
  const resource = { type: 'mode', id: '', own: false, roles: [] }
  return policy.decide({ key, method: 'mode.observe', resource, time: now }) === 'permit'
}

/** True for a key whose signature puts a manifest in force. */
export function mayAccept(policy: OperatorPolicy, key: EnrolledKey, now: number): boolean {
  const resource = { type: 'manifest', id: '', own: false, roles: [] }
  return policy.decide({ key, method: 'manifest.accept', resource, time: now }) === 'permit'
}

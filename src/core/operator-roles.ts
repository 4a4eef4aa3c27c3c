/**
 * @module
 * What an enrolled key may be on the control plane. The role of a key is the outer bound; within it, an operator's key has
 * roles of its own, and a Cedar file of the installation says what each of them may call.
 */
import { OPERATOR_ROLES, type EnrolledKey, type OperatorRole } from './evidence.ts'

/** Everything that stands as a role in the policies of operators. */
export type ControlRole = OperatorRole | 'host' | 'pep' | 'agent' | 'principal'
export const CONTROL_ROLES: readonly ControlRole[] = [...OPERATOR_ROLES, 'host', 'pep', 'agent', 'principal']

/** True for the name of a role that an operator can be given. */
export function isOperatorRole(name: unknown): name is OperatorRole {
  return OPERATOR_ROLES.some((role) => role === name)
}

/**
 * The roles of a key. Operators that were enrolled before there were roles could do everything, and still can; an approver
 * answers. Every other key is what it was enrolled as. Does not say what a role may do.
 */
export function rolesOf(key: Pick<EnrolledKey, 'role' | 'roles'>): readonly ControlRole[] {
  if (key.role === 'operator') return key.roles ?? ['admin']
  return [key.role]
}

/** True for a key that may enrol operators and change their roles. Does not look at revocations. */
export function isAdmin(key: Pick<EnrolledKey, 'role' | 'roles'>): boolean {
  return key.role === 'operator' && rolesOf(key).includes('admin')
}

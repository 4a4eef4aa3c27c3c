/**
 * @module
 * Of whom an issuer of security events may speak: principals that it vouches for itself, addresses of domains that are its own,
 * and agents that an operator has named. Everything else is another's, and an event about it is refused.
 */
import { toOutsidePrincipal } from '../../core/outside-principal.ts'
import type { EventSubject, RiskThreshold } from '../../core/security-event.ts'
import type { EventRule } from '../../crypto/security-event.ts'
import { InputError, type Entity } from '../../index.ts'

export interface EventIssuer extends EventRule {
  /** Domains of e-mail addresses; principals `user/NAME@DOMAIN` are its own. */
  readonly domains: readonly string[]
  /** Names or thumbprints of agents. */
  readonly agents: readonly string[]
  readonly risk: RiskThreshold
}

/** Whom an event is about here. */
export interface Named {
  /** Ids of principals, `type/id`, in the form in which they are compared. */
  readonly principals: readonly string[]
  /** An agent, by name or thumbprint. */
  readonly agent?: string
  /** A task; with principals only if it is theirs, without any only if it is of somebody in the namespace. */
  readonly session?: string
}

/** Undefined: the issuer may not speak of this subject. */
export function toNamed(rule: EventIssuer, { issSub, email, opaque, session }: EventSubject): Named | undefined {
  const part = session === undefined ? {} : { session }
  if (issSub !== undefined) return toIssued(rule, issSub, part)
  if (email !== undefined) {
    return isOwnAddress(rule, email) ? { principals: [toComparable({ type: 'user', id: email })], ...part } : undefined
  }
  if (opaque !== undefined) return rule.agents.includes(opaque) ? { principals: [], agent: opaque, ...part } : undefined
  return session === undefined ? undefined : { principals: [], session }
}

function toIssued(
  rule: EventIssuer,
  { iss, sub }: NonNullable<EventSubject['issSub']>,
  part: Pick<Named, 'session'>,
): Named | undefined {
  if (iss !== rule.issuer) return undefined
  try {
    return { principals: [toComparable(toOutsidePrincipal(iss, sub))], ...part }
  } catch (fault) {
    if (fault instanceof InputError) return undefined
    throw fault
  }
}

/** Whether a principal is one of whom the issuer may speak at all. */
export function isOwn(rule: EventIssuer, { type, id }: Pick<Entity, 'type' | 'id'>): boolean {
  if (type === 'user') return isOwnAddress(rule, id)
  try {
    const own = toOutsidePrincipal(rule.issuer, 'x')
    return type === own.type && id.startsWith(own.id.slice(0, -1))
  } catch {
    return false
  }
}

function isOwnAddress({ domains }: EventIssuer, address: string): boolean {
  const at = address.lastIndexOf('@')
  return at > 0 && domains.includes(address.slice(at + 1).toLowerCase())
}

/** Addresses are compared without case: two that differ in it only are one person for every issuer that we know of. */
export function toComparable({ type, id }: Pick<Entity, 'type' | 'id'>): string {
  return `${type}/${type === 'user' && id.includes('@') ? id.toLowerCase() : id}`
}

/**
 * @module
 * A grant is what a principal delegates to one actor's key. Constraints are a closed set with decidable containment;
 * not provably contained is not contained (invariant 8).
 */
import type { EffectKind } from './effect.ts'
import type { Json } from './json.ts'

export type Constraint =
  | { readonly in: readonly Json[] }
  | { readonly range: { readonly min?: number; readonly max?: number; readonly clamp?: boolean } }
  | { readonly pathPrefix: string }
  | { readonly hostSuffix: string }
  | { readonly cidr: string }
  | { readonly all: readonly Constraint[] }

/** What may be done: a tool of an upstream (`*` for every tool of it), up to which effects, with which arguments. */
export interface Operation {
  readonly upstream: string
  readonly tool: string
  readonly effects: readonly EffectKind[]
  /** Constraint per argument; the key is an RFC 6901 pointer without the leading slash, for example `to` or `order/id`. */
  readonly where: Readonly<Record<string, Constraint>>
}

/** A count of actions, or the sum of a numeric argument, that the grant allows, over its life or per task. */
export interface Budget {
  readonly id: string
  readonly limit: number
  readonly per: 'grant' | 'task'
  /** Absent: each covered action counts 1. Present: the number at this argument is what is debited. */
  readonly amount?: string
  /** Only actions that hold one of these kinds are debited; absent means all. */
  readonly effects?: readonly EffectKind[]
}

export interface Grant {
  readonly id: string
  readonly principal: { readonly type: string; readonly id: string }
  /** RFC 7638 thumbprint of the actor's key. */
  readonly actor: string
  readonly parent?: string
  /** `principal`: signed with this key of theirs. `host`: opened by this key, with a proof of the principal from `issuer`. */
  readonly issuedBy: {
    readonly role: 'operator' | 'principal' | 'host'
    readonly jkt: string
    readonly issuer?: string
    /** When `issuer` vouched for the principal, in milliseconds: what it says of a time before that is not about this grant. */
    readonly vouchedAt?: number
  }
  /** Milliseconds since the epoch. */
  readonly notBefore: number
  readonly expires: number
  readonly operations: readonly Operation[]
  readonly budgets: readonly Budget[]
  /** How many further delegations are allowed below this grant. */
  readonly depth: number
  /** Opened for minutes by several people: only a task that names it has it. */
  readonly breakGlass?: boolean
}

/** A grant with its ancestors, leaf first, and what was used of each budget, by `budgetRecord`; 0 where nothing was. */
export interface GrantFacts {
  readonly chain: readonly Grant[]
  readonly used: Readonly<Record<string, number>>
}

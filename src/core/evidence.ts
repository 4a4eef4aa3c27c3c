/**
 * @module
 * Evidence is every fact that a decision may read, with `now` in it. It is JSON and is recorded, so that a decision can
 * be replayed (invariant 10).
 */
import type { EffectReport } from './effect.ts'
import type { GrantFacts } from './grant.ts'
import type { ArgumentRole, Confidentiality, ToolFacts, Trust } from './manifest.ts'
import type { Entity, Mode } from './request.ts'

export const KEY_ROLES = ['agent', 'host', 'pep', 'operator', 'approver', 'principal'] as const
export type KeyRole = (typeof KEY_ROLES)[number]

/** The roles that an operator can be given (`operator-roles.ts`). */
export const OPERATOR_ROLES = ['viewer', 'approver', 'revoker', 'policy-author', 'admin'] as const
export type OperatorRole = (typeof OPERATOR_ROLES)[number]

/** An enrolled key. Agent keys never enrol keys, open tasks, assert history or write policy. */
export interface EnrolledKey {
  readonly jkt: string
  readonly name: string
  readonly role: KeyRole
  /** Of an operator: what it may do here; absent for those enrolled before there were roles. */
  readonly roles?: readonly OperatorRole[]
  /** Of a principal's key, and of no other: whose it is. */
  readonly principal?: { readonly type: string; readonly id: string }
  readonly jwk: Readonly<Record<string, string>>
  readonly enrolledAt: number
  readonly by: string
}

/** How far the principal is known: by signature, by an operator-issued grant, by bare id, or not at all. */
export type Assurance = 'signed' | 'granted' | 'asserted' | 'none'

/** A task (`txn`). Minted by the server; its purpose is the only text that vouches for the principal. */
export interface Task {
  readonly txn: string
  /** Absent: nobody attested a purpose; then everything that we did not relay ourselves is untrusted. */
  readonly purpose?: string
  readonly purposeHash?: string
  readonly principal: Entity
  /** RFC 7638 thumbprint of the one actor that may act in it; absent only for tasks of unproved connections. */
  readonly actor?: string
  readonly grant?: string
  readonly openedBy: { readonly role: KeyRole | 'connection'; readonly jkt?: string }
  readonly openedAt: number
  readonly expires: number
}

export interface IdentityFacts {
  /** The enrolled key that proved the request, when it is enrolled. */
  readonly actor?: EnrolledKey
  readonly assurance: Assurance
}

/** Dimensions of revocation. */
export const REVOCATION_DIMENSIONS = ['credential', 'actor', 'subject', 'grant', 'task', 'tool', 'all'] as const
export type RevocationDimension = (typeof REVOCATION_DIMENSIONS)[number]

export interface RevocationFacts {
  /** The global revocation sequence at which this was read. */
  readonly rev: number
  /** False when the feed is stale; stale denies. */
  readonly fresh: boolean
  /** The dimensions of this request that stand revoked. */
  readonly revoked: readonly { readonly dimension: RevocationDimension; readonly rev: number }[]
}

/** Where one leaf of one argument comes from. */
export interface ArgumentProvenance {
  /** RFC 6901 pointer of the leaf within the arguments. */
  readonly path: string
  readonly role: ArgumentRole
  /**
   * `purpose`: a whole token of the principal's purpose. `observed`: found in relayed output.
   * `none`: matches nothing; then the label is the join of everything observed in the task.
   */
  readonly origin: 'purpose' | 'observed' | 'none'
  readonly trust: Trust
  readonly confidentiality: Confidentiality
  /** The tools whose output matched (`upstream/tool`), for people. */
  readonly sources: readonly string[]
}

export interface ProvenanceFacts {
  readonly attested: boolean
  readonly arguments: readonly ArgumentProvenance[]
  /** The join over everything observed in the task so far. */
  readonly taint: { readonly trust: Trust; readonly confidentiality: Confidentiality }
  /** How many outputs were observed. */
  readonly length: number
}

/** One comparison of this action with the profile of its actor. `p` is the chance of something at least as unusual. */
export interface BehaviourSignal {
  readonly name: 'tool' | 'transition' | 'rate' | 'resource' | 'destination'
  readonly p: number
  /** In words, for people: what is usual and what was seen, without values of arguments. */
  readonly why: string
}

export interface BehaviourFacts {
  /** How many past actions the profile rests on. */
  readonly events: number
  /** Empty while the profile is too young. */
  readonly signals: readonly BehaviourSignal[]
  /** A combined p below this is a concern; from `anomaly.falsePositivesPerTask`. */
  readonly threshold: number
}

export type ApprovalStatus = 'pending' | 'approved' | 'denied' | 'consumed' | 'expired'

/** An approval is for one action, keyed on `bind`, consumed once (invariant 5). */
export interface Approval {
  /** The ticket: authorises nothing. */
  readonly id: string
  readonly bind: string
  readonly txn: string
  readonly status: ApprovalStatus
  readonly createdAt: number
  readonly expires: number
  /** The approver's key and when they answered. */
  readonly answered?: { readonly by: string; readonly at: number }
}

/** Key to version of every record that was read; 0 for a record that was absent. */
export type ReadSet = Readonly<Record<string, number>>

export interface Evidence {
  /** Milliseconds since the epoch. */
  readonly now: number
  readonly mode: Mode
  /** What decided the mode (`DecidedMode.from`); absent in what was recorded before there was more than one answer. */
  readonly modeFrom?: string
  readonly deployment: 'same-user' | 'separate'
  readonly identity: IdentityFacts
  readonly task?: Task
  readonly grant?: GrantFacts
  readonly revocation: RevocationFacts
  readonly tool: ToolFacts
  readonly effect: EffectReport
  readonly provenance: ProvenanceFacts
  readonly behaviour: BehaviourFacts
  readonly approval?: Approval
  /** True when the same action of the same task was begun before and its outcome is not known. */
  readonly outcomeUnknown: boolean
  readonly bind: string
  readonly reads: ReadSet
}

/**
 * @module
 * What decides a call on the control plane within the outer bound of key roles. Every fault is a verdict that refuses.
 */
import type { EnrolledKey } from '../core/evidence.ts'

export interface OperatorQuestion {
  readonly key: EnrolledKey
  readonly method: string
  /** As the parameters say; nothing of it was looked up. */
  readonly resource: {
    readonly type: string
    readonly id: string
    /** Where a key is touched: the role, and the roles of an operator, that it would have. */
    readonly role?: string
    readonly roles: readonly string[]
    /** True when it is the key that asks. */
    readonly own: boolean
  }
  /** Milliseconds since the epoch. */
  readonly time: number
}

export interface OperatorPolicy {
  /** Identifies the exact policies loaded. */
  readonly version: string
  /** Never throws. `error`: the policies could not be evaluated, which refuses. */
  decide(question: OperatorQuestion): 'permit' | 'deny' | 'error'
  close(): void
}

/**
 * @module
 * What an agent is told when it may not: coarse, fixed text from the closed table, never evidence.
 */
import type { Decision } from './decision.ts'
import type { JsonObject } from './json.ts'
import { type Reason, type ReasonRow, REASONS } from './reasons.ts'

/** The decisions that stop an action. `modify` is not among them: the action starts again. */
export type Stopping = Extract<Decision, { readonly kind: 'challenge' | 'defer' | 'deny' }>

/** The same shape as `Refusal` of `ports/pep.ts`, restated because the core imports nothing but the core. */
export interface StoppedRefusal {
  readonly decision: Stopping['kind']
  readonly reason: Reason
  readonly help: string
  readonly retry: boolean
  readonly ticket?: string
  readonly entry?: string
}

export interface RefusalHandles {
  /** The id of the log entry. */
  readonly entry?: string
  /** With a challenge: the ticket under which a person finds it. */
  readonly ticket?: string
}

const VERB = { challenge: 'held', defer: 'deferred', deny: 'refused' } as const

/**
 * What the agent is told of a decision. Only `decision.reason` goes out, never `decision.reasons`: a helpful refusal must
 * not be an oracle. Does not promise that a retry will pass.
 */
export function toRefusal(decision: Stopping, handles: RefusalHandles = {}): StoppedRefusal {
  const row = REASONS[decision.reason]
  return {
    decision: decision.kind,
    reason: decision.reason,
    help: toHelp(decision.kind, row),
    // A denial for something that is otherwise held for a person will not be cured by trying again.
    retry: decision.kind === 'deny' ? row.retry && row.decision !== 'challenge' : true,
    ...(handles.ticket !== undefined && decision.kind === 'challenge' ? { ticket: handles.ticket } : {}),
    ...(handles.entry === undefined ? {} : { entry: handles.entry }),
  }
}

/** The row's own help, and with a challenge always what to do about it. */
function toHelp(kind: Stopping['kind'], row: ReasonRow): string {
  if (kind !== 'challenge' || row.decision === 'challenge') return row.help
  return `${row.help}; ${REASONS['policy.approval-required'].help}`
}

/**
 * A refusal as the agent reads it: one sentence, and its parts as data, for example
 * `refused (intent.effect-mismatch): the call does more than its stated intent; …`.
 * Nothing in it authorises anything: what it names is of use to a person with a key of their own.
 */
export function toRefusalMessage(refusal: StoppedRefusal): { readonly text: string; readonly data: JsonObject } {
  return {
    text: `${VERB[refusal.decision]} (${refusal.reason}): ${refusal.help}${toPlace(refusal)}`,
    data: { ...refusal },
  }
}

/** Where the person whom the agent tells of it finds more: agents repeat what stopped them. */
function toPlace({ ticket, entry }: StoppedRefusal): string {
  if (ticket !== undefined) return ` (ticket ${ticket}, for a person: \`unbearer approvals show ${ticket}\`)`
  return entry === undefined ? '' : ` (for a person: \`unbearer why ${entry}\`)`
}

/**
 * @module
 * Faults. A *refusal* is a value (see `decision.ts`); a *fault* is thrown. Any fault before `perform` becomes
 * `deny system.indeterminate`, unless it carries a reason of its own. Messages are lower case, without a full stop, and never
 * hold a credential, prompt or row.
 */
import type { Reason } from './reasons.ts'

export type ErrorCode =
  | 'ERR_UNBEARER_CONFIG'
  | 'ERR_UNBEARER_INPUT'
  | 'ERR_UNBEARER_UNAVAILABLE'
  | 'ERR_UNBEARER_INTEGRITY'
  | 'ERR_UNBEARER_INVARIANT'
  | 'ERR_UNBEARER_REFUSED'

/** What every error of this package is. `code` is stable; `retryable` says whether the same call may succeed later. */
export class UnbearerError extends Error {
  readonly code: ErrorCode
  readonly retryable: boolean
  constructor(code: ErrorCode, message: string, options: { cause?: unknown; retryable?: boolean } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = new.target.name
    this.code = code
    this.retryable = options.retryable ?? false
  }
}

/** The configuration cannot be used; the message says which key and what to do. */
export class ConfigError extends UnbearerError {
  constructor(message: string, options: { cause?: unknown } = {}) {
    super('ERR_UNBEARER_CONFIG', message, options)
  }
}

/** Input that is not understood. `reason` is what the sender is told. */
export class InputError extends UnbearerError {
  readonly reason: Reason
  constructor(message: string, reason: Reason = 'system.malformed', options: { cause?: unknown } = {}) {
    super('ERR_UNBEARER_INPUT', message, options)
    this.reason = reason
  }
}

/** Something needed is away (store, engine, upstream); a later try may succeed. `reason` is what whoever asks is told. */
export class UnavailableError extends UnbearerError {
  readonly reason: Reason
  constructor(message: string, options: { cause?: unknown; reason?: Reason } = {}) {
    super('ERR_UNBEARER_UNAVAILABLE', message, { ...options, retryable: true })
    this.reason = options.reason ?? 'system.indeterminate'
  }
}

/** The disk did not answer in time: whether the unit is recorded is not known. */
export class LateError extends UnavailableError {}

/** Stored or received data contradicts itself (broken tree, forged note). Stop serving. */
export class IntegrityError extends UnbearerError {
  constructor(message: string, options: { cause?: unknown } = {}) {
    super('ERR_UNBEARER_INTEGRITY', message, options)
  }
}

/** A bug of ours. */
export class InvariantError extends UnbearerError {
  constructor(message: string, options: { cause?: unknown } = {}) {
    super('ERR_UNBEARER_INVARIANT', message, options)
  }
}

/** A refusal, only for hosts that speak in exceptions. Carries the closed reason, never the evidence. */
export class RefusedError extends UnbearerError {
  readonly reason: Reason
  /** What a person answers before the same may be asked again. */
  readonly ticket?: string
  constructor(reason: Reason, message: string, options: { retryable?: boolean; ticket?: string } = {}) {
    super('ERR_UNBEARER_REFUSED', message, options)
    this.reason = reason
    if (options.ticket !== undefined) this.ticket = options.ticket
  }
}

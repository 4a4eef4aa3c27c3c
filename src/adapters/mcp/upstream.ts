/**
 * @module
 * One connection to a tool server, over either transport, as the gateway sees it.
 */
import { isJsonObject, UnavailableError, type JsonObject, type Reason } from '../../index.ts'
import { findProgressId, type ServerMessage } from './message.ts'
import type { Health } from './upstream-health.ts'

/** The id is the connection's own, and so is the progress marker where one was asked for: an agent writes neither. */
export interface OutgoingRequest {
  readonly method: string
  readonly params: JsonObject
  /** Headers beside the connection's own, over HTTP. */
  readonly headers?: Readonly<Record<string, string>>
}

export type UpstreamAnswer = Extract<ServerMessage, { kind: 'response' }>
export type ServerNotification = Extract<ServerMessage, { kind: 'notification' }>

export interface CallOptions {
  /** Aborting sends `notifications/cancelled` and gives the call up; what the server did is not undone. */
  readonly signal: AbortSignal
  /** Told the id under which the request goes out, before it does. */
  readonly onNumbered?: (id: number) => void
  /**
   * Called in order with each notification that belongs to this call, before the call settles; what it throws is
   * reported and the notification dropped. A progress marker in it is the connection's. Over stdio a log message belongs to
   * the only call that is under way; where there are more, or none, it is dropped.
   */
  readonly onNotification?: (message: ServerNotification) => Promise<void>
}

export interface UpstreamConnection {
  /** Sends a request under an id that is used once. Rejects with `UnavailableError` when no proper answer to that id came. */
  call(request: OutgoingRequest, options: CallOptions): Promise<UpstreamAnswer>
  notify(method: string, params?: JsonObject): Promise<void>
  /** The protocol version that was agreed on; HTTP repeats it in each request. */
  agree(version: string): void
  /** False once the process or the session behind it has ended. It is never restarted. */
  isOpen(): boolean
  /** False while a call would not reach the server: it has ended, or could not be reached again and again and is left alone. */
  isReady(): boolean
  stderr(): string
  close(): Promise<void>
}

export interface ConnectionOptions {
  /** Milliseconds that a call may take; absent: for as long as whoever asks waits. */
  readonly answerMs?: number
  readonly health?: Health
  /** Bytes of one message of the server. */
  readonly limit: number
  /** Called with notifications that something changed, whichever call they come with, and with those that come with none. */
  readonly onSignal: (message: ServerNotification) => void
  readonly onProblem: (reason: Reason, message: string) => void
}

/** A request as it is sent. */
export interface NumberedRequest extends OutgoingRequest {
  readonly id: number
}

/** Gives out ids that are never used again on a connection, so that no late answer is taken for another. */
export function createNumbering(): (request: OutgoingRequest) => NumberedRequest {
  let last = 0
  return ({ method, params, headers }) => {
    last += 1
    const meta = params['_meta']
    const isFollowed = isJsonObject(meta) && findProgressId(params) !== undefined
    return {
      id: last,
      method,
      params: isFollowed ? { ...params, _meta: { ...meta, progressToken: last } } : params,
      ...(headers === undefined ? {} : { headers }),
    }
  }
}

/** The fault of a call that was cancelled or whose credential was revoked. */
export function toAborted(): UnavailableError {
  return new UnavailableError('the call was cancelled')
}

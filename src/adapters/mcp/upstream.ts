/**
 * @module
 * One connection to a tool server, over either transport, as the gateway sees it.
 */
import { UnavailableError, type JsonObject, type Reason } from '../../index.ts'
import type { JsonRpcId, ServerMessage } from './message.ts'

export interface OutgoingRequest {
  readonly id: JsonRpcId
  readonly method: string
  readonly params: JsonObject
}

export type UpstreamAnswer = Extract<ServerMessage, { kind: 'response' }>
export type ServerNotification = Extract<ServerMessage, { kind: 'notification' }>

export interface CallOptions {
  /** Aborting sends `notifications/cancelled` and gives the call up; what the server did is not undone. */
  readonly signal: AbortSignal
  /**
   * Called in order with each notification that belongs to this call, before the call settles; what it throws is
   * reported and the notification dropped. Over stdio only progress can be told to belong to a call.
   */
  readonly onNotification?: (message: ServerNotification) => Promise<void>
}

export interface UpstreamConnection {
  /** Sends a request under its own id. Rejects with `UnavailableError` when no proper answer to that id came. */
  call(request: OutgoingRequest, options: CallOptions): Promise<UpstreamAnswer>
  notify(method: string, params?: JsonObject): Promise<void>
  /** The protocol version that was agreed on; HTTP repeats it in each request. */
  agree(version: string): void
  /** False once the process or the session behind it has ended. It is never restarted. */
  isOpen(): boolean
  stderr(): string
  close(): Promise<void>
}

export interface ConnectionOptions {
  /** Bytes of one message of the server. */
  readonly limit: number
  /** Called with `list_changed` notifications, whichever call they come with. */
  readonly onSignal: (method: string) => void
  readonly onProblem: (reason: Reason, message: string) => void
}

/** The fault of a call that was cancelled or whose credential was revoked. */
export function toAborted(): UnavailableError {
  return new UnavailableError('the call was cancelled')
}

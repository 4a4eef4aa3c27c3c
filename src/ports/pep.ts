/**
 * @module
 * What a PEP (an adapter) holds in its hands. `enforce` takes the effect as a callback, so there is no boolean to ignore.
 */
import type { Task } from '../core/evidence.ts'
import type { Json, JsonObject } from '../core/json.ts'
import type { ServerManifest, ToolFacts } from '../core/manifest.ts'
import type { Reason } from '../core/reasons.ts'
import type { AccessRequest, ActionBody, Actor, Mode, Proof } from '../core/request.ts'
import type { ActionCredential, Redemption } from './credentials.ts'

/** Who is calling, as verified by the listener. */
export interface Caller {
  readonly proof: Proof
  readonly actor: Actor
  /** The task of the session credential; absent when the caller has none yet. */
  readonly task?: Task
}

export interface PerformContext {
  /** Absent with proof grade `none`, which never mints one; `redeem` still has to be asked. */
  readonly credential?: ActionCredential
  /** The action as decided. This, and nothing else, is what may be done. */
  readonly body: ActionBody
  /** Aborted when what permits this action is revoked while it is under way. */
  readonly signal: AbortSignal
  /** Redeems the credential for `body` as received by whoever performs. Must be `ok` before anything is done. */
  redeem(body: ActionBody): Promise<Redemption>
  /** Labels something that the action emits before its result (progress, log). Relay it only after this settles. */
  observe(value: Json): Promise<void>
}

export interface Performed {
  /** The result as the agent will see it, before obligations. */
  readonly output: Json
  /** True when the tool itself reported an error. */
  readonly failed?: boolean
}

export type Perform = (context: PerformContext) => Promise<Performed>

/** What an agent is told. Coarse on purpose; nothing in it authorises anything. */
export interface Refusal {
  readonly decision: 'challenge' | 'defer' | 'deny'
  readonly reason: Reason
  readonly help: string
  readonly retry: boolean
  /** With a challenge: the ticket under which a person finds it. */
  readonly ticket?: string
  /** The id of the log entry; absent when nothing could be recorded. */
  readonly entry?: string
}

export type Enforced =
  | { readonly kind: 'performed'; readonly entry: string; readonly output: Json; readonly failed: boolean }
  | { readonly kind: 'refused'; readonly refusal: Refusal }

/** For whom, and for what, a mode is asked. */
export interface ModeOf {
  readonly tool?: string
  readonly actor?: Actor
}

export interface Pep {
  /**
   * Decides, records, issues, and only then calls `perform`; labels what comes back before returning it.
   * Never throws for a refusal or a fault: a fault before `perform` is refused as `system.indeterminate`, a fault in it as
   * `system.upstream`. Does not promise that an aborted action was undone.
   */
  enforce(request: AccessRequest, perform: Perform): Promise<Enforced>
  /** A task with no purpose for a connection that has none (contracts, "Tasks without a host"). */
  openConnectionTask(caller: Caller): Promise<Task>
  /**
   * The mode before an action is decided: of the upstream as a whole, or of one tool as if it did its worst, for this actor.
   * The decision of an action may find more to enforce.
   */
  mode(upstream: string, of?: ModeOf): Mode
  /** True when the task, its principal, its grant or its agent is revoked: nothing is begun in it any more. */
  isStopped?(task: Task): boolean
  /** What is known of a tool whose descriptor hashes to `descriptorHash` in this session. */
  tool(upstream: string, tool: string, descriptorHash: string | undefined): ToolFacts
  manifest(upstream: string): ServerManifest | undefined
  /** 128 random bits, base64url. */
  newId(): string
}

/** The text of a refusal as the agent reads it: one sentence, and its parts as data. */
export interface RefusalMessage {
  readonly text: string
  readonly data: JsonObject
}

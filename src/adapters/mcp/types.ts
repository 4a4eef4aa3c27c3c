/**
 * @module
 * The shapes of the MCP gateway plane.
 */
import type { Authorizer } from './upstream-oauth.ts'
import type { Caller, JsonObject, Pep, Reason } from '../../index.ts'

/** One tool server behind the gateway: a command (stdio) or a URL (streamable HTTP), exactly one of the two. */
export interface UpstreamConfig {
  readonly name: string
  readonly kind: 'mcp'
  /** Started without a shell, one process for each MCP session. */
  readonly command?: readonly string[]
  readonly cwd?: string
  /** Secrets already resolved. Beside these the process gets PATH and HOME only. */
  readonly env?: Readonly<Record<string, string>>
  /** Told of what the process writes to stderr; absent: only its end is kept, for an operator. */
  readonly onStderr?: (chunk: Uint8Array) => void
  readonly url?: string
  /** Secrets already resolved; an attacker who can write these speaks to the upstream as us. */
  readonly headers?: Readonly<Record<string, string>>
  /** The client of the authorization server of the upstream; with `url` only. */
  readonly authorizer?: Authorizer
}

/** What an operator may want to know and an agent is not told. Holds no output, no argument and no secret. */
export interface Problem {
  readonly upstream: string
  readonly reason: Reason
  readonly message: string
}

export interface GatewayOptions {
  readonly pep: Pep
  readonly upstreams: readonly UpstreamConfig[]
  readonly clock: { now(): number }
  readonly limits: {
    readonly messageBytes: number
    /** Milliseconds that a server may take to answer a call; absent: for as long as the client waits. */
    readonly answerMs?: number
  }
  readonly onProblem?: (problem: Problem) => void
  /** Told of every list of tools that was read in a session, whole. */
  readonly onTools?: (upstream: string, tools: readonly SeenTool[]) => void
}

/** A tool as a server showed it in one session; `hash` is absent where the descriptor has no RFC 8785 form. */
export interface SeenTool {
  readonly name: string
  readonly descriptor: JsonObject
  readonly hash?: string
}

export interface GatewayInput {
  /** The name of the route, which is the name of the upstream. */
  readonly upstream: string
  /** Method, headers and signal are read; the body is not, because the listener has read it to verify the proof. */
  readonly request: Request
  readonly body: Uint8Array
  readonly caller: Caller
}

export interface McpGateway {
  /** Answers one HTTP request. Never throws. */
  handle(input: GatewayInput): Promise<Response>
  /** The last kilobytes that the processes of an upstream wrote to stderr; for an operator's eyes only. */
  stderr(upstream: string): string
  /** Ends every session and every child process. */
  close(): Promise<void>
}

/**
 * @module
 * The AccessRequest: what a PEP asks, AuthZEN-shaped (Authorization API 1.0 §5) plus `actor` (RFC 8693 `act`).
 */
import { isJsonObject, type JsonObject } from './json.ts'

export type Plane = 'mcp' | 'http' | 'postgres' | 'adapter' | 'authzen'
export type Mode = 'observe' | 'enforce'

/** How a request was proved. The order is not a ranking; policy decides what each is good for. */
export type ProofGrade = 'signature' | 'hmac' | 'mtls' | 'process' | 'cookie' | 'none'

export interface Entity {
  readonly type: string
  readonly id: string
  readonly properties?: JsonObject
}

/** The agent that acts. Only the outermost `act` drives decisions (RFC 8693 §4.1). */
export interface Actor {
  readonly type: 'agent'
  readonly id: string
  /** RFC 7638 thumbprint of the key that proved this request; absent only with grade `none` or `process`. */
  readonly jkt?: string
  readonly act?: Actor
}

/** The proof as verified by the PEP. A proof that did not verify never becomes an AccessRequest. */
export interface Proof {
  readonly grade: ProofGrade
  readonly jkt?: string
  /** Whether the proof covers the whole body. */
  readonly bodyBound: boolean
}

/** What the agent said the call is for. A claim to compare, never an authority (invariant 4). */
export interface IntentClaim {
  readonly text: string
  readonly source: 'argument' | 'text' | 'reasoning'
}

/**
 * The exact action: what `digest` and `bind` hash and what is forwarded.
 * MCP: `{method, name, arguments}`; HTTP: `{method, target, contentType, contentDigest}`; SQL: `{method, statement, parameters}`.
 */
export type ActionBody = JsonObject

export interface AccessRequest {
  /** 128 random bits, base64url; becomes the id of the log entry. */
  readonly id: string
  readonly plane: Plane
  /** The principal for whom the actor acts. */
  readonly subject: Entity
  readonly actor: Actor
  /** `name` is the operation as the protocol calls it, for example `tools/call`. */
  readonly action: { readonly name: string; readonly body: ActionBody }
  readonly resource: Entity
  readonly context: RequestContext
}

export interface RequestContext {
  /** The audience of the action credential. */
  readonly aud: string
  readonly upstream: string
  /** The tool within the upstream; for MCP methods other than `tools/call`, the method itself. */
  readonly tool: string
  /** RFC 8785-hashable descriptor that the upstream showed in this session, for the pin; absent when none was seen. */
  readonly descriptorHash?: string
  readonly txn?: string
  readonly intent?: IntentClaim
  readonly proof: Proof
  /** What a PEP merely claims. Engines see it under `context.claimed`, nowhere else. */
  readonly claimed?: JsonObject
}

/** The arguments of an action, whatever its plane calls them. */
export function toArguments(body: ActionBody): JsonObject {
  const found = body['arguments']
  if (isJsonObject(found)) return found
  const { method: _method, name: _name, ...rest } = body
  return rest
}

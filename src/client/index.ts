/**
 * @module
 * `unbearer/client`: a `fetch` that signs, for any MCP or HTTP client, and the calls that a host application or a PEP makes.
 * It loads no store, server or adapter.
 */
export { createSigningFetch, type SigningFetchOptions } from './signing-fetch.ts'
export { createActionFetch, type ActionFetch, type ActionFetchOptions, type ActionInit } from './action-fetch.ts'
export { callControl, openTask, type ControlCall, type TaskRequest } from './control.ts'
export {
  handInGrant,
  openGrant,
  signGrant,
  toGrantNonce,
  type GrantHandingIn,
  type GrantOpening,
  type OpenedGrant,
  type SignGrant,
} from './delegation.ts'
export { postSigned, type PostSigned } from './post-signed.ts'
export { createIssuerJwks, type IssuerJwks } from './issuer-jwks.ts'
export { createRevocationView, type RevocationView, type RevocationViewOptions } from './revocations.ts'
export { runListenBridge, type ListenBridge, type ListenBridgeOptions } from './listen-bridge.ts'
export { runStdioBridge, type StdioBridgeOptions } from './stdio-bridge.ts'
export type { ClientKey } from './client-key.ts'
export type { Fetch } from './send.ts'

/**
 * @module
 * `unbearer/http`: action credentials instead of bearer credentials, for the API that you have. It loads no framework, no store
 * and no server.
 */
export { requireCredential, type CredentialGuard } from './require-credential.ts'
export type { Accepted, CredentialOptions, IncomingAction, Redeemed } from './guard.ts'
export type { HttpRefusal } from './answers.ts'
export { redeemAtIssuer, redeemHere, type OpenDomain, type RedeemAtIssuer, type RedeemHere } from './redemption.ts'
export { memoryBurns } from './memory-burns.ts'
export { sqliteBurns } from './sqlite-burns.ts'
export { postgresBurns, type PostgresQuery } from './postgres-burns.ts'
export type { Burns } from '../ports/burns.ts'
export type { RevocationFeed } from '../ports/revocations.ts'
export type { ActionClaims } from '../core/credential.ts'

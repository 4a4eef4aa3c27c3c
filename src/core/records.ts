/**
 * @module
 * The keys under which state is stored: one place, so that what `gather` reads is what everybody else writes.
 * Ids go through `encodeURIComponent`, so that no id can reach into another record.
 */
import type { KeyRole } from './evidence.ts'
import type { Json } from './json.ts'
import type { EvidenceClass } from './retention.ts'

const part: (id: string) => string = encodeURIComponent
const padded = (n: number): string => String(n).padStart(16, '0')

/** `EnrolledKey` */
export const keyRecord = (jkt: string): string => `key/${part(jkt)}`
/** The `jkt` enrolled under a name. */
export const keyNameRecord = (role: KeyRole, name: string): string => `key-name/${role}/${part(name)}`
export const GRANT_PREFIX = 'grant/'
/** `Grant` */
export const grantRecord = (id: string): string => `${GRANT_PREFIX}${part(id)}`
/** The grant's id; listed by prefix to find the grants of an actor. */
export const grantOfActorRecord = (actor: string, id: string): string => `grant-of/${part(actor)}/${part(id)}`
export const budgetPrefix = (grant: string): string => `budget/${part(grant)}/`
/** A number: what was used of a budget. */
export const budgetRecord = (grant: string, budget: string, txn?: string): string =>
  `${budgetPrefix(grant)}${part(budget)}${txn === undefined ? '' : `/${part(txn)}`}`
export const TASK_PREFIX = 'task/'
/** `Task` */
export const taskRecord = (txn: string): string => `${TASK_PREFIX}${part(txn)}`
export const APPROVAL_PREFIX = 'approval/'
/** `ApprovalRecord` */
export const approvalRecord = (id: string): string => `${APPROVAL_PREFIX}${part(id)}`
export const APPROVAL_OF_PREFIX = 'approval-of/'
/** The id of the newest approval for a bind. */
export const approvalOfBindRecord = (bind: string): string => `${APPROVAL_OF_PREFIX}${part(bind)}`
/** A list of the ids of the approvals of a task that are not answered yet. */
export const openApprovalsRecord = (txn: string): string => `approvals-open/${part(txn)}`
/** The ids of the approvals of an actor, over all of its tasks, that are not answered yet: no data of anybody. */
export const openOfActorRecord = (jkt: string): string => `asked-by/${part(jkt)}`
/** When people were asked in a task, within the last hour: a list of milliseconds since the epoch. */
export const asksRecord = (txn: string): string => `approvals-asked/${part(txn)}`
/** `Suspension` of an actor. */
export const suspensionRecord = (actor: string): string => `suspension/${part(actor)}`
export const SUSPENSION_PREFIX = 'suspension/'
/** `BreakGlass` */
export const breakGlassRecord = (id: string): string => `${BREAK_GLASS_PREFIX}${part(id)}`
export const BREAK_GLASS_PREFIX = 'break-glass/'
/** An action that was begun, by the id of its decision entry; deleted by its outcome. */
export const begunRecord = (bind: string, entry: string): string => `begun/${part(bind)}/${part(entry)}`
export const begunPrefix = (bind: string): string => `begun/${part(bind)}/`
export const HISTORY_PREFIX = 'history/'
/** `{length, salt}` of the history of a task. */
export const historyRecord = (txn: string): string => `${HISTORY_PREFIX}${part(txn)}`
/** `Observation` number `n` of a task. */
export const observationRecord = (txn: string, n: number): string => `observation/${part(txn)}/${padded(n)}`
export const observationPrefix = (txn: string): string => `observation/${part(txn)}/`
/** `Profile` of an actor. */
export const profileRecord = (actor: string): string => `profile/${part(actor)}`
/** `Revocation` */
export const revocationRecord = (rev: number): string => `revocation/${padded(rev)}`
export const REVOCATION_PREFIX = 'revocation/'
/** `{rev}`: a stop of everything with this number or a smaller one is over. */
export const RESUMED_RECORD = 'resumed'
export const CASE_PREFIX = 'case/'
/** `CaseRecord` of a decision entry: ids and a label, no content. */
export const caseRecord = (entry: string): string => `${CASE_PREFIX}${part(entry)}`
/** `StoredKeys` of a subject, under its tag (`pdp/subject-keys.ts`). */
export const subjectKeyRecord = (tag: string): string => `subject-key/${part(tag)}`
/** The fingerprint of the master key under which everything in the store is sealed. */
export const VAULT_RECORD = 'vault'
/** What is written with a subject, so that it is sealed: purposes, arguments, and the salts of what was observed. */
export const SEALED_PREFIXES: readonly string[] = [TASK_PREFIX, APPROVAL_PREFIX, HISTORY_PREFIX]
/** A list of `ModeAct`, oldest first: one record, so that every decision reads all of them under one version. */
export const MODE_ACTS_RECORD = 'mode-acts'
/** `{next}`: how far along the log the evidence of a class was swept. */
export const retentionRecord = (name: EvidenceClass): string => `retention/${name}`
/** A list of `IssuerKey`, the one that signs first. */
export const ISSUER_KEYS_RECORD = 'issuer-keys'
export const ISSUED_PREFIX = 'issued/'
/** `Issued`, of an action credential that another process redeems, in the order of its `iat`; gone once redeemed. */
export const issuedRecord = (iat: number, jti: string): string => `${ISSUED_PREFIX}${padded(iat)}/${part(jti)}`
/** Milliseconds since the epoch: when the issuer of this principal said that they were signed out. By a hash of who it is. */
export const signOutRecord = (hash: string): string => `signed-out/${part(hash)}`
export const EVENT_PREFIX = 'event/'
/** A security event that was received, by its `iat` in seconds and a hash of issuer and `jti`, until it is too old to come again. */
export const eventRecord = (iat: number, hash: string): string => `${EVENT_PREFIX}${padded(iat)}/${part(hash)}`
/** Up to which revocation a receiver of security events was told. */
export const eventCursorRecord = (receiver: string): string => `event-cursor/${part(receiver)}`
/** The mode in which an upstream was last served. */
export const modeRecord = (upstream: string): string => `mode/${part(upstream)}`

/**
 * The value of a record as the type that we wrote under its key. The store is trusted to give back what was written;
 * what an agent sends never gets here without having been parsed. Undefined for an absent record.
 */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- the caller names what it wrote under the key
export function fromRecord<T>(record: { readonly value: Json } | undefined): T | undefined {
  const value: unknown = record?.value
  return isWritten<T>(value) ? value : undefined
}

// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- the caller names what it wrote under the key
function isWritten<T>(value: unknown): value is T {
  return value !== undefined && value !== null
}

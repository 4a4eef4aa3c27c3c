/**
 * @module
 * The claims of an action credential: composed from a decided request, and parsed back as a closed set. A member too many, too
 * few or of another type is refused, because another implementation could give it a meaning that was never signed for.
 */
import { randomBytes } from 'node:crypto'

import { digestOf, SALT_BYTES } from '../core/bind.ts'
import { ACTION_DETAIL, type ActionClaims, type ActionDetail } from '../core/credential.ts'
import { InvariantError } from '../core/errors.ts'
import type { Evidence } from '../core/evidence.ts'
import { toBoundAction } from '../core/http-action.ts'
import { isJsonObject, type Json, type JsonObject } from '../core/json.ts'
import type { AccessRequest } from '../core/request.ts'
import { decodeBase64url } from './base64.ts'

export interface ActionInput {
  readonly issuer: string
  /** As decided: what it says of itself is what was verified. */
  readonly request: AccessRequest
  readonly evidence: Evidence
  readonly jti: string
  /** Thumbprint of the actor's key. */
  readonly jkt: string
  readonly ttlSeconds: number
  /** Milliseconds since the epoch. */
  readonly now: number
}

/**
 * Composes the claims for one decided action, with a fresh salt. Throws `InvariantError` when the request stands in no task,
 * or when an id would make two things look alike (a type or an upstream with a slash). Decides nothing.
 */
export function toActionClaims(input: ActionInput): ActionClaims {
  const { request, evidence, jti, jkt } = input
  const { subject, actor, context } = request
  const txn = evidence.task?.txn ?? context.txn
  if (txn === undefined) throw new InvariantError('an action credential belongs to a task')
  const iat = Math.floor(input.now / 1000)
  const grant = evidence.task?.grant
  return {
    iss: input.issuer,
    aud: context.aud,
    iat,
    exp: iat + input.ttlSeconds,
    jti,
    txn,
    sub: join(subject.type, subject.id),
    act: { sub: actor.id },
    cnf: { jkt },
    ...(grant === undefined ? {} : { grant }),
    rev: evidence.revocation.rev,
    mode: evidence.mode,
    ...(evidence.modeFrom === undefined ? {} : { mode_from: evidence.modeFrom }),
    authorization_details: [toDetail(request)],
    tctx: toTransactionContext(request, evidence),
    rctx: { proof: context.proof.grade },
  }
}

function toDetail(request: AccessRequest): ActionDetail {
  const salt = randomBytes(SALT_BYTES)
  return {
    type: ACTION_DETAIL,
    actions: [request.action.name],
    locations: [request.context.aud],
    identifier: join(request.context.upstream, request.context.tool),
    digest: digestOf(toBoundAction(request.plane, request.action.body), salt),
    salt: salt.toString('base64url'),
  }
}

function toTransactionContext(request: AccessRequest, evidence: Evidence): ActionClaims['tctx'] {
  const { approval, task } = evidence
  const ancestors = evidence.grant?.chain.slice(1).map(({ id }) => id) ?? []
  return {
    evaluation_id: request.id,
    ...(approval?.status === 'approved' ? { approval_id: approval.id } : {}),
    ...(task?.purposeHash === undefined ? {} : { purpose: task.purposeHash }),
    ...(ancestors.length === 0 ? {} : { delegated_from: ancestors }),
  }
}

function join(first: string, second: string): string {
  if (first.includes('/')) throw new InvariantError(`\`${first}\` holds a slash`)
  return `${first}/${second}`
}

/** The claims as a fresh value, or undefined when they are not exactly of the shape. Verifies nothing but the shape. */
export function parseActionClaims(value: Json | undefined): ActionClaims | undefined {
  if (!isShaped(value, CLAIMS, ['grant', 'mode_from'])) return undefined
  const { iss, aud, iat, exp, jti, txn, sub, grant, rev, mode, mode_from } = value
  const act = toOnlyText(value['act'], 'sub')
  const jkt = toOnlyText(value['cnf'], 'jkt')
  const proof = toOnlyText(value['rctx'], 'proof')
  const details = toDetails(value['authorization_details'])
  const tctx = toContext(value['tctx'])
  if (!isText(iss) || !isText(aud) || !isText(jti) || !isText(txn) || !isText(sub)) return undefined
  if (!isCount(iat) || !isCount(exp) || !isCount(rev) || (grant !== undefined && !isText(grant))) return undefined
  if (act === undefined || jkt === undefined || proof === undefined || details === undefined) return undefined
  if (tctx === undefined || (mode !== 'observe' && mode !== 'enforce')) return undefined
  if (mode_from !== undefined && !isText(mode_from)) return undefined
  return {
    iss,
    aud,
    iat,
    exp,
    jti,
    txn,
    sub,
    rev,
    mode,
    ...(mode_from === undefined ? {} : { mode_from }),
    tctx,
    ...(grant === undefined ? {} : { grant }),
    act: { sub: act },
    cnf: { jkt },
    rctx: { proof },
    authorization_details: details,
  }
}

const CLAIMS = 'iss aud iat exp jti txn sub act cnf rev mode authorization_details tctx rctx'.split(' ')

function toDetails(value: Json | undefined): readonly [ActionDetail] | undefined {
  const only = toOnlyItem(value)
  if (!isShaped(only, ['type', 'actions', 'locations', 'identifier', 'digest', 'salt'])) return undefined
  const { type, identifier, digest, salt } = only
  const action = toOnlyItem(only['actions'])
  const location = toOnlyItem(only['locations'])
  if (type !== ACTION_DETAIL || !isText(action) || !isText(location) || !isText(identifier)) return undefined
  if (!isText(digest) || !isText(salt) || decodeBase64url(salt)?.length !== SALT_BYTES) return undefined
  return [{ type, actions: [action], locations: [location], identifier, digest, salt }]
}

function toContext(value: Json | undefined): ActionClaims['tctx'] | undefined {
  if (!isShaped(value, ['evaluation_id'], ['approval_id', 'purpose', 'delegated_from'])) return undefined
  const { evaluation_id, approval_id, purpose, delegated_from } = value
  if (!isText(evaluation_id) || (approval_id !== undefined && !isText(approval_id))) return undefined
  if (purpose !== undefined && !isText(purpose)) return undefined
  if (delegated_from !== undefined && !isTexts(delegated_from)) return undefined
  return {
    evaluation_id,
    ...(approval_id === undefined ? {} : { approval_id }),
    ...(purpose === undefined ? {} : { purpose }),
    ...(delegated_from === undefined ? {} : { delegated_from }),
  }
}

function isShaped(
  value: Json | undefined,
  required: readonly string[],
  optional: readonly string[] = [],
): value is JsonObject {
  if (!isJsonObject(value)) return false
  const names = Object.keys(value).filter((name) => value[name] !== undefined)
  return (
    required.every((name) => names.includes(name)) &&
    names.every((name) => required.includes(name) || optional.includes(name))
  )
}

function toOnlyText(value: Json | undefined, name: string): string | undefined {
  const only = isShaped(value, [name]) ? value[name] : undefined
  return isText(only) ? only : undefined
}

function toOnlyItem(value: Json | undefined): Json | undefined {
  return isList(value) && value.length === 1 ? value[0] : undefined
}

function isList(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value)
}

function isTexts(value: Json | undefined): value is readonly string[] {
  return isList(value) && value.every(isText)
}

function isText(value: Json | undefined): value is string {
  return typeof value === 'string' && value !== ''
}

function isCount(value: Json | undefined): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

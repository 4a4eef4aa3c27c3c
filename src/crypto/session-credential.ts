/**
 * @module
 * The session credential: bound to the agent's key, at most ten minutes. It lets its holder *ask* for decisions; no upstream
 * accepts it, and without the key it is worth nothing (invariant 3).
 */
import { SESSION_TTL_SECONDS, SESSION_TYP, type SessionClaims } from '../core/credential.ts'
import { InvariantError } from '../core/errors.ts'
import { isJsonObject, type Json, type JsonObject } from '../core/json.ts'
import type { Reason } from '../core/reasons.ts'
import { randomId } from './base64.ts'
import { signJwt, verifyJwt } from './jwt.ts'
import type { KeyPair } from './keys.ts'

const SKEW_SECONDS = 5

export interface IssueSession {
  readonly issuer: string
  /** Who will verify it; the issuer itself when absent. */
  readonly aud?: string
  readonly key: KeyPair
  /** The principal, `type/id`. */
  readonly sub: string
  /** Thumbprint of the agent's key. */
  readonly jkt: string
  readonly txn?: string
  /** `x5t#S256` of the certificate that its connections must show. */
  readonly x5t?: string
  /** The global revocation sequence now; 0 when absent. */
  readonly rev?: number
  /** Milliseconds since the epoch. */
  readonly now: number
  /** At most, and by default, `SESSION_TTL_SECONDS`. */
  readonly ttlSeconds?: number
  /** 128 random bits, base64url; made here when absent. */
  readonly jti?: string
}

/** Signs a session credential as a compact JWT. Throws `InvariantError` for a longer life than ten minutes. */
export function issueSession(session: IssueSession): string {
  const { issuer, key, sub, jkt, txn } = session
  const ttl = session.ttlSeconds ?? SESSION_TTL_SECONDS
  if (!(ttl > 0 && ttl <= SESSION_TTL_SECONDS))
    throw new InvariantError('a session credential lives ten minutes at most')
  const iat = Math.floor(session.now / 1000)
  const claims: SessionClaims = {
    iss: issuer,
    aud: session.aud ?? issuer,
    iat,
    exp: iat + Math.floor(ttl),
    jti: session.jti ?? randomId(),
    sub,
    ...(txn === undefined ? {} : { txn }),
    ...(session.rev === undefined ? {} : { rev: session.rev }),
    cnf: { jkt, ...(session.x5t === undefined ? {} : { 'x5t#S256': session.x5t }) },
  }
  return signJwt(key, SESSION_TYP, { ...claims })
}

export interface VerifySession {
  readonly compact: string
  readonly issuer: string
  /** As given to `issueSession`; the issuer itself when absent. */
  readonly aud?: string
  /** The issuer's key; its public part is enough. */
  readonly key: KeyPair
  /** Thumbprint of the key that proved this request. */
  readonly jkt: string
  /** `x5t#S256` of the certificate that the connection showed. */
  readonly x5t?: string
  /** Milliseconds since the epoch. */
  readonly now: number
}

export type VerifiedSession =
  | { readonly ok: true; readonly claims: SessionClaims }
  | { readonly ok: false; readonly reason: Extract<Reason, 'identity.expired' | 'identity.bad-proof'> }

/**
 * Verifies form, signature, `typ`, issuer, audience, key and time. Never throws. `identity.expired` is said only of a
 * credential that is right in every other respect. Does not ask whether the key, the principal or the task was
 * revoked, nor whether continuity was lost since.
 */
export function verifySession(session: VerifySession): VerifiedSession {
  const { issuer, key, compact, jkt } = session
  const found = verifyJwt(key, SESSION_TYP, compact)
  const claims = found === undefined ? undefined : parseSessionClaims(found)
  const bad = { ok: false, reason: 'identity.bad-proof' } as const
  if (claims === undefined || claims.iss !== issuer || claims.aud !== (session.aud ?? issuer)) return bad
  const x5t = claims.cnf['x5t#S256']
  if (x5t !== undefined && x5t !== session.x5t) return bad
  if (claims.cnf.jkt !== jkt || claims.exp - claims.iat > SESSION_TTL_SECONDS) return bad
  const now = session.now / 1000
  if (!(claims.iat <= now + SKEW_SECONDS)) return bad
  return now < claims.exp ? { ok: true, claims } : { ok: false, reason: 'identity.expired' }
}

const MEMBERS: ReadonlySet<string> = new Set(['iss', 'aud', 'iat', 'exp', 'jti', 'sub', 'txn', 'rev', 'cnf'])

function parseSessionClaims(claims: JsonObject): SessionClaims | undefined {
  if (!Object.keys(claims).every((name) => MEMBERS.has(name))) return undefined
  const { iss, aud, iat, exp, jti, sub, txn, rev, cnf } = claims
  const confirmation = toConfirmation(cnf)
  if (!isText(iss) || !isText(aud) || !isText(jti) || !isText(sub) || confirmation === undefined) return undefined
  if (!Number.isSafeInteger(iat) || !Number.isSafeInteger(exp)) return undefined
  if (txn !== undefined && !isText(txn)) return undefined
  if (rev !== undefined && !(Number.isSafeInteger(rev) && Number(rev) >= 0)) return undefined
  const times = { iat: Number(iat), exp: Number(exp) }
  const optional = { ...(txn === undefined ? {} : { txn }), ...(rev === undefined ? {} : { rev: Number(rev) }) }
  return { iss, aud, ...times, jti, sub, ...optional, cnf: confirmation }
}

function toConfirmation(cnf: Json | undefined): SessionClaims['cnf'] | undefined {
  if (!isJsonObject(cnf)) return undefined
  const { jkt, 'x5t#S256': x5t, ...others } = cnf
  if (!isText(jkt) || Object.keys(others).length > 0) return undefined
  if (x5t === undefined) return { jkt }
  return isText(x5t) ? { jkt, 'x5t#S256': x5t } : undefined
}

function isText(value: Json | undefined): value is string {
  return typeof value === 'string' && value !== ''
}

/**
 * @module
 * Grants that no operator issues: a host opens one with the principal's proof from an issuer that is trusted here, or the
 * principal signs it with a key of their own. Each is within a ceiling that an operator wrote, each proof counts once.
 */
import type { EnrolledKey } from '../../core/evidence.ts'
import type { Grant } from '../../core/grant.ts'
import { toGrantNonce } from '../../core/grant-nonce.ts'
import { parseWithin, type GrantCeiling } from '../../core/grant-ceiling.ts'
import { asJson, type JsonObject } from '../../core/json.ts'
import type { ParseGrantOptions } from '../../core/parse-grant.ts'
import { GRANT_PREFIX, grantRecord, keyRecord } from '../../core/records.ts'
import type { OutsideAlgorithm, OutsideKey } from '../../crypto/outside-keys.ts'
import { importKey } from '../../crypto/keys.ts'
import { signerOf, verifyGrant } from '../../crypto/signed-grant.ts'
import {
  chooseRule,
  toSubjectKind,
  verifySubject,
  type SubjectRule,
  type VerifiedSubject,
} from '../../crypto/subject-token.ts'
import { InputError, RefusedError, REASONS, type Json, type Reason } from '../../index.ts'
import { ISSUED, type RevocationFeed } from '../../ports/revocations.ts'
import { listAll, perform, type Act, type ReadOne, type ServiceOptions } from '../acts.ts'
import { isSignedOut } from '../events/sign-outs.ts'
import { toGrantWrites } from '../grants.ts'
import type { Keys } from '../keys.ts'

/** An issuer outside that may vouch for principals here. */
export interface TrustedIssuer extends SubjectRule {
  readonly ceiling: GrantCeiling
  /** True: the proof must carry the hash of the very grant that it opens as its `nonce`. */
  readonly boundNonce: boolean
  readonly findKey: (kid: string | undefined, alg: OutsideAlgorithm) => Promise<OutsideKey | undefined>
}

export interface Trust {
  readonly issuers: readonly TrustedIssuer[]
  /** What a grant may hold that a principal signs; undefined: nobody signs grants here. */
  readonly signed?: GrantCeiling
}

export interface Opening {
  /** The grant that is asked for, its principal left out: it is the one who is vouched for. */
  readonly grant: Json
  readonly subjectToken: string
  /** `id-token`, `access-token`, `id-jag`, or the URI of RFC 8693 §3. */
  readonly subjectTokenType: string
  /** With which the grant was hashed into the `nonce` of the proof, where the issuer's rule binds it. */
  readonly salt?: string
}

export interface Delegations {
  /**
   * Opens a grant for the principal whom an issuer outside vouches for. The proof is used up with it, in one unit. Throws
   * `RefusedError` for a proof that does not count, `InputError` for a grant that is not within the ceiling of the issuer: then
   * the proof is not used up. Does not say that the principal wants it: the host does.
   */
  open(opening: Opening, host: EnrolledKey): Promise<Grant>
  /** Takes a grant that a principal has signed, whoever hands it in. Throws as `open` does. */
  take(compact: string, by: EnrolledKey): Promise<Grant>
  /** The grants that were opened by, or signed with, this key. */
  madeBy(jkt: string): Promise<readonly Grant[]>
}

export interface DelegationsOptions extends ServiceOptions {
  readonly issuer: string
  readonly keys: Keys
  readonly feed: RevocationFeed
  readonly trust: () => Trust
}

/** Clocks of issuers differ from ours: what was used up is remembered a little longer than it could be used. */
const BURN_SLACK_MS = 5 * 60_000

export function createDelegations(options: DelegationsOptions): Delegations {
  return {
    open: async (opening, host) => openGrant(options, opening, host),
    take: async (compact, by) => takeSigned(options, compact, by),
    async madeBy(jkt) {
      const grants = await listAll<Grant>(options.store, GRANT_PREFIX)
      return grants.filter(({ issuedBy }) => issuedBy.jkt === jkt && issuedBy.role !== 'operator')
    },
  }
}

async function openGrant(options: DelegationsOptions, opening: Opening, host: EnrolledKey): Promise<Grant> {
  if (host.role !== 'host') throw refused('identity.key-role')
  const { rule, subject } = await verifyOpening(options, opening)
  assertStanding(options, host.jkt, subject.principal, subject.issuedAt)
  const { issuedAt: vouchedAt } = subject
  const issuedBy = { role: 'host', jkt: host.jkt, issuer: rule.issuer, vouchedAt } as const
  const grant = parseWithin(rule.ceiling, opening.grant, subject.principal, await toParsing(options, issuedBy, true))
  const burns = subject.burnIds.map((id) => ({ domain: 'subject-token', id, expires: subject.expires + BURN_SLACK_MS }))
  return perform(options, async (read) => {
    await assertRole(read, options, host.jkt, 'host')
    if (await isSignedOut(read, subject.principal, subject.issuedAt)) throw refused('identity.weak-login')
    return { ...toAct(grant, 'grant.open', { proof: subject.facts }), burns }
  })
}

async function verifyOpening(
  { trust, clock }: DelegationsOptions,
  { subjectToken, subjectTokenType, grant, salt = '' }: Opening,
): Promise<{ readonly rule: TrustedIssuer; readonly subject: VerifiedSubject }> {
  const kind = toSubjectKind(subjectTokenType)
  if (kind === undefined) throw new InputError('`subject_token_type` is `id-token`, `access-token` or `id-jag`')
  const chosen = chooseRule(trust().issuers, kind, subjectToken)
  if (!chosen.ok) throw refused(chosen.reason, chosen.why)
  const { rule, header } = chosen
  const key = await rule.findKey(header.kid, header.alg)
  const nonce = rule.boundNonce ? { nonce: toGrantNonce(grant, salt) } : {}
  const subject = verifySubject({ compact: subjectToken, kind, rule, key, now: clock.now(), ...nonce })
  if (!subject.ok) throw refused(subject.reason, subject.why)
  return { rule, subject }
}

async function takeSigned(options: DelegationsOptions, compact: string, by: EnrolledKey): Promise<Grant> {
  const ceiling = options.trust().signed
  if (ceiling === undefined)
    throw new InputError('grants that principals sign are not taken here; an operator can set `trust.signed`')
  const jkt = signerOf(compact)
  const signer = jkt === undefined ? undefined : await options.keys.find(jkt)
  const principal = signer?.role === 'principal' ? signer.principal : undefined
  if (signer === undefined || principal === undefined) throw refused('identity.unknown-key')
  const verified = verifyGrant(importKey({ ...signer.jwk }), compact, options.issuer, options.clock.now())
  if (!verified.ok) throw refused(verified.reason)
  assertStanding(options, signer.jkt, principal, verified.issuedAt)
  const parsing = await toParsing(options, { role: 'principal', jkt: signer.jkt }, false)
  const times = { id: verified.id, now: verified.issuedAt }
  const grant = parseWithin(ceiling, verified.grant, principal, { ...parsing, ...times })
  if (grant.expires <= options.clock.now()) throw refused('identity.expired')
  return perform(options, async (read) => {
    await assertRole(read, options, signer.jkt, 'principal')
    if ((await read<Grant>(grantRecord(grant.id))) !== undefined) throw refused('identity.replayed')
    // The signature stays with the evidence, so that the principal's own word can be shown later.
    return toAct(grant, 'grant.take', { signed: compact, handedInBy: by.jkt })
  })
}

function refused(reason: Reason, why?: string): RefusedError {
  return new RefusedError(reason, why ?? REASONS[reason].help)
}

/** Nothing that was stopped, and nothing from before burns may have been forgotten, begins anything. */
function assertStanding(
  { feed }: DelegationsOptions,
  jkt: string,
  principal: Grant['principal'],
  issuedAt: number,
): void {
  const subject = `${principal.type}/${principal.id}`
  if (!feed.fresh()) throw refused('system.stale-revocations')
  const stopped = feed.find('all', '*') ?? feed.find('actor', jkt) ?? feed.find('subject', subject)
  if (stopped !== undefined) throw refused('identity.revoked')
  const lost = feed.find('all', ISSUED)
  if (lost !== undefined && issuedAt <= lost.at) throw refused('identity.expired')
}

async function toParsing(
  { keys, clock, newId, feed }: DelegationsOptions,
  issuedBy: Grant['issuedBy'],
  byName: boolean,
): Promise<ParseGrantOptions> {
  const agents = await keys.list('agent')
  const standing = agents.filter(({ jkt }) => feed.find('actor', jkt) === undefined)
  return {
    id: newId(),
    now: clock.now(),
    issuedBy,
    // Names are given by operators: what a principal signs holds the key itself.
    resolveActor: (given) => standing.find(({ jkt, name }) => jkt === given || (byName && name === given))?.jkt,
  }
}

/** Read with the act, and asked of the feed again: time has passed since the proof was looked at. */
async function assertRole(
  read: ReadOne,
  { feed }: DelegationsOptions,
  jkt: string,
  role: EnrolledKey['role'],
): Promise<void> {
  const key = await read<EnrolledKey>(keyRecord(jkt))
  if (key?.role !== role) throw refused('identity.unknown-key')
  if ((feed.find('actor', jkt) ?? feed.find('all', '*')) !== undefined) throw refused('identity.revoked')
}

function toAct(grant: Grant, act: string, more: JsonObject): Act<Grant> {
  return {
    result: grant,
    writes: toGrantWrites(grant),
    act,
    by: grant.issuedBy.jkt,
    subject: `${grant.principal.type}/${grant.principal.id}`,
    detail: { ...asJson(grant), ...more },
  }
}

/**
 * @module
 * Who is calling: every agent request is proved by RFC 9421 + Content-Digest under an enrolled key, once (design §4).
 * A proof that does not verify never becomes an AccessRequest; it is refused and counted here.
 */
import type { SessionClaims } from '../core/credential.ts'
import type { EnrolledKey, KeyRole, Task } from '../core/evidence.ts'
import type { Reason } from '../core/reasons.ts'
import { fromRecord, taskRecord } from '../core/records.ts'
import { verifyDpop } from '../crypto/dpop.ts'
import { verifyRequest, type HeaderReader } from '../crypto/http-signature.ts'
import { verifySession } from '../crypto/session-credential.ts'
import { findSigner, type IssuerKeys } from '../crypto/issuer-keys.ts'
import type { Clock } from '../ports/clock.ts'
import type { Caller } from '../ports/pep.ts'
import { ISSUED, type RevocationFeed } from '../ports/revocations.ts'
import type { Store } from '../ports/store.ts'
import type { Keyring } from './keyring.ts'
import { createNonces, type Nonces } from './nonces.ts'

/** A request as received: nothing decoded, nothing normalised. */
export interface ReceivedRequest {
  readonly method: string
  /** The request target in origin form, exactly as it stood on the request line. */
  readonly target: string
  /** The lines of a header, none joined; undefined when it is absent. */
  readonly header: HeaderReader
  readonly body: Uint8Array
}

export type Authenticated<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly reason: Reason; readonly nonce?: string }

export interface Authenticator {
  /**
   * A request without session credential (`/session`, `/control`): needs a nonce of this server, and one of `roles`. The proof
   * is used up, unless whoever sends it again gets nothing by it (`isReplayHarmless`): then nothing of it is remembered.
   */
  authenticateKey(
    request: ReceivedRequest,
    roles: readonly KeyRole[],
    options?: { readonly isReplayHarmless?: boolean },
  ): Promise<Authenticated<EnrolledKey>>
  /** An agent's request under its session credential; refused when the agent or its task is revoked, whatever it asks. */
  authenticateAgent(request: ReceivedRequest): Promise<Authenticated<Caller>>
  /**
   * An agent that presents its session credential in the body, at `url` as this server knows itself. Proved by RFC 9421, by
   * DPoP under a nonce of this server, or by both; DPoP alone leaves the body open, and says so.
   */
  authenticateExchange(request: ReceivedRequest, compact: string, url: string): Promise<Authenticated<Caller>>
}

export interface AuthenticatorOptions {
  readonly store: Store
  readonly keyring: Keyring
  readonly issuer: string
  readonly issuerKeys: IssuerKeys
  readonly feed: RevocationFeed
  readonly clock: Clock
  /** Why this key is turned away, once it has proved the request; nothing is written for it then. */
  readonly turnAway: (jkt: string) => Reason | undefined
}

/** Proofs live at most 60 s and a little skew; burns outlive them. */
const BURN_MS = 10 * 60_000

interface Proved {
  readonly key: EnrolledKey
  readonly nonce: string
  readonly bodyBound: boolean
}

export function createAuthenticator(options: AuthenticatorOptions): Authenticator {
  const nonces = createNonces()
  return {
    async authenticateKey(request, roles, { isReplayHarmless = false } = {}) {
      const proved = await prove(options, request)
      if (!proved.ok) return proved
      if (!roles.includes(proved.value.key.role)) return refuse('identity.key-role')
      const { key, nonce } = proved.value
      if (!nonces.isFresh(nonce.split('.', 1)[0] ?? ''))
        return { ok: false, reason: 'identity.use-nonce', nonce: nonces.mint() }
      const refused = isReplayHarmless ? undefined : nonces.spend(key.jkt, nonce)
      return refused === undefined ? { ok: true, value: key } : refuse(refused)
    },
    async authenticateAgent(request) {
      const compact = readSessionCredential(request)
      if (compact === undefined) return refuse('identity.missing')
      const proved = await prove(options, request)
      return proved.ok ? toAgent(options, [proved.value], compact) : proved
    },
    async authenticateExchange(request, compact, url) {
      const proofs: Proved[] = []
      const isSigned = ['signature', 'signature-input'].some((name) => request.header(name) !== undefined)
      const isDpop = linesOf(request.header('dpop')).length > 0
      const proved = [
        ...(isSigned ? [await prove(options, request)] : []),
        ...(isDpop ? [await proveDpop(options, nonces, request, url)] : []),
      ]
      for (const each of proved) {
        if (!each.ok) return each
        proofs.push(each.value)
      }
      return toAgent(options, proofs, compact)
    },
  }
}

/** All proofs are of one agent's key, which is that of the session credential; each of them is used up. */
async function toAgent(
  options: AuthenticatorOptions,
  proofs: readonly Proved[],
  compact: string,
): Promise<Authenticated<Caller>> {
  const [first] = proofs
  if (first === undefined) return refuse('identity.missing')
  const { key } = first
  if (key.role !== 'agent') return refuse('identity.key-role')
  if (proofs.some((proof) => proof.key.jkt !== key.jkt)) return refuse('identity.bad-proof')
  const { issuer, clock } = options
  const signer = findSigner(options.issuerKeys, compact)
  if (signer === undefined) return refuse('identity.bad-proof')
  const opened = verifySession({ compact, issuer, key: signer, jkt: key.jkt, now: clock.now() })
  if (!opened.ok) return refuse(opened.reason)
  // To be renewed like one whose time is over: the agent itself is not stopped.
  if (isFromBefore(options.feed, opened.claims.rev)) return refuse('identity.expired')
  if (isStopped(options.feed, key.jkt, opened.claims)) return refuse('identity.revoked')
  const away = options.turnAway(key.jkt)
  if (away !== undefined) return refuse(away)
  for (const proof of proofs) if (!(await burn(options, proof))) return refuse('identity.replayed')
  const bodyBound = proofs.some((proof) => proof.bodyBound)
  return toCaller(options, key, bodyBound, opened.claims.txn)
}

function linesOf(header: ReturnType<HeaderReader>): readonly string[] {
  return header === undefined ? [] : typeof header === 'string' ? [header] : header
}

async function proveDpop(
  options: AuthenticatorOptions,
  nonces: Nonces,
  request: ReceivedRequest,
  url: string,
): Promise<Authenticated<Proved>> {
  const verified = verifyDpop({
    proofs: linesOf(request.header('dpop')),
    method: request.method,
    url,
    acceptNonce: (nonce) => nonce !== undefined && nonces.isFresh(nonce),
    now: options.clock.now(),
  })
  if (!verified.ok)
    return verified.reason === 'identity.use-nonce'
      ? { ok: false, reason: verified.reason, nonce: nonces.mint() }
      : refuse(verified.reason)
  const key = await options.keyring.load(verified.jkt)
  if (key === undefined) return refuse('identity.unknown-key')
  return { ok: true, value: { key, nonce: verified.burnId, bodyBound: request.body.length === 0 } }
}

function refuse(reason: Reason): { ok: false; reason: Reason } {
  return { ok: false, reason }
}

/** `Authorization: Unbearer <session credential>`, on one line; anything else is not a proof of anything here. */
function readSessionCredential(request: ReceivedRequest): string | undefined {
  const header = request.header('authorization')
  const line = typeof header === 'string' ? header : header?.length === 1 ? header[0] : undefined
  return line === undefined ? undefined : /^Unbearer ([\w-]+\.[\w-]+\.[\w-]+)$/.exec(line)?.[1]
}

/** Verifies the signature under an enrolled key; keys not met before are looked up once. */
async function prove(options: AuthenticatorOptions, request: ReceivedRequest): Promise<Authenticated<Proved>> {
  let asked: string | undefined
  const attempt = () =>
    verifyRequest({
      method: request.method,
      target: request.target,
      headers: request.header,
      body: request.body,
      now: options.clock.now(),
      resolveKey(jkt) {
        asked = jkt
        return options.keyring.find(jkt)
      },
    })
  let verified = attempt()
  if (!verified.ok && verified.reason === 'identity.unknown-key' && asked !== undefined) {
    await options.keyring.load(asked)
    verified = attempt()
  }
  if (!verified.ok) return refuse(verified.reason)
  const key = await options.keyring.load(verified.jkt)
  if (key === undefined) return refuse('identity.unknown-key')
  return { ok: true, value: { key, nonce: verified.nonce, bodyBound: verified.bodyBound } }
}

/** Not everything that an agent may ask is decided: lists and the beginning of a session must stop with it as well. */
function isStopped(feed: RevocationFeed, jkt: string, { jti, txn }: SessionClaims): boolean {
  const isRevoked = feed.find('all', '*') ?? feed.find('actor', jkt) ?? feed.find('credential', jti)
  return isRevoked !== undefined || (txn !== undefined && feed.find('task', txn) !== undefined)
}

/** Issued before continuity was lost: a proof under it may have been burned, and the burn forgotten. */
function isFromBefore(feed: RevocationFeed, rev = 0): boolean {
  return rev < (feed.find('all', ISSUED)?.rev ?? 0)
}

/** Burns the nonce of a proof: true the first time only. Applied before anything is decided under it. */
async function burn({ store, clock }: AuthenticatorOptions, { key, nonce }: Proved): Promise<boolean> {
  const result = await store.commit({
    burns: [{ domain: 'proof', id: `${key.jkt}.${nonce}`, expires: clock.now() + BURN_MS }],
  })
  if (result.status !== 'applied') return false
  // Whoever decides waits for the disk; a failure here undoes the decision of the same group as well.
  result.durable.catch(() => undefined)
  return true
}

async function toCaller(
  options: AuthenticatorOptions,
  key: EnrolledKey,
  bodyBound: boolean,
  txn: string | undefined,
): Promise<Authenticated<Caller>> {
  const [record] = txn === undefined ? [undefined] : await options.store.get([taskRecord(txn)])
  const task = fromRecord<Task>(record)
  if (txn !== undefined && task === undefined) return refuse('identity.unknown-task')
  if (task !== undefined && task.actor !== key.jkt) return refuse('identity.task-mismatch')
  return {
    ok: true,
    value: {
      proof: { grade: 'signature', jkt: key.jkt, bodyBound },
      actor: { type: 'agent', id: key.name, jkt: key.jkt },
      ...(task === undefined ? {} : { task }),
    },
  }
}
